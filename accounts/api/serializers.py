"""What the API of accounts takes and gives."""

from typing import TYPE_CHECKING, override

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers

from accounts.models import User
from permissions.selectors import get_current_role_names
from project.api import StringField

if TYPE_CHECKING:
    # At run time it would import the view that it describes, half made.
    from drf_spectacular.openapi import AutoSchema
    from drf_spectacular.utils import Direction

_MAX_PASSWORD_CHARACTERS = 256
_MAX_TOKEN_CHARACTERS = 512
_MAX_ROLE_LENGTH = 100
_MAX_PERMISSION_LENGTH = 201  # app label, dot, codename


class LowercaseEmailField(serializers.EmailField):
    """An e-mail address, lower-cased before it is checked, as it will be stored."""

    @override
    def to_internal_value(self, data: object) -> str:
        """Refuse what isn't a JSON string, and lower the case before the length counts: that can make it longer."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data).lower()


class Registration(serializers.Serializer[None]):
    """Body of a registration."""

    email = LowercaseEmailField(max_length=254)
    password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)
    name = StringField(max_length=150, required=False, allow_blank=True, default="")


class Credentials(serializers.Serializer[None]):
    """Body of a sign-in."""

    email = LowercaseEmailField(max_length=254)
    password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)


class EmailVerification(serializers.Serializer[None]):
    """Body of an e-mail verification."""

    token = StringField(max_length=_MAX_TOKEN_CHARACTERS, help_text="The last part of the mailed link.")


class Refreshing(serializers.Serializer[None]):
    """Body of a refresh."""

    refresh_token = StringField(max_length=_MAX_TOKEN_CHARACTERS)


class Message(serializers.Serializer[None]):
    """A sentence about what happened."""

    detail = serializers.CharField()


class TokenPair(serializers.Serializer[None]):
    """A fresh pair of tokens; the field names are those of RFC 6749 §5.1."""

    access_token = serializers.CharField(help_text="JWT (RFC 9068); send it as `Authorization: Bearer`.")
    refresh_token = serializers.CharField(help_text="Works once; each refresh gives the next one.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Life of the access token in seconds.")


class UserSummary(serializers.ModelSerializer[User]):
    """A user in the list of users."""

    roles = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "email", "name", "roles", "is_active", "is_staff", "email_verified_at", "created_at"]
        read_only_fields = fields

    def get_roles(self, user: User) -> list[str]:
        """Return the names of the roles that the user has now, in the team of the request and in all, sorted."""
        return get_current_role_names(user=user)


class UserFilter(serializers.Serializer[None]):
    """What narrows the list of users."""

    permission = StringField(
        required=False,
        max_length=_MAX_PERMISSION_LENGTH,
        help_text="They hold it, directly or through a role, and it isn't forbidden. Superusers count by what they "
        "were given.",
    )
    role = StringField(required=False, max_length=_MAX_ROLE_LENGTH, help_text="They have the role of that name.")


class Profile(serializers.ModelSerializer[User]):
    """What an OAuth client learns of its user: name and address, as the consent page says."""

    class Meta:
        model = User
        fields = ["id", "email", "name", "email_verified_at"]
        read_only_fields = fields


class Me(UserSummary):
    """The user who asks. What `Profile` lacks is answered to first-party tokens alone."""

    permissions = serializers.SerializerMethodField(help_text="As `app_label.codename`, through roles and directly.")

    class Meta(UserSummary.Meta):
        fields = [*UserSummary.Meta.fields, "permissions"]
        read_only_fields = fields

    def get_permissions(self, user: User) -> list[str]:
        """Return all permission names, sorted."""
        return sorted(user.get_all_permissions())


class MeSchema(OpenApiSerializerExtension):
    """Tell the schema which fields an OAuth client doesn't get."""

    target_class = Me

    @override
    def map_serializer(self, auto_schema: "AutoSchema", direction: "Direction") -> dict[str, object]:
        """Require what everybody gets, and no more."""
        schema: dict[str, object] = super().map_serializer(auto_schema, direction)
        return schema | {"required": sorted(Profile.Meta.fields)}
