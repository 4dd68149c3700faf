"""The endpoints that programs post forms to: token, introspect, revoke."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any, Final, override

import structlog
from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from oauthlib.oauth2.rfc6749 import errors

from accounts.exceptions import TooBusy
from oauth.backends import get_backend
from oauth.descriptions import describe_error
from oauth.selectors import introspect_token
from oauth.throttles import TooManyAttempts
from oauth.views.cross_origin import CrossOriginView

_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CHALLENGE: Final = 'Basic realm="gatehouse", charset="UTF-8"'
_log = structlog.get_logger("gatehouse.oauth")


class FormEndpoint(CrossOriginView, ABC):
    """An endpoint that takes a form from a program and answers JSON, errors as RFC 6749 §5.2 says."""

    http_method_names = ["post", "options"]

    @override
    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:  # Any: as Django has it
        """Return the view; it is wrapped once, and not anew by ``method_decorator`` for each request."""
        view: Callable[..., HttpResponseBase] = csrf_exempt(sensitive_post_parameters()(super().as_view(**initkwargs)))
        return view

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer, or say what is wrong."""
        try:
            body, status = self.answer(request)
        except errors.OAuth2Error as error:
            body, status = error.json, error.status_code
        except (TooManyAttempts, TooBusy) as error:
            return _ask_to_wait(error)
        except (OperationalError, InterfaceError) as error:
            _log.error("store_unavailable", error=type(error).__qualname__, path=request.path)
            body, status = errors.TemporarilyUnavailableError().json, HTTPStatus.SERVICE_UNAVAILABLE
        except (SuspiciousOperation, UnreadablePostError):
            body, status = errors.InvalidRequestError("The form cannot be read.").json, HTTPStatus.BAD_REQUEST
        return _json_response(body if status < HTTPStatus.BAD_REQUEST else _explain(body), status)

    @abstractmethod
    def answer(self, request: HttpRequest) -> tuple[str, int]:
        """Return body and status.

        Raises:
            OAuth2Error: The request is refused.
        """

    @override
    def http_method_not_allowed(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Name the method that works."""
        response = _json_response(errors.InvalidRequestError("Use POST.").json, HTTPStatus.METHOD_NOT_ALLOWED)
        response["Allow"] = "POST, OPTIONS"
        return response


class TokenView(FormEndpoint):
    """The token endpoint (RFC 6749 §3.2)."""

    @override
    def answer(self, request: HttpRequest) -> tuple[str, int]:
        """Exchange what the client brings for tokens.

        Raises:
            InvalidGrantError: What they were to be for, a person or a client, was deleted meanwhile.
        """
        try:
            return get_backend().exchange(request)
        except IntegrityError as error:
            raise errors.InvalidGrantError from error


class RevokeView(FormEndpoint):
    """The revocation endpoint (RFC 7009)."""

    @override
    def answer(self, request: HttpRequest) -> tuple[str, int]:
        """End the client's own token; an unknown one is ended already."""
        return get_backend().revoke(request)


class IntrospectView(FormEndpoint):
    """The introspection endpoint (RFC 7662)."""

    readers = "none"

    @override
    def answer(self, request: HttpRequest) -> tuple[str, int]:
        """Say what the client's own token is worth.

        Raises:
            OAuth2Error: The client isn't a confidential one that authenticates, or names no token.
        """
        application, form = get_backend().authenticate(request)
        if "token" not in form:
            raise errors.InvalidRequestError("The token is missing.")
        state = introspect_token(token=form["token"], application=application, now=timezone.now())
        return JsonResponse(state).content.decode(), HTTPStatus.OK


def _ask_to_wait(refusal: TooManyAttempts | TooBusy) -> HttpResponse:
    status = HTTPStatus.TOO_MANY_REQUESTS if isinstance(refusal, TooManyAttempts) else refusal.status
    response = _json_response(errors.TemporarilyUnavailableError(str(refusal)).json, status)
    response["Retry-After"] = str(ceil(refusal.wait or 1))
    return response


def _explain(body: str) -> str:
    """Return an error with its description, where there is one."""
    told = json.loads(body)
    description = describe_error(told["error"], told.get("error_description"))
    return json.dumps({**told, "error_description": description}) if description else body


def _json_response(body: str, status: int) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json", headers=_NO_STORE)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = _CHALLENGE
    return response
