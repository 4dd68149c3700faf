"""App configuration."""

from typing import override

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The app ``accounts``."""

    name = "accounts"
    verbose_name = "Accounts"

    @override
    def ready(self) -> None:
        """Connect the receivers."""
        from accounts import receivers  # noqa: F401, PLC0415 - needs the models, and connects by being imported
