"""App configuration."""

from typing import override

from django.apps import AppConfig


class OauthConfig(AppConfig):
    """The app ``oauth``."""

    name = "oauth"
    verbose_name = "OAuth"

    @override
    def ready(self) -> None:
        """Connect the receivers and register the system checks."""
        from oauth import checks, receivers  # noqa: F401, PLC0415 - they need the models, which are loaded by now
