"""What users and roles may with single objects: django-guardian's tables, in the admin."""

from typing import TYPE_CHECKING, Any, override

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions import selectors, services
from permissions.forms import ObjectPermissionForm
from permissions.inlines import get_actor

if TYPE_CHECKING:
    ObjectModelAdmin = admin.ModelAdmin[Any]  # Any: one of guardian's two models
else:  # generic in the stubs only
    ObjectModelAdmin = admin.ModelAdmin


class ObjectPermissionAdmin(ObjectModelAdmin):
    """Given and taken, never edited. Nobody gives what they don't hold for all objects."""

    form = ObjectPermissionForm
    #: Field of the model that says who has it.
    holder: str
    search_fields = ["object_pk", "permission__codename"]
    list_filter = ["content_type"]

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:  # Any: as above
        """Bring along what the rows name."""
        return super().get_queryset(request).select_related(self.holder, "permission__content_type", "content_type")

    @override
    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Show who may what with which object."""
        return (self.holder, "permission_name", "object_name")

    @override
    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Ask for names, or show them."""
        return (self.holder, "permission_name", "object_name")

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Show what is there as it is."""
        return [] if obj is None else [self.holder, "permission_name", "object_name"]

    @override
    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> "type[forms.ModelForm[Any]]":  # Any: as above
        """Tell the form who fills it in."""
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        kwargs["fields"] = [self.holder]
        return type(
            "ObjectPermissionForm", (super().get_form(request, obj, change, **kwargs),), {"actor": get_actor(request)}
        )

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let nobody rewrite what was given."""
        return False

    @override
    def save_model(
        self, request: HttpRequest, obj: Any, form: "forms.ModelForm[Any]", change: bool
    ) -> None:  # Any: as above
        """Give the permission."""
        holder = getattr(obj, self.holder)
        grant = services.give_object_permission(
            holder=getattr(holder, "role", holder),
            permission=form.cleaned_data["permission_name"],
            obj=form.cleaned_data["object_name"],
            granted_by=get_actor(request),
        )
        vars(obj).update(vars(grant))

    @admin.display(description="permission", ordering="permission__codename")
    def permission_name(self, grant: UserObjectPermission | GroupObjectPermission) -> str:
        """Return the name of the permission."""
        return selectors.as_permission(grant.permission).identifier

    @admin.display(description="object", ordering="object_pk")
    def object_name(self, grant: UserObjectPermission | GroupObjectPermission) -> str:
        """Return model and key of the object, which may be gone."""
        return f"{grant.content_type.app_label}.{grant.content_type.model}:{grant.object_pk}"


@admin.register(UserObjectPermission)
class UserObjectPermissionAdmin(ObjectPermissionAdmin):
    """Of users."""

    holder = "user"
    raw_id_fields = ["user"]


@admin.register(GroupObjectPermission)
class RoleObjectPermissionAdmin(ObjectPermissionAdmin):
    """Of roles, by their groups."""

    holder = "group"
    raw_id_fields = []
