"""App configuration."""

from typing import override

from django.apps import AppConfig

from accounts.navigation import register_own_page


class AccountsConfig(AppConfig):
    """The app ``accounts``."""

    name = "accounts"
    verbose_name = "Accounts"

    @override
    def ready(self) -> None:
        """Connect the receivers, register the system checks, and name the pages about one's own account."""
        from accounts import checks, receivers  # noqa: F401, PLC0415 - need the models, and connect by being imported

        register_own_page("accounts:profile", "Profile")
        register_own_page("accounts:sessions", "Devices")
        register_own_page("accounts:security-events", "Events")
