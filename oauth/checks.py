"""System checks: what the settings must say for the server's promises to hold (RFC 9700)."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.utils.module_loading import import_string

from oauth.claims import PROTOCOL_CLAIMS

_MAX_CODE_SECONDS = 60
_MAX_ACCESS_TOKEN_SECONDS = 3600
#: Setting of the toolkit, the only right value, and what it guards.
_FIXED: tuple[tuple[str, object, str], ...] = (
    ("PKCE_REQUIRED", True, "PKCE for every client"),
    ("COMPLIANT_BCP_RFC9700_PKCE_METHOD", True, "PKCE by S256 only"),
    ("COMPLIANT_BCP_RFC9700_TOKEN_STORAGE", True, "tokens that are stored hashed"),
    ("COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS", True, "the issuer in authorization responses"),
    ("COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT", True, "no implicit grant"),
    ("COMPLIANT_BCP_RFC9700_PASSWORD_GRANT", True, "no password grant"),
    ("COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT", True, "no access tokens in addresses"),
    ("ROTATE_REFRESH_TOKEN", True, "refresh tokens that are used once"),
    ("REFRESH_TOKEN_REUSE_PROTECTION", True, "refresh tokens whose reuse ends the family"),
)
_CLASSES: tuple[tuple[str, str], ...] = (
    ("OAUTH2_VALIDATOR_CLASS", "oauth.validators.Validator"),
    ("OAUTH2_BACKEND_CLASS", "oauth.backends.Backend"),
    ("OAUTH2_SERVER_CLASS", "oauth.backends.Server"),
    ("SCOPES_BACKEND_CLASS", "oauth.scopes.ClientScopes"),
)


@register("oauth")
def check_guards(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E001: a setting of the toolkit switches a protection off."""
    toolkit = settings.OAUTH2_PROVIDER
    return [
        Error(f"OAUTH2_PROVIDER['{name}'] must be {right!r}: it guards {what}.", id="oauth.E001")
        for name, right, what in _FIXED
        if toolkit.get(name) != right
    ]


@register("oauth")
def check_issuer(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E002: the issuer would follow the Host header, or differ from the one in access tokens."""
    if settings.BASE_URL and settings.OAUTH2_PROVIDER.get("OIDC_ISS_ENDPOINT") == settings.BASE_URL:
        return []
    return [Error("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] must be BASE_URL.", id="oauth.E002")]


@register("oauth")
def check_lifetimes(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E003: codes, access tokens or refresh tokens would live too long or for ever."""
    toolkit: dict[str, Any] = settings.OAUTH2_PROVIDER  # Any: each setting has its own type
    limits = (
        ("AUTHORIZATION_CODE_EXPIRE_SECONDS", _MAX_CODE_SECONDS),
        ("ACCESS_TOKEN_EXPIRE_SECONDS", _MAX_ACCESS_TOKEN_SECONDS),
        # The key that has signed it is kept for so long.
        ("ID_TOKEN_EXPIRE_SECONDS", settings.ACCOUNTS["ACCESS_TOKEN_SECONDS"]),
        ("REFRESH_TOKEN_EXPIRE_SECONDS", None),
    )
    return [
        Error(f"OAUTH2_PROVIDER['{name}'] must be a number of seconds above 0, at most {limit}.", id="oauth.E003")
        for name, limit in limits
        if not _is_within(toolkit.get(name), limit)
    ]


@register("oauth")
def check_scopes(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E004: a list names a scope that doesn't exist; among the default scopes that could mean all of them."""
    known = set(settings.OAUTH["SCOPES"])
    return [
        Error(f"OAUTH['{name}'] names scopes that OAUTH['SCOPES'] doesn't have.", id="oauth.E004")
        for name in ("DEFAULT_SCOPES", "DANGEROUS_SCOPES")
        if not set(settings.OAUTH[name]) <= known
    ]


@register("oauth")
def check_classes(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E005: the toolkit would work by other rules than ours."""
    toolkit: dict[str, Any] = settings.OAUTH2_PROVIDER  # Any: each setting has its own type
    return [
        Error(f"OAUTH2_PROVIDER['{name}'] must be {path} or a subclass of it.", id="oauth.E005")
        for name, path in _CLASSES
        if not issubclass(import_string(toolkit.get(name, "builtins.object")), import_string(path))
    ]


@register("oauth", Tags.security, deploy=True)
def check_password_grant(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """W001: programs may take people's passwords."""
    if not settings.OAUTH["ALLOW_PASSWORD_GRANT"]:
        return []
    message = "OAUTH['ALLOW_PASSWORD_GRANT'] lets programs take people's passwords, against RFC 9700 §2.4."
    hint = "Each client that is registered for the grant sees every password: let only your own old programs have it."
    return [checks.Warning(message, hint=hint, id="oauth.W001")]


@register("oauth")
def check_claims(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """E006: a claim that the project adds could not be told."""
    faults = [
        f"OAUTH['CLAIMS']: {name} is a claim of the protocol, or its scope {scope} doesn't exist."
        for name, scope in settings.OAUTH["CLAIMS"].items()
        if name in PROTOCOL_CLAIMS or scope not in settings.OAUTH["SCOPES"]
    ]
    hook = settings.OAUTH["CLAIMS_HOOK"]
    try:
        is_function = not hook or callable(import_string(hook))
    except ImportError:
        is_function = False
    if not is_function:
        faults.append(f"OAUTH['CLAIMS_HOOK'] must be the import path of a function, and {hook} isn't.")
    return [Error(fault, id="oauth.E006") for fault in faults]


def _is_within(value: object, limit: int | None) -> bool:
    return isinstance(value, int) and value > 0 and (limit is None or value <= limit)
