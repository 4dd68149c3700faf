"""The toolkit's core and oauthlib's server, cut down to what the house supports."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any, override

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore, get_oauthlib_core
from oauthlib.common import Request, urlencode
from oauthlib.oauth2.rfc6749 import errors, grant_types
from oauthlib.oauth2.rfc6749.endpoints import AuthorizationEndpoint, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256
from oauthlib.oauth2.rfc6749.tokens import BearerToken, OAuth2Token, TokenBase
from oauthlib.oauth2.rfc6749.utils import scope_to_list
from oauthlib.oauth2.rfc8628.grant_types import device_code

from accounts.exceptions import InvalidRefreshToken
from accounts.services import Access, Device
from oauth import services
from oauth.authorization import AuthorizationRequest, AuthorizationResponse, read_interaction
from oauth.conf import get_settings
from oauth.exceptions import ClientDoesNotExist
from oauth.form_requests import FormRequest, read_form
from oauth.models import Application, DeviceGrant, GrantType
from oauth.services.devices import StartedDevice, issue_for_device, start_device
from oauth.services.passwords import issue_for_password
from oauth.tokens import begin_exchange, get_exchange
from oauth.validators import PRESENCE, Validator, choose_audiences, get_client
from project.current_request import get_client_ip, get_current_request

type TokenAnswer = tuple[dict[str, str], str, int | None]


class TokenHandler(BearerToken):
    """Makes the answer to a request that was granted (RFC 6749 §5.1)."""

    @override
    def create_token(self, request: Request, refresh_token: bool = False, **kwargs: object) -> OAuth2Token:
        """Issue what the exchange is worth.

        Raises:
            InvalidGrantError: The refresh token is dead, or somebody else was faster.
        """
        issued = _issue(request)
        answer: dict[str, object] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": int(issued.expires_in.total_seconds()),
            "scope": " ".join(issued.scope),
            "refresh_token": issued.refresh_token,
            "id_token": issued.id_token,
        }
        # An empty scope is left out (RFC 6749 §3.3), and what wasn't issued.
        return OAuth2Token({name: value for name, value in answer.items() if value != ""})


class _Timed(grant_types.base.GrantTypeBase):
    """An exchange that knows when it was asked for."""

    @override
    def create_token_response(self, request: Request, token_handler: TokenBase) -> TokenAnswer:
        """Note the time before any lock is waited for."""
        begin_exchange(request)
        headers, body, status = super().create_token_response(request, token_handler)
        return headers, body or "", status


class CodeGrant(_Timed, grant_types.AuthorizationCodeGrant):
    """Authorization code with PKCE, S256 only."""

    _code_challenge_methods = {"S256": code_challenge_method_s256}

    @override
    def validate_authorization_request(self, request: Request) -> Any:  # Any: as oauthlib's stubs have it
        """Check as oauthlib does, and say which PKCE there is.

        Raises:
            OAuth2Error: The client is to be told.
        """
        try:
            return super().validate_authorization_request(request)
        except (errors.MissingCodeChallengeError, errors.UnsupportedCodeChallengeMethodError) as error:
            description = "Send a code_challenge, with S256 as its method (PKCE)."
            raise errors.InvalidRequestError(description, request=request) from error

    @override
    def create_token_response(self, request: Request, token_handler: TokenBase) -> TokenAnswer:
        """Exchange as a whole: the code is used up and the tokens are there, or neither.

        A refusal commits too: the code stays used up.
        """
        with transaction.atomic():
            return super().create_token_response(request, token_handler)


class RefreshGrant(_Timed, grant_types.RefreshTokenGrant):
    """Refresh token."""


class ClientCredentialsGrant(_Timed, grant_types.ClientCredentialsGrant):
    """Client credentials."""


class DeviceCodeGrant(_Timed, device_code.DeviceCodeGrant):  # type: ignore[misc]  # oauthlib takes its handler for a function
    """Device code: its answer to a device that waits is one of RFC 8628 §3.5."""


class PasswordGrant(_Timed, grant_types.ResourceOwnerPasswordCredentialsGrant):
    """A person's password, for old programs, where the house allows it at all."""


