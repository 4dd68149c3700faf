"""Roles, and who has them, in the admin.

Django's own page for groups is gone: a role is its group. Assignments have a page of their own rather than rows inside
the role, for a role may have more members than a form can hold.
"""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, override

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from permissions import conf, services
from permissions.admin.matrix import show_matrix
from permissions.exceptions import GuardDoesNotMatch, InheritanceCycle, InvalidRoleName, TeamDoesNotMatch
from permissions.forms import RoleAssignmentForm, assign, clean_team
from permissions.inlines import get_actor
from permissions.mixins import HasRoles
from permissions.models import Role, RoleAssignment
from permissions.models.roles import MAX_TEAM_ID_LENGTH, RoleLink
from permissions.selectors import as_permission, get_parent_names, is_name
from project.exceptions import DomainError

if TYPE_CHECKING:
    RoleModelAdmin = admin.ModelAdmin[Role]
    AssignmentModelAdmin = admin.ModelAdmin[RoleAssignment]
    RoleModelForm = forms.ModelForm[Role]
    AssignmentModelForm = forms.ModelForm[RoleAssignment]
    PermissionsField = forms.ModelMultipleChoiceField[Permission]
    RolesField = forms.ModelMultipleChoiceField[Role]
else:  # generic in the stubs only
    RoleModelAdmin = AssignmentModelAdmin = admin.ModelAdmin
    RoleModelForm = AssignmentModelForm = forms.ModelForm
    PermissionsField = RolesField = forms.ModelMultipleChoiceField

admin.site.unregister(Group)


class RoleForm(RoleModelForm):
    """Name, guard, team, parents and permissions of a role. Guard and team are said once, when the role is made."""

    #: Who fills the form in; set by ``RoleAdmin``.
    actor: ClassVar[HasRoles]

    in_guard = forms.ChoiceField(
        label="Guard", choices=lambda: [(guard, guard) for guard in conf.get().guards], required=False
    )
    in_team = forms.CharField(
        label="Team",
        max_length=MAX_TEAM_ID_LENGTH,
        required=False,
        help_text="Key of the one team that can use the role; empty where all can.",
    )
    parents = RolesField(
        label="Inherits from",
        queryset=Role.objects.all(),
        widget=FilteredSelectMultiple("roles", is_stacked=False),
        required=False,
        help_text="It has all permissions of these roles, too.",
    )
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
        """Start from what the role has."""
        if self.instance.pk and field_name == "permissions":
            return self.instance.group.permissions.all()
        if self.instance.pk and field_name == "parents":
            return self.instance.parents
        return super().get_initial_for_field(field, field_name)

    def clean_name(self) -> str:
        """Refuse what no role may be called."""
        name: str = self.cleaned_data["name"]
        if not is_name(name):
            raise ValidationError(InvalidRoleName().message)
        return name

    def clean_in_guard(self) -> str:
        """Take the default one where none is named."""
        guard: str = self.cleaned_data["in_guard"]
        return guard or conf.get().default_guard

    def clean_in_team(self) -> str:
        """Refuse a team that isn't there."""
        return clean_team(self.cleaned_data["in_team"])

    @override
    def clean(self) -> dict[str, object] | None:
        """Refuse a name in use, what is of another guard or team, and what the person at the form doesn't hold."""
        cleaned = super().clean()
        is_made = not self.instance.pk
        guard = self.cleaned_data.get("in_guard", conf.get().default_guard) if is_made else self.instance.guard
        team_id = self.cleaned_data.get("in_team", "") if is_made else self.instance.team_id
        if name := self.cleaned_data.get("name"):
            twins = Role.objects.filter(name=name, guard=guard, team_id=team_id)
            groups = Group.objects.filter(name=services.name_group(name=name, guard=guard, team_id=team_id))
            if twins.exclude(pk=self.instance.pk).exists() or groups.exclude(pk=self.instance.pk).exists():
                self.add_error("name", "A role of that name exists already.")
            elif is_made:
                self._check_name(name, guard, team_id)
        self._check_permissions(guard, team_id)
        self._check_parents(guard, team_id)
        return cleaned

    def _check_name(self, name: str, guard: str, team_id: str) -> None:
        try:
            services.refuse_ambiguous_name(name=name, guard=guard, team_id=team_id, actor=self.actor)
        except DomainError as error:
            self.add_error("name", error.message)

    def _check_permissions(self, guard: str, team_id: str) -> None:
        chosen = self.cleaned_data.get("permissions", Permission.objects.none())
        old = self.instance.group.permissions.values_list("pk", flat=True) if self.instance.pk else []
        new = [as_permission(permission) for permission in chosen.exclude(pk__in=old)]
        try:
            if strangers := [one for one in new if one.guard != guard]:
                raise GuardDoesNotMatch.expected(strangers[0].guard, [guard])
            services.refuse_escalation(actor=self.actor, permissions=new, team_id=team_id, guard=guard)
        except DomainError as error:
            self.add_error("permissions", error.message)

    def _check_parents(self, guard: str, team_id: str) -> None:
        had = set(self.instance.parents.values_list("pk", flat=True)) if self.instance.pk else set()
        for parent in self.cleaned_data.get("parents", ()):
            try:
                if parent.guard != guard:
                    raise GuardDoesNotMatch.expected(parent.guard, [guard])
                if parent.team_id not in {"", team_id}:
                    raise TeamDoesNotMatch
                if (
                    parent.pk == self.instance.pk
                    or RoleLink.objects.filter(role=parent, ancestor=self.instance.pk).exists()
                ):
                    raise InheritanceCycle
                if parent.pk not in had:
                    services.refuse_role_escalation(actor=self.actor, role=parent, team_id=team_id)
            except DomainError as error:
                self.add_error("parents", error.message)
                return


