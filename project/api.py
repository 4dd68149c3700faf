"""The edge of the API: problem details for every error, strict JSON, pages of lists, the schema's last touches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import IO, Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from project.exceptions import DomainError

PROBLEM_JSON = "application/problem+json"
_log = structlog.get_logger("gatehouse.api")


def problem(*, status: int, code: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> dict[str, object]:
    """Return the members of a problem (RFC 9457 §3.1), with our ``code``, ``errors`` and ``request_id``.

    ``type`` is ``about:blank``: the status says the kind, ``code`` tells the cases apart.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        body["request_id"] = request_id
    return body


def problem_response(*, status: int, code: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> HttpResponse:
    """Return a problem as a plain Django response, for the places outside DRF."""
    body = problem(status=status, code=code, detail=detail, errors=errors)
    return JsonResponse(body, status=status, content_type=PROBLEM_JSON)


def wants_problem(request: HttpRequest) -> bool:
    """Say whether an error of this request is for a program rather than for a person."""
    return request.path.startswith("/api/") or not request.accepts("text/html")


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:  # Any: DRF's own signature
    """Turn every expected error into ``application/problem+json``; leave bugs to the 500 page.

    The transaction of the request is rolled back, so a refused request leaves nothing half done.
    """
    converted = _convert(error)
    if converted is None:
        return None
    _roll_back()
    errors = list(_field_errors(converted)) if isinstance(converted, exceptions.ValidationError) else []
    headers: dict[str, str] = {}
    if challenge := getattr(converted, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if (wait := getattr(converted, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    if isinstance(converted, exceptions.ValidationError):
        code, detail = "invalid", "The request is not valid; see errors for each field."
    else:
        code, detail = _code_and_text(converted.detail)
    body = problem(status=converted.status_code, code=code, detail=detail, errors=errors)
    return Response(body, status=converted.status_code, headers=headers, content_type=PROBLEM_JSON)


def _roll_back() -> None:
    """Undo the request's transaction where ``ATOMIC_REQUESTS`` opened one."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


def _convert(error: Exception) -> exceptions.APIException | None:
    """Return DRF's form of an expected error, or None for a bug."""
    match error:
        case exceptions.APIException():
            return error
        case DomainError():
            return _convert_domain_error(error)
        case Http404():
            return exceptions.NotFound()
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case RequestDataTooBig():
            too_large = exceptions.APIException("The request body is too large.", "body_too_large")
            too_large.status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return too_large
        case _:
            return None


def _convert_domain_error(error: DomainError) -> exceptions.APIException:
    if error.detail:
        _log.info("refused", code=error.code, detail=error.detail)
    if error.fields:
        details = {
            field: [exceptions.ErrorDetail(text, error.code) for text in texts] for field, texts in error.fields.items()
        }
        converted: exceptions.APIException = exceptions.ValidationError(details)
    else:
        converted = exceptions.APIException(error.message, error.code)
    converted.status_code = error.status
    return converted


def _code_and_text(detail: object) -> tuple[str, str]:
    match detail:
        case exceptions.ErrorDetail():
            return detail.code or "error", str(detail)
        case [first, *_]:
            return _code_and_text(first)
        case {"detail": inner, **_others}:
            return _code_and_text(inner)
        case _:
            return "error", str(detail)


def _field_errors(error: exceptions.ValidationError) -> Iterator[dict[str, str]]:
    """Yield one ``{"field", "code", "message"}`` per complaint; the field is a path such as ``items.0.name``."""
    yield from _walk("", error.detail)


def _walk(path: str, detail: object) -> Iterator[dict[str, str]]:
    match detail:
        case dict():
            for key, inner in detail.items():
                name = "" if key == "non_field_errors" else str(key)
                yield from _walk(f"{path}.{name}".strip("."), inner)
        case list():
            for index, inner in enumerate(detail):
                nested = isinstance(inner, dict | list)
                yield from _walk(f"{path}.{index}".strip(".") if nested else path, inner)
        case exceptions.ErrorDetail():
            yield {"field": path, "code": detail.code or "invalid", "message": str(detail)}
        case _:
            yield {"field": path, "code": "invalid", "message": str(detail)}


class StrictJSONParser(JSONParser):
    """JSON whose every failure is a 400: bad encoding, nesting too deep, NaN, a number too long to convert."""

    def parse(
        self,
        stream: IO[Any],  # Any: DRF's own signature
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,  # Any: DRF's own signature
    ) -> Any:  # Any: whatever JSON the client sent; serializers check it
        """Parse the body.

        Raises:
            ParseError: The body isn't JSON that can be read.
        """
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("JSON parse error - nested too deeply.") from error
        except (LookupError, UnicodeError) as error:
            raise exceptions.ParseError("JSON parse error - the encoding cannot be read.") from error


class ProblemContentNegotiation(DefaultContentNegotiation):
    """Answer JSON whatever ``Accept`` says: a client that takes nothing we have still gets a readable answer."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the best renderer, or the first one where none fits."""
        offered = list(renderers)
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, offered, format_suffix)
        except (exceptions.NotAcceptable, Http404):
            return offered[0], str(offered[0].media_type)
        return chosen


class Pagination(PageNumberPagination):
    """Numbered pages of 50, up to 200 with ``page_size``."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


# Any (twice): an OpenAPI document as drf-spectacular hands it over.
def describe_problems(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:  # noqa: FBT001 - drf-spectacular's own signature
    """Add the problem document to the schema and to each operation, as the answer to every error."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    answer = {
        "description": "The request was refused; `code` says why.",
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"].setdefault("default", answer)
    return result


_PROBLEM_SCHEMA: dict[str, object] = {
    "type": "object",
    "description": "An error as RFC 9457 describes it.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "For people."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
