"""App configuration."""

from typing import override

from django.apps import AppConfig

from accounts.exports import register_export
from accounts.navigation import register_own_page


class OauthConfig(AppConfig):
    """The app ``oauth``."""

    name = "oauth"
    verbose_name = "OAuth"

    @override
    def ready(self) -> None:
        """Connect the receivers, register the system checks, and add to what people can take with them."""
        # They need the models, which are loaded by now.
        from accounts.opaque import register_opaque_tokens  # noqa: PLC0415 - as above
        from oauth import checks, receivers, selectors, services  # noqa: F401, PLC0415 - as above
        from oauth.services.personal_tokens import PERSONAL_PREFIX  # noqa: PLC0415 - as above
        from oauth.tokens import OPAQUE_PREFIX  # noqa: PLC0415 - as above

        register_export("oauth_clients", selectors.list_own_clients)
        register_export("oauth_consents", selectors.list_own_consents)
        register_export("oauth_codes", selectors.list_own_codes)
        register_export("oauth_devices", selectors.list_own_devices)
        register_export("oauth_opaque_access_tokens", selectors.list_own_opaque_tokens)
        register_export("personal_access_tokens", selectors.list_own_personal_tokens)
        register_opaque_tokens(OPAQUE_PREFIX, selectors.read_opaque_token)
        register_opaque_tokens(PERSONAL_PREFIX, services.use_personal_token)
        register_own_page("oauth2_provider:connections", "Apps")
        register_own_page("oauth2_provider:personal-tokens", "Tokens")
        register_own_page("oauth2_provider:own-clients", "Clients", permission="oauth.add_application")
