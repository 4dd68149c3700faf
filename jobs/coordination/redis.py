"""Coordination in Redis: each call is one script (``lua/``), by the clock of the server."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, override

from jobs.coordination.base import Coordinator, Window
from jobs.redis_scripts import OURS, OUTAGES, Scripts

_FOLDER: Final = Path(__file__).with_name("lua")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RedisCoordinator(Coordinator):
    """Places are sorted sets of owners, windows sorted sets of events; what nobody needs any more expires."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = OUTAGES

    def __init__(self, options: Mapping[str, Any]) -> None:  # Any: those of the connection
        """Take the options of the connection; nothing is opened yet."""
        super().__init__(options)
        self._scripts = Scripts(_FOLDER, entry=options.get("RQ_QUEUE", "default"), is_brisk=True)

    @override
    def acquire(
        self, key: str, *, owner: str, lifetime: timedelta | None, places: int = 1, now: datetime | None = None
    ) -> bool:
        life = "" if lifetime is None else lifetime // _MICROSECOND
        return bool(self._run("acquire", _encode(key), _encode(owner), life, places, now=now))

    @override
    def release(self, key: str, *, owner: str) -> bool:
        return self._scripts.call(lambda client: client.zrem(_name("places", key), _encode(owner))) == 1

    @override
    def replace(self, key: str, *, owner: str, lifetime: timedelta, now: datetime | None = None) -> None:
        self._run("replace", _encode(key), _encode(owner), lifetime // _MICROSECOND, now=now)

    @override
    def list_owners(self, key: str, *, now: datetime | None = None) -> list[str]:
        return [owner.decode() for owner in self._run("owners", _encode(key), now=now)]

    @override
    def hit(self, key: str, *, limit: int, window: timedelta, now: datetime | None = None) -> timedelta:
        return self.hit_all([Window(key, limit, window)], now=now)

    @override
    def hit_all(self, windows: Sequence[Window], *, now: datetime | None = None) -> timedelta:
        return int(self._run("hit", "1", *_flatten(windows), now=now)) * _MICROSECOND

    @override
    def get_wait(self, window: Window, *, now: datetime | None = None) -> timedelta:
        return int(self._run("hit", "0", *_flatten([window]), now=now)) * _MICROSECOND

    @override
    def count_hits(self, key: str, *, window: timedelta, now: datetime | None = None) -> int:
        return int(self._run("count", _encode(key), window // _MICROSECOND, now=now))

    @override
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        return int(self._run("increment", _encode(key), lifetime // _MICROSECOND, now=now))

    @override
    def forget(self, key: str) -> None:
        names = [_name(kind, key) for kind in ("places", "hits", "number")]
        self._scripts.call(lambda client: client.delete(*names))

    def _run(self, script: str, *arguments: str | bytes | int, now: datetime | None) -> Any:  # Any: as Scripts.run
        present = "" if now is None else (now - _EPOCH) // _MICROSECOND
        return self._scripts.run(script, present, *arguments)


def _flatten(windows: Iterable[Window]) -> Iterable[bytes | int]:
    for window in windows:
        yield from (_encode(window.key), window.limit, window.length // _MICROSECOND)


def _name(kind: str, key: str) -> bytes:
    return f"{OURS}{kind}:".encode() + _encode(key)


def _encode(text: str) -> bytes:
    """Return a key or an owner as Redis keeps it; lone surrogates, which UTF-8 doesn't have, as escapes."""
    return text.encode("utf-8", "backslashreplace")
