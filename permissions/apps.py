"""App configuration."""

from django.apps import AppConfig


class PermissionsConfig(AppConfig):
    """The app ``permissions``."""

    name = "permissions"
    verbose_name = "Roles and permissions"
