"""Which scopes and audiences there are, which a client may have, and what scopes say to a person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, override

from django.conf import settings
from oauth2_provider.scopes import SettingsScopes

from oauth.conf import get_settings

#: Asks for an ID token (OpenID Connect Core §3.1.2.1).
OPENID: Final = "openid"
#: Asks to go on acting while the person is away (OpenID Connect Core §11).
OFFLINE: Final = "offline_access"
#: Mean nothing where a client acts for itself.
PERSONAL: Final = frozenset({OPENID, OFFLINE})


class HasAllowedScopes(Protocol):
    """A client, as far as scopes are concerned."""

    allowed_scopes: list[str]


class HasAllowedResources(Protocol):
    """A client, as far as audiences are concerned."""

    allowed_resources: list[str]


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One line of the consent page."""

    scope: str
    sentence: str
    is_dangerous: bool


class ClientScopes(SettingsScopes):
    """Scopes from settings, narrowed to what the client is allowed."""

    @override
    def get_all_scopes(self) -> dict[str, str]:
        """Return every scope with its sentence."""
        return dict(get_settings().scopes)

    @override
    def get_available_scopes(
        self, application: HasAllowedScopes | None = None, request: object = None, *args: object, **kwargs: object
    ) -> list[str]:
        """Return what the client may ask for; without a client, all there is."""
        return _narrow(get_settings().scopes, application)

    @override
    def get_default_scopes(
        self, application: HasAllowedScopes | None = None, request: object = None, *args: object, **kwargs: object
    ) -> list[str]:
        """Return what a client gets that asks for nothing in particular; may be empty."""
        return _narrow(get_settings().default_scopes, application)


def describe_scopes(scopes: Iterable[str]) -> list[ScopeLine]:
    """Return the sentences of some scopes, the dangerous ones first, else in the order of the settings."""
    values = get_settings()
    wanted = set(scopes)
    lines = [
        ScopeLine(scope, sentence, scope in values.dangerous_scopes)
        for scope, sentence in values.scopes.items()
        if scope in wanted
    ]
    return sorted(lines, key=lambda line: not line.is_dangerous)


def list_personal_scopes() -> list[str]:
    """Return the scopes that a personal access token can have: all but those that only mean something to a client."""
    return [scope for scope in get_settings().scopes if scope not in {OPENID, OFFLINE}]


def list_resources(client: HasAllowedResources) -> list[str]:
    """Return the audiences that a client may ask for (RFC 8707): this house first."""
    return [settings.BASE_URL, *client.allowed_resources]


def choose_resources(
    asked: Iterable[str], *, granted: Sequence[str] | None, client: HasAllowedResources
) -> tuple[str, ...]:
    """Return the audiences of a token: those that are asked for, else all that there may be.

    Args:
        asked: In particular.
        granted: What was allowed at first; where that was nothing in particular, this house. None where the client asks
            for the first time, or for itself: it gets this house then, unless it asks.
        client: Who asks; what it is no longer allowed was granted in vain.

    Raises:
        ValueError: One is asked for that isn't among them, or none is left.
    """
    allowed = list_resources(client)
    usual = allowed[:1] if granted is None else [one for one in granted or allowed[:1] if one in allowed]
    wanted = tuple(dict.fromkeys(asked)) or tuple(usual)
    if not wanted or not {*wanted} <= {*(allowed if granted is None else usual)}:
        message = "not an audience of this client"
        raise ValueError(message)
    return wanted


def _narrow(scopes: Iterable[str], application: HasAllowedScopes | None) -> list[str]:
    return [scope for scope in scopes if application is None or scope in application.allowed_scopes]
