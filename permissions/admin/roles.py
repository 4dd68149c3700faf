"""Roles, and who has them, in the admin.

Django's own page for groups is gone: a role is its group. Assignments have a page of their own rather than rows inside
the role, for a role may have more members than a form can hold.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, override

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from permissions import services
from permissions.exceptions import InvalidRoleName
from permissions.mixins import HasRoles
from permissions.models import Role, RoleAssignment
from permissions.selectors import is_name
from project.exceptions import DomainError

if TYPE_CHECKING:
    RoleModelAdmin = admin.ModelAdmin[Role]
    AssignmentModelAdmin = admin.ModelAdmin[RoleAssignment]
    RoleModelForm = forms.ModelForm[Role]
    AssignmentModelForm = forms.ModelForm[RoleAssignment]
    PermissionsField = forms.ModelMultipleChoiceField[Permission]
else:  # generic in the stubs only
    RoleModelAdmin = AssignmentModelAdmin = admin.ModelAdmin
    RoleModelForm = AssignmentModelForm = forms.ModelForm
    PermissionsField = forms.ModelMultipleChoiceField

admin.site.unregister(Group)


class RoleForm(RoleModelForm):
    """Name and permissions of a role."""

    #: Who fills the form in; set by ``RoleAdmin``.
    actor: ClassVar[HasRoles]

    permissions = PermissionsField(
        queryset=Permission.objects.select_related("content_type"),
        widget=FilteredSelectMultiple("permissions", is_stacked=False),
        required=False,
    )

    class Meta:
        model = Role
        fields = ["name"]

    @override
    def get_initial_for_field(self, field: forms.Field, field_name: str) -> object:
        """Start from the permissions that the role has."""
        if field_name == "permissions" and self.instance.pk:
            return self.instance.group.permissions.all()
        return super().get_initial_for_field(field, field_name)

    def clean_name(self) -> str:
        """Refuse what no role may be called, and the name of another group."""
        name: str = self.cleaned_data["name"]
        if not is_name(name):
            raise ValidationError(InvalidRoleName().message)
        if Group.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError("A role of that name exists already.")
        return name

    def clean_permissions(self) -> QuerySet[Permission]:
        """Refuse to add what the person at the form doesn't hold."""
        chosen: QuerySet[Permission] = self.cleaned_data["permissions"]
        old = self.instance.group.permissions.values_list("pk", flat=True) if self.instance.pk else []
        _check(lambda: services.refuse_escalation(actor=self.actor, permissions=list(chosen.exclude(pk__in=old))))
        return chosen


@admin.register(Role)
class RoleAdmin(RoleModelAdmin):
    """Roles with what they permit."""

    form = RoleForm
    list_display = ["name", "created_at"]
    search_fields = ["name"]

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        """Let only those rename a role who may."""
        return ["name"] if obj is not None and not services.may_rename(actor=_get_actor(request)) else []

    @override
    def get_form(
        self, request: HttpRequest, obj: Role | None = None, change: bool = False, **kwargs: object
    ) -> type[RoleModelForm]:
        """Tell the form who fills it in."""
        return type("RoleForm", (super().get_form(request, obj, change, **kwargs),), {"actor": _get_actor(request)})

    @override
    def save_model(self, request: HttpRequest, obj: Role, form: RoleModelForm, change: bool) -> None:
        """Write through the services."""
        names = [permission.user_perm_str for permission in form.cleaned_data["permissions"]]
        actor = _get_actor(request)
        if change:
            services.update_role(role=obj, name=obj.name, permissions=names, changed_by=actor)
        else:
            obj.group = services.create_role(name=obj.name, permissions=names, created_by=actor).group


class RoleAssignmentForm(AssignmentModelForm):
    """Who gets which role."""

    #: Who fills the form in; set by ``RoleAssignmentAdmin``.
    actor: ClassVar[HasRoles]

    class Meta:
        model = RoleAssignment
        fields = ["user", "role"]

    def clean_role(self) -> Role:
        """Refuse a role that permits more than the person at the form may."""
        role: Role = self.cleaned_data["role"]
        permissions = list(role.group.permissions.select_related("content_type"))
        _check(lambda: services.refuse_escalation(actor=self.actor, permissions=permissions))
        return role

    @override
    def clean(self) -> dict[str, object] | None:
        """Say that the user has the role already, rather than give it again in silence."""
        cleaned = super().clean()
        user, role = self.cleaned_data.get("user"), self.cleaned_data.get("role")
        if role and RoleAssignment.objects.filter(user=user, role=role, team_id=role.team_id).exists():
            raise ValidationError("That assignment already exists.")
        return cleaned


@admin.register(RoleAssignment)
class RoleAssignmentAdmin(AssignmentModelAdmin):
    """Who has which role, since when and by whom. Given and taken, never edited."""

    form = RoleAssignmentForm
    list_display = ["user", "role", "team_id", "expires_at", "granted_by", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "role", "granted_by"]
    search_fields = ["user__email"]
    raw_id_fields = ["user"]

    @override
    def has_view_permission(self, request: HttpRequest, obj: RoleAssignment | None = None) -> bool:
        """Open the page to who may give roles, too."""
        return self.has_add_permission(request) or super().has_view_permission(request, obj)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Ask for the same permission as the API."""
        return request.user.has_perm("permissions.assign_role")

    @override
    def has_change_permission(self, request: HttpRequest, obj: RoleAssignment | None = None) -> bool:
        """Let nobody rewrite who gave what."""
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: RoleAssignment | None = None) -> bool:
        """Ask for the same permission as the API."""
        return request.user.has_perm("permissions.assign_role")

    @override
    def get_form(
        self, request: HttpRequest, obj: RoleAssignment | None = None, change: bool = False, **kwargs: object
    ) -> type[AssignmentModelForm]:
        """Tell the form who fills it in."""
        actor = {"actor": _get_actor(request)}
        return type("RoleAssignmentForm", (super().get_form(request, obj, change, **kwargs),), actor)

    @override
    def save_model(self, request: HttpRequest, obj: RoleAssignment, form: AssignmentModelForm, change: bool) -> None:
        """Give the role."""
        team_id = obj.role.team_id
        services.assign_roles(user=obj.user, roles=[obj.role], team_id=team_id, granted_by=_get_actor(request))
        obj.pk = RoleAssignment.objects.get(user=obj.user, role=obj.role, team_id=team_id).pk

    @override
    def delete_model(self, request: HttpRequest, obj: RoleAssignment) -> None:
        """Take the role."""
        services.remove_roles(user=obj.user, roles=[obj.role], team_id=obj.team_id, taken_by=_get_actor(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoleAssignment]) -> None:
        """Take the roles."""
        for assignment in queryset.select_related("user", "role"):
            self.delete_model(request, assignment)


def _get_actor(request: HttpRequest) -> HasRoles:
    if not isinstance(request.user, HasRoles):
        raise PermissionDenied
    return request.user


def _check(check: Callable[[], None]) -> None:
    """Show a refusal of the services beside the field."""
    try:
        check()
    except DomainError as error:
        raise ValidationError(error.message) from error
