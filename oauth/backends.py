"""The toolkit's core and oauthlib's server, cut down to what the house supports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, override

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, QueryDict
from oauth2_provider.oauth2_backends import OAuthLibCore, get_oauthlib_core
from oauthlib.common import Request, add_params_to_uri, urlencode
from oauthlib.oauth2.rfc6749 import errors, grant_types
from oauthlib.oauth2.rfc6749.endpoints import AuthorizationEndpoint, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256
from oauthlib.oauth2.rfc6749.tokens import BearerToken, TokenBase

from oauth.models import Application
from oauth.tokens import begin_exchange
from oauth.validators import Validator

#: Parameters that mean something here; every other one is ignored (RFC 6749 §3.1, §3.2). Nothing else gets through to
#: oauthlib, which would take any name for an attribute of its request.
_KNOWN = frozenset(
    {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "response_mode"),
        *("code_challenge", "code_challenge_method", "request", "request_uri", "registration"),
        *("grant_type", "code", "code_verifier", "refresh_token", "client_secret", "token", "token_type_hint"),
    }
)
_MAY_REPEAT = frozenset({"resource", "audience"})
_FORM = "application/x-www-form-urlencoded"

type TokenAnswer = tuple[dict[str, str], str, int | None]


class _OneTransaction(grant_types.base.GrantTypeBase):
    """An exchange that happens as a whole: the old is used up and the new is there, or neither."""

    @override
    def create_token_response(self, request: Request, token_handler: TokenBase) -> TokenAnswer:
        """Note the time before any lock is waited for, then run in one transaction.

        A refusal commits too: a code stays used up and a family stays revoked.
        """
        begin_exchange(request)
        with transaction.atomic():
            headers, body, status = super().create_token_response(request, token_handler)
        return headers, body or "", status


class CodeGrant(_OneTransaction, grant_types.AuthorizationCodeGrant):
    """Authorization code with PKCE, S256 only."""

    _code_challenge_methods = {"S256": code_challenge_method_s256}


class RefreshGrant(_OneTransaction, grant_types.RefreshTokenGrant):
    """Refresh token."""


class ClientCredentialsGrant(_OneTransaction, grant_types.ClientCredentialsGrant):
    """Client credentials."""


class Server(AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint):
    """The endpoints and grants of the house. The password and implicit grants are not built in at all."""

    def __init__(
        self,
        request_validator: Validator,
        token_expires_in: int | None = None,
        token_generator: Callable[[Request], str] | None = None,
        refresh_token_generator: Callable[[Request], str] | None = None,
        **_: object,
    ) -> None:
        """Take what the toolkit reads from the settings."""
        code = CodeGrant(
            request_validator,
            pre_auth=[request_validator.refuse_unsupported],
            post_auth=[request_validator.validate_code_challenge],
        )
        bearer: Any = BearerToken(  # Any: the stubs take a token handler for its name
            request_validator, token_generator, token_expires_in, refresh_token_generator
        )
        AuthorizationEndpoint.__init__(
            self, default_response_type="code", response_types={"code": code}, default_token_type=bearer
        )
        TokenEndpoint.__init__(
            self,
            default_grant_type="authorization_code",
            grant_types={
                "authorization_code": code,
                "refresh_token": RefreshGrant(request_validator),
                "client_credentials": ClientCredentialsGrant(request_validator),
            },
            default_token_type=bearer,
        )
        RevocationEndpoint.__init__(self, request_validator)

    @override
    def validate_token_request(self, request: Request) -> None:
        """Refuse what no grant type handles.

        Raises:
            OAuth2Error: The method, the address or the grant type is wrong.
        """
        super().validate_token_request(request)
        if not request.grant_type:
            raise errors.InvalidRequestError("The grant_type is missing.", request=request)
        if request.grant_type not in self.grant_types:
            raise errors.UnsupportedGrantTypeError(request=request)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid authorization request, and what follows from it.

    Attributes:
        parameters: As the client sent them.
        application: Who asks.
        scopes: What for; the default ones where it names none.
        redirect_uri: Where the answer goes.
    """

    parameters: Mapping[str, str]
    application: Application
    scopes: list[str]
    redirect_uri: str

    @property
    def state(self) -> str | None:
        """Return what the client wants to see again."""
        return self.parameters.get("state")


