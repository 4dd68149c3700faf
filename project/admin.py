"""The admin site of the house."""

from django.contrib import admin


class AdminSite(admin.AdminSite):
    """Django's admin, branded; colours are in ``static/admin.css``."""

    site_title = "Gatehouse"
    site_header = "Gatehouse"
    index_title = "Administration"
