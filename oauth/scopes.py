"""Which scopes there are, and which a client may have."""

from oauth2_provider.scopes import SettingsScopes


class ClientScopes(SettingsScopes):
    """Scopes from settings, narrowed to what the client is allowed."""
