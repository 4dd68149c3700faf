"""App configuration."""

from typing import override

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The app ``accounts``."""

    name = "accounts"
    verbose_name = "Accounts"

    @override
    def ready(self) -> None:
        """Connect the receivers and register the system checks."""
        from accounts import checks, receivers  # noqa: F401, PLC0415 - need the models, and connect by being imported
