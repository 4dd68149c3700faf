"""App configuration."""

from typing import override

from django.apps import AppConfig


class PermissionsConfig(AppConfig):
    """The app ``permissions``."""

    name = "permissions"
    verbose_name = "Roles and permissions"

    @override
    def ready(self) -> None:
        """Connect the receivers and register the system checks."""
        from permissions import checks, receivers  # noqa: F401, PLC0415 - the user model is known only now

        receivers.connect_teams()
