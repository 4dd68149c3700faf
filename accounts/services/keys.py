"""Rotating the keys that sign access tokens and ID tokens; ``accounts.keys`` says how the times fit together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from accounts.conf import get_settings
from accounts.keys import forget_keys, get_verifying_margin, make_key
from accounts.models import SigningKey
from permissions import audit

State = SigningKey.State


@dataclass(slots=True, kw_only=True)
class KeyRotation:
    """What a rotation did with the keys of one algorithm, and what is to come; key ids."""

    algorithm: str
    published: list[str] = field(default_factory=list)
    activated: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    #: The next key may sign from then on; None where none waits.
    next_at: datetime | None = None


def rotate_keys(
    *, now: datetime, is_forced: bool = False, is_compromised: bool = False, algorithm: str | None = None
) -> list[KeyRotation]:
    """Take the next step of a rotation: publish the next key or, once it was published long enough, let it sign.

    Of simultaneous rotations one goes first, and the others find what it left.

    Args:
        now: When.
        is_forced: Let the next key sign at once, however short a time it was published; whoever keeps a copy of the
            key set refuses its tokens until the copy is renewed.
        is_compromised: A key that signs or has signed is in wrong hands: another one signs at once, and what all these
            have signed is refused as soon as each process has looked again, which takes a minute at most.
        algorithm: Of which; where none is named, of that of access tokens and of all others that have signed.

    Returns:
        One for each algorithm that has keys.
    """
    with transaction.atomic():
        rows = _lock_keys()
        wanted = _list_in_use(rows) if algorithm is None else [algorithm]
        rotations = _begin(rows, wanted, now=now)
        for done in rotations:
            if done.algorithm in wanted:
                _rotate(rows, done, is_forced=is_forced, is_compromised=is_compromised, now=now)
        _record(rotations, is_compromised=is_compromised)
    forget_keys()
    return rotations


def maintain_keys(*, now: datetime) -> list[KeyRotation]:
    """Do what it is time for: publish a key where the one that signs is old, let it sign, delete what is over.

    Keys of algorithms that the settings no longer name retire. Safe to call at any time, by any number of processes.
    """
    with transaction.atomic():
        rows = _lock_keys()
        rotations = _begin(rows, [], now=now)
        used = get_settings().algorithms
        for done in rotations:
            active, waiting = _pick(rows, done)
            if done.algorithm not in used:
                _retire(active, done, now=now)
                _delete(waiting, done)
            elif waiting and _is_ready(waiting[0], now=now):
                _switch(waiting[0], active, done, now=now)
            elif active and not waiting and _get_age(active[0], now=now) >= get_settings().key_rotation_age:
                _publish(done, now=now)
        _record(rotations, is_compromised=False)
    forget_keys()
    return rotations


def _list_in_use(rows: list[SigningKey]) -> list[str]:
    settings, known = get_settings(), {row.algorithm for row in rows if row.state in {State.ACTIVE, State.NEXT}}
    return [one for one in settings.algorithms if one == settings.signing_algorithm or one in known]


def _begin(rows: list[SigningKey], wanted: Sequence[str], *, now: datetime) -> list[KeyRotation]:
    """Return what is to be told of each algorithm, after its keys whose time is over are withdrawn or deleted."""
    names = dict.fromkeys([*wanted, *(row.algorithm for row in rows)])
    rotations = [KeyRotation(algorithm=name) for name in names]
    for done in rotations:
        _end([row for row in rows if row.algorithm == done.algorithm], done, now=now)
    return rotations


def _rotate(rows: list[SigningKey], done: KeyRotation, *, is_forced: bool, is_compromised: bool, now: datetime) -> None:
    active, waiting = _pick(rows, done)
    is_settled = bool(active)
    if is_compromised:
        own = [row for row in rows if row.algorithm == done.algorithm and row.kid not in done.deleted]
        _delete([row for row in own if row.state != State.NEXT], done)
        active = []
    if not is_settled or is_forced or is_compromised:
        _switch(waiting[0] if waiting else _publish(done, now=now), active, done, now=now)
    elif not waiting:
        _publish(done, now=now)
        done.next_at = now + get_settings().key_publish_time
    elif _is_ready(waiting[0], now=now):
        _switch(waiting[0], active, done, now=now)
    else:
        done.next_at = waiting[0].created_at + get_settings().key_publish_time


def _lock_keys() -> list[SigningKey]:
    """Return all keys, oldest first, with those locked that were there; the caller holds a transaction."""
    keys = SigningKey.objects.order_by("created_at", "kid")
    list(keys.select_for_update())
    # Once more: what a rival made while this one waited isn't among the rows that it waited for.
    return list(keys)


def _pick(rows: list[SigningKey], done: KeyRotation) -> tuple[list[SigningKey], list[SigningKey]]:
    """Return the key that signs and those that are to, in the order in which they were published."""
    own = [row for row in rows if row.algorithm == done.algorithm]
    return [row for row in own if row.state == State.ACTIVE], [row for row in own if row.state == State.NEXT]


def _is_ready(row: SigningKey, *, now: datetime) -> bool:
    return row.created_at + get_settings().key_publish_time <= now


def _get_age(row: SigningKey, *, now: datetime) -> timedelta:
    return now - (row.activated_at or row.created_at)


def _publish(done: KeyRotation, *, now: datetime) -> SigningKey:
    row = make_key(done.algorithm, state=State.NEXT, now=now)
    done.published.append(row.kid)
    return row


def _switch(successor: SigningKey, active: list[SigningKey], done: KeyRotation, *, now: datetime) -> None:
    """Let another key sign; the database allows one of an algorithm at a time, so the old one stops first."""
    _retire(active, done, now=now)
    successor.state, successor.activated_at = State.ACTIVE, now
    successor.save(update_fields=["state", "activated_at"])
    done.activated.append(successor.kid)


def _retire(rows: list[SigningKey], done: KeyRotation, *, now: datetime) -> None:
    for row in rows:
        row.state, row.retired_at = State.RETIRING, now
        row.save(update_fields=["state", "retired_at"])
        done.retired.append(row.kid)


def _end(rows: list[SigningKey], done: KeyRotation, *, now: datetime) -> None:
    """Withdraw keys whose last token has expired; delete those that no hint can be verified with any more."""
    end, hint_end = now - get_verifying_margin(), now - get_settings().id_token_hint_lifetime
    over = [row for row in rows if row.retired_at and row.state in {State.RETIRING, State.WITHDRAWN}]
    _delete([row for row in over if row.retired_at and row.retired_at <= min(end, hint_end)], done)
    for row in over:
        if row.kid not in done.deleted and row.state == State.RETIRING and row.retired_at and row.retired_at <= end:
            row.state, row.private_jwk = State.WITHDRAWN, b""
            row.save(update_fields=["state", "private_jwk"])
            done.withdrawn.append(row.kid)


def _delete(over: list[SigningKey], done: KeyRotation) -> None:
    SigningKey.objects.filter(kid__in=[row.kid for row in over]).delete()
    done.deleted += [row.kid for row in over]


def _record(rotations: list[KeyRotation], *, is_compromised: bool) -> None:
    for done in rotations:
        if done.published or done.activated or done.retired or done.withdrawn or done.deleted:
            audit.record(
                "signing_keys.rotated",
                algorithm=done.algorithm,
                published=done.published,
                activated=done.activated,
                retired=done.retired,
                withdrawn=done.withdrawn,
                deleted=done.deleted,
                is_compromised=is_compromised,
            )
