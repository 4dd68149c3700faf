"""The swapped models of django-oauth-toolkit, with what our rules need to remember."""

import re
from collections import defaultdict
from typing import ClassVar, override
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
    ApplicationManager,
)
from oauth2_provider.validators import AllowedURIValidator

from accounts.tokens import FIRST_PARTY_CLIENT_ID
from oauth.conf import get_settings

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
#: Loopback by address rather than by name: the only redirect URIs whose port may differ (RFC 8252 §7.3).
_LOOPBACK_LITERAL = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::(\d{1,5}))?((?:/[^#]*)?)", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,255}")
_URI_CHARACTERS = re.compile(r"[!$-;=?-Z\[\]_a-z~]+")  # RFC 3986, and no quotes
_MAX_URI_CHARACTERS = 2000
#: Parameters of an authorization response; a registered URI that carries one could pass for a response.
_RESPONSE_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri", "response"})


class Application(AbstractApplication):
    """A client: a program that may ask for tokens, with what it is allowed to ask for."""

    #: The grant types that work here; the toolkit's other ones are refused.
    GRANT_TYPE_CHOICES = (
        (AbstractApplication.GRANT_AUTHORIZATION_CODE, "Authorization code: acts for a person who allows it"),
        (AbstractApplication.GRANT_CLIENT_CREDENTIALS, "Client credentials: acts for itself"),
    )

    #: Scopes that the client may ask for; any other is refused.
    allowed_scopes = models.JSONField(default=list, blank=True)
    #: Off means: no new tokens, and those it has are dead on the next request, for good.
    is_active = models.BooleanField("active", default=True)
    #: Shown on the consent page; empty where unknown.
    homepage_url = models.URLField(blank=True)

    objects: ClassVar[ApplicationManager] = ApplicationManager()

    class Meta(AbstractApplication.Meta):
        abstract = False
        verbose_name = "client"
        ordering = ["name", "id"]

    @override
    def clean(self) -> None:
        """Check what the toolkit's own rules leave open.

        Raises:
            ValidationError: With every fault, by field.
        """
        faults: dict[str, list[str]] = defaultdict(list)
        self._check_identity(faults)
        self._check_grant_type(faults)
        for uri in self.redirect_uris.split():
            if fault := find_redirect_uri_fault(uri):
                faults["redirect_uris"].append(f"{uri}: {fault}")
        for scope in self.allowed_scopes:
            if scope not in get_settings().scopes:
                faults["allowed_scopes"].append(f"There is no scope {scope}.")
        if faults:
            raise ValidationError(dict(faults))

    def _check_identity(self, faults: dict[str, list[str]]) -> None:
        if not self.name.strip():
            faults["name"].append("Give the client a name; people see it when they are asked.")
        if not _CLIENT_ID.fullmatch(self.client_id) or self.client_id == FIRST_PARTY_CLIENT_ID:
            faults["client_id"].append("Use letters, digits and . _ ~ - only, and no reserved name.")

    def _check_grant_type(self, faults: dict[str, list[str]]) -> None:
        match self.authorization_grant_type:
            case self.GRANT_AUTHORIZATION_CODE:
                if not self.redirect_uris.split():
                    faults["redirect_uris"].append("Name at least one address to send people back to.")
                if not self.allowed_scopes:
                    faults["allowed_scopes"].append("Allow at least one scope.")
            case self.GRANT_CLIENT_CREDENTIALS:
                if self.client_type != self.CLIENT_CONFIDENTIAL:
                    faults["client_type"].append("Only a confidential client can act for itself (RFC 6749 §4.4).")
                if self.redirect_uris.split():
                    faults["redirect_uris"].append("A client that acts for itself sends nobody back; leave this empty.")
            case _:
                faults["authorization_grant_type"].append("This grant type is not supported.")

    def is_usable(self, request: object) -> bool:
        """Say whether the client may get or use tokens at all."""
        return self.is_active

    @override
    def redirect_uri_allowed(self, uri: str) -> bool:
        """Compare character by character; only the port of a loopback address may differ (RFC 8252 §7.3)."""
        return any(
            uri == registered or _differs_in_loopback_port(uri, registered) for registered in self.redirect_uris.split()
        )


class Grant(AbstractGrant):
    """An authorization code. The row outlives its use, so that a second use can be told from an unknown code.

    ``code`` holds the keyed digest of the code. ``redirect_uri`` is empty where the request left it out.
    """

    #: Family of the refresh token that the code gives, and of every token that follows from it.
    token_family = models.UUIDField(default=uuid4, editable=False)
    #: When somebody tried to exchange it, with whatever success; empty until then.
    consumed_at = models.DateTimeField(null=True, editable=False)

    class Meta(AbstractGrant.Meta):
        abstract = False
        verbose_name = "authorization code"


class AccessToken(AbstractAccessToken):
    """An access token that was issued. The row says whom for; the token itself is a signed JWT and isn't stored."""

    #: The ``jti`` of the JWT; deleting the row revokes it.
    jti = models.UUIDField(unique=True, default=uuid4, editable=False)
    #: The refresh family that it belongs to; empty for a client that acts for itself.
    token_family = models.UUIDField(null=True, blank=True, editable=False)

    class Meta(AbstractAccessToken.Meta):
        abstract = False
        indexes = [models.Index(fields=["token_family"], name="oauth_accesstoken_family")]


class RefreshToken(AbstractRefreshToken):
    """A refresh token; only its digest is stored. ``revoked`` is set when it is exchanged, too."""

    #: What was granted at the start; an exchange for less narrows that access token only.
    scope = models.TextField(blank=True)
    #: Unused for this long, it is dead.
    expires = models.DateTimeField()

    class Meta(AbstractRefreshToken.Meta):
        abstract = False


class IDToken(AbstractIDToken):
    """An ID token that was issued."""

    class Meta(AbstractIDToken.Meta):
        abstract = False


class DeviceGrant(AbstractDeviceGrant):
    """A device that waits for its user."""

    class Meta(AbstractDeviceGrant.Meta):
        abstract = False


def find_redirect_uri_fault(uri: str) -> str:
    """Return why an address can't be registered to send people back to, or nothing."""
    if len(uri) > _MAX_URI_CHARACTERS or not _URI_CHARACTERS.fullmatch(uri):
        return "it has characters that an address must not have, or it is too long."
    try:
        AllowedURIValidator(["https", "http"], name="redirect URI", allow_path=True, allow_query=True)(uri)
        parts = urlsplit(uri)
        port = parts.port
    except (ValidationError, ValueError):
        return "use a full https:// address without a fragment."
    if parts.scheme == "http" and not _is_own_or_loopback(uri):
        return "use https://; http:// is for this computer only (127.0.0.1, [::1], localhost)."
    if "@" in parts.netloc or port == 0 or {".", ".."} & set(parts.path.split("/")):
        return "it must not carry a login, port 0 or dots as a path segment."
    if _RESPONSE_PARAMETERS & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        return "its query must not use the names of an authorization response, such as code or state."
    return ""


def is_loopback(uri: str) -> bool:
    """Say whether an address is on the computer of the person who is sent there."""
    return urlsplit(uri).hostname in LOOPBACK_HOSTS


def _is_own_or_loopback(uri: str) -> bool:
    """Say whether plain http adds no risk: it stays on the computer, or the house itself is served like that."""
    return is_loopback(uri) or uri.startswith(f"{settings.BASE_URL}/")


def _differs_in_loopback_port(uri: str, registered: str) -> bool:
    asked, known = _LOOPBACK_LITERAL.fullmatch(uri), _LOOPBACK_LITERAL.fullmatch(registered)
    if asked is None or known is None or not 0 < int(asked[2] or 80) < 65536:
        return False
    return (asked[1], asked[3]) == (known[1], known[3])
