"""Pages of no single app: home, API docs, errors."""

from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView


def home(request: HttpRequest) -> HttpResponse:
    """Say where everything is."""
    return HttpResponse("")


class DocsView(TemplateView):
    """Swagger UI."""


def docs_oauth_redirect(request: HttpRequest) -> HttpResponse:
    """Receive the authorization response of Swagger UI's popup."""
    return HttpResponse("")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return HttpResponse("", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return HttpResponse("", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return HttpResponse("", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return HttpResponse("", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without a valid CSRF token."""
    return HttpResponse("", status=403)
