"""What happens to every request: an id, a log line, security headers, a limit on the body."""

import math
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, DisallowedHost
from django.core.handlers.exception import response_for_exception
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.middleware import csp, security
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.template.loader import render_to_string
from django.utils.csp import LazyNonce

from project.api import problem_response, wants_problem
from project.current_request import bind_request, get_client_id, get_known_user
from project.exceptions import DomainError
from project.logging import get_loggable_path, has_secret_path

type GetResponse = Callable[[HttpRequest], HttpResponseBase]

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MAX_LENGTH_DIGITS = 18
_QUIET_PATHS = ("/healthz", "/readyz", "/static/")
#: Those that Django has no setting for.
_SECURITY_HEADERS = {
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: How Django's decorators note at a response that a view has its own policy, and the headers which that is about.
_VIEW_MARKS = frozenset({"_csp_config", "_csp_ro_config", "xframe_options_exempt"})
_VIEW_HEADERS = frozenset({"content-security-policy", "content-security-policy-report-only", "x-frame-options"})
#: Names the host alone. With "no-referrer" browsers would post forms with "Origin: null".
_HOST_ALONE = "strict-origin"
_log = structlog.get_logger("gatehouse.request")


class RequestIdMiddleware:
    """Give each request an id, bind both for whoever asks, answer the id as ``X-Request-ID``, and log the request once.

    An id that a proxy sends is kept if it has a harmless shape. The path is logged without its query string, which
    may hold codes and tokens, and without the parts that a route names as secrets.
    """

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind, time and log one request."""
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        with bind_request(request):
            response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if not request.path.startswith(_QUIET_PATHS):
            _log.info(
                "request",
                method=request.method,
                path=get_loggable_path(request),
                status=response.status_code,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
                **_describe_sender(request),
            )
        return response


def _describe_sender(request: HttpRequest) -> dict[str, str]:
    """Return who sent the request, as far as that is known: a refusal without a name is of no use (ASVS 16.3.2)."""
    user = get_known_user(request)
    sender = {"user_id": str(user.pk or "") if user else "", "client_id": get_client_id(request)}
    return {name: value for name, value in sender.items() if value}


class SecurityMiddleware:
    """Redirect to HTTPS, and set the security headers of every response, those of static files and errors included.

    It stands for three layers of Django (``SecurityMiddleware``, those for X-Frame-Options and the CSP), and adds the
    headers that Django has no setting for. Nearly all responses get the same, so those are put into words once, by
    Django's layers; what a view says itself counts before them.

    What is answered at an address that holds a secret, such as a mailed link, lets no request name that address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer, and ask Django's what they say."""
        self.get_response = get_response
        self._general = security.SecurityMiddleware(get_response)
        self._by_view = (csp.ContentSecurityPolicyMiddleware(get_response), XFrameOptionsMiddleware(get_response))
        self._headers = {scheme: self._put_into_words(scheme) for scheme in ("http", "https")}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the headers that the view didn't set itself."""
        request._csp_nonce = LazyNonce()  # type: ignore[attr-defined] # noqa: SLF001 - where Django looks for it
        scheme = request.scheme or ""
        response = (None if scheme == "https" else self._redirect(request)) or self.get_response(request)
        headers = self._headers[scheme]
        if csp.get_nonce(request) or not _VIEW_MARKS.isdisjoint(vars(response)):
            for layer in self._by_view:
                layer.process_response(request, response)  # type: ignore[arg-type] # they take any
            headers = {name: header for name, header in headers.items() if name not in _VIEW_HEADERS}
        if has_secret_path(request):
            response["Referrer-Policy"] = _HOST_ALONE
        # All at once: to ask for each whether it is there would cost as much as the rest of this layer.
        response.headers._store = headers | response.headers._store  # noqa: SLF001 - as above
        return response

    def _redirect(self, request: HttpRequest) -> HttpResponseBase | None:
        try:
            return self._general.process_request(request)
        except DisallowedHost as error:
            return response_for_exception(request, error)

    def _put_into_words(self, scheme: str) -> dict[str, tuple[str, str]]:
        asked = WSGIRequest({"REQUEST_METHOD": "GET", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()})
        response = HttpResponse(headers=_SECURITY_HEADERS)
        for layer in (self._general, *self._by_view):
            layer.process_response(asked, response)
        del response["Content-Type"]
        return response.headers._store  # noqa: SLF001 - as above


class NullCharacterMiddleware:
    """Refuse an address or a cookie with a NUL in it, which PostgreSQL takes in no text and no page has a use for."""

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer 400: to a program with the name of the parameter, to a person with the page."""
        has_nul = "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        # A quoted cookie may spell it "\\000", so the parsed values are looked at.
        if not has_nul and not any("\0" in value for value in request.COOKIES.values()):
            return self.get_response(request)
        message = "The address, or a cookie, has a NUL character in it."
        if not wants_problem(request):
            raise BadRequest(message)
        errors = [
            {"field": name.replace("\0", ""), "code": "null_characters_not_allowed", "message": message}
            for name, value in request.GET.items()
            if "\0" in name + str(value)
        ]
        return problem_response(status=HTTPStatus.BAD_REQUEST, code="invalid", detail=message, errors=errors)


class BodySizeMiddleware:
    """Refuse a body over ``MAX_BODY_BYTES`` before any of it is read (RFC 9110 §15.5.14).

    A chunked body says no length, and WSGI has no way to read one: rather than taken for empty, it is refused with 411.
    """

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer 413, or 400 where the length isn't a number."""
        length = request.META.get("CONTENT_LENGTH", "") or "0"
        if "HTTP_TRANSFER_ENCODING" in request.META:
            message = "Send the body with a Content-Length header, not in chunks."
            return _refuse(HTTPStatus.LENGTH_REQUIRED, message, "length_required")
        if not (length.isascii() and length.isdigit()):
            return _refuse(HTTPStatus.BAD_REQUEST, "The Content-Length header is not a number.", "bad_content_length")
        # Python refuses to convert a number of thousands of digits, which is too large in any case.
        if len(length) > _MAX_LENGTH_DIGITS or int(length) > settings.MAX_BODY_BYTES:
            message = f"The request body is larger than {settings.MAX_BODY_BYTES} bytes. Send less."
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, "body_too_large")
        return self.get_response(request)


class DomainErrorMiddleware:
    """Answer an error that a page didn't expect as the API would: with its status, its words, and when to try again."""

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Go on; what matters happens where a view raises."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return a page to a person and a problem to a program; leave bugs to the 500 page.

        Raises:
            BadRequest: The client broke off its form, which is no bug.
        """
        if isinstance(error, UnreadablePostError):
            raise BadRequest("The body broke off.") from error
        if not isinstance(error, DomainError):
            return None
        _log.info("refused", problem=error.code, detail=error.detail)
        if wants_problem(request):
            errors = [
                {"field": field, "code": error.code, "message": message}
                for field, messages in error.fields.items()
                for message in messages
            ]
            response = problem_response(status=error.status, code=error.code, detail=error.message, errors=errors)
        else:
            request_id = structlog.contextvars.get_contextvars().get("request_id", "")
            context = {"status": error.status.value, "message": error.message, "request_id": request_id}
            response = HttpResponse(render_to_string("errors/refused.html", context), status=error.status)
        if error.wait is not None:
            response["Retry-After"] = str(max(1, math.ceil(error.wait)))
        return response


def _refuse(status: HTTPStatus, detail: str, code: str) -> HttpResponse:
    response = problem_response(status=status, code=code, detail=detail)
    response["Connection"] = "close"
    return response
