"""Every policy of the authorization server, one method per rule."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, override
from urllib.parse import unquote_plus

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from accounts.selectors import find_refresh_session
from oauth import services
from oauth.models import Application, GrantType
from oauth.scopes import PERSONAL, ClientScopes, choose_resources
from oauth.selectors import get_active_client
from oauth.services.devices import Poll, poll_device
from oauth.throttles import check_password
from oauth.tokens import get_exchange

_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # BASE64URL of a SHA-256 digest, RFC 7636 §4.2
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
#: What the authorization endpoint refuses by name instead of ignoring it: the client counts on the effect.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
#: The response mode of a form that the browser posts (OAuth 2.0 Form Post Response Mode).
FORM_POST: Final = "form_post"
#: Under which name an authorization request carries the person who allowed it.
PRESENCE: Final = "presence"


@dataclass(frozen=True, slots=True)
class _Credentials:
    client_id: str
    client_secret: str


class Validator(OAuth2Validator):
    """Django OAuth Toolkit's validator with the rules of the house."""

    # --- Who asks ----------------------------------------------------------------------------------------------------

    @override
    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Accept a client that is there and active."""
        if not isinstance(request.client, Application) or request.client.client_id != client_id:
            request.client = get_active_client(client_id=client_id)
        return request.client is not None

    @override
    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Ask for authentication from everybody but a public client that shows no credentials."""
        if _read_credentials(request) is not None or not self.validate_client_id(request.client_id or "", request):
            return True
        return get_client(request).client_type != Application.CLIENT_PUBLIC

    @override
    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Check the secret of a confidential client; a public one has none to show (RFC 6749 §2.3.1).

        Raises:
            InvalidRequestError: Two ways to authenticate in one request, or two different ids.
        """
        credentials = _read_credentials(request)
        if credentials is None or not credentials.client_secret:
            return False
        client = get_active_client(client_id=credentials.client_id)
        if client is None or client.client_type != Application.CLIENT_CONFIDENTIAL:
            return False
        request.client, request.client_id = client, client.client_id
        return services.check_client_secret(application=client, secret=credentials.client_secret, now=timezone.now())

    @override
    def authenticate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Accept a public client by its id alone."""
        if not self.validate_client_id(client_id or "", request):
            return False
        return get_client(request).client_type == Application.CLIENT_PUBLIC

    # --- What may be asked for ---------------------------------------------------------------------------------------

    @override
    def validate_grant_type(
        self, client_id: str, grant_type: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept the grant types that the client is registered for."""
        return get_client(request).allows_grant_type(grant_type)

    @override
    def validate_response_type(
        self, client_id: str, response_type: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept ``code``, from clients registered for it.

        Raises:
            UnsupportedResponseTypeError: It is anything else.
        """
        if response_type != "code":
            raise errors.UnsupportedResponseTypeError(request=request)
        return get_client(request).allows_grant_type(GrantType.AUTHORIZATION_CODE)

    def refuse_unsupported(self, request: Request) -> dict[str, object]:
        """Refuse parameters whose silent loss would change what the client meant.

        Of ``response_mode`` RFC 6749 knows ``query``, and OAuth 2.0 Form Post Response Mode the other.

        Raises:
            OAuth2Error: One of them is there.
        """
        for name, code in _UNSUPPORTED.items():
            if getattr(request, name, None):
                raise errors.CustomOAuth2Error(code, f"The parameter {name} is not supported.", request=request)
        if request.response_mode not in {None, "query", FORM_POST}:
            raise errors.InvalidRequestError("Use query or form_post as the response_mode.", request=request)
        return {}

    @override
    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Accept what the client is allowed; a person must be asked for something, and only a person is somebody."""
        is_own = request.grant_type == GrantType.CLIENT_CREDENTIALS
        if (not scopes and request.response_type) or (is_own and not PERSONAL.isdisjoint(scopes)):
            return False
        return set(scopes) <= set(ClientScopes().get_available_scopes(get_client(request)))

    @override
    def get_default_scopes(self, client_id: str, request: Request, *args: object, **kwargs: object) -> list[str]:
        """Return the default scopes that the client is allowed."""
        return ClientScopes().get_default_scopes(get_client(request))

    # --- PKCE --------------------------------------------------------------------------------------------------------

    @override
    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require PKCE of every client (RFC 9700 §2.1.1)."""
        return True

    def validate_code_challenge(self, request: Request) -> dict[str, object]:
        """Refuse a challenge that can't be one of S256 (RFC 7636 §4.2).

        Raises:
            InvalidRequestError: It has another length or other characters.
        """
        if not _CODE_CHALLENGE.fullmatch(str(request.code_challenge)):
            raise errors.InvalidRequestError("The code_challenge is not one of S256.", request=request)
        return {}

    @override
    def get_code_challenge(self, code: str, request: Request) -> str:
        """Return the challenge of the code in hand; nothing fits an empty one."""
        grant = get_exchange(request).grant
        return grant.code_challenge if grant is not None else ""

    @override
    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return the method of the code in hand."""
        grant = get_exchange(request).grant
        return grant.code_challenge_method if grant is not None else ""

    # --- Codes -------------------------------------------------------------------------------------------------------

    @override
    def save_authorization_code(
        self, client_id: str, code: Mapping[str, object], request: Request, *args: object, **kwargs: object
    ) -> None:
        """Store the code, hashed."""
        services.create_code(
            code=str(code["code"]),
            application=get_client(request),
            presence=_get_presence(request),
            asked=services.CodeRequest(
                redirect_uri="" if getattr(request, "using_default_redirect_uri", None) else str(request.redirect_uri),
                scopes=tuple(request.scopes or ()),
                resource=choose_audiences(request, granted=None) if request.resource else (),
                code_challenge=str(request.code_challenge),
                nonce=request.nonce or "",
                claims=request.claims or "",
            ),
            now=timezone.now(),
        )

    @override
    def validate_code(
        self, client_id: str, code: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Consume the code. From here on it is used up, whatever else is wrong with the request.

        Raises:
            InvalidRequestError: The verifier is missing or can't be one; then the code stays.
        """
        if not _CODE_VERIFIER.fullmatch(request.code_verifier or ""):
            raise errors.InvalidRequestError(
                "The code_verifier is missing, or not 43 to 128 unreserved characters.", request=request
            )
        exchange, application = get_exchange(request), get_client(request)
        grant = services.redeem_code(
            code=code, application=application, started_at=exchange.started_at, now=timezone.now()
        )
        if grant is None or not _is_same_redirect_uri(grant.redirect_uri, request.redirect_uri, application):
            return False
        request.user, request.scopes = grant.user, _get_remaining_scopes(grant.scope, application)
        exchange.grant, exchange.resource = grant, choose_audiences(request, granted=grant.resource)
        return bool(request.scopes)

    @override
    def get_default_redirect_uri(self, client_id: str, request: Request, *args: object, **kwargs: object) -> str:
        """Return the client's only redirect URI; with several the request must name one."""
        return _get_only_redirect_uri(get_client(request))

    @override
    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Agree: ``validate_code`` has compared them, and answers ``invalid_grant`` as RFC 6749 §5.2 asks."""
        return True

    @override
    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Do nothing: ``validate_code`` has consumed it."""

    # --- Devices and passwords ---------------------------------------------------------------------------------------

    def validate_device_code(self, client_id: str, code: str, request: Request) -> str | None:
        """Say where a device of this very client stands; it is given its tokens when it is exchanged."""
        application, exchange = get_client(request), get_exchange(request)
        found = poll_device(device_code=code, application=application, now=exchange.started_at)
        if found is None:
            return None
        answer, grant = found
        if answer is Poll.AUTHORIZED:
            request.user, request.scopes = grant.user, _get_remaining_scopes(grant.scope, application)
            exchange.device, exchange.resource = grant, choose_audiences(request, granted=grant.resource)
            return answer.value if request.scopes else None
        return answer.value

    @override
    def validate_user(
        self, username: str, password: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Check a password that a client was given, if that client may ask for them.

        Raises:
            UnauthorizedClientError: It may not; the password wasn't looked at.
        """
        if not get_client(request).allows_grant_type(GrantType.PASSWORD):
            raise errors.UnauthorizedClientError(request=request)
        request.user = check_password(email=username, password=password)
        return request.user is not None

    # --- Tokens ------------------------------------------------------------------------------------------------------

    @override
    def rotate_refresh_token(self, request: Request) -> bool:
        """Give a new refresh token with every exchange."""
        return True

    @override
    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept a refresh token of this very client; whether it still lives is decided when it is exchanged."""
        application = get_client(request)
        session = find_refresh_session(refresh_token=refresh_token, client_id=application.client_id)
        if session is None or not _get_remaining_scopes(session.scope, application):
            return False
        exchange, request.user = get_exchange(request), session.user
        exchange.session, exchange.resource = session, choose_audiences(request, granted=session.resource)
        return True

    @override
    def get_original_scopes(self, refresh_token: str, request: Request, *args: object, **kwargs: object) -> list[str]:
        """Return what was granted at the start, as far as the client is still allowed it."""
        session = get_exchange(request).session
        return _get_remaining_scopes(session.scope, get_client(request)) if session is not None else []

    @override
    def save_bearer_token(self, token: object, request: Request, *args: object, **kwargs: object) -> None:
        """Do nothing: what is to be stored was when the token was made."""

    @override
    def revoke_token(
        self, token: str, token_type_hint: str | None, request: Request, *args: object, **kwargs: object
    ) -> None:
        """End the client's own token; the hint isn't needed (RFC 7009 §2.1)."""
        services.revoke_token(token=token, application=get_client(request), now=timezone.now())

    @override
    def validate_bearer_token(self, token: str, scopes: list[str], request: Request) -> bool:
        """Refuse: the API reads access tokens with ``accounts.drf`` and nothing else does."""
        return False


def get_client(request: Request) -> Application:
    """Return the client that an earlier hook found.

    Raises:
        InvalidClientError: None did.
    """
    if not isinstance(request.client, Application):
        raise errors.InvalidClientError(request=request)
    return request.client


def choose_audiences(request: Request, *, granted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the audiences that a request is for (RFC 8707 §2); ``granted`` as for ``choose_resources``.

    Raises:
        CustomOAuth2Error: ``invalid_target``: one of them isn't the client's.
    """
    try:
        return choose_resources(str(request.resource or "").split(), granted=granted, client=get_client(request))
    except ValueError as error:
        description = "The client may not have a token for that resource."
        raise errors.CustomOAuth2Error("invalid_target", description, status_code=400, request=request) from error


def _get_presence(request: Request) -> services.Presence:
    """Return the person who is asked.

    Raises:
        AccessDeniedError: There is none.
    """
    presence = getattr(request, PRESENCE, None)
    if not isinstance(presence, services.Presence):
        raise errors.AccessDeniedError(request=request)
    return presence


def _read_credentials(request: Request) -> _Credentials | None:
    """Return how the client authenticates, None where it doesn't try.

    Raises:
        InvalidRequestError: It tries in two ways, or names two different ids (RFC 6749 §2.3).
        InvalidClientError: The header can't be read.
    """
    header = str(request.headers.get("Authorization", ""))
    if not header:
        if request.client_secret is None:
            return None
        return _Credentials(request.client_id or "", request.client_secret)
    if request.client_secret is not None:
        raise errors.InvalidRequestError("Authenticate in one way only: header or body.", request=request)
    credentials = _read_basic(header)
    if credentials is None:
        raise errors.InvalidClientError("The Authorization header cannot be read; use Basic.", request=request)
    if request.client_id and request.client_id != credentials.client_id:
        raise errors.InvalidRequestError("Header and body name different clients.", request=request)
    return credentials


def _read_basic(header: str) -> _Credentials | None:
    """Return what a Basic header says: both parts are form-encoded (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return _Credentials(unquote_plus(client_id), unquote_plus(secret)) if colon else None


def _is_same_redirect_uri(granted: str, given: str | None, client: Application) -> bool:
    """Compare with the authorization request; one that left it out means the client's only one (RFC 6749 §4.1.3)."""
    if granted:
        return granted == given
    return given is None or given == _get_only_redirect_uri(client)


def _get_only_redirect_uri(client: Application) -> str:
    """Return the redirect URI of a client that has just one, else nothing."""
    registered = client.redirect_uris.split()
    return registered[0] if len(registered) == 1 else ""


def _get_remaining_scopes(granted: str, client: Application) -> list[str]:
    available = ClientScopes().get_available_scopes(client)
    return [scope for scope in granted.split() if scope in available]
