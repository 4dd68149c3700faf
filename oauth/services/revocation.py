"""The end of codes, tokens and what clients may do."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet

from accounts.exceptions import InvalidToken
from accounts.selectors import find_refresh_session, is_token_revoked
from accounts.services import (
    EndReason,
    disable_client,
    end_client_session,
    end_client_sessions,
    kill_client_tokens,
)
from accounts.tokens import read_access_token, revoke_access_tokens
from oauth.conf import get_settings
from oauth.exceptions import ConnectionDoesNotExist, PersonalTokenDoesNotExist
from oauth.models import AccessToken, Application, Consent, DeviceGrant, Grant, PersonalAccessToken
from oauth.selectors import list_connected_clients, list_personal_tokens
from oauth.services.codes import hold_person
from oauth.tokens import OPAQUE_PREFIX, get_opaque_digests
from permissions import audit


def revoke_token(*, token: str, application: Application, now: datetime) -> None:
    """End the client's own access or refresh token (RFC 7009 §2.1); anything else changes nothing.

    A token that a person's consent gave takes all that followed from the same consent with it.
    """
    if token.startswith(OPAQUE_PREFIX):
        _revoke_opaque_token(token, application, now)
        return
    try:
        claims = read_access_token(token, now=now, is_for_us=False)
    except InvalidToken:
        _revoke_refresh_token(token, application, now)
        return
    if claims.client_id != application.client_id:
        return
    if claims.session_id is not None:
        end_client_session(session_id=claims.session_id, reason=EndReason.ENDED_BY_CLIENT, now=now)
    elif not is_token_revoked(claims=claims):
        revoke_access_tokens(kind="jti", subject=claims.jti, now=now, expires_at=claims.expires_at)
        _record_token(application, claims.jti)


def revoke_opaque_token(*, access_token: AccessToken, now: datetime) -> None:
    """End an opaque access token, and the client's session that it belongs to."""
    if access_token.session_id is not None:
        end_client_session(session_id=access_token.session_id, reason=EndReason.ENDED_BY_ADMIN, now=now)
    elif access_token.application is not None:
        _record_token(access_token.application, access_token.jti)
    access_token.delete()


@transaction.atomic
def revoke_consent(*, consent: Consent, now: datetime) -> None:
    """Forget that a person lets a client act for them, and end all that followed from it, at once."""
    application = consent.application
    end_consent(user_id=consent.user_id, application=application, now=now)
    consent.delete()


@transaction.atomic
def revoke_connection(*, user_id: UUID, client_id: str, now: datetime) -> None:
    """End whatever a client may do for a person, whether or not they were ever asked, at their own wish.

    Raises:
        ConnectionDoesNotExist: It may do nothing.
    """
    application = list_connected_clients(user_id=user_id, now=now).filter(client_id=client_id).first()
    if application is None:
        raise ConnectionDoesNotExist
    end_consent(user_id=user_id, application=application, now=now)
    Consent.objects.filter(user_id=user_id, application=application).delete()


@transaction.atomic
def revoke_own_token(*, user_id: UUID, token_id: UUID, now: datetime) -> None:
    """Let one of a person's own personal access tokens work no longer, at once.

    Raises:
        PersonalTokenDoesNotExist: There is none such, or it was revoked.
    """
    token = list_personal_tokens(user_id=user_id).filter(pk=token_id).select_related("user").first()
    if token is None:
        raise PersonalTokenDoesNotExist
    end_personal_token(token=token, now=now)


@transaction.atomic
def end_consent(*, user_id: UUID, application: Application, now: datetime) -> None:
    """End every code and token that a client has for a person, who is locked first, as where they are given."""
    hold_person(user_id)
    Grant.objects.filter(user_id=user_id, application=application, consumed_at=None).update(consumed_at=now)
    _deny_devices(DeviceGrant.objects.filter(user_id=user_id, application=application))
    ended = end_client_sessions(
        user_id=user_id, client_id=application.client_id, reason=EndReason.CONSENT_REVOKED, now=now
    )
    audit.record("consent.revoked", subject=application, client=application.client_id, user_id=user_id, sessions=ended)


@transaction.atomic
def deny_waiting_device(*, device: DeviceGrant) -> None:
    """Let a device wait no longer for its person; one that has its tokens is left alone."""
    if _deny_devices(DeviceGrant.objects.filter(pk=device.pk)):
        audit.record("device.revoked", subject=device.application, user_id=device.user_id)


