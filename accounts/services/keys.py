"""Rotating the keys that sign access tokens; ``accounts.keys`` says how the times fit together."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from accounts.conf import AlgorithmName, get_settings
from accounts.keys import forget_keys, get_verifying_margin, make_key
from accounts.models import SigningKey
from permissions import audit

State = SigningKey.State


@dataclass(slots=True, kw_only=True)
class KeyRotation:
    """What a rotation did, and what is to come; key ids."""

    algorithm: AlgorithmName
    published: list[str] = field(default_factory=list)
    activated: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    #: The next key may sign from then on; None where none waits.
    next_at: datetime | None = None


def rotate_keys(
    *, now: datetime, is_forced: bool = False, is_compromised: bool = False, algorithm: AlgorithmName | None = None
) -> KeyRotation:
    """Take the next step of a rotation: publish the next key or, once it was published long enough, let it sign.

    Of simultaneous rotations one goes first, and the others find what it left.

    Args:
        now: When.
        is_forced: Let the next key sign at once, however short a time it was published; whoever keeps a copy of the
            key set refuses its tokens until the copy is renewed.
        is_compromised: The key that signs is in wrong hands: another one signs at once, and what it signed is refused
            as soon as each process has looked again, which takes a minute at most.
        algorithm: Of which; that of the settings where none is named.
    """
    done = KeyRotation(algorithm=algorithm or get_settings().signing_algorithm)
    with transaction.atomic():
        rows = _lock_keys()
        _delete_expired(rows, done, now=now)
        active, waiting = _pick(rows, done)
        is_settled = any(row.algorithm == done.algorithm for row in active)
        if is_compromised:
            _delete(active, done)
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
        _record(done, is_compromised=is_compromised)
    forget_keys()
    return done


def maintain_keys(*, now: datetime) -> KeyRotation:
    """Do what it is time for: publish a key where the one that signs is old, let it sign, delete what is over.

    Another algorithm in the settings counts as an old key. Safe to call at any time, by any number of processes.
    """
    settings = get_settings()
    done = KeyRotation(algorithm=settings.signing_algorithm)
    with transaction.atomic():
        rows = _lock_keys()
        _delete_expired(rows, done, now=now)
        active, waiting = _pick(rows, done)
        signing = next((row for row in active if row.algorithm == done.algorithm), None)
        if waiting and _is_ready(waiting[0], now=now):
            _switch(waiting[0], active, done, now=now)
        elif signing is not None and len(active) > 1:
            _retire([row for row in active if row is not signing], done, now=now)
        elif signing is not None and not waiting and _get_age(signing, now=now) >= settings.key_rotation_age:
            _publish(done, now=now)
        _record(done, is_compromised=False)
    forget_keys()
    return done


def _lock_keys() -> list[SigningKey]:
    """Return all keys, oldest first, with those locked that were there; the caller holds a transaction."""
    keys = SigningKey.objects.order_by("created_at", "kid")
    list(keys.select_for_update())
    # Once more: what a rival made while this one waited isn't among the rows that it waited for.
    return list(keys)


def _pick(rows: list[SigningKey], done: KeyRotation) -> tuple[list[SigningKey], list[SigningKey]]:
    """Return the keys that sign, and those of the algorithm that are to, in the order in which they were published."""
    active = [row for row in rows if row.state == State.ACTIVE]
    return active, [row for row in rows if row.state == State.NEXT and row.algorithm == done.algorithm]


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


def _delete_expired(rows: list[SigningKey], done: KeyRotation, *, now: datetime) -> None:
    end = now - get_verifying_margin()
    _delete([row for row in rows if row.state == State.RETIRING and row.retired_at and row.retired_at <= end], done)


def _delete(over: list[SigningKey], done: KeyRotation) -> None:
    SigningKey.objects.filter(kid__in=[row.kid for row in over]).delete()
    done.deleted += [row.kid for row in over]


def _record(done: KeyRotation, *, is_compromised: bool) -> None:
    if done.published or done.activated or done.retired or done.deleted:
        audit.record(
            "signing_keys.rotated",
            algorithm=done.algorithm,
            published=done.published,
            activated=done.activated,
            retired=done.retired,
            deleted=done.deleted,
            is_compromised=is_compromised,
        )
