"""Form posts of programs, read strictly, as oauthlib takes requests."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, QueryDict
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
        self.headers = CaseInsensitiveDict({"Authorization": request.headers.get("Authorization", "")})
        self.decoded_body = list(self.parameters.items())
        self.oauth_params = []
        self.validator_log: dict[str, Any] = {}  # Any: what hooks note
        self._params = {**_NOTHING, **self.parameters}


def read_form(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a form post (RFC 6749 §3.2).

    Raises:
        InvalidRequestFatalError: It isn't a form, or one that can't be read without guessing.
    """
    if request.content_type != _FORM and (request.content_type or request.body):
        raise errors.InvalidRequestFatalError(f"Send the parameters as {_FORM}.")
    if request.META.get("QUERY_STRING"):
        raise errors.InvalidRequestFatalError("Send the parameters in the body, not in the address.")
    try:
        request.body.decode()  # where the bytes aren't UTF-8, Django would read them as Latin-1
        return read_parameters(request.POST)
    except (BadRequest, SuspiciousOperation, UnicodeDecodeError) as error:
        raise errors.InvalidRequestFatalError("The form cannot be read.") from error


def read_parameters(received: QueryDict) -> dict[str, str]:
    """Return the known parameters; one without a value counts as left out (RFC 6749 §3.1).

    ``resource``, which may be there several times (RFC 8707 §2), comes as one text with spaces in between.

    Raises:
        InvalidRequestFatalError: One is there twice, or isn't text.
    """
    for name, values in received.lists():
        if len(values) > 1 and name not in _MAY_REPEAT:
            raise errors.InvalidRequestFatalError("A parameter is there more than once.")
        if any("\x00" in text or "\ufffd" in text for text in (name, *values)):
            raise errors.InvalidRequestFatalError("A parameter has characters that are no text.")
    parameters = {name: str(value) for name, value in received.items() if name in _KNOWN and value}
    if "resource" in parameters:
        parameters["resource"] = " ".join(filter(None, map(str, received.getlist("resource"))))
    if "scope" in parameters:
        parameters["scope"] = " ".join(dict.fromkeys(parameters["scope"].split(" ")))
    return parameters
