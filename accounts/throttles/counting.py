"""The counts of attempts: in Redis where there is one, which all processes share, else in this process.

A decision about several counts is one step: either each has room for the attempt and counts it, or none does.
Where Redis doesn't answer, or has thrown counts away, everybody may go on: a dead cache must not lock people out, and
each attempt still costs a slow hash.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache as remember
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from django.conf import settings
from django.core.cache import cache

from accounts.throttles.doors import Limit
from project.redis_client import get_redis_client

if TYPE_CHECKING:
    from redis import Redis

_PREFIX: Final = "gatehouse:attempts:"
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: For how long a Redis that didn't answer is left alone, in seconds.
_REST_SECONDS: Final = 5.0
_log: Final = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class Count:
    """One count, and its limit."""

    key: str
    limit: Limit
    #: Whether it leaves out clients that are known.
    spares_known: bool = False


@dataclass(frozen=True, slots=True)
class Success:
    """What a success changes."""

    #: Each gives one attempt back.
    given_back: Sequence[Count]
    #: Keys of counts that begin anew.
    cleared: Sequence[str]
    #: Until when the client is known.
    known_until: datetime
    #: By what the client can be known again, besides; a word without blanks.
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an attempt finds."""

    #: For how long there is no room for it; 0 where it was counted.
    wait: timedelta = _MILLISECOND * 0
    #: The mark of the last success, if the client is known by it; else empty.
    mark: str = ""


class Counts(Protocol):
    """Where counts are kept."""

    def take(self, counts: Sequence[Count], *, known: str, now: datetime) -> Taken:
        """Count an attempt, or say for how long there is no room for it.

        Args:
            counts: All of these must have room.
            known: Key under which the client is known if it is.
            now: The present time.
        """

    def give_back(self, counts: Sequence[Count], *, now: datetime) -> None:
        """Take back an attempt that led nowhere."""

    def note(self, success: Success, *, known: str, now: datetime) -> None:
        """Take a success into account."""


def get_counts() -> Counts:
    """Return where this house keeps its counts."""
    return _get_shared(settings.REDIS_URL) if settings.REDIS_URL else _LOCAL


