"""App configuration."""

from typing import override

from django.apps import AppConfig


class PermissionsConfig(AppConfig):
    """The app ``permissions``."""

    name = "permissions"
    verbose_name = "Roles and permissions"

    @override
    def ready(self) -> None:
        """Connect the receivers."""
        from permissions import receivers  # noqa: PLC0415 - the user model is known only now

        receivers.connect_teams()
