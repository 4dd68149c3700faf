"""The edge of the API: problem details for every error, strict JSON, pages of lists, the schema's last touches."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, override

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.paginator import Paginator
from django.db import InterfaceError, OperationalError, connections
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from project.browsers import is_for_programs
from project.content_types import UNREAD_TYPE
from project.exceptions import DomainError

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time it would import this module, half made

PROBLEM_JSON = "application/problem+json"
#: How much of a header is shown that can't be read.
_MAX_SHOWN = 100
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
    return is_for_programs(request) or not request.accepts("text/html")


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:  # Any: DRF's own signature
    """Turn every expected error into ``application/problem+json``; leave bugs to the 500 page.

    The transaction of the request is rolled back, so a refused request leaves nothing half done.
    """
    converted = _convert(error)
    if converted is None:
        return None
    _roll_back()
    errors = list(_field_errors(converted)) if isinstance(converted, exceptions.ValidationError) else []
    if errors and converted.status_code == HTTPStatus.BAD_REQUEST:
        code, detail = "invalid", "The request is not valid; see errors for each field."
    else:
        code, detail = _code_and_text(converted.detail)
        given = context["request"].META.get(UNREAD_TYPE)
        if given and isinstance(converted, exceptions.UnsupportedMediaType):
            detail = f"The Content-Type {given[:_MAX_SHOWN]!a} can't be read. Send UTF-8, and no other charset."
    body = problem(status=converted.status_code, code=code, detail=detail, errors=errors)
    headers = _headers(converted, context)
    if wait := headers.get("Retry-After"):
        body["retry_after"] = int(wait)
    return Response(body, status=converted.status_code, headers=headers, content_type=PROBLEM_JSON)


def _headers(error: exceptions.APIException, context: Mapping[str, Any]) -> dict[str, str]:  # Any: as above
    """Return what else the answer says: how to authenticate (RFC 9110 §11.6.1), when to come back (§10.2.3)."""
    headers: dict[str, str] = {}
    challenge = getattr(error, "auth_header", None)
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        challenge = challenge or context["view"].get_authenticate_header(context["request"]) or "Bearer"
    if challenge:
        headers["WWW-Authenticate"] = str(challenge)
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return headers


def _roll_back() -> None:
    """Undo the request's transaction where ``ATOMIC_REQUESTS`` opened one."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


def _convert(error: Exception) -> exceptions.APIException | None:
    """Return DRF's form of an expected error, or None for a bug."""
    converted: exceptions.APIException | None = None
    match error:
        case exceptions.APIException():
            converted = error
        case DomainError():
            converted = _convert_domain_error(error)
        case Http404():
            converted = exceptions.NotFound()
        case PermissionDenied():
            converted = exceptions.PermissionDenied()
        case RequestDataTooBig():
            converted = exceptions.APIException("The request body is too large.", "body_too_large")
            converted.status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case OperationalError() | InterfaceError():
            _log.exception("store_unavailable", exc_info=error)
            converted = exceptions.APIException("The database does not answer. Try again in a moment.", "unavailable")
            converted.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        case SuspiciousOperation() | BadRequest() | UnreadablePostError():
            converted = exceptions.ParseError()
        case _:
            pass
    return converted


def _convert_domain_error(error: DomainError) -> exceptions.APIException:
    if error.detail:
        _log.info("refused", problem=error.code, detail=error.detail)
    if error.fields:
        details = {
            field: [exceptions.ErrorDetail(text, error.code) for text in texts] for field, texts in error.fields.items()
        }
        converted: exceptions.APIException = exceptions.ValidationError(details)
    else:
        converted = exceptions.APIException(error.message, error.code)
    converted.status_code = error.status
    if error.wait is not None:
        converted.wait = error.wait  # type: ignore[attr-defined] # where DRF's own Throttled has it
    return converted


def _code_and_text(detail: object) -> tuple[str, str]:
    match detail:
        case exceptions.ErrorDetail():
            return detail.code or "error", str(detail)
        case [first, *_]:
            return _code_and_text(first)
        case {"detail": inner, **_others}:
            return _code_and_text(inner)
        case dict() if detail:
            return _code_and_text(next(iter(detail.values())))
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
    """JSON in UTF-8 (RFC 8259 §8.1) whose every failure is a 400.

    What couldn't be written back as JSON is refused as well: NaN, numbers beyond a float, halves of surrogate pairs,
    nesting too deep. Neither databases nor renderers would take it later.
    """

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
            data = super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        except RecursionError as error:
            raise exceptions.ParseError("JSON parse error - nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise exceptions.ParseError("JSON parse error - half of a surrogate pair.") from error
        except ValueError as error:
            raise exceptions.ParseError("JSON parse error - a number is out of range.") from error
        return data


class StringField(serializers.CharField):
    """A string. DRF's own field takes numbers for strings too, against the schema that it publishes."""

    @override
    def to_internal_value(self, data: object) -> str:
        """Refuse what isn't a JSON string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """True or false. DRF's own field takes words and numbers for them too, against the schema that it publishes."""

    @override
    def to_internal_value(self, data: object) -> bool:
        """Refuse what is neither."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ProblemContentNegotiation(DefaultContentNegotiation):
    """Answer JSON whatever ``Accept`` says: a client that takes nothing we have still gets a readable answer."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the best renderer, or the first one where none fits."""
        offered = list(renderers)
        if len(offered) == 1 and format_suffix is None and request.META.get("HTTP_ACCEPT", "*/*") == "*/*":
            return offered[0], str(offered[0].media_type)
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, offered, format_suffix)
        except (exceptions.NotAcceptable, Http404):
            return offered[0], str(offered[0].media_type)
        return chosen


#: No list has more pages; Python refuses to convert numbers of thousands of digits.
_MAX_PAGE_DIGITS = 12


class Pagination(PageNumberPagination):
    """Numbered pages of 50, up to 200 with ``page_size``."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    last_page_strings = ()

    @override
    def get_page_size(self, request: Request) -> int:
        """Return the size that the client asks for.

        Raises:
            ValidationError: It is no number from 1 to 200.
        """
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        if asked.isascii() and asked.isdigit() and len(asked) <= len(str(self.max_page_size)):
            size = int(asked)
            if 1 <= size <= self.max_page_size:
                return size
        raise exceptions.ValidationError({self.page_size_query_param: [f"Ask for 1 to {self.max_page_size}."]})

    @override
    def get_page_number(self, request: Request, paginator: "Paginator[Any]") -> str:  # Any: rows of any list
        """Return the number of the page that the client asks for; one that isn't there is 404.

        Raises:
            ValidationError: It is no number from 1.
        """
        asked = request.query_params.get(self.page_query_param, "1")
        if asked.isascii() and asked.isdigit() and int(asked[:_MAX_PAGE_DIGITS]) > 0:
            return asked[:_MAX_PAGE_DIGITS]
        raise exceptions.ValidationError({self.page_query_param: ["Ask for a page from 1."]})

    @override
    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:  # Any: OpenAPI parameters
        """Return the parameters with their bounds."""
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"]["minimum"] = 1
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"]["maximum"] = self.max_page_size
        return parameters


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
        "retry_after": {"type": "integer", "minimum": 1, "description": "Seconds after which to try again."},
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
