"""Deleting what is over, in bounded steps, so that nobody waits for it.

Any number of sweeps may run at once: each takes rows that no other one, nor anybody else, holds.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.sessions.models import Session as PageSession
from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, Model, OuterRef, Q, QuerySet

from accounts.conf import get_settings
from accounts.models import EmailToken, RefreshToken, Registration, Revocation, Session, User

#: Rows that one statement, and one transaction, deletes at most.
MAX_SWEPT: Final = 1_000
#: Accounts are fewer, since more is to be done for each.
_MAX_ACCOUNTS: Final = 100
#: Revocations stay for so long after their end, in case that a clock is set back.
_GRACE: Final = timedelta(hours=1)
#: For so long at most an account waits for a link that is under way; no link lives longer.
_LINK_MARGIN: Final = timedelta(days=1)
#: A registration is what tells that an account was made by one, so it outlives the account.
_REGISTRATION_MARGIN: Final = 2 * _LINK_MARGIN
_LONGEST: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep deleted."""

    #: Rows by kind.
    counts: Mapping[str, int]
    #: Whether there is no more to delete now.
    is_complete: bool


def sweep(*, now: datetime, longest: timedelta = _LONGEST) -> Swept:
    """Delete sessions, tokens, revocations and registrations whose time is over, and accounts that nobody confirmed.

    Each step is a transaction of its own, and after one of them at least the sweep ends when it has taken too long;
    call it again until nothing is left.

    Refresh tokens go with their session, or before it as ``accounts.rotation`` sees to.
    An account goes when it was made by a registration, its address was never confirmed, nobody has signed in to it,
    nothing was given to it and nothing belongs to it. A link that is under way to its address spares it for a day at
    most, since anybody can have one sent.

    Args:
        now: The present time.
        longest: How long it may take.
    """
    end = time.monotonic() + longest.total_seconds()
    over = _list_over(now)
    counts = dict.fromkeys(over, 0)
    for name, rows in over.items():
        size = _MAX_ACCOUNTS if rows.model is User else MAX_SWEPT
        count = size
        while count == size:
            count = delete_some(rows, size=size)
            counts[name] += count
            if time.monotonic() >= end:
                return Swept(counts=counts, is_complete=False)
    return Swept(counts=counts, is_complete=True)


def count_sweepable(*, now: datetime) -> dict[str, int]:
    """Return how many rows of each kind a sweep would delete."""
    return {name: rows.count() for name, rows in _list_over(now).items()}


def _list_over(now: datetime) -> dict[str, QuerySet[Any]]:  # Any: of all models
    """Return what is over, in the order in which it goes."""
    settings = get_settings()
    ended = now - settings.ended_session_lifetime
    forgotten = now - settings.unverified_account_lifetime
    sessions = Session.objects.filter(Q(revoked_at__lte=ended) | Q(expires_at__lte=ended)).order_by()
    return {
        "refresh_tokens": RefreshToken.objects.filter(session__in=sessions.values("pk")),
        "sessions": sessions,
        "email_tokens": EmailToken.objects.filter(expires_at__lte=now),
        "accounts": _list_unconfirmed(forgotten, now=now),
        "registrations": Registration.objects.filter(created_at__lte=forgotten - _REGISTRATION_MARGIN),
        "revocations": Revocation.objects.filter(expires_at__lte=now - _GRACE),
        "page_sessions": PageSession.objects.filter(expire_date__lte=now),
    }


def _list_unconfirmed(forgotten: datetime, *, now: datetime) -> QuerySet[User]:
    first = Registration.objects.filter(
        user=OuterRef("pk"), email=OuterRef("email"), created_at=OuterRef("created_at")
    )  # and not one of a stranger, for an account that an admin has made
    link = EmailToken.objects.filter(user=OuterRef("pk"), used_at__isnull=True, expires_at__gt=now)
    found = User.objects.filter(
        Exists(first),
        ~Exists(link) | Q(created_at__lte=forgotten - _LINK_MARGIN),
        email_verified_at__isnull=True,
        created_at__lte=forgotten,
        last_login__isnull=True,
        is_active=True,
        is_staff=False,
        is_superuser=False,
    )
    for rows, column in _list_belongings():
        found = found.exclude(Exists(rows.filter(**{column: OuterRef("pk")})))
    return found.order_by()


def _list_belongings() -> Iterator[tuple[QuerySet[Any], str]]:  # Any: of all models
    """Return every table of the house that names a user, but those of mailed links, with the column that does."""
    for field in User._meta.get_fields(include_hidden=True):  # noqa: SLF001 - Django's documented name of it
        if not isinstance(field, ForeignObjectRel) or field.many_to_many:
            continue
        if field.related_model not in {EmailToken, Registration}:
            yield field.related_model._base_manager.all(), field.field.name  # noqa: SLF001 - as above


def delete_some[M: Model](rows: QuerySet[M], *, size: int) -> int:
    """Delete some of the rows that nobody holds, and return how many."""
    with transaction.atomic():
        free = rows.select_for_update(skip_locked=True, of=("self",))
        keys: list[Any] = list(free.values_list("pk", flat=True)[:size])  # Any: each table has its own
        if keys:
            rows.model._base_manager.filter(pk__in=keys).delete()  # noqa: SLF001 - Django's documented name of it
    return len(keys)
