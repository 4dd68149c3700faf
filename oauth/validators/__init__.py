"""Every policy of the authorization server, one method per rule."""

import re
from collections.abc import Mapping
from typing import Final, override

from django.utils import timezone
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors
from oauthlib.openid.connect.core.exceptions import ConsentRequired

from accounts.selectors import find_refresh_session
from oauth import services
from oauth.models import Application, GrantType
from oauth.scopes import ClientScopes
from oauth.services.devices import Poll, poll_device
from oauth.throttles import check_password
from oauth.tokens import get_exchange
from oauth.validators.asking import FORM_POST, RequestRules, choose_audiences
from oauth.validators.authentication import get_client

__all__ = ["FORM_POST", "PRESENCE", "Validator", "choose_audiences", "get_client"]

_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
#: Under which name an authorization request carries the person who allowed it.
PRESENCE: Final = "presence"


class Validator(RequestRules):
    """Django OAuth Toolkit's validator with the rules of the house."""

    # --- Codes -------------------------------------------------------------------------------------------------------

    @override
    def save_authorization_code(
        self, client_id: str, code: Mapping[str, object], request: Request, *args: object, **kwargs: object
    ) -> None:
        """Store the code, hashed.

        Raises:
            ConsentRequired: The person doesn't allow that any more.
        """
        grant = services.create_code(
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
        if grant is None:
            raise ConsentRequired("The person has to be asked.", request=request)

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
    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept a redirect URI that the client has registered.

        Raises:
            MismatchingRedirectURIError: It hasn't.
        """
        if not get_client(request).redirect_uri_allowed(redirect_uri):
            description = "The redirect_uri is not among those that this client has registered."
            raise errors.MismatchingRedirectURIError(description, request=request)
        return True

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


def _get_presence(request: Request) -> services.Presence:
    """Return the person who is asked.

    Raises:
        AccessDeniedError: There is none.
    """
    presence = getattr(request, PRESENCE, None)
    if not isinstance(presence, services.Presence):
        raise errors.AccessDeniedError(request=request)
    return presence


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
