"""App configuration."""

from django.apps import AppConfig


class OauthConfig(AppConfig):
    """The app ``oauth``."""

    name = "oauth"
    verbose_name = "OAuth"