_COLUMNS = ("name", "guard", "team_id", "inherits_from", "members", "created_at")


@admin.register(Role)
class RoleAdmin(RoleModelAdmin):
    """Roles with what they permit."""

    form = RoleForm
    list_display = _COLUMNS
    list_filter = ["guard"]
    search_fields = ["name", "team_id"]
    change_list_template = "admin/permissions/role/change_list.html"

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        """Bring along the parents and how many users have each role."""
        parents = RoleLink.objects.filter(is_parent=True).select_related("ancestor")
        counted = RoleAssignment.objects.filter(role=OuterRef("pk")).order_by().values("role")
        users = counted.annotate(count=Count("user", distinct=True)).values("count")
        return (
            super()
            .get_queryset(request)
            .annotate(user_count=Coalesce(Subquery(users), 0))
            .prefetch_related(Prefetch("ancestor_links", parents, to_attr="parent_links"))
        )

    @override
    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Leave out what an installation without guards or teams has no use for."""
        settings = conf.get()
        is_used = {"guard": len(settings.guards) > 1, "team_id": settings.is_teams_enabled}
        return tuple(name for name in _COLUMNS if is_used.get(name, True))

    @override
    def get_list_filter(self, request: HttpRequest) -> tuple[str, ...]:
        """As above."""
        return () if len(conf.get().guards) == 1 else ("guard",)

    @admin.display(description="inherits from")
    def inherits_from(self, role: Role) -> str:
        """Return the names of the role's parents."""
        return ", ".join(get_parent_names(role=role)) or "-"

    @admin.display(description="users", ordering="user_count")
    def members(self, role: Role) -> str:
        """Return a link to who has the role."""
        address = reverse("admin:permissions_roleassignment_changelist", query={"role__group__exact": role.pk})
        return format_html('<a href="{}">{}</a>', address, role.user_count)  # type: ignore[attr-defined] # annotated above

    @override
    def get_urls(self) -> list[URLPattern]:
        """Add the page of roles and permissions."""
        page = self.admin_site.admin_view(partial(show_matrix, self))
        return [path("matrix/", page, name="permissions_role_matrix"), *super().get_urls()]

    @override
    def get_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:
        """Leave out what an installation without guards or teams has no use for."""
        settings = conf.get()
        guard = ["guard" if obj else "in_guard"] if len(settings.guards) > 1 else []
        team = ["team_id" if obj else "in_team"] if settings.is_teams_enabled else []
        return ("name", *guard, *team, "parents", "permissions")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        """Let only those rename a role who may, and nobody move it to another guard or team."""
        if obj is None:
            return []
        return ["guard", "team_id"] if services.may_rename(actor=get_actor(request)) else ["name", "guard", "team_id"]

    @override
    def get_form(
        self, request: HttpRequest, obj: Role | None = None, change: bool = False, **kwargs: object
    ) -> type[RoleModelForm]:
        """Tell the form who fills it in."""
        return type("RoleForm", (super().get_form(request, obj, change, **kwargs),), {"actor": get_actor(request)})

    @override
    def save_model(self, request: HttpRequest, obj: Role, form: RoleModelForm, change: bool) -> None:
        """Write through the services."""
        data, actor = form.cleaned_data, get_actor(request)
        permissions = [as_permission(permission) for permission in data["permissions"]]
        if change:
            services.update_role(
                role=obj, name=obj.name, permissions=permissions, parents=data["parents"], changed_by=actor
            )
        else:
            made = services.create_role(
                name=obj.name,
                permissions=permissions,
                parents=data["parents"],
                guard=data["in_guard"],
                team=data["in_team"] or None,
                created_by=actor,
            )
            obj.group, obj.guard, obj.team_id = made.group, made.guard, made.team_id

    @override
    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        """Delete through the services."""
        services.delete_role(role=obj, deleted_by=get_actor(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Role]) -> None:
        """Delete through the services, in one order."""
        for role in queryset.order_by("pk"):
            self.delete_model(request, role)


@admin.register(RoleAssignment)
class RoleAssignmentAdmin(AssignmentModelAdmin):
    """Who has which role, since when and by whom. Given and taken, never edited."""

    form = RoleAssignmentForm
    list_display = ["user", "role", "team_id", "expires_at", "granted_by", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "role", "granted_by"]
    search_fields = ["user__email", "role__name"]
    raw_id_fields = ["user"]

    @override
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow what the filter by role asks for: Django takes the key of a role for a relation too far away."""
        return lookup == "role__group__exact" or super().lookup_allowed(lookup, value, request)

    @override
    def get_fields(self, request: HttpRequest, obj: RoleAssignment | None = None) -> tuple[str, ...]:
        """Ask for a team only where there are teams; show who gave it."""
        team = ["team_id"] if conf.get().is_teams_enabled else []
        return ("user", "role", *team, "expires_at", *(["granted_by", "created_at"] if obj else []))

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
        actor = {"actor": get_actor(request)}
        return type("RoleAssignmentForm", (super().get_form(request, obj, change, **kwargs),), actor)

    @override
    def save_model(self, request: HttpRequest, obj: RoleAssignment, form: AssignmentModelForm, change: bool) -> None:
        """Give the role."""
        data = form.cleaned_data
        obj.pk = assign(
            user=obj.user,
            role=obj.role,
            team_id=data["team_id"],
            expires_at=data["expires_at"],
            granted_by=get_actor(request),
        ).pk

    @override
    def delete_model(self, request: HttpRequest, obj: RoleAssignment) -> None:
        """Take the role."""
        services.remove_roles(user=obj.user, roles=[obj.role], team_id=obj.team_id, taken_by=get_actor(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoleAssignment]) -> None:
        """Take the roles."""
        for assignment in queryset.select_related("user", "role"):
            self.delete_model(request, assignment)
