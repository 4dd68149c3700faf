"""App configuration."""

from typing import override

from django.apps import AppConfig

from accounts.exports import register_export


class OauthConfig(AppConfig):
    """The app ``oauth``."""

    name = "oauth"
    verbose_name = "OAuth"

    @override
    def ready(self) -> None:
        """Connect the receivers, register the system checks, and add to what people can take with them."""
        # They need the models, which are loaded by now.
        from oauth import checks, receivers, selectors  # noqa: F401, PLC0415 - as above

        register_export("oauth_clients", selectors.list_own_clients)
        register_export("oauth_codes", selectors.list_own_codes)
        register_export("oauth_access_tokens", selectors.list_own_access_tokens)
        register_export("oauth_refresh_tokens", selectors.list_own_refresh_tokens)
