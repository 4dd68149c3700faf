"""Clients: who may ask for tokens, and what for."""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from ipaddress import IPv4Address
from typing import Any, ClassVar, Final, Self, override
from urllib.parse import SplitResult, parse_qsl, urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils import timezone
from oauth2_provider.models import AbstractApplication
from oauth2_provider.validators import AllowedURIValidator

from accounts.tokens import FIRST_PARTY_CLIENT_ID
from oauth.conf import get_settings
from oauth.models.tokens import PERSONAL_CLIENT_ID
from project import shared_facts
from project.printable import validate_name

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
#: Key of the fact that all facts about clients depend on: it is forgotten where it isn't known whose row has changed.
CLIENTS_FACT: Final = "clients"
#: Loopback by address rather than by name: the only redirect URIs whose port may differ (RFC 8252 §7.3).
_LOOPBACK_LITERAL = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::(\d{1,5}))?((?:/[^#]*)?)", re.ASCII)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,255}")
_URI_CHARACTERS = re.compile(r"[!$-;=?-Z\[\]_a-z~]+")  # RFC 3986, and no quotes
#: They stand for what is no client.
_RESERVED: Final = frozenset({FIRST_PARTY_CLIENT_ID, PERSONAL_CLIENT_ID})
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
#: What browsers take for an IPv4 address, however it is spelt.
_NUMERIC_HOST = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*", re.IGNORECASE)
_LOOPBACK_V4 = re.compile(r"127(?:\.[0-9]{1,3}){3}")  # RFC 1122 §3.2.1.3
_MAX_URI_CHARACTERS = 2000
#: Parameters of an authorization response; a registered URI that carries one could pass for a response.
_RESPONSE_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri", "response"})


class GrantType(models.TextChoices):
    """How a client may get tokens, by the names that the token endpoint knows (RFC 7591 §2)."""

    AUTHORIZATION_CODE = "authorization_code", "Authorization code: acts for a person who allows it"
    REFRESH_TOKEN = "refresh_token", "Refresh token: goes on acting while the person is away"
    CLIENT_CREDENTIALS = "client_credentials", "Client credentials: acts for itself"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code", "Device code: a device without a browser"
    PASSWORD = "password", "Password: takes people's passwords; for old programs only"


#: Ways for a person to let a client in.
_PERSONAL: Final = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.DEVICE_CODE, GrantType.PASSWORD})


class ApplicationQuerySet(models.QuerySet["Application"]):
    """Clients; what is changed here in bulk, past the signals, is forgotten by the shared cache too."""

    def usable(self) -> Self:
        """Return those that may get or use tokens: they are switched on, and so is their owner if they have one."""
        return self.filter(is_active=True).exclude(user__is_active=False)

    @override
    def update(self, **kwargs: Any) -> int:  # Any: as Django has it
        """Change rows, as Django does; those that can't be used any more are saved, so that all follows from it."""
        with transaction.atomic(using=self.db, savepoint=False):
            shared_facts.forget([CLIENTS_FACT])
            may_end = not {"is_active", "user", "user_id"}.isdisjoint(kwargs)
            on = list(self.filter(is_active=True).values_list("pk", flat=True)) if may_end else []
            count = super().update(**kwargs)
            is_off = models.Q(is_active=False) | models.Q(user__is_active=False)
            for client in type(self)(self.model, using=self.db).filter(is_off, pk__in=on):
                client.save(using=self.db, update_fields=["is_active", "updated"])
            return count

    update.alters_data = True  # type: ignore[attr-defined]  # for templates, as Django's own has it


class ApplicationManager(models.Manager["Application"]):
    """Finds clients."""

    @override
    def get_queryset(self) -> ApplicationQuerySet:
        """Return all clients."""
        return ApplicationQuerySet(self.model, using=self._db)

    def usable(self) -> ApplicationQuerySet:
        """See ``ApplicationQuerySet.usable``."""
        return self.get_queryset().usable()

    def get_by_natural_key(self, client_id: str) -> "Application":
        """Return the client of that id, for what a dump brings back."""
        return self.get(client_id=client_id)


class Application(AbstractApplication):
    """A client: a program that may ask for tokens, with what it is allowed to ask for.

    Of the toolkit's columns, ``grant_types`` replaces the single grant type and ``ClientSecret`` the single secret.
    """

    class AccessTokenFormat(models.TextChoices):
        """What an access token is."""

        JWT = "jwt", "Self-contained: a signed JWT (RFC 9068), which anybody can verify"
        OPAQUE = "opaque", "Opaque: random, stored hashed, which only this server can tell about"

    class Algorithm(models.TextChoices):
        """What signs the client's ID tokens."""

        RS256 = "RS256", "RS256: every client can verify it"
        ES256 = "ES256", "ES256"
        EDDSA = "EdDSA", "EdDSA (Ed25519)"

    authorization_grant_type = None  # type: ignore[assignment]  # Django's way to leave out a column
    client_secret = None  # as above
    hash_client_secret = None  # type: ignore[assignment]  # as above

    #: ``GrantType`` values.
    grant_types = models.JSONField(default=list, blank=True)
    #: Scopes that the client may ask for; any other is refused.
    allowed_scopes = models.JSONField(default=list, blank=True)
    #: Audiences besides this house that the client may ask for (RFC 8707): absolute addresses without a fragment.
    allowed_resources = models.JSONField(default=list, blank=True)
    access_token_format = models.CharField(max_length=10, choices=AccessTokenFormat, default=AccessTokenFormat.JWT)
    algorithm = models.CharField("ID token algorithm", max_length=5, choices=Algorithm, default=Algorithm.RS256)
    #: Off means: no new tokens, and those it has are dead on the next request, for good. So it is for the clients of an
    #: owner who is inactive, whatever it says here.
    is_active = models.BooleanField("active", default=True)
    #: Shown on the consent page; empty where unknown.
    homepage_url = models.URLField(blank=True)
    #: As above.
    policy_uri = models.URLField("privacy policy", blank=True)
    #: As above.
    tos_uri = models.URLField("terms of service", blank=True)

    objects: ClassVar[ApplicationManager] = ApplicationManager()
    #: What ``oauth.registrar`` found with the row: digest of each secret, and when it ends.
    known_secrets: "tuple[tuple[str, datetime | None], ...]" = ()

    class Meta(AbstractApplication.Meta):
        abstract = False
        verbose_name = "client"
        ordering = ["name", "id"]

    @override
    def clean(self) -> None:
        """Check the whole of it, instead of the toolkit's own rules.

        Raises:
            ValidationError: With every fault, by field.
        """
        faults: dict[str, list[str]] = defaultdict(list)
        self._check_identity(faults)
        self._check_grant_types(faults)
        self._check_addresses(faults)
        for scope in self.allowed_scopes:
            if scope not in get_settings().scopes:
                faults["allowed_scopes"].append(f"There is no scope {scope}.")
        if faults:
            raise ValidationError(dict(faults))

    def _check_identity(self, faults: dict[str, list[str]]) -> None:
        if not self.name.strip():
            faults["name"].append("Give the client a name; people see it when they are asked.")
        try:
            validate_name(self.name)
        except ValidationError as error:
            if not Application.objects.filter(pk=self.pk, name=self.name).exists():  # a name of old may stay
                faults["name"] += error.messages
        if not _CLIENT_ID.fullmatch(self.client_id) or self.client_id in _RESERVED:
            faults["client_id"].append("Use letters, digits and . _ ~ - only, and no reserved name.")

    def _check_grant_types(self, faults: dict[str, list[str]]) -> None:
        chosen = set(self.grant_types)
        if not chosen:
            faults["grant_types"].append("Choose at least one way to get tokens.")
        faults["grant_types"] += [f"The grant type {name} is not supported." for name in chosen - set(GrantType.values)]
        if GrantType.REFRESH_TOKEN in chosen and not chosen & _PERSONAL:
            faults["grant_types"].append("A refresh token follows from a person's consent; choose how that is given.")
        if GrantType.CLIENT_CREDENTIALS in chosen and self.client_type != self.CLIENT_CONFIDENTIAL:
            faults["client_type"].append("Only a confidential client can act for itself (RFC 6749 §4.4).")
        has_addresses = bool(self.redirect_uris.split())
        if GrantType.AUTHORIZATION_CODE in chosen and not has_addresses:
            faults["redirect_uris"].append("Name at least one address to send people back to.")
        if GrantType.AUTHORIZATION_CODE not in chosen and has_addresses:
            faults["redirect_uris"].append("Only the authorization code sends people back; leave this empty.")
        if chosen & _PERSONAL and not self.allowed_scopes:
            faults["allowed_scopes"].append("Allow at least one scope.")
        if not faults["grant_types"]:
            del faults["grant_types"]

    def _check_addresses(self, faults: dict[str, list[str]]) -> None:
        for field in ("redirect_uris", "post_logout_redirect_uris"):
            for uri in getattr(self, field).split():
                if fault := find_redirect_uri_fault(uri):
                    faults[field].append(f"{uri}: {fault}")
        for uri in map(str, self.allowed_resources):
            if fault := find_resource_fault(uri):
                faults["allowed_resources"].append(f"{uri}: {fault}")
        for origin in self.allowed_origins.split():
            if fault := find_origin_fault(origin):
                faults["allowed_origins"].append(f"{origin}: {fault}")

    @override
    def allows_grant_type(self, *grant_types: str) -> bool:
        """Say whether the client is registered for one of them."""
        return bool({*grant_types} & {*self.grant_types})

    @property
    def is_vouched_for(self) -> bool:
        """Say whether the house itself answers for the client, and not the person who has registered it."""
        return self.skip_authorization or self.user_id is None

    @override
    def is_usable(self, request: object) -> bool:
        """Say whether the client may get or use tokens at all."""
        return self.is_active

    @override
    def redirect_uri_allowed(self, uri: str) -> bool:
        """Compare character by character; only the port of a loopback address may differ (RFC 8252 §7.3)."""
        return _is_registered(uri, self.redirect_uris.split())

    @override
    def post_logout_redirect_uri_allowed(self, uri: str) -> bool:
        """Compare as for redirect URIs."""
        return _is_registered(uri, self.post_logout_redirect_uris.split())

    @override
    def origin_allowed(self, origin: str) -> bool:
        """Say whether scripts of that origin may read the answers of the endpoints."""
        return origin in self.allowed_origins.split()

    def to_fact(self) -> dict[str, object]:
        """Return the row as the shared cache may hold it: as JSON, for ``find_in_fact``."""
        values = {name: getattr(self, name) for name in self._get_fact_fields()}
        return {name: str(value) if isinstance(value, (UUID, datetime)) else value for name, value in values.items()}

    @classmethod
    def find_in_fact(cls, fact: object) -> Self | None:
        """Return the client that ``to_fact`` was asked of; None where a version with other columns was."""
        fields = cls._get_fact_fields()
        if not isinstance(fact, dict) or fact.keys() != fields.keys():
            return None
        values = [field.to_python(fact[name]) for name, field in fields.items()]
        return cls.from_db(router.db_for_read(cls), list(fields), values)

    @classmethod
    @cache
    def _get_fact_fields(cls) -> "dict[str, models.Field[Any, Any]]":  # Any: of all types of columns
        return {field.attname: field for field in cls._meta.concrete_fields}


class ClientSecret(models.Model):
    """A secret of a confidential client; only its keyed digest is stored. Two may live while they are exchanged."""

    id = models.BigAutoField(primary_key=True)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="secrets")
    #: Keyed SHA-256 (hex): a secret is 256 random bits, so a slow hash would add cost and no strength.
    digest = models.CharField(max_length=64, unique=True)
    #: Its first characters, to tell secrets apart.
    hint = models.CharField(max_length=8)
    created_at = models.DateTimeField(default=timezone.now)
    #: From then on it no longer works; empty for one that stays.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: When the client authenticated with it last, to the hour or so.
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["expires_at"], name="oauth_clientsecret_expiry", condition=models.Q(expires_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"Secret {self.hint}…"


def get_client_fact_key(client_id: str) -> str:
    """Return the key under which the shared cache holds a client with its secrets."""
    return f"client:{client_id}"


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
    segments = parts.path.lower().replace("%2e", ".").split("/")  # as browsers read them
    if "@" in parts.netloc or port == 0 or {".", ".."} & set(segments) or not _is_plain_host(parts.hostname or ""):
        return "it must not carry a login, port 0, dots as a path segment, or a host that browsers read as another."
    if _RESPONSE_PARAMETERS & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        return "its query must not use the names of an authorization response, such as code or state."
    return ""


def _is_plain_host(host: str) -> bool:
    """Say whether a host is a name, or an address in its normal form: ``127.1`` or ``0.0.0.0`` hide a loopback one."""
    if host.endswith(".") or host == "0.0.0.0":  # noqa: S104 - refused
        return False
    if not _NUMERIC_HOST.fullmatch(host):
        return True
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def find_resource_fault(uri: str) -> str:
    """Return why an address can't be an audience, or nothing (RFC 8707 §2)."""
    if len(uri) > _MAX_URI_CHARACTERS or not _URI_CHARACTERS.fullmatch(uri):
        return "it has characters that an address must not have, or it is too long."
    parts = _split(uri)
    return "" if parts.scheme in {"https", "http"} and parts.hostname else "use an absolute address without a fragment."


def find_origin_fault(origin: str) -> str:
    """Return why scripts of an origin can't be let in, or nothing."""
    parts = _split(origin)
    if not is_plain_origin(origin) or not parts.hostname:
        return "use scheme, host and port only, such as https://app.example; other letters than a to z as Punycode."
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
        return "use https://; http:// is for this computer only."
    return ""


def _split(uri: str) -> SplitResult:
    """Return the parts of an address, all empty where it can't be read."""
    try:
        return urlsplit(uri)
    except ValueError:  # brackets with something else in them than an IPv6 address
        return urlsplit("")


def is_plain_origin(origin: str) -> bool:
    """Say whether an origin can stand in a Content-Security-Policy as it is, and means nothing else there."""
    return _ORIGIN.fullmatch(origin) is not None


def is_loopback(uri: str) -> bool:
    """Say whether an address is on the computer of the person who is sent there."""
    host = urlsplit(uri).hostname or ""
    return host in LOOPBACK_HOSTS or host.endswith(".localhost") or bool(_LOOPBACK_V4.fullmatch(host))


def _is_own_or_loopback(uri: str) -> bool:
    """Say whether plain http adds no risk: it stays on the computer, or the house itself is served like that."""
    return is_loopback(uri) or uri.startswith(f"{settings.BASE_URL}/")


def _is_registered(uri: str, registered: Iterable[str]) -> bool:
    return any(uri == known or _differs_in_loopback_port(uri, known) for known in registered)


def _differs_in_loopback_port(uri: str, registered: str) -> bool:
    asked, known = _LOOPBACK_LITERAL.fullmatch(uri), _LOOPBACK_LITERAL.fullmatch(registered)
    if asked is None or known is None or not 0 < int(asked[2] or 80) < 65536:
        return False
    return (asked[1], asked[3]) == (known[1], known[3])
