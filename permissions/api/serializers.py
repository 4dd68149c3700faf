"""What the API of roles takes and gives."""

from rest_framework import serializers

from permissions.models import Role
from permissions.selectors import MAX_NAME_LENGTH, get_permission_names
from project.api import StringField

_MAX_PERMISSION_NAME_LENGTH = 201  # app label, dot, codename
_MAX_PERMISSIONS = 1000


class RoleOut(serializers.ModelSerializer[Role]):
    """A role and what it permits."""

    id = serializers.IntegerField(source="pk", read_only=True)
    permissions = serializers.SerializerMethodField(help_text="As `app_label.codename`, sorted.")

    class Meta:
        model = Role
        fields = ["id", "name", "permissions", "created_at"]
        read_only_fields = fields

    def get_permissions(self, role: Role) -> list[str]:
        """Return the names of the role's permissions."""
        return get_permission_names(role=role)


class NewRole(serializers.Serializer[None]):
    """Body that makes a role."""

    name = StringField(
        max_length=MAX_NAME_LENGTH, help_text="Printable characters without `|`, no space at either end. Unique."
    )
    permissions = serializers.ListField(
        child=StringField(max_length=_MAX_PERMISSION_NAME_LENGTH),
        max_length=_MAX_PERMISSIONS,
        default=list,
        help_text="Names such as `accounts.view_user`. You can give only what you hold.",
    )


class NewAssignment(serializers.Serializer[None]):
    """Body that gives a role."""

    role = StringField(max_length=MAX_NAME_LENGTH, help_text="Name of the role.")


class UserRoles(serializers.Serializer[None]):
    """The roles of a user."""

    user = serializers.UUIDField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="Names, sorted.")
