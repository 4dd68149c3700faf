"""The admin site of the house."""

from typing import override

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse


class AdminSite(admin.AdminSite):
    """Django's admin, branded, and behind the one sign-in page of the house; colours are in ``static/admin.css``."""

    site_title = "Gatehouse"
    site_header = "Gatehouse"
    index_title = "Administration"

    @override
    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Send the unknown to the sign-in page, which limits attempts and checks where one goes on to.

        Raises:
            PermissionDenied: The account that is signed in may not use the admin; signing in again wouldn't help.
        """
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))
