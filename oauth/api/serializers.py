"""What the API of clients takes and gives. Several addresses or scopes are lists here, as in RFC 7591."""

from typing import Any, Final, override

from django.contrib.auth import get_user_model
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from oauth.models import Application, ClientSecret, GrantType
from project.api import FlagField, StringField

_MAX_ITEMS: Final = 100
_MAX_URI_CHARACTERS: Final = 2000
_MAX_OVERLAP_SECONDS: Final = 30 * 24 * 3600
#: Columns that hold several words between spaces.
_SPACED: Final = ("redirect_uris", "post_logout_redirect_uris", "allowed_origins")
#: What is an administrator's to decide, and none but theirs who may change clients.
_DECIDED: Final = frozenset({"owner", "is_active", "skip_authorization", "allowed_resources"})
_OWN_GRANT_TYPES: Final = [value for value in GrantType.values if value != GrantType.PASSWORD]


class SpacedField(serializers.ListField):
    """A column that holds several words between spaces."""

    child = serializers.CharField()

    @override
    def to_representation(self, data: Any) -> list[str]:  # Any: the column
        """Part the words."""
        return str(data).split()


class Secret(serializers.ModelSerializer[ClientSecret]):
    """A secret of a client, but not what it is."""

    class Meta:
        model = ClientSecret
        fields = ["id", "hint", "created_at", "last_used_at", "expires_at"]
        read_only_fields = fields


class Client(serializers.ModelSerializer[Application]):
    """A client."""

    redirect_uris = SpacedField(read_only=True)
    post_logout_redirect_uris = SpacedField(read_only=True)
    allowed_origins = SpacedField(read_only=True)
    grant_types = serializers.ListField(child=serializers.CharField(), read_only=True)
    allowed_scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    allowed_resources = serializers.ListField(child=serializers.CharField(), read_only=True)
    owner = serializers.UUIDField(
        source="user_id", read_only=True, allow_null=True, help_text="Id of the user to whom it belongs, if any."
    )
    secrets = Secret(many=True, read_only=True)
    homepage_url = serializers.CharField(read_only=True, help_text="Empty where there is none.")
    policy_uri = serializers.CharField(read_only=True, help_text="Privacy policy; empty where there is none.")
    tos_uri = serializers.CharField(read_only=True, help_text="Terms of service; empty where there is none.")
    created_at = serializers.DateTimeField(source="created", read_only=True)
    updated_at = serializers.DateTimeField(source="updated", read_only=True)

    class Meta:
        model = Application
        fields = [
            "client_id",
            "name",
            "client_type",
            "grant_types",
            "redirect_uris",
            "post_logout_redirect_uris",
            "allowed_origins",
            "allowed_scopes",
            "allowed_resources",
            "access_token_format",
            "algorithm",
            "homepage_url",
            "policy_uri",
            "tos_uri",
            "skip_authorization",
            "is_active",
            "owner",
            "secrets",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class RegisteredClient(Client):
    """A client with the secret that was made just now."""

    client_secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="This once; null for a public client."
    )

    class Meta(Client.Meta):
        fields = [*Client.Meta.fields, "client_secret"]
        read_only_fields = fields


def _words(**options: Any) -> serializers.ListField:  # Any: as DRF has it
    child = StringField(max_length=_MAX_URI_CHARACTERS)
    return serializers.ListField(child=child, max_length=_MAX_ITEMS, required=False, **options)


def _choices(values: Any, **options: Any) -> serializers.ListField:  # Any (twice): as DRF has it
    return serializers.ListField(child=serializers.ChoiceField(values), max_length=_MAX_ITEMS, **options)


class OwnClientBody(serializers.Serializer[None]):
    """Body that makes a client of one's own, or changes what it names."""

    name = StringField(max_length=255, help_text="People see it when they are asked.")
    client_type = serializers.ChoiceField(
        Application.CLIENT_TYPES,
        help_text="`confidential` if it can keep a secret. Fixed once the client is made.",
    )
    grant_types = _choices(_OWN_GRANT_TYPES, help_text="How it may get tokens.")
    redirect_uris = _words(help_text="Where people are sent back to, compared character by character.")
    post_logout_redirect_uris = _words(help_text="Where people may be sent once they have signed out.")
    allowed_origins = _words(help_text="Where scripts in a browser may ask from, such as `https://app.example`.")
    allowed_scopes = _words(help_text="All that it may ever ask for.")
    access_token_format = serializers.ChoiceField(Application.AccessTokenFormat.choices, required=False)
    algorithm = serializers.ChoiceField(
        Application.Algorithm.choices, required=False, help_text="What signs its ID tokens."
    )
    homepage_url = serializers.URLField(max_length=200, required=False, allow_blank=True)
    policy_uri = serializers.URLField(max_length=200, required=False, allow_blank=True)
    tos_uri = serializers.URLField(max_length=200, required=False, allow_blank=True)

    @override
    def to_internal_value(self, data: Any) -> Any:  # Any (twice): as DRF has it
        """Refuse, rather than overlook, what isn't for the caller to decide.

        Raises:
            ValidationError: With each such field.
        """
        refused = self._list_refused() & set(data) if isinstance(data, dict) else set()
        if refused:
            raise ValidationError({name: ["This is not yours to decide."] for name in sorted(refused)})
        if self.partial and isinstance(data, dict) and "client_type" in data:
            raise ValidationError({"client_type": ["The type of a client can't be changed; make another client."]})
        return super().to_internal_value(data)

    def to_columns(self) -> dict[str, Any]:  # Any: as the columns have it
        """Return what was said, as the model has it."""
        columns: dict[str, Any] = dict(self.validated_data)  # Any: as above
        for name in _SPACED:
            if name in columns:
                columns[name] = " ".join(columns[name])
        if "owner" in columns:
            columns["user"] = columns.pop("owner")
        return columns

    def _list_refused(self) -> set[str]:
        return {*_DECIDED, "user", "client_id", "client_secret"}


class ClientBody(OwnClientBody):
    """Body that makes a client, or changes what it names."""

    grant_types = _choices(GrantType.values, help_text="How it may get tokens.")
    allowed_resources = _words(
        help_text="Audiences that its tokens may be for (RFC 8707); it may ask what tokens for them are worth."
    )
    owner = serializers.PrimaryKeyRelatedField(
        queryset=get_user_model().objects.all(),
        required=False,
        allow_null=True,
        help_text="Id of the user to whom it belongs.",
    )
    skip_authorization = FlagField(
        required=False, help_text="Let it act for people without asking them; for clients of the house."
    )
    is_active = FlagField(required=False, help_text="False ends all that it has, at once.")

    @override
    def _list_refused(self) -> set[str]:
        refused = {"user", "client_id", "client_secret"}
        return refused if self.context["may_decide"] else {*refused, *_DECIDED}

    def validate_grant_types(self, value: list[str]) -> list[str]:
        """Leave people's passwords to who may change clients.

        Raises:
            ValidationError: It is asked for by somebody else.
        """
        if GrantType.PASSWORD in value and not self.context["may_decide"]:
            raise ValidationError("The grant type password takes the right to change clients.")
        return value


class NewSecret(serializers.Serializer[None]):
    """Body that makes another secret."""

    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=_MAX_OVERLAP_SECONDS,
        default=0,
        help_text="For so long the secret that it has works on beside the new one; 0 ends it at once.",
    )
