"""The app's settings, read from ``settings.OAUTH`` and from what the toolkit reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """What ``settings.OAUTH`` and ``settings.OAUTH2_PROVIDER`` say, as durations."""

    #: Scope to the plain sentence that says what it allows.
    scopes: Mapping[str, str]
    dangerous_scopes: frozenset[str]
    #: Granted, as far as the client is allowed them, when it asks for no scope.
    default_scopes: tuple[str, ...]
    code_lifetime: timedelta
    access_token_lifetime: timedelta
    #: An ID token is read once, when it arrives.
    id_token_lifetime: timedelta
    #: A refresh token that lies unused for this long is dead.
    refresh_token_lifetime: timedelta
    #: What a person allowed ends then, however often it is refreshed.
    session_lifetime: timedelta
    #: After that a person is asked again; None means never.
    consent_lifetime: timedelta | None
    #: Claims that the project adds, to the scope that gives each.
    claim_scopes: Mapping[str, str]
    #: Import path of the function that knows their values; empty for none. See ``oauth.claims.ClaimsHook``.
    claims_hook: str
    #: For so long a device waits for its user.
    device_lifetime: timedelta
    #: A device waits for so long between two questions whether its user has decided.
    device_interval: timedelta
    #: Whether clients may take people's passwords.
    allows_password_grant: bool


def get_settings() -> OAuthSettings:
    """Read the settings as they are now; whoever changes one puts another mapping in its place."""
    toolkit: Mapping[str, Any] = settings.OAUTH2_PROVIDER  # Any: each setting has its own type
    house: Mapping[str, Any] = settings.OAUTH  # Any: as above
    if _Read.last is None or _Read.last[0] is not toolkit or _Read.last[1] is not house:
        _Read.last = toolkit, house, _read(toolkit, house)
    return _Read.last[2]


class _Read:
    """What was read last, behind the mappings that it was read from: they are asked for many times in a request."""

    last: tuple[object, object, OAuthSettings] | None = None


def _read(toolkit: Mapping[str, Any], house: Mapping[str, Any]) -> OAuthSettings:  # Any: as above
    return OAuthSettings(
        scopes=house["SCOPES"],
        dangerous_scopes=frozenset(house["DANGEROUS_SCOPES"]),
        default_scopes=tuple(house["DEFAULT_SCOPES"]),
        code_lifetime=timedelta(seconds=toolkit["AUTHORIZATION_CODE_EXPIRE_SECONDS"]),
        access_token_lifetime=timedelta(seconds=toolkit["ACCESS_TOKEN_EXPIRE_SECONDS"]),
        id_token_lifetime=timedelta(seconds=toolkit["ID_TOKEN_EXPIRE_SECONDS"]),
        refresh_token_lifetime=timedelta(seconds=toolkit["REFRESH_TOKEN_EXPIRE_SECONDS"]),
        session_lifetime=timedelta(seconds=house["SESSION_SECONDS"]),
        consent_lifetime=timedelta(seconds=house["CONSENT_SECONDS"]) if house["CONSENT_SECONDS"] else None,
        claim_scopes=house["CLAIMS"],
        claims_hook=house["CLAIMS_HOOK"],
        device_lifetime=timedelta(seconds=house["DEVICE_CODE_SECONDS"]),
        device_interval=timedelta(seconds=toolkit["DEVICE_FLOW_INTERVAL"]),
        allows_password_grant=house["ALLOW_PASSWORD_GRANT"],
    )