class Server(AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint):
    """The endpoints and grants of the house. The implicit grant is not built in at all."""

    def __init__(
        self,
        request_validator: Validator,
        **_: object,
    ) -> None:
        """Take what the toolkit reads from the settings."""
        code = CodeGrant(
            request_validator,
            pre_auth=[request_validator.refuse_unsupported],
            post_auth=[request_validator.validate_code_challenge, read_interaction],
        )
        bearer: Any = TokenHandler(request_validator)  # Any: the stubs take a token handler for its name
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
                GrantType.DEVICE_CODE.value: DeviceCodeGrant(request_validator),
                "password": PasswordGrant(request_validator),
            },
            default_token_type=bearer,
        )
        RevocationEndpoint.__init__(self, request_validator)

    def list_grant_types(self) -> list[str]:
        """Return the grant types that this house allows."""
        allows_passwords = get_settings().allows_password_grant
        return [name for name in self.grant_types if name != GrantType.PASSWORD or allows_passwords]

    def answer(self, request: Request) -> TokenAnswer:
        """Answer a token request: headers, body and status.

        Raises:
            OAuth2Error: The request is refused before a grant type looks at it.
        """
        self.validate_token_request(request)
        request.scopes = scope_to_list(request.scope)
        handler = self.grant_types[str(request.grant_type)]
        answer: TokenAnswer = handler.create_token_response(request, self.default_token_type)
        return answer

    @override
    def validate_token_request(self, request: Request) -> None:
        """Refuse what no grant type handles.

        Raises:
            OAuth2Error: The method, the address or the grant type is wrong.
        """
        super().validate_token_request(request)
        if not request.grant_type:
            raise errors.InvalidRequestError("The grant_type is missing.", request=request)
        if request.grant_type not in (known := self.list_grant_types()):
            raise errors.UnsupportedGrantTypeError(f"The grant_type is none of {', '.join(known)}.", request=request)


def _issue(request: Request) -> services.Issued:
    """Issue what a granted request is worth: to a person's client, or to a client for itself."""
    exchange, application = get_exchange(request), get_client(request)
    now = exchange.started_at  # what ends a client's tokens ends those of requests that were under way, too
    if exchange.session is not None:
        try:
            return services.issue_for_refresh(
                application=application,
                refresh_token=str(request.refresh_token),
                scopes=request.scopes or (),
                resource=exchange.resource,
                started_at=exchange.started_at,
                now=now,
            )
        except InvalidRefreshToken as error:
            raise errors.InvalidGrantError(request=request) from error
    if exchange.grant is not None:
        grant = exchange.grant
        access = Access(
            user_id=grant.user_id,
            client_id=application.client_id,
            scope=tuple(request.scopes or ()),
            resource=tuple(grant.resource),
            authenticated_at=grant.authenticated_at,
            amr=tuple(grant.amr.split()),
            opened_in=grant.opened_in_id,
            claims=grant.claims,
        )
        return services.issue_for_person(
            application=application,
            access=access,
            device=_get_device(),
            session_id=grant.session_id,
            resource=exchange.resource,
            asked=services.Asked(nonce=grant.nonce, code=str(request.code)),
            now=now,
        )
    if exchange.device is not None:
        return _issue_for_device(request, exchange.device)
    if isinstance(request.user, AbstractBaseUser):
        return _issue_for_password(request, request.user)
    return services.issue_for_client(
        application=application, scopes=request.scopes or (), resource=choose_audiences(request, granted=None), now=now
    )


def _issue_for_device(request: Request, grant: DeviceGrant) -> services.Issued:
    exchange = get_exchange(request)
    issued = issue_for_device(
        application=get_client(request),
        grant=grant,
        scopes=request.scopes or (),
        resource=exchange.resource,
        device=_get_device(),
        now=exchange.started_at,
    )
    if issued is None:
        raise errors.InvalidGrantError(request=request)
    return issued


