"""Coordination in the default database. A lock taken in a transaction that is rolled back was never taken."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, override

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q

from jobs.clock import get_database_now
from jobs.coordination.base import Coordinator, Window
from jobs.models import Counter, Hit, Slot

_MAX_KEY_LENGTH = 200


class DatabaseCoordinator(Coordinator):
    """One transaction for each call; who asks for the same key waits."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = (OperationalError, InterfaceError)
    is_transactional: ClassVar[bool] = True

    @override
    def acquire(
        self, key: str, *, owner: str, lifetime: timedelta | None, places: int = 1, now: datetime | None = None
    ) -> bool:
        with _alone(key) as name:
            now = now or get_database_now()
            held = Slot.objects.filter(key=name)
            held.filter(expires_at__lte=now).delete()
            expires_at = None if lifetime is None else now + lifetime
            if held.filter(owner=owner).update(expires_at=expires_at):
                return True
            if held.count() >= places:
                return False
            Slot.objects.create(key=name, owner=owner, expires_at=expires_at)
        return True

    @override
    def release(self, key: str, *, owner: str) -> bool:
        return Slot.objects.filter(key=_shorten(key), owner=owner).delete()[0] > 0

    @override
    def replace(self, key: str, *, owner: str, lifetime: timedelta, now: datetime | None = None) -> None:
        with _alone(key) as name:
            now = now or get_database_now()
            Slot.objects.filter(key=name).delete()
            Slot.objects.create(key=name, owner=owner, expires_at=now + lifetime)

    @override
    def list_owners(self, key: str, *, now: datetime | None = None) -> list[str]:
        is_lasting = Q(expires_at=None) | Q(expires_at__gt=now or get_database_now())
        return list(Slot.objects.filter(is_lasting, key=_shorten(key)).order_by("id").values_list("owner", flat=True))

    @override
    def hit(self, key: str, *, limit: int, window: timedelta, now: datetime | None = None) -> timedelta:
        return self.hit_all([Window(key, limit, window)], now=now)

    @override
    def hit_all(self, windows: Sequence[Window], *, now: datetime | None = None) -> timedelta:
        with ExitStack() as stack:
            # In one order, so that two who want the same keys don't wait for each other.
            names = {key: stack.enter_context(_alone(key)) for key in sorted({window.key for window in windows})}
            now = now or get_database_now()
            latest = {window.key: _find_latest(names[window.key], window, now) for window in windows}
            for window in windows:
                if wait := _find_wait(latest[window.key], window, now):
                    return wait
            for window in windows:
                name, events = names[window.key], latest[window.key]
                Hit.objects.filter(key=name, happened_at__lte=now - window.length).delete()
                # Nothing is counted before something that was: a clock that was set back must not open the window.
                happened_at = max(now, *events[:1]) if events else now
                Hit.objects.create(key=name, happened_at=happened_at, expires_at=happened_at + window.length)
        return timedelta(0)

    @override
    def get_wait(self, window: Window, *, now: datetime | None = None) -> timedelta:
        now = now or get_database_now()
        return _find_wait(_find_latest(_shorten(window.key), window, now), window, now)

    @override
    def count_hits(self, key: str, *, window: timedelta, now: datetime | None = None) -> int:
        since = (now or get_database_now()) - window
        return Hit.objects.filter(key=_shorten(key), happened_at__gt=since).count()

    @override
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        with _alone(key) as name:
            now = now or get_database_now()
            Counter.objects.filter(key=name, expires_at__lte=now).delete()
            Counter.objects.get_or_create(key=name, defaults={"expires_at": now + lifetime})
            Counter.objects.filter(key=name).update(value=F("value") + 1, expires_at=now + lifetime)
            return Counter.objects.values_list("value", flat=True).get(key=name)

    @override
    def forget(self, key: str) -> None:
        name = _shorten(key)
        with transaction.atomic():
            for model in (Slot, Hit, Counter):
                model.objects.filter(key=name).delete()


def _find_latest(name: str, window: Window, now: datetime) -> list[datetime]:
    """Return when the last events of a window happened, as many as it may hold, the latest first."""
    hits = Hit.objects.filter(key=name, happened_at__gt=now - window.length)
    return list(hits.order_by("-happened_at", "-id").values_list("happened_at", flat=True)[: window.limit])


def _find_wait(latest: Sequence[datetime], window: Window, now: datetime) -> timedelta:
    """Return how long until the oldest of the last events leaves a window that is full."""
    if len(latest) < window.limit:
        return timedelta(0)
    return max(latest[-1] + window.length - now, timedelta(microseconds=1)) if latest else window.length


@contextmanager
def _alone(key: str) -> Iterator[str]:
    """Let nobody else change what is known of a key until the end of the transaction; yield the key as it is stored."""
    name = _shorten(key)
    with transaction.atomic():
        if connection.vendor == "postgresql":  # SQLite's transactions don't overlap
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobs:{name}"])
        yield name


def _shorten(key: str) -> str:
    """Return the key, or a digest of one that is too long for its column or can't be stored."""
    if len(key) <= _MAX_KEY_LENGTH and key.isprintable():
        return key
    return f"sha256:{sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"