class Backend(OAuthLibCore):
    """Reads requests strictly and hands them to oauthlib."""

    server: Server

    @override
    def _extract_params(self, request: HttpRequest) -> tuple[str, str, str, dict[str, str]]:
        """Return address, method, body and headers of a form post, checked.

        Raises:
            OAuth2Error: The request isn't a plain form with each parameter once.
        """
        headers = {"Authorization": request.headers.get("Authorization", "")}
        return request.path, str(request.method), urlencode(read_form(request).items()), headers

    def authenticate(self, request: HttpRequest) -> tuple[Application, dict[str, str]]:
        """Return the confidential client that sends the form, and the form.

        Raises:
            OAuth2Error: The form can't be read, or the client isn't known by it.
        """
        uri, _, body, headers = self._extract_params(request)
        asked = Request(uri, "POST", body, headers)
        if not self.server.request_validator.authenticate_client(asked) or not isinstance(asked.client, Application):
            raise errors.InvalidClientError(request=asked)
        return asked.client, dict(asked.decoded_body or [])

    def exchange(self, request: HttpRequest) -> tuple[str, int]:
        """Return body and status of the answer to a token request.

        Raises:
            OAuth2Error: The request is refused before a grant type looks at it.
        """
        uri, _, body, headers = self._extract_params(request)
        _, answer, status = self.server.create_token_response(uri, "POST", body, headers)
        return answer, status

    def revoke(self, request: HttpRequest) -> tuple[str, int]:
        """Return body and status of the answer to a revocation request.

        Raises:
            OAuth2Error: The request can't be read.
        """
        uri, _, body, headers = self._extract_params(request)
        _, answer, status = self.server.create_revocation_response(uri, "POST", body, headers)
        return answer, status

    def read_authorization(self, parameters: Mapping[str, str]) -> AuthorizationRequest:
        """Check an authorization request.

        Raises:
            FatalClientError: Client or redirect URI are not to be trusted; nobody may be sent there.
            OAuth2Error: The client is to be told, at its redirect URI.
        """
        scopes, details = self.server.validate_authorization_request(f"?{urlencode(parameters.items())}")
        asked: Request = details["request"]
        if not isinstance(asked.client, Application):
            raise errors.InvalidClientIdError(request=asked)
        return AuthorizationRequest(parameters, asked.client, scopes, str(asked.redirect_uri))

    def allow(self, asked: AuthorizationRequest, *, user: object) -> str:
        """Make a code for what was asked and return the address that carries it to the client.

        Raises:
            OAuth2Error: The request isn't valid any more.
        """
        headers, _, _ = self.server.create_authorization_response(
            f"?{urlencode(asked.parameters.items())}",
            scopes=asked.scopes,
            credentials={"user": user},
        )
        return add_issuer(str(headers["Location"]))


@cache
def get_backend() -> Backend:
    """Return the backend that the settings name; it keeps no state between requests."""
    backend: Backend = get_oauthlib_core()
    return backend


def add_issuer(uri: str) -> str:
    """Return an authorization response with the name of the server that gives it (RFC 9207 §2)."""
    return add_params_to_uri(uri, [("iss", settings.BASE_URL)])


def read_form(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a form post (RFC 6749 §3.2).

    Raises:
        InvalidRequestFatalError: It isn't a form, or one that can't be read without guessing.
    """
    if request.content_type != _FORM:
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

    Raises:
        InvalidRequestFatalError: One is there twice, or isn't text.
    """
    for name, values in received.lists():
        if len(values) > 1 and name not in _MAY_REPEAT:
            raise errors.InvalidRequestFatalError("A parameter is there more than once.")
        if any("\x00" in text or "\ufffd" in text for text in (name, *values)):
            raise errors.InvalidRequestFatalError("A parameter has characters that are no text.")
    parameters = {name: str(value) for name, value in received.items() if name in _KNOWN and value}
    if "scope" in parameters:
        parameters["scope"] = " ".join(dict.fromkeys(parameters["scope"].split(" ")))
    return parameters
