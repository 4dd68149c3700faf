"""App configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The app ``accounts``."""

    name = "accounts"
    verbose_name = "Accounts"
