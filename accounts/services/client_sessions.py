"""What OAuth clients may do for a user: a session of its own for each time that a user let one in."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import rotation, signals
from accounts.models import Session
from accounts.services.announcing import announce
from accounts.services.sessions import NOWHERE, Device, clean_user_agent
from accounts.tokens import revoke_access_tokens

EndReason = Session.EndReason


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Access:
    """What a user lets a client do.

    Attributes:
        user_id: Who.
        client_id: Whom.
        scope: What for.
        resource: At which audiences (RFC 8707); empty means this house.
        authenticated_at: When the user last showed who they are.
        amr: How they did (RFC 8176).
        opened_in: The session on the pages in which they let the client in.
        claims: What the client asks to be told of them (OpenID Connect Core §5.5), as it came.
    """

    user_id: UUID
    client_id: str
    scope: tuple[str, ...]
    resource: tuple[str, ...] = ()
    authenticated_at: datetime
    amr: tuple[str, ...] = ()
    opened_in: UUID | None = None
    claims: str = ""


def open_client_session(
    *,
    access: Access,
    device: Device = NOWHERE,
    lifetime: timedelta,
    idle: timedelta | None,
    session_id: UUID | None = None,
    now: datetime,
) -> tuple[Session, rotation.Rotation | None]:
    """Begin what a client may do for a user; call it within the transaction that uses up what allows it.

    Args:
        access: What the user allows.
        device: From where the client came for its tokens.
        lifetime: End of it, however often it is refreshed.
        idle: For how long its refresh token may lie unused; None means that it gets none.
        session_id: A chosen id.
        now: Its beginning.
    """
    session = Session(
        user_id=access.user_id,
        kind=Session.Kind.CLIENT,
        created_at=now,
        authenticated_at=access.authenticated_at,
        amr=" ".join(access.amr),
        last_used_at=now,
        expires_at=now + lifetime,
        ip_address=device.ip_address,
        user_agent=clean_user_agent(device.user_agent),
        client_id=access.client_id,
        scope=" ".join(access.scope),
        resource=list(access.resource),
        opened_in_id=access.opened_in,
        claims=access.claims,
    )
    if session_id is not None:
        session.pk = session_id
    session.save(force_insert=True)
    return session, None if idle is None else rotation.start_family(session=session, idle=idle, now=now)


def tell_of_sign_in(*, session_id: UUID) -> None:
    """Tell the house, after the commit, that a session of a client began with its user's password: as any sign-in."""
    session = Session.objects.select_related("user").get(pk=session_id)
    announce(signals.signed_in, signals.SignedIn(user=session.user, session=session))


def end_client_session(*, session_id: UUID, reason: EndReason, now: datetime) -> bool:
    """Kill one session of a client and its tokens at once; idempotent.

    Returns:
        Whether it was alive until now.
    """
    return rotation.end_session(session=Session(pk=session_id), reason=reason, now=now)


def end_client_sessions(*, user_id: UUID, client_id: str | None = None, reason: EndReason, now: datetime) -> int:
    """Kill whatever a client, or any client, may do for a user, at once; return how many sessions it was."""
    allowed = Q(user_id=user_id) if client_id is None else Q(user_id=user_id, client_id=client_id)
    with transaction.atomic():
        return _end_each(allowed, reason, now)


def end_sessions_opened_in(
    *, session_id: UUID, client_id: str | None = None, spared_scope: str = "", now: datetime
) -> int:
    """Kill what clients, or one of them, may do since a session on the pages; return how many sessions it was.

    Args:
        session_id: The session on the pages.
        client_id: The client; None means all of them.
        spared_scope: What may do this is left alone; empty means nothing is.
        now: The end.
    """
    opened = Q(opened_in=session_id) if client_id is None else Q(opened_in=session_id, client_id=client_id)
    if spared_scope:
        opened &= ~Q(scope__regex=rf"(^| ){re.escape(spared_scope)}( |$)")
    with transaction.atomic():
        return _end_each(opened, EndReason.SIGNED_OUT, now)


def disable_client(*, client_id: str, lifetime: timedelta, now: datetime) -> None:
    """Kill all sessions of a client and every access token that it has, for whomever.

    Args:
        client_id: Whose.
        lifetime: Longest life of its access tokens.
        now: The end of those issued up to now.
    """
    with transaction.atomic():
        kill_client_tokens(client_id=client_id, lifetime=lifetime, now=now)
        living = Session.objects.filter(client_id=client_id, revoked_at__isnull=True)
        living.update(revoked_at=now, end_reason=EndReason.CLIENT_DISABLED)


def kill_client_tokens(*, client_id: str, lifetime: timedelta, now: datetime) -> None:
    """Kill the access tokens that a client has, wherever they are; its sessions may give it new ones.

    Until the commit, requests go on that know the client as it was. Their tokens count from when the request began, so
    that they are dead with what was issued up to the commit.
    """

    def kill(moment: datetime) -> None:
        revoke_access_tokens(kind="client", subject=client_id, now=moment, expires_at=moment + lifetime)

    with transaction.atomic():
        kill(now)
        transaction.on_commit(lambda: kill(timezone.now()))


def _end_each(which: Q, reason: EndReason, now: datetime) -> int:
    living = Session.objects.filter(which, kind=Session.Kind.CLIENT, revoked_at__isnull=True).order_by("pk")
    return sum(rotation.end_session(session=session, reason=reason, now=now) for session in living)


def refresh_client_session(
    *, refresh_token: str, client_id: str, idle: timedelta, started_at: datetime, now: datetime
) -> rotation.Rotation:
    """Exchange a client's refresh token for its successor; see ``rotation.rotate``.

    Raises:
        InvalidRefreshToken: See ``rotation.rotate``.
    """
    return rotation.rotate(raw=refresh_token, client_id=client_id, idle=idle, started_at=started_at, now=now)
