"""App configuration of the project and of the admin site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class ProjectConfig(AppConfig):
    """The project as an app: its commands and checks."""

    name = "project"


class AdminConfig(DjangoAdminConfig):
    """Django's admin with the name and the colours of the house."""

    default_site = "project.admin.AdminSite"