@dataclass(frozen=True, slots=True)
class Tally:
    """The state of one count; times in milliseconds since 1970."""

    attempts: int = 0
    #: From when the time runs after which the next attempt is forgiven.
    since: int = 0
    closed_until: int = 0

    def forgive(self, limit: Limit, *, now: int) -> "Tally":
        """Return the state after the time that has gone by."""
        recovery = limit.recovery // _MILLISECOND
        forgiven = max(now - self.since, 0) // recovery
        if forgiven >= self.attempts:
            return Tally(0, now, self.closed_until)
        return Tally(self.attempts - forgiven, self.since + forgiven * recovery, self.closed_until)

    def count(self, limit: Limit, *, now: int) -> "Tally":
        """Return the state after one more attempt."""
        attempts = self.attempts + 1
        if attempts < limit.free:
            return Tally(attempts, self.since, 0)
        # Past a few dozen of them the delay is the longest anyhow, and no float holds the power.
        growth = limit.factor ** min(attempts - limit.free, 64)
        delay = min(limit.first_delay / _MILLISECOND * growth, limit.longest_delay / _MILLISECOND)
        return Tally(attempts, self.since, now + int(delay))

    def give_back(self, limit: Limit) -> "Tally":
        """Return the state without one attempt; there is room again if that one used up the last of it."""
        attempts = max(self.attempts - 1, 0)
        return Tally(attempts, self.since, self.closed_until if attempts >= limit.free else 0)

    def get_wait(self, limit: Limit, *, now: int) -> int:
        """Return for how long there is no room, in milliseconds."""
        return max(min(self.closed_until - now, limit.longest_delay // _MILLISECOND), 0)


class _LocalCounts:
    """Counts of this process alone."""

    def __init__(self) -> None:
        self._lock = Lock()

    def take(self, counts: Sequence[Count], *, known: str, now: datetime) -> Taken:
        moment = _to_milliseconds(now)
        with self._lock:
            is_known, mark = self._read_known(known, moment)
            held = [count for count in counts if not (is_known and count.spares_known)]
            tallies = self._read(held, moment)
            wait = max(
                (tally.get_wait(one.limit, now=moment) for one, tally in zip(held, tallies, strict=True)), default=0
            )
            if not wait:
                self._write(held, [t.count(one.limit, now=moment) for one, t in zip(held, tallies, strict=True)])
        return Taken(wait * _MILLISECOND, mark)

    def give_back(self, counts: Sequence[Count], *, now: datetime) -> None:
        with self._lock:
            self._give_back(counts, _to_milliseconds(now))

    def note(self, success: Success, *, known: str, now: datetime) -> None:
        moment = _to_milliseconds(now)
        with self._lock:
            is_known, _ = self._read_known(known, moment)
            self._give_back([one for one in success.given_back if not (is_known and one.spares_known)], moment)
            cache.delete_many(_PREFIX + key for key in success.cleared)
            lifetime = (success.known_until - now).total_seconds()
            cache.set(_PREFIX + known, (_to_milliseconds(success.known_until), success.mark), timeout=lifetime)

    def _give_back(self, counts: Sequence[Count], moment: int) -> None:
        tallies = self._read(counts, moment)
        self._write(counts, [tally.give_back(one.limit) for one, tally in zip(counts, tallies, strict=True)])

    def _read_known(self, known: str, moment: int) -> tuple[bool, str]:
        until, mark = cache.get(_PREFIX + known, (0, ""))
        return (True, mark) if until > moment else (False, "")

    def _read(self, counts: Sequence[Count], moment: int) -> list[Tally]:
        found = cache.get_many([_PREFIX + one.key for one in counts])
        return [Tally(*found.get(_PREFIX + one.key, ())).forgive(one.limit, now=moment) for one in counts]

    def _write(self, counts: Sequence[Count], tallies: Sequence[Tally]) -> None:
        for one, tally in zip(counts, tallies, strict=True):
            value = (tally.attempts, tally.since, tally.closed_until)
            lifetime = one.limit.longest_delay + tally.attempts * one.limit.recovery
            cache.set(_PREFIX + one.key, value, timeout=lifetime.total_seconds())


# What class Tally says, as Redis runs it. KEYS[1] is that of known clients, the others are those of counts.
_COMMON: Final = """
    local now = tonumber(ARGV[1])
    local limits = cjson.decode(ARGV[2])
    local known_until, mark = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ?(%S*)$')
    local is_known = (tonumber(known_until) or 0) > now

    local function read(key, limit)
        local attempts, since, closed_until = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+)$')
        attempts, since, closed_until = tonumber(attempts) or 0, tonumber(since) or now, tonumber(closed_until) or 0
        local forgiven = math.floor(math.max(now - since, 0) / limit.recovery)
        if forgiven >= attempts then return 0, now, closed_until end
        return attempts - forgiven, since + forgiven * limit.recovery, closed_until
    end

    local function write(key, limit, attempts, since, closed_until)
        local lifetime = limit.longest_delay + attempts * limit.recovery
        local value = string.format('%d %d %d', attempts, since, closed_until)
        redis.call('SET', key, value, 'PX', string.format('%d', lifetime))
    end

    local function give_back()
        for i, limit in ipairs(limits) do
            local key = KEYS[i + 1]
            if not (is_known and limit.spares_known) then
                local attempts, since, closed_until = read(key, limit)
                attempts = math.max(attempts - 1, 0)
                if attempts < limit.free then closed_until = 0 end
                write(key, limit, attempts, since, closed_until)
            end
        end
    end
"""
_SCRIPTS: Final = {
    "take": """
        local wait, taken = 0, {}
        for i, limit in ipairs(limits) do
            if not (is_known and limit.spares_known) then
                local attempts, since, closed_until = read(KEYS[i + 1], limit)
                wait = math.max(wait, math.min(closed_until - now, limit.longest_delay))
                attempts, closed_until = attempts + 1, 0
                if attempts >= limit.free then
                    local growth = limit.factor ^ math.min(attempts - limit.free, 64)
                    closed_until = now + math.floor(math.min(limit.first_delay * growth, limit.longest_delay))
                end
                taken[#taken + 1] = {KEYS[i + 1], limit, attempts, since, closed_until}
            end
        end
        if wait == 0 then
            for _, one in ipairs(taken) do write(unpack(one)) end
        end
        return {wait, is_known and mark or ''}
    """,
    "give_back": "give_back()",
    # ARGV[3] and ARGV[4]: until when the client is known, with its mark, and for how long. The last keys begin anew.
    "note": """
        give_back()
        for i = #limits + 2, #KEYS do redis.call('DEL', KEYS[i]) end
        redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
    """,
}


class _SharedCounts:
    """Counts in Redis: each step is a script, and one round trip."""

    def __init__(self, client: "Redis") -> None:
        self._scripts = {name: client.register_script(_COMMON + script) for name, script in _SCRIPTS.items()}
        self._rests_until = 0.0
        self._is_down = False

    def take(self, counts: Sequence[Count], *, known: str, now: datetime) -> Taken:
        answer = self._run("take", counts, known=known, now=now)
        return Taken(answer[0] * _MILLISECOND, answer[1].decode()) if answer else Taken()

    def give_back(self, counts: Sequence[Count], *, now: datetime) -> None:
        self._run("give_back", counts, known="", now=now)

    def note(self, success: Success, *, known: str, now: datetime) -> None:
        lifetime = (success.known_until - now) // _MILLISECOND
        more: list[int | str] = [f"{_to_milliseconds(success.known_until)} {success.mark}", lifetime]
        self._run("note", success.given_back, known=known, now=now, cleared=success.cleared, more=more)

    def _run(
        self,
        name: str,
        counts: Sequence[Count],
        *,
        known: str,
        now: datetime,
        cleared: Sequence[str] = (),
        more: Sequence[int | str] = (),
    ) -> Any:  # Any: what the script returns
        """Run a script; None where Redis doesn't answer."""
        from redis.exceptions import RedisError, ResponseError  # noqa: PLC0415 - see get_redis_client

        if time.monotonic() < self._rests_until:
            return None
        keys = [_PREFIX + key for key in (known, *(one.key for one in counts), *cleared)]
        limits = json.dumps([_describe(one) for one in counts])
        try:
            answer = self._scripts[name](keys=keys, args=[_to_milliseconds(now), limits, *more])
        except RedisError as error:
            if not isinstance(error, ResponseError):  # which is an answer
                self._rests_until = time.monotonic() + _REST_SECONDS
            if not self._is_down:
                _log.warning("throttle_unavailable", error=type(error).__name__)
            self._is_down = True
            return None
        self._is_down = False
        return answer


def _describe(count: Count) -> dict[str, float]:
    limit = count.limit
    return {
        "spares_known": count.spares_known,
        "free": limit.free,
        "first_delay": limit.first_delay / _MILLISECOND,
        "factor": limit.factor,
        "longest_delay": limit.longest_delay // _MILLISECOND,
        "recovery": limit.recovery // _MILLISECOND,
    }


def _to_milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


_LOCAL: Final = _LocalCounts()


@remember
def _get_shared(url: str) -> _SharedCounts:
    return _SharedCounts(get_redis_client(url))
