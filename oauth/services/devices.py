"""Devices that have no browser (RFC 8628): they are started, their users decide elsewhere, they get their tokens."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from accounts.services import Access, Device
from oauth.conf import get_settings
from oauth.exceptions import ClientDoesNotExist
from oauth.models import Application, DeviceGrant
from oauth.services.codes import Presence, hold_person
from oauth.services.consents import give_consent
from oauth.services.issuing import Issued, issue_for_person
from oauth.tokens import (
    get_device_code_digests,
    get_user_code_digests,
    hash_device_code,
    hash_user_code,
    make_secret,
    make_user_code,
    read_user_code,
    show_user_code,
)
from permissions import audit

#: By how many seconds each question that came too early lengthens the wait (RFC 8628 §3.5).
_SLOWER_BY: Final = 5
#: Two living devices with one user code are next to impossible; four tries that all hit one never happen.
_TRIES: Final = 4
_log = structlog.get_logger("gatehouse.oauth")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedDevice:
    """What a device is told (RFC 8628 §3.2).

    Attributes:
        device_code: With this it asks for its tokens.
        user_code: This it shows.
        expires_in: How long both work.
        interval: How long it waits between two questions.
    """

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    expires_in: timedelta
    interval: timedelta


class Poll(StrEnum):
    """What a device is told that asks for its tokens, by the names that oauthlib knows (RFC 8628 §3.5)."""

    AUTHORIZED = "authorized"
    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED = "expired_token"
    DENIED = "access_denied"


def start_device(
    *,
    application: Application,
    scopes: Iterable[str],
    resource: Iterable[str] = (),
    ip_address: str | None = None,
    now: datetime,
) -> StartedDevice:
    """Let a device wait for its user; both its codes are stored hashed.

    Args:
        application: The client that runs on it.
        scopes: What for.
        resource: At which audiences (RFC 8707).
        ip_address: From where it asks, shown to who decides.
        now: The beginning of its wait.

    Raises:
        ClientDoesNotExist: Somebody has deleted the client meanwhile.
    """
    settings = get_settings()
    grant = DeviceGrant(
        application=application,
        scope=" ".join(scopes),
        resource=list(resource),
        interval=int(settings.device_interval.total_seconds()),
        ip_address=ip_address,
        created_at=now,
        expires=now + settings.device_lifetime,
    )
    device_code = make_secret()
    grant.device_code = hash_device_code(device_code)
    user_code = _save_with_user_code(grant)
    _log.info("device started", client_id=application.client_id)
    return StartedDevice(
        device_code=device_code,
        user_code=show_user_code(user_code),
        expires_in=settings.device_lifetime,
        interval=settings.device_interval,
    )


def poll_device(*, device_code: str, application: Application, now: datetime) -> tuple[Poll, DeviceGrant] | None:
    """Say where a device of that client stands, and note that it asked while it has to wait.

    Returns:
        None where the client has no such device, or the device has its tokens already.
    """
    known = DeviceGrant.objects.filter(device_code__in=get_device_code_digests(device_code), application=application)
    grant = known.select_related("user").first()
    if grant is None or grant.status == DeviceGrant.CONSUMED:
        return None
    if grant.expires <= now or grant.status == DeviceGrant.EXPIRED:
        return Poll.EXPIRED, grant
    if grant.status == DeviceGrant.AUTHORIZED and grant.user is not None and grant.user.is_active:
        return Poll.AUTHORIZED, grant
    if grant.status != DeviceGrant.AUTHORIZATION_PENDING:
        return Poll.DENIED, grant
    return _note_poll(grant, now), grant


def find_waiting_device(*, user_code: str, now: datetime) -> DeviceGrant | None:
    """Return the device that shows a code and waits for a decision, however the code was typed."""
    digests = get_user_code_digests(read_user_code(user_code))
    waiting = _list_waiting(now).filter(user_code__in=digests, application__in=Application.objects.usable())
    return waiting.select_related("application").first()


@transaction.atomic
def allow_device(*, grant: DeviceGrant, presence: Presence, now: datetime) -> bool:
    """Let a waiting device act for the person who is there; False where it waits no longer, or they are gone.

    Raises:
        IntegrityError: The client, or the person's session on the pages, was deleted meanwhile.
    """
    if not hold_person(presence.user_id):
        return False
    decided = _list_waiting(now).filter(pk=grant.pk)
    if not decided.update(
        status=DeviceGrant.AUTHORIZED,
        user_id=presence.user_id,
        opened_in_id=presence.session_id,
        authenticated_at=presence.authenticated_at,
        amr=" ".join(presence.amr),
    ):
        return False
    application, allowed = grant.application, grant.scope.split()
    give_consent(user_id=presence.user_id, application=application, scopes=allowed, resource=grant.resource, now=now)
    audit.record(
        "device.allowed", subject=application, client=application.client_id, scopes=allowed, device_ip=grant.ip_address
    )
    return True


@transaction.atomic
def deny_device(*, grant: DeviceGrant, presence: Presence, now: datetime) -> bool:
    """Send a waiting device away; False where it waits no longer, or the person is gone.

    Raises:
        IntegrityError: The client was deleted meanwhile.
    """
    if not hold_person(presence.user_id):
        return False
    if not _list_waiting(now).filter(pk=grant.pk).update(status=DeviceGrant.DENIED, user_id=presence.user_id):
        return False
    application = grant.application
    audit.record("device.denied", subject=application, client=application.client_id, device_ip=grant.ip_address)
    return True


@transaction.atomic
def issue_for_device(
    *,
    application: Application,
    grant: DeviceGrant,
    scopes: Iterable[str],
    resource: Iterable[str],
    device: Device,
    now: datetime,
) -> Issued | None:
    """Give a device that was allowed its tokens, once.

    Args:
        application: The client that runs on it.
        grant: The device.
        scopes: What is left of what was allowed.
        resource: Audiences of the first access token; of later ones, all that were allowed.
        device: From where it came.
        now: The beginning of the tokens' life.

    Returns:
        None where another request was faster, or it is allowed no more.
    """
    if grant.user_id is None or grant.authenticated_at is None:
        return None
    if not hold_person(grant.user_id):
        return None
    living = DeviceGrant.objects.filter(pk=grant.pk, status=DeviceGrant.AUTHORIZED, expires__gt=now)
    if not living.update(status=DeviceGrant.CONSUMED):
        return None
    access = Access(
        user_id=grant.user_id,
        client_id=application.client_id,
        scope=tuple(scopes),
        resource=tuple(grant.resource),
        authenticated_at=grant.authenticated_at,
        amr=tuple(grant.amr.split()),
        opened_in=grant.opened_in_id,
    )
    return issue_for_person(application=application, access=access, resource=tuple(resource), device=device, now=now)


def _save_with_user_code(grant: DeviceGrant, *, tries: int = _TRIES) -> str:
    user_code = make_user_code()
    grant.user_code = hash_user_code(user_code)
    try:
        with transaction.atomic():
            grant.save(force_insert=True)
    except IntegrityError as error:
        if not Application.objects.filter(pk=grant.application_id).exists():
            raise ClientDoesNotExist from error
        if tries == 1:
            raise
        return _save_with_user_code(grant, tries=tries - 1)
    return user_code


def _list_waiting(now: datetime) -> QuerySet[DeviceGrant]:
    return DeviceGrant.objects.filter(status=DeviceGrant.AUTHORIZATION_PENDING, expires__gt=now)


def _note_poll(grant: DeviceGrant, now: datetime) -> Poll:
    waiting = DeviceGrant.objects.filter(pk=grant.pk, status=DeviceGrant.AUTHORIZATION_PENDING)
    latest = now - timedelta(seconds=grant.interval)
    if grant.last_polled_at is None or grant.last_polled_at <= latest:
        in_time = Q(last_polled_at=None) | Q(last_polled_at__lte=latest)  # of several at once, one is
        if waiting.filter(in_time).update(last_polled_at=now):
            return Poll.PENDING
    waiting.update(last_polled_at=now, interval=F("interval") + _SLOWER_BY)
    return Poll.SLOW_DOWN
