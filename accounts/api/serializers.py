"""What the API of accounts takes and gives."""

from typing import TYPE_CHECKING, Literal, override

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers

from accounts.devices import describe_device
from accounts.models import Session, User
from accounts.selectors import get_doer
from permissions.audit import AuditEvent
from permissions.selectors import get_current_role_names
from project.api import FlagField, StringField
from project.printable import validate_name

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
    name = StringField(max_length=150, required=False, allow_blank=True, default="", validators=[validate_name])


class Credentials(serializers.Serializer[None]):
    """Body of a sign-in."""

    email = LowercaseEmailField(max_length=254)
    password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)
    cookie = FlagField(
        required=False, default=False, help_text="Keep the refresh token in a cookie that no script can read."
    )


class Address(serializers.Serializer[None]):
    """Body that names an e-mail address."""

    email = LowercaseEmailField(max_length=254)


class LinkToken(serializers.Serializer[None]):
    """Body that uses a mailed link up."""

    token = StringField(max_length=_MAX_TOKEN_CHARACTERS, help_text="The last part of the mailed link.")


class PasswordReset(LinkToken):
    """Body that chooses a new password with a mailed link."""

    password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)


class PasswordChange(serializers.Serializer[None]):
    """Body that chooses another password by showing the present one."""

    current_password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)
    new_password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)


class OwnPassword(serializers.Serializer[None]):
    """Body that shows once more who asks."""

    password = StringField(max_length=_MAX_PASSWORD_CHARACTERS, trim_whitespace=False)


class Refreshing(serializers.Serializer[None]):
    """Body of a refresh."""

    refresh_token = StringField(
        max_length=_MAX_TOKEN_CHARACTERS, required=False, help_text="Left out where the cookie brings it."
    )


class ProfileChange(serializers.Serializer[None]):
    """Body of a change of the profile; what is left out stays."""

    name = StringField(max_length=150, required=False, allow_blank=True, validators=[validate_name])


class Message(serializers.Serializer[None]):
    """A sentence about what happened."""

    detail = serializers.CharField()


class AccessToken(serializers.Serializer[None]):
    """A fresh access token; the field names are those of RFC 6749 §5.1."""

    access_token = serializers.CharField(help_text="JWT (RFC 9068); send it as `Authorization: Bearer`.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Life of the access token in seconds.")


class TokenPair(AccessToken):
    """A fresh pair of tokens."""

    refresh_token = serializers.CharField(
        required=False, help_text="Works once; each refresh gives the next one. Left out where a cookie holds it."
    )


class OwnSession(serializers.ModelSerializer[Session]):
    """A session of the user who asks."""

    device = serializers.SerializerMethodField(help_text="What the device says that it is; anybody can say anything.")
    is_current = serializers.SerializerMethodField(help_text="Whether the request's own token belongs to it.")

    class Meta:
        model = Session
        fields = ["id", "kind", "created_at", "last_used_at", "expires_at", "ip_address", "device", "is_current"]
        read_only_fields = fields

    def get_device(self, session: Session) -> str:
        """Return words such as "Firefox on Linux"."""
        return describe_device(session.user_agent)

    def get_is_current(self, session: Session) -> bool:
        """Say whether it is the session that asks."""
        current: object = self.context["session_id"]
        return session.pk == current


class SecurityEvent(serializers.ModelSerializer[AuditEvent]):
    """Something that was done with the account of the user who asks."""

    event = serializers.CharField(help_text="Such as `user.signed_in`.")
    by = serializers.SerializerMethodField(
        help_text="`self`, `other` for another user such as an administrator, or `unknown`."
    )
    ip_address = serializers.SerializerMethodField(help_text="Empty where another user did it.")
    client_id = serializers.CharField(help_text="The client through which it happened.")
    details = serializers.DictField(source="data", help_text="What else is to be known; depends on the event.")

    class Meta:
        model = AuditEvent
        fields = ["id", "created_at", "event", "by", "ip_address", "client_id", "details"]
        read_only_fields = fields

    def get_by(self, event: AuditEvent) -> Literal["self", "other", "unknown"]:
        """Say who did it."""
        return get_doer(event=event, user=self.context["request"].user)

    def get_ip_address(self, event: AuditEvent) -> str:
        """Return from where it was done, unless that is somebody else's address."""
        return "" if self.get_by(event) == "other" else event.ip_address


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
