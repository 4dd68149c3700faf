"""How API requests are authenticated: by an access token of the house, and nothing else."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, override

import structlog
from django.conf import settings
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.conf import get_settings
from accounts.exceptions import InsufficientScope, InvalidToken, ReauthenticationRequired
from accounts.models import User
from accounts.opaque import read_bearer_token
from accounts.selectors import get_token_user, is_token_revoked
from accounts.services import require_recent_authentication
from accounts.tokens import FIRST_PARTY_CLIENT_ID, AccessClaims
from permissions.scopes import find_scopes

if TYPE_CHECKING:
    # At run time both would import this module, half made.
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.views import APIView

_PERSONAL: Final = (
    "A personal access token, made at `/accounts/tokens/`. It needs the scopes that `x-required-scopes` names, and its "
    "owner the right to do what is asked."
)
#: Where clients find out how to get a token (RFC 9728 §3.1).
RESOURCE_METADATA_PATH: Final = "/.well-known/oauth-protected-resource"
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class ClientPrincipal:
    """An OAuth client that acts for itself (RFC 6749 §4.4): known, and without any permission of its own."""

    client_id: str
    pk: ClassVar[None] = None
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Answer no: a client's rights are its token's scopes."""
        del perm, obj
        return False

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        """Answer no, unless nothing is asked for."""
        del obj
        return not perm_list


class BearerAuthentication(BaseAuthentication):
    """Authenticate by ``Authorization: Bearer`` with an access token, first-party or OAuth alike (RFC 6750 §2.1).

    A first-party token acts for its user in full. Any other one, of an OAuth client or a personal access token, is
    refused at each view that doesn't list, with ``permissions.drf.HasScopes`` among its ``permission_classes``, scopes
    which the token all holds. ``request.auth`` is the token's ``AccessClaims``.
    """

    @override
    def authenticate(self, request: Request) -> tuple[User | ClientPrincipal, AccessClaims] | None:
        """Return user and claims, or None where the request brings no bearer token.

        Raises:
            AuthenticationFailed: The token isn't valid, was revoked, or its user is gone or inactive.
            ScopeRefused: The token lacks a scope, or the view isn't open to OAuth at all.
        """
        raw = _get_bearer_token(request)
        if raw is None:
            return None
        try:
            claims = read_bearer_token(raw, now=timezone.now())
            principal = _get_principal(claims)
        except InvalidToken as error:
            _log.info("access token refused", detail=error.detail)
            raise exceptions.AuthenticationFailed(error.message, error.code) from error
        _check_scope(request, claims)
        return principal, claims

    @override
    def authenticate_header(self, request: Request) -> str:
        """Return the challenge; it names the error only where a token was sent (RFC 6750 §3.1)."""
        error = ', error="invalid_token"' if _get_bearer_token(request) else ""
        return f'Bearer realm="gatehouse"{error}, resource_metadata="{settings.BASE_URL}{RESOURCE_METADATA_PATH}"'


class IsUser(BasePermission):
    """Lets in users alone: not strangers, and not clients that act for themselves."""

    @override
    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Say whether a user asks."""
        return isinstance(request.user, User)


class IsRecent(BasePermission):
    """Lets in users alone who have shown a short while ago who they are; others are told how recent it must be."""

    @override
    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Say whether a user asks, with a token that says when that was.

        Raises:
            ReauthenticationChallenge: It is too long ago, or the token doesn't say.
        """
        claims = request.auth
        if not isinstance(claims, AccessClaims):
            return False
        try:
            require_recent_authentication(authenticated_at=claims.authenticated_at, now=timezone.now())
        except ReauthenticationRequired as error:
            raise ReauthenticationChallenge(error) from error
        return True


class ReauthenticationChallenge(exceptions.APIException):
    """The 401 of a token whose sign-in is too long ago, with the challenge of RFC 9470 §3."""

    def __init__(self, error: ReauthenticationRequired) -> None:
        """Take the refusal; the way out is a token from ``/auth/reauthenticate``."""
        super().__init__(error.message, error.code)
        self.status_code = error.status
        seconds = int(get_settings().reauthentication_age.total_seconds())
        self.auth_header = f'Bearer realm="gatehouse", error="{error.code}", max_age="{seconds}"'


class ScopeRefused(exceptions.PermissionDenied):
    """The 403 of a token that holds too few scopes, with the challenge that RFC 6750 §3.1 asks for."""

    default_code = InsufficientScope.code

    def __init__(self, missing: frozenset[str] | None) -> None:
        """Take what the token lacks; None says that no scope opens this view."""
        error = InsufficientScope(
            "This address is not open to OAuth clients."
            if missing is None
            else f"The access token lacks the scope: {', '.join(sorted(missing))}."
        )
        super().__init__(error.message, error.code)
        self.status_code = HTTPStatus.FORBIDDEN
        scope = f', scope="{" ".join(sorted(missing))}"' if missing else ""
        self.auth_header = f'Bearer realm="gatehouse", error="{error.code}"{scope}'


def _get_bearer_token(request: Request) -> str | None:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _get_principal(claims: AccessClaims) -> User | ClientPrincipal:
    if claims.subject != claims.client_id:
        return get_token_user(claims=claims)
    if is_token_revoked(claims=claims):
        raise InvalidToken(detail="revoked")
    return ClientPrincipal(claims.client_id)


def _check_scope(request: Request, claims: AccessClaims) -> None:
    """Refuse a token with scopes where those of the view don't let it in."""
    if claims.scope is None and claims.client_id == FIRST_PARTY_CLIENT_ID and claims.subject != claims.client_id:
        return
    required = find_scopes(request.parser_context.get("view"), request.method or "")
    missing = None if required is None else required - (claims.scope or frozenset())
    if missing is None or missing:
        raise ScopeRefused(missing)


class BearerScheme(OpenApiAuthenticationExtension):
    """Tell the schema that a token may come from sign-in, from an OAuth client, or from its owner's own hand."""

    target_class = BearerAuthentication
    name = ["bearer", "oauth2", "personalAccessToken"]

    @override
    def get_security_requirement(self, auto_schema: "AutoSchema") -> list[dict[str, list[str]]]:
        """Return what opens the operation: always a first-party token, and others where the view lists scopes."""
        scopes = find_scopes(auto_schema.view, auto_schema.method.upper())
        requirements: list[dict[str, list[str]]] = [{"bearer": []}]
        if scopes is not None:
            # OpenAPI 3.0 has no scopes for the last; the operation lists them as x-required-scopes.
            requirements += [{"oauth2": sorted(scopes)}, {"personalAccessToken": []}]
        return requirements

    @override
    def get_security_definition(self, auto_schema: "AutoSchema") -> list[dict[str, object]]:
        """Return the schemes, in the order of ``name``."""
        flow = {"authorizationUrl": "/oauth/authorize", "tokenUrl": "/oauth/token", "scopes": settings.OAUTH["SCOPES"]}
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token from `/auth/login`."},
            {"type": "oauth2", "flows": {"authorizationCode": flow}},
            {"type": "http", "scheme": "bearer", "bearerFormat": "gpat_…", "description": _PERSONAL},
        ]