@transaction.atomic
def end_personal_token(*, token: PersonalAccessToken, now: datetime) -> None:
    """Let a personal access token work no longer, at once; idempotent."""
    if PersonalAccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        audit.record("personal_token.revoked", subject=token.user, token_id=token.pk, name=token.name)


@transaction.atomic
def end_personal_tokens(*, user_id: UUID, now: datetime) -> None:
    """Let none of a person's personal access tokens work any longer, at once."""
    if PersonalAccessToken.objects.filter(user_id=user_id, revoked_at=None).update(revoked_at=now):
        audit.record("user.consents_revoked", subject=audit.Reference.to(get_user_model(), user_id))


@transaction.atomic
def revoke_client(*, application: Application, now: datetime) -> None:
    """End every code and token of a client, for good. Tokens that it gets later are not concerned."""
    lifetime = get_settings().access_token_lifetime
    Grant.objects.filter(application=application, consumed_at=None).update(consumed_at=now)
    _deny_devices(DeviceGrant.objects.filter(application=application))
    disable_client(client_id=application.client_id, lifetime=lifetime, now=now)
    AccessToken.objects.filter(application=application).delete()
    audit.record("client.revoked", subject=application)


@transaction.atomic
def revoke_clients_of(*, owner_id: UUID, now: datetime) -> None:
    """End every code and token of the clients that belong to a user; see ``revoke_client``."""
    for application in Application.objects.filter(user_id=owner_id, is_active=True).order_by("pk"):
        revoke_client(application=application, now=now)


@transaction.atomic
def revoke_lost_rights(*, application: Application, now: datetime) -> None:
    """End the access tokens of a client that may do less than before.

    Codes and sessions stay: they give what is left of their scope.
    """
    kill_all_tokens(client_id=application.client_id, now=now)
    AccessToken.objects.filter(application=application).delete()


def kill_all_tokens(*, client_id: str, now: datetime) -> None:
    """Kill the signed access tokens that a client has, wherever they are."""
    kill_client_tokens(client_id=client_id, lifetime=get_settings().access_token_lifetime, now=now)


@transaction.atomic
def void_waiting(*, user_id: UUID, now: datetime) -> None:
    """Let nothing that a person allowed and that waits yet, a code or a device, become tokens."""
    if _void(user_id, now):
        audit.record("user.consents_revoked", subject=audit.Reference.to(get_user_model(), user_id))


@transaction.atomic
def revoke_user(*, user_id: UUID, reason: EndReason, now: datetime) -> None:
    """End what clients have for a person and what waits to give them more, and the personal access tokens.

    The sessions come last: to take a code away is to wait for whoever exchanges it, and to see what that gave.
    """
    ended = _void(user_id, now)
    ended += PersonalAccessToken.objects.filter(user_id=user_id, revoked_at=None).update(revoked_at=now)
    ended += end_client_sessions(user_id=user_id, reason=reason, now=now)
    if ended:
        audit.record("user.consents_revoked", subject=audit.Reference.to(get_user_model(), user_id))


def _revoke_refresh_token(token: str, application: Application, now: datetime) -> None:
    session = find_refresh_session(refresh_token=token, client_id=application.client_id)
    if session is not None:
        end_client_session(session_id=session.pk, reason=EndReason.ENDED_BY_CLIENT, now=now)


def _revoke_opaque_token(token: str, application: Application, now: datetime) -> None:
    known = AccessToken.objects.filter(token_checksum__in=get_opaque_digests(token), application=application)
    row = known.first()
    if row is None:
        return
    if row.session_id is not None:
        end_client_session(session_id=row.session_id, reason=EndReason.ENDED_BY_CLIENT, now=now)
    else:
        _record_token(application, row.jti)
    row.delete()


def _record_token(application: Application, jti: UUID | str) -> None:
    """Record the end of a token that belongs to no session; the end of a session is recorded by itself."""
    audit.record("token.revoked", subject=application, client=application.client_id, jti=jti)


def _deny_devices(waiting: QuerySet[DeviceGrant]) -> int:
    """Let devices wait no longer; return how many."""
    living = waiting.filter(status__in=[DeviceGrant.AUTHORIZATION_PENDING, DeviceGrant.AUTHORIZED])
    return living.update(status=DeviceGrant.DENIED)


def _void(user_id: UUID, now: datetime) -> int:
    """Void a person's codes and devices; return how many."""
    codes = Grant.objects.filter(user_id=user_id, consumed_at=None).update(consumed_at=now)
    return codes + _deny_devices(DeviceGrant.objects.filter(user_id=user_id))
