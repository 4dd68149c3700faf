"""Pages of no single app: home, API docs, errors."""

import json
from http import HTTPStatus
from typing import override

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from oauth.selectors import get_client_id_by_name
from project.api import problem_response, wants_problem

#: Name of the seeded public client with which people try the API out at ``/docs``.
DOCS_CLIENT_NAME = "Gatehouse API docs"

_log = structlog.get_logger("gatehouse.errors")
_LAST_RESORT = (
    '<!doctype html><html lang="en"><title>Server error</title><h1>Something went wrong on our side</h1>'
    '<p>Please try again in a moment, or go to the <a href="/">home page</a>.</p></html>'
)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say where everything is."""
    return render(request, "project/home.html", {"has_dev_pages": settings.DEV_PAGES})


@method_decorator(require_safe, name="dispatch")
class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own server, with nothing inline."""

    template_name = "docs/swagger.html"

    @extend_schema(exclude=True)
    @override
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Answer the page or, with ``?script``, the script that starts Swagger UI."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call] # the library has no types here
        if isinstance(response.data, dict) and "oauth2_config" in response.data:
            redirect_url = request.build_absolute_uri(reverse("docs-oauth-redirect"))
            response.data["settings"] = json.dumps({"deepLinking": True, "oauth2RedirectUrl": redirect_url})
            response.data["oauth2_config"] = json.dumps(
                {
                    "clientId": get_client_id_by_name(name=DOCS_CLIENT_NAME) or "",
                    "usePkceWithAuthorizationCodeGrant": True,
                }
            )
        return response


@require_safe
def docs_oauth_redirect(request: HttpRequest) -> HttpResponse:
    """Receive the authorization response of Swagger UI's popup; a script hands it to the window that opened it."""
    return render(request, "docs/oauth2_redirect.html")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _answer(request, HTTPStatus.BAD_REQUEST, code="bad_request", detail="The request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    detail = "You do not have permission to do this."
    return _answer(request, HTTPStatus.FORBIDDEN, code="permission_denied", detail=detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _answer(request, HTTPStatus.NOT_FOUND, code="not_found", detail="There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    detail = "Something went wrong on our side. Please try again in a moment."
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, code="server_error", detail=detail)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without a valid CSRF token."""
    _log.info("refused", code="csrf_failed", detail=reason)
    detail = "The form has expired. Load the page again and send the form once more."
    return _answer(request, HTTPStatus.FORBIDDEN, code="csrf_failed", detail=detail, page="csrf")


def _answer(request: HttpRequest, status: HTTPStatus, *, code: str, detail: str, page: str = "") -> HttpResponse:
    """Return a problem to a program and a page to a person.

    The page is rendered without the request, so no context processor, session or database can fail again.
    """
    if wants_problem(request):
        return problem_response(status=status, code=code, detail=detail)
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    try:
        body: str = render_to_string(f"errors/{page or status.value}.html", {"request_id": request_id})
    except Exception:  # noqa: BLE001 - there is nothing behind the last page; the reason goes to the log
        _log.exception("error page failed", page=page or status.value)
        body = _LAST_RESORT
    return HttpResponse(body, status=status)
