"""Codes and tokens: how they are given out and exchanged.

Exchanges run in one transaction that takes the old before it makes the new, so of any number of parallel requests
with one code or one refresh token exactly one gets tokens.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction
from oauth2_provider.models import set_token_value

from oauth.conf import get_settings
from oauth.models import AccessToken, Application, Grant, RefreshToken
from oauth.services.revocation import revoke_family
from oauth.tokens import Exchange, get_code_digests, hash_code, hash_token
from permissions import audit

_log = structlog.get_logger("gatehouse.oauth")


@transaction.atomic
def create_code(
    *,
    code: str,
    application: Application,
    user_id: UUID,
    redirect_uri: str,
    scopes: Iterable[str],
    code_challenge: str,
    now: datetime,
) -> Grant:
    """Store an authorization code, hashed, for an S256 challenge.

    Args:
        code: The code itself.
        application: Who asked.
        user_id: Who allowed it.
        redirect_uri: As it stood in the request; empty where the request left it out.
        scopes: What was allowed.
        code_challenge: RFC 7636 §4.2, method S256.
        now: Start of its short life.
    """
    grant = Grant.objects.create(
        code=hash_code(code),
        application=application,
        user_id=user_id,
        redirect_uri=redirect_uri,
        scope=" ".join(scopes),
        code_challenge=code_challenge,
        code_challenge_method=Grant.CODE_CHALLENGE_S256,
        expires=now + get_settings().code_lifetime,
    )
    client_id = application.client_id
    audit.record("consent.given", subject=application, client=client_id, user_id=user_id, scopes=grant.scope.split())
    return grant


def redeem_code(*, code: str, application: Application, started_at: datetime, now: datetime) -> Grant | None:
    """Consume a code, whoever brings it, and return it if it is good for that client (RFC 6749 §4.1.3).

    A second use ends everything that the first one gave (RFC 6749 §4.1.2), unless the two raced: then the loser is
    refused and nothing else happens.
    """
    same_code = Grant.objects.filter(code__in=get_code_digests(code))
    is_first = same_code.filter(consumed_at=None).update(consumed_at=now) == 1
    grant = same_code.select_related("user").first()
    if grant is None:
        return None
    if not is_first:
        if grant.consumed_at is not None and grant.consumed_at < started_at:
            _log.warning("authorization code used again", client_id=application.client_id, user_id=str(grant.user_id))
            audit.record("authorization_code.reused", subject=grant.user, client=application.client_id)
            revoke_family(token_family=grant.token_family, now=now)
        return None
    is_good = grant.application_id == application.pk and now < grant.expires and grant.user.is_active
    return grant if is_good else None


def void_code(*, grant: Grant, now: datetime) -> None:
    """Make a code useless that waits to be exchanged, and end what it gave if it was."""
    Grant.objects.filter(pk=grant.pk, consumed_at=None).update(consumed_at=now)
    revoke_family(token_family=grant.token_family, now=now)


def lock_refresh_token(
    *, token: str, application: Application, started_at: datetime, now: datetime
) -> RefreshToken | None:
    """Return a refresh token that is good for that client, locked until the end of the transaction (RFC 6749 §6).

    One that was exchanged or revoked before ends its whole family (RFC 9700 §4.14.2), unless two requests raced.
    """
    row = (
        RefreshToken.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(token_checksum=hash_token(token), application=application)
        .order_by("pk")
        .first()
    )
    if row is None:
        return None
    if row.revoked is not None:
        if row.revoked < started_at and row.token_family is not None:
            _log.warning("refresh token used again", client_id=application.client_id, user_id=str(row.user_id))
            audit.record("refresh_token.reused", subject=row.user, client=application.client_id)
            revoke_family(token_family=row.token_family, now=now)
        return None
    return row if now < row.expires and row.user.is_active else None


def store_token_pair(
    *, exchange: Exchange, application: Application, scope: str, access_token: str, refresh_token: str
) -> None:
    """Store what a code or a refresh token gives, hashed; an exchanged refresh token is dead from here on."""
    source = exchange.refresh_token or exchange.grant
    if source is None:
        message = "Only a code or a refresh token gives a refresh token."
        raise ValueError(message)
    if exchange.refresh_token is not None:
        exchange.refresh_token.revoked = exchange.issued_at
        exchange.refresh_token.save(update_fields=["revoked", "updated"])
    access = _build_access_token(exchange, application, scope, access_token)
    access.user, access.token_family = source.user, source.token_family
    access.source_refresh_token = exchange.refresh_token
    access.save()
    successor = RefreshToken(
        user=source.user,
        application=application,
        access_token=access,
        token_family=source.token_family,
        scope=source.scope,
        expires=exchange.issued_at + get_settings().refresh_token_lifetime,
    )
    set_token_value(successor, refresh_token)
    successor.save()


def store_access_token(*, exchange: Exchange, application: Application, scope: str, access_token: str) -> None:
    """Store what a client got for itself, hashed."""
    _build_access_token(exchange, application, scope, access_token).save()


def _build_access_token(exchange: Exchange, application: Application, scope: str, token: str) -> AccessToken:
    row = AccessToken(
        application=application,
        scope=scope,
        jti=exchange.jti,
        expires=exchange.issued_at + get_settings().access_token_lifetime,
    )
    set_token_value(row, token)
    return row
