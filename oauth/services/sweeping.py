"""Deleting what is over: all of it in bounded steps by the clock, and a little now and then where rows are made.

Any number of sweeps may run at once: each takes rows that no other one, nor anybody else, holds.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.services import Swept, delete_some
from oauth.conf import get_settings
from oauth.models import AccessToken, ClientSecret, Consent, DeviceGrant, Grant, StoredRequest
from oauth.services.personal_tokens import sweep_personal_tokens

#: Rows that one statement, and one transaction, deletes at most.
MAX_SWEPT: Final = 1_000
#: Once in so many times that a row is made, a little is swept.
SWEEP_EVERY: Final = 50
#: Rows of all kinds that such a little sweep deletes at most.
MAX_SWEPT_ASIDE: Final = 100
#: For so long after its end a code is known as one that was used, and a device is told that it came too late. A code
#: lives for a minute: whoever brings one a second time does so at once, or finds it in a log where it is worth nothing.
_KNOWN: Final = timedelta(days=1)
#: For so long an ended secret is still shown to those who administer its client.
_SHOWN: Final = timedelta(days=30)
_LONGEST: Final = timedelta(seconds=30)

#: Deletes so many rows at most, and says how many it were.
type _Step = Callable[[int], int]


def sweep(*, now: datetime, longest: timedelta = _LONGEST) -> Swept:
    """Delete codes, devices, requests, tokens, secrets and consents whose time is over.

    Each step is a transaction of its own, and after one of them at least the sweep ends when it has taken too long;
    call it again until nothing is left. What clients may do for people ends and goes with ``accounts``' sessions.

    Args:
        now: The present time.
        longest: How long it may take.
    """
    end = time.monotonic() + longest.total_seconds()
    steps = _list_steps(now)
    counts = dict.fromkeys(steps, 0)
    for name, delete in steps.items():
        count = MAX_SWEPT
        while count == MAX_SWEPT:
            count = delete(MAX_SWEPT)
            counts[name] += count
            if time.monotonic() >= end:
                return Swept(counts=counts, is_complete=False)
    return Swept(counts=counts, is_complete=True)


def sweep_aside(*, made: UUID, now: datetime) -> None:
    """Delete a little once the transaction is through that makes a row; most rows cause nothing.

    So nothing grows for ever even where nobody runs a worker. It never fails what it follows.

    Args:
        made: Random id of the row.
        now: The present time.
    """
    if made.int % SWEEP_EVERY == 0:
        transaction.on_commit(partial(_sweep_little, now), robust=True)


def _sweep_little(now: datetime) -> None:
    left = MAX_SWEPT_ASIDE
    for name, delete in _list_steps(now).items():
        if name in _FAST_GROWING and left:
            left -= delete(left)


def _list_steps(now: datetime) -> Mapping[str, _Step]:
    """Return what deletes what is over, by its name, the fastest growing first."""
    steps: dict[str, _Step] = {name: partial(_delete, rows) for name, rows in _list_over(now).items()}
    steps["personal_tokens"] = lambda size: sweep_personal_tokens(now=now, limit=size)
    return steps


_FAST_GROWING: Final = frozenset({"codes", "devices", "requests", "opaque_tokens"})


def _list_over(now: datetime) -> dict[str, QuerySet[Any]]:  # Any: of all models
    """Return what is over; an index leads to each."""
    # Whatever was allowed by a consent has ended a session's lifetime after it.
    forgotten = now - get_settings().session_lifetime
    return {
        "codes": Grant.objects.filter(expires__lte=now - _KNOWN).order_by(),
        "devices": DeviceGrant.objects.filter(expires__lte=now - _KNOWN).order_by(),
        "requests": StoredRequest.objects.filter(expires_at__lte=now).order_by(),
        "opaque_tokens": AccessToken.objects.filter(expires__lte=now).order_by(),
        "secrets": ClientSecret.objects.filter(expires_at__lte=now - _SHOWN).order_by(),
        "consents": Consent.objects.filter(expires_at__lte=forgotten).order_by(),
    }


def _delete(rows: QuerySet[Any], size: int) -> int:  # Any: as above
    return delete_some(rows, size=size)
