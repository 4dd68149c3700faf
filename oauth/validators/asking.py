"""What a client may ask for: grant and response types, scopes, audiences, PKCE."""

import re
from collections.abc import Sequence
from typing import Final, override

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from oauth.models import GrantType
from oauth.scopes import PERSONAL, ClientScopes, choose_resources
from oauth.tokens import get_exchange
from oauth.validators.authentication import ClientAuthentication, get_client

_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # BASE64URL of a SHA-256 digest, RFC 7636 §4.2
#: What the authorization endpoint refuses by name instead of ignoring it: the client counts on the effect.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
#: What is named of refused scopes, and how many characters of them all.
_PLAIN_SCOPE: Final = re.compile(r"[a-z0-9_:-]{1,40}")
_MAX_NAMED: Final = 200
#: The response mode of a form that the browser posts (OAuth 2.0 Form Post Response Mode).
FORM_POST: Final = "form_post"


class RequestRules(ClientAuthentication):
    """Holds requests to what their client is registered for."""

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
        """Accept what the client is allowed; a person must be asked for something, and only a person is somebody.

        Raises:
            InvalidScopeError: It asks for something else; the description says for what.
        """
        if not scopes and request.response_type:
            raise errors.InvalidScopeError("Name a scope that a person can be asked for.", request=request)
        allowed = set(ClientScopes().get_available_scopes(get_client(request)))
        if request.grant_type == GrantType.CLIENT_CREDENTIALS:
            allowed -= PERSONAL
        if "" in scopes:
            raise errors.InvalidScopeError("Separate scopes by one space each.", request=request)
        if refused := sorted(set(scopes) - allowed):
            # A page of the house may show this, so it repeats no text of a stranger's choice.
            named = " ".join(scope for scope in refused if _PLAIN_SCOPE.fullmatch(scope))[:_MAX_NAMED]
            description = f"This client may not ask for {named or 'such a scope'} here."
            raise errors.InvalidScopeError(description, request=request)
        return True

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
