"""The addresses of the house, and three that go wrong."""

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from project.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


def suspect(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation


def forbid(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [
    path("broken/400", suspect),
    path("broken/403", forbid),
    path("broken/500", fail),
    path("", include("project.urls")),
]
