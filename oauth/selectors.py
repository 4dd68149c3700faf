"""What other modules and apps may read of the authorization server."""

from datetime import datetime

from django.conf import settings

from accounts.exceptions import InvalidToken
from accounts.selectors import is_token_revoked
from accounts.tokens import read_access_token
from oauth.models import AccessToken, Application, RefreshToken
from oauth.tokens import hash_token

_INACTIVE: dict[str, object] = {"active": False}


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
