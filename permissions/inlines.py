"""What the admin pages of other apps show of rights: ``inlines = [RolesInline]`` on the page of users."""

from typing import TYPE_CHECKING, Any, ClassVar, override

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest

from permissions import conf
from permissions.forms import RoleAssignmentForm, RoleAssignmentFormSet
from permissions.mixins import HasRoles
from permissions.models import RoleAssignment

if TYPE_CHECKING:
    AssignmentInline = admin.TabularInline[RoleAssignment, Model]
else:  # generic in the stubs only
    AssignmentInline = admin.TabularInline


class RolesInline(AssignmentInline):
    """The roles of a user, with team, end and who gave them. Given, ended and taken; never rewritten."""

    model = RoleAssignment
    form = RoleAssignmentForm
    formset = RoleAssignmentFormSet
    fk_name = "user"
    extra = 0
    verbose_name = "role"
    verbose_name_plural = "roles"
    autocomplete_fields: ClassVar[list[str]] = ["role"]

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[RoleAssignment]:
        """Bring along what the rows name."""
        return super().get_queryset(request).select_related("role", "granted_by")

    @override
    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Ask for a team only where there are teams."""
        team = ["team_id"] if conf.get().is_teams_enabled else []
        return ("role", *team, "expires_at", "granted_by", "created_at")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Show who gave it and when."""
        return ["granted_by", "created_at"]

    @override
    def get_formset(
        self,
        request: HttpRequest,
        obj: Model | None = None,
        **kwargs: Any,  # Any: Django's own options
    ) -> "type[BaseInlineFormSet[RoleAssignment, Model, Any]]":  # Any: as above
        """Tell the forms who fills them in."""
        actor = {"actor": get_actor(request)}
        kwargs["form"] = type("RoleAssignmentForm", (self.form,), actor)
        formset = super().get_formset(request, obj, **kwargs)
        if role := formset.form.base_fields.get("role"):  # not there for who may only look
            for way in ("add", "change", "delete", "view"):
                setattr(role.widget, f"can_{way}_related", False)  # roles have pages of their own
        return type("RoleAssignmentFormSet", (formset,), actor)

    @override
    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Show them to who may give roles, too."""
        return self.has_add_permission(request, obj) or super().has_view_permission(request, obj)

    @override
    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for the same permission as the API."""
        return request.user.has_perm("permissions.assign_role")

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for the same permission as the API."""
        return request.user.has_perm("permissions.assign_role")

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for the same permission as the API."""
        return request.user.has_perm("permissions.assign_role")


def get_actor(request: HttpRequest) -> HasRoles:
    """Return the member of staff, in the name of whom rights are handed out.

    Raises:
        PermissionDenied: It is no user who can have roles.
    """
    if not isinstance(request.user, HasRoles):
        raise PermissionDenied
    return request.user
