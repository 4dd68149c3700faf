"""Which scopes there are, which a client may have, and what they say to a person."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, override

from oauth2_provider.scopes import SettingsScopes

from oauth.conf import get_settings

#: Asks for an ID token (OpenID Connect Core §3.1.2.1).
OPENID: Final = "openid"
#: Asks to go on acting while the person is away (OpenID Connect Core §11).
OFFLINE: Final = "offline_access"


class HasAllowedScopes(Protocol):
    """A client, as far as scopes are concerned."""

    allowed_scopes: list[str]


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


def _narrow(scopes: Iterable[str], application: HasAllowedScopes | None) -> list[str]:
    return [scope for scope in scopes if application is None or scope in application.allowed_scopes]
