"""Form posts of programs, read strictly, as oauthlib takes requests."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, override
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, UnreadablePostError
from oauthlib.common import CaseInsensitiveDict, Request
from oauthlib.oauth2.rfc6749 import errors

#: Parameters that mean something here; every other one is ignored (RFC 6749 §3.1, §3.2). Nothing else gets through to
#: oauthlib, which would take any name for an attribute of its request.
_KNOWN: Final = frozenset(
    {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "response_mode"),
        *("code_challenge", "code_challenge_method", "request", "request_uri", "registration"),
        *("grant_type", "code", "code_verifier", "refresh_token", "client_secret", "token", "token_type_hint"),
        *("device_code", "username", "password"),
        "resource",
        # OpenID Connect: Core §3.1.2.1 and §5.5, RP-Initiated Logout §2.
        *("nonce", "display", "prompt", "max_age", "ui_locales", "claims_locales", "id_token_hint", "login_hint"),
        *("acr_values", "claims", "post_logout_redirect_uri"),
    }
)
_MAY_REPEAT: Final = frozenset({"resource", "audience"})
#: What PostgreSQL takes in no text, and what stands where bytes weren't text.
_NO_TEXT: Final = re.compile("[\x00\ufffd]")
_FORM: Final = "application/x-www-form-urlencoded"
#: What oauthlib's own request says where nothing was sent.
_NOTHING: Final[Mapping[str, Any]] = vars(Request(""))["_params"]  # Any: None, and what grants add


class FormRequest(Request):
    """A form post that was read already: oauthlib's own would be given it as text, and read it again."""

    def __init__(self, request: HttpRequest) -> None:  # its parent's would do what is to be spared
        """Read the form.

        Raises:
            OAuth2Error: The request isn't a plain form with each parameter once.
        """
        self.parameters = read_form(request)
        self.uri, self.http_method, self.body = request.path, "POST", ""
        self.headers = CaseInsensitiveDict({"Authorization": request.META.get("HTTP_AUTHORIZATION", "")})
        self.decoded_body = list(self.parameters.items())
        self.oauth_params = []
        self.validator_log: dict[str, Any] = {}  # Any: what hooks note
        self._params = {**_NOTHING, **self.parameters}

    @property
    @override
    def duplicate_params(self) -> list[str]:
        """Return nothing: ``read_form`` refuses what is there twice."""
        return []


def read_form(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a form post (RFC 6749 §3.2).

    Raises:
        InvalidRequestFatalError: It isn't a form, or one that can't be read without guessing.
    """
    if request.content_type != _FORM and (request.content_type or request.body):
        raise errors.InvalidRequestFatalError(f"Send the parameters as {_FORM}.")
    if request.META.get("QUERY_STRING"):
        raise errors.InvalidRequestFatalError("Send the parameters in the body, not in the address.")
    if (request.encoding or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise errors.InvalidRequestFatalError("Send the parameters in UTF-8.")
    try:
        form = request.body.decode()  # where the bytes aren't UTF-8, Django would read them as Latin-1
        limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        received = parse_qsl(form, keep_blank_values=True, max_num_fields=limit)
    except (BadRequest, SuspiciousOperation, UnreadablePostError, ValueError) as error:
        raise errors.InvalidRequestFatalError("The form cannot be read.") from error
    return _choose(received)


def read_query(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of the address, as ``read_form`` those of a form.

    Raises:
        InvalidRequestFatalError: They can't be read without guessing.
    """
    return _choose((name, str(value)) for name, values in request.GET.lists() for value in values)


def _choose(received: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the known parameters; one without a value counts as left out (RFC 6749 §3.1).

    ``resource``, which may be there several times (RFC 8707 §2), comes as one text with spaces in between.

    Raises:
        InvalidRequestFatalError: One is there twice, or isn't text.
    """
    parameters: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in received:
        if name in seen and name not in _MAY_REPEAT:
            raise errors.InvalidRequestFatalError("A parameter is there more than once.")
        if _NO_TEXT.search(name) or _NO_TEXT.search(value):
            raise errors.InvalidRequestFatalError("A parameter has characters that are no text.")
        seen.add(name)
        if name in _KNOWN and value:
            parameters[name] = f"{parameters[name]} {value}" if name in parameters else value
    if "scope" in parameters:
        parameters["scope"] = " ".join(dict.fromkeys(parameters["scope"].split(" ")))
    return parameters