def _issue_for_password(request: Request, user: AbstractBaseUser) -> services.Issued:
    issued = issue_for_password(
        application=get_client(request),
        user=user,
        scopes=request.scopes or (),
        resource=choose_audiences(request, granted=None),
        device=_get_device(),
        now=get_exchange(request).started_at,
    )
    if issued is None:
        raise errors.InvalidGrantError(request=request)
    return issued


def _get_device() -> Device:
    request = get_current_request()
    if request is None:
        return Device()
    return Device(get_client_ip(request), request.headers.get("User-Agent", ""))


class Backend(OAuthLibCore):
    """Reads requests strictly and hands them to oauthlib."""

    server: Server

    def authenticate(self, request: HttpRequest) -> tuple[Application, dict[str, str]]:
        """Return the confidential client that sends the form, and the form.

        Raises:
            OAuth2Error: The form can't be read, or the client isn't known by it.
        """
        asked = FormRequest(request)
        if not self.server.request_validator.authenticate_client(asked) or not isinstance(asked.client, Application):
            raise errors.InvalidClientError(request=asked)
        return asked.client, asked.parameters

    def start_device(self, request: HttpRequest, *, now: datetime) -> StartedDevice:
        """Let the device that sends the form wait for its user (RFC 8628 §3.1).

        Raises:
            OAuth2Error: The form can't be read, the client isn't known by it, or may not ask for that.
        """
        asked, grant = FormRequest(request), self.server.grant_types[GrantType.DEVICE_CODE]
        grant.validate_client_authentication(asked)
        asked.grant_type = GrantType.DEVICE_CODE
        grant.validate_grant_type(asked)
        grant.validate_scopes(asked)
        if not asked.scopes:
            raise errors.InvalidScopeError("Name a scope that a person can be asked for.", request=asked)
        try:
            return start_device(
                application=get_client(asked),
                scopes=asked.scopes,
                resource=choose_audiences(asked, granted=None) if asked.resource else (),
                ip_address=get_client_ip(request),
                now=now,
            )
        except ClientDoesNotExist as error:  # deleted since it was authenticated
            raise errors.InvalidClientError(request=asked) from error

    def exchange(self, request: HttpRequest) -> tuple[str, int]:
        """Return body and status of the answer to a token request.

        Raises:
            OAuth2Error: The request is refused before a grant type looks at it.
        """
        _, answer, status = self.server.answer(FormRequest(request))
        return answer, status or HTTPStatus.OK

    def revoke(self, request: HttpRequest) -> tuple[str, int]:
        """Return body and status of the answer to a revocation request.

        Raises:
            OAuth2Error: The request can't be read.
        """
        headers = {"Authorization": request.headers.get("Authorization", "")}
        body = urlencode(read_form(request).items())
        _, answer, status = self.server.create_revocation_response(request.path, "POST", body, headers)
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
        return AuthorizationRequest(
            parameters=parameters,
            application=asked.client,
            scopes=scopes,
            resource=details["resource"],
            redirect_uri=str(asked.redirect_uri),
            interaction=details["interaction"],
        )

    def allow(self, asked: AuthorizationRequest, *, presence: services.Presence) -> AuthorizationResponse:
        """Make a code for what was asked and return the response that carries it to the client.

        Raises:
            OAuth2Error: The request isn't valid any more.
        """
        headers, _, _ = self.server.create_authorization_response(
            f"?{urlencode(asked.parameters.items())}",
            scopes=asked.scopes,
            credentials={PRESENCE: presence},
        )
        return asked.answer(str(headers["Location"]))


@cache
def get_backend() -> Backend:
    """Return the backend that the settings name; it keeps no state between requests."""
    backend: Backend = get_oauthlib_core()
    return backend
