"""The end of codes and tokens. An access token ends when its row is deleted; ``oauth.receivers`` sees to that."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet

from accounts.tokens import revoke_access_tokens
from oauth.conf import get_settings
from oauth.models import AccessToken, Application, Grant, RefreshToken
from oauth.tokens import hash_token
from permissions import audit


@transaction.atomic
def revoke_family(*, token_family: UUID, now: datetime) -> None:
    """End every refresh and access token that one authorization gave. Idempotent."""
    ended = _end_refresh_tokens(RefreshToken.objects.filter(token_family=token_family), now)
    deleted, _ = AccessToken.objects.filter(token_family=token_family).delete()
    grant = Grant.objects.filter(token_family=token_family).select_related("application").first()
    if grant is not None and ended + deleted:
        application = grant.application
        audit.record("consent.revoked", subject=application, client=application.client_id, user_id=grant.user_id)


def revoke_access_token(*, access_token: AccessToken, now: datetime) -> None:
    """End an access token and the family that it belongs to (RFC 7009 §2.1)."""
    if access_token.token_family is not None:
        revoke_family(token_family=access_token.token_family, now=now)
    else:
        access_token.delete()


def revoke_token(*, token: str, application: Application, now: datetime) -> None:
    """End the client's own access or refresh token, with all of its family; anything else changes nothing."""
    digest = hash_token(token)
    access = AccessToken.objects.filter(token_checksum=digest, application=application).first()
    if access is not None:
        revoke_access_token(access_token=access, now=now)
        return
    families = RefreshToken.objects.filter(token_checksum=digest, application=application, token_family__isnull=False)
    for token_family in families.values_list("token_family", flat=True):
        if token_family is not None:
            revoke_family(token_family=token_family, now=now)


@transaction.atomic
def revoke_client(*, application: Application, now: datetime) -> None:
    """End every code and token of a client, for good. Tokens that it gets later are not concerned."""
    kill_client_tokens(client_id=application.client_id, now=now)
    Grant.objects.filter(application=application, consumed_at=None).update(consumed_at=now)
    _end_refresh_tokens(RefreshToken.objects.filter(application=application), now)
    AccessToken.objects.filter(application=application).delete()
    audit.record("client.revoked", subject=application)


@transaction.atomic
def revoke_lost_scopes(*, application: Application, now: datetime) -> None:
    """End the codes and access tokens that hold a scope which their client is not allowed any more.

    Refresh tokens stay: they give what is left of their scope.
    """
    codes = Grant.objects.filter(application=application, consumed_at=None)
    codes.filter(scope__in=_find_lost_scopes(codes, application)).update(consumed_at=now)
    tokens = AccessToken.objects.filter(application=application)
    tokens.filter(scope__in=_find_lost_scopes(tokens, application)).delete()


@transaction.atomic
def revoke_user(*, user_id: UUID, now: datetime) -> None:
    """End every code and token that acts for a user, for good."""
    ended = Grant.objects.filter(user_id=user_id, consumed_at=None).update(consumed_at=now)
    ended += _end_refresh_tokens(RefreshToken.objects.filter(user_id=user_id), now)
    deleted, _ = AccessToken.objects.filter(user_id=user_id).delete()
    if ended + deleted:
        audit.record("user.consents_revoked", subject=audit.Reference.to(get_user_model(), user_id))


def kill_client_tokens(*, client_id: str, now: datetime) -> None:
    """Kill the access tokens that a client has, wherever they are."""
    lifetime = get_settings().access_token_lifetime
    revoke_access_tokens(kind="client", subject=client_id, now=now, expires_at=now + lifetime)


def kill_token(*, access_token: AccessToken, now: datetime) -> None:
    """Kill the JWT of a row that is going away, unless it has expired anyway."""
    if access_token.expires > now:
        subject = str(access_token.jti)
        revoke_access_tokens(kind="jti", subject=subject, now=now, expires_at=access_token.expires)


def _end_refresh_tokens(tokens: QuerySet[RefreshToken], now: datetime) -> int:
    """Revoke those that live; return how many."""
    living, ended = tokens.filter(revoked=None), 0
    # An exchange in flight holds the lock of a living row. When it lets go, a new row lives that the statement which
    # waited for it can't see; so look again until none is left.
    while living.exists():
        ended += living.update(revoked=now, updated=now)
    return ended


def _find_lost_scopes(rows: "QuerySet[Grant] | QuerySet[AccessToken]", application: Application) -> list[str]:
    """Return the scope strings among the rows that hold more than the client is allowed."""
    allowed = set(application.allowed_scopes)
    scopes = rows.order_by().values_list("scope", flat=True).distinct()
    return [scope for scope in scopes if not allowed.issuperset(scope.split())]
