"""What other modules and apps may read of the authorization server."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts.exceptions import InvalidToken
from accounts.exports import Row
from accounts.selectors import is_token_revoked
from accounts.tokens import read_access_token
from oauth.models import AccessToken, Application, Grant, RefreshToken
from oauth.tokens import hash_token

_INACTIVE: dict[str, object] = {"active": False}
#: How many rows of an export are read at once.
_CHUNK: Final = 500
_OF_TOKEN: Final = ("application__client_id", "application__name", "scope", "created", "expires")


def get_active_client(*, client_id: str) -> Application | None:
    """Return the client of that id if it may be used at all."""
    if not client_id or "\x00" in client_id:
        return None
    return Application.objects.filter(client_id=client_id, is_active=True).first()


def get_client_id_by_name(*, name: str) -> str | None:
    """Return the id of the active client of that name, the oldest one if there are more."""
    clients = Application.objects.filter(name=name, is_active=True)
    return clients.order_by("created").values_list("client_id", flat=True).first()


def introspect_token(*, token: str, application: Application, now: datetime) -> dict[str, object]:
    """Return what an access or refresh token is worth right now, to the client that it was issued to (RFC 7662 §2.2).

    Anybody else's token, and anything that isn't a token, is inactive.
    """
    digest = hash_token(token)
    access = AccessToken.objects.select_related("user").filter(token_checksum=digest, application=application).first()
    if access is not None:
        return _introspect_access_token(token, access, now)
    refresh = (
        RefreshToken.objects.select_related("user")
        .filter(token_checksum=digest, application=application, revoked=None)
        .first()
    )
    return _INACTIVE if refresh is None else _introspect_refresh_token(refresh, application, now)


def list_own_clients(user_id: UUID) -> Iterable[Row]:
    """Return the clients that belong to a user, for their export."""
    clients = Application.objects.filter(user=user_id)
    return clients.values("client_id", "name", "redirect_uris", "created", "updated").order_by("pk").iterator(_CHUNK)


def list_own_codes(user_id: UUID) -> Iterable[Row]:
    """Return what a user has allowed to clients, as far as it is still stored, for their export."""
    columns = ("application__client_id", "application__name", "scope", "redirect_uri", "created", "expires")
    codes = Grant.objects.filter(user=user_id)
    rows: Iterable[Row] = codes.values(*columns, "consumed_at").order_by("pk").iterator(_CHUNK)
    return rows


def list_own_access_tokens(user_id: UUID) -> Iterable[Row]:
    """Return which access tokens clients were given for a user, but not the tokens, for their export."""
    tokens = AccessToken.objects.filter(user=user_id)
    rows: Iterable[Row] = tokens.values(*_OF_TOKEN).order_by("pk").iterator(_CHUNK)
    return rows


def list_own_refresh_tokens(user_id: UUID) -> Iterable[Row]:
    """Return which refresh tokens clients were given for a user, but not the tokens, for their export."""
    tokens = RefreshToken.objects.filter(user=user_id)
    rows: Iterable[Row] = tokens.values(*_OF_TOKEN, "revoked").order_by("pk").iterator(_CHUNK)
    return rows


def _introspect_access_token(token: str, row: AccessToken, now: datetime) -> dict[str, object]:
    try:
        claims = read_access_token(token, now=now)
    except InvalidToken:
        return _INACTIVE
    if (row.user and not row.user.is_active) or is_token_revoked(claims=claims):
        return _INACTIVE
    answer: dict[str, object] = {
        "active": True,
        "token_type": "Bearer",
        "client_id": claims.client_id,
        "sub": claims.subject,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "iss": settings.BASE_URL,
        "aud": settings.BASE_URL,
        "jti": claims.jti,
    }
    if claims.scope:
        answer["scope"] = row.scope
    if row.user:
        answer["username"] = row.user.get_username()
    return answer


def _introspect_refresh_token(row: RefreshToken, application: Application, now: datetime) -> dict[str, object]:
    if row.expires <= now or not row.user.is_active:
        return _INACTIVE
    return {
        "active": True,
        "scope": row.scope,
        "client_id": application.client_id,
        "username": row.user.get_username(),
        "sub": str(row.user.pk),
        "iat": int(row.created.timestamp()),
        "exp": int(row.expires.timestamp()),
        "iss": settings.BASE_URL,
        "aud": settings.BASE_URL,
    }
