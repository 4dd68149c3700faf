"""What the shared cache answers for the database, which alone knows the truth.

Whoever misses a fact leaves a *note* in its place before asking the database, and may keep the answer only while that
note is still there. Whoever changes the truth puts a *mark* over fact and note, inside the transaction, and takes it
away when the transaction has ended; while there is a mark, everybody asks the database and nobody keeps the answer. So
an answer that is older than a change is never kept, however long its reader dawdled, and who dies between the commit
and the end leaves a mark, not an old fact.

Facts are JSON with a keyed hash over key, value and end: who can write to the cache can neither run code nor invent a
fact, and can bring back an old one only until its end. Without a shared cache nothing is kept and nothing is forgotten.
"""

import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import batched
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.db import transaction

from project.crypto import derive_key, derive_keys
from project.near_cache import NearCache, get_near_cache
from project.redis_client import get_redis_client
from project.transactions import list_waiting, on_end

if TYPE_CHECKING:
    from redis.commands.core import Script

#: What a value in the cache is, by its first byte.
_FACT: Final = b"="
_NOTE: Final = b"?"
_MARK: Final = b"!"
_PREFIX: Final = "gatehouse:fact:"
_PURPOSE: Final = "shared-facts"
_MAC_BYTES: Final = 32
#: How long a reader may take to ask the database, in seconds; an answer that comes later isn't kept.
_NOTE_SECONDS: Final = 10
#: How long reading leaves a cache alone that didn't answer, in seconds. Forgetting always tries.
_REST_SECONDS: Final = 5.0
#: How many facts a process keeps opened, by what lay in the cache.
_MAX_OPENED: Final = 4_096
#: Keys that one script is given at most.
_BATCH: Final = 1_000

# In all of them a note or a mark is told from what others put there by its random part.
_SCRIPTS: Final = {
    # Leave a note where there is still what was seen.
    "note": """
        local left = {}
        for i, key in ipairs(KEYS) do
            if (redis.call('GET', key) or '') == ARGV[i + 2] then
                redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
                left[#left + 1] = i
            end
        end
        return left
    """,
    # Keep facts where the note is still there.
    "keep": """
        for i, key in ipairs(KEYS) do
            if redis.call('GET', key) == ARGV[1] then
                redis.call('SET', key, ARGV[i + 2], 'EX', ARGV[2])
            end
        end
    """,
    # Put a mark over what is there, beside the marks of others.
    "mark": """
        for _, key in ipairs(KEYS) do
            local kept = redis.call('GET', key) or ''
            if string.sub(kept, 1, 1) ~= '!' then kept = '' end
            if not string.find(kept, ARGV[1], 1, true) then kept = kept .. ARGV[1] end
            redis.call('SET', key, kept, 'EX', ARGV[2])
        end
    """,
    # Take a mark away, and with it all but the marks of others.
    "release": """
        for _, key in ipairs(KEYS) do
            local kept = redis.call('GET', key) or ''
            local others = string.gsub(kept, ARGV[1], '')
            if string.sub(others, 1, 1) == '!' then
                redis.call('SET', key, others, 'KEEPTTL')
            else
                redis.call('DEL', key)
            end
        end
    """,
}
_log: Final = structlog.get_logger("gatehouse.shared_facts")


@dataclass(slots=True)
class _Health:
    """Whether the cache answers."""

    is_down: bool = False
    rests_until: float = 0.0


_health: Final = _Health()


@dataclass(slots=True)
class Reading:
    """What was found, and the way to keep what the database says of the rest.

    Attributes:
        facts: Key to fact, of those that were found; a fact may be None, and nobody changes one. What is of no use to
            the reader can be taken out before ``note``, and be remembered anew.
    """

    facts: dict[str, object] = field(default_factory=dict)
    #: Key to what was there.
    _seen: dict[str, bytes] = field(default_factory=dict)
    _read_at: float = 0.0
    _note: bytes = b""
    _noted: frozenset[str] = frozenset()

    def note(self) -> None:
        """Leave a note wherever no fact is; call it before the database is asked, since only then it proves anything.

        Inside a transaction none is left: what is read there may never come true, or be older than what others have
        committed.
        """
        missing = {
            key: value for key, value in self._seen.items() if key not in self.facts and value[:1] not in {_NOTE, _MARK}
        }
        if missing and not transaction.get_connection().in_atomic_block:
            self._note, keys = _NOTE + token_hex(8).encode(), list(missing)
            places = _try("note", keys, self._note, _NOTE_SECONDS, *missing.values()) or []
            self._noted = frozenset(keys[place - 1] for place in places)

    def remember(self, facts: Mapping[str, object], *, seconds: int | None = None) -> None:
        """Keep what the database has said since the note was left, where nobody has changed the truth meanwhile.

        Args:
            facts: Key to fact, anything that is JSON.
            seconds: Life of the facts, counted from the reading; without it as ``settings.SHARED_FACTS`` says.
        """
        kept = {key: fact for key, fact in facts.items() if key in self._noted}
        if not kept:
            return
        lifetime = settings.SHARED_FACTS["LIFETIME_SECONDS"] if seconds is None else seconds
        sealing_key, ends_at = derive_key(_PURPOSE), self._read_at + lifetime
        values = [_seal(key, fact, ends_at=ends_at, sealing_key=sealing_key) for key, fact in kept.items()]
        _try("keep", kept, self._note, lifetime, *values)


def is_shared() -> bool:
    """Say whether there is a cache that all processes of the house share."""
    return bool(settings.SHARED_FACTS["URL"])


def read(keys: Iterable[str]) -> Reading:
    """Return what is kept under these keys, in one round trip; nothing where there is no shared cache that answers.

    Where something is missing: ``note`` that, ask the database, ``remember`` its answer.
    """
    if not is_shared() or time.monotonic() < _health.rests_until:
        return Reading()
    wanted, now = list(keys), time.time()
    seen = _fetch(wanted)
    opening_keys = derive_keys(_PURPOSE)
    opened = {key: _open(key, value, opening_keys) for key, value in seen.items()}
    return Reading({key: fact[1] for key, fact in opened.items() if fact and now < fact[0]}, seen, now)


def forget(keys: Iterable[str]) -> None:
    """Let nobody believe what is kept under these keys, since the truth has changed or is about to.

    Inside a transaction call it before or after the change; outside of one, after it. What can't be told to the
    cache, because it doesn't answer, is logged; others may then believe the old facts until these end.
    """
    wanted = frozenset(keys)
    if not wanted or not is_shared():
        return
    if not transaction.get_connection().in_atomic_block:
        _Marks().release(wanted)
        return
    waiting = list_waiting(_Marks)
    if waiting:
        marks = waiting[0]
    else:
        marks = _Marks()
        on_end(commit=marks, rollback=marks)
    marks.put(wanted)


class _Marks:
    """The marks of one transaction; called when it ends, either way."""

    def __init__(self) -> None:
        self._mark = _MARK + token_hex(8).encode()
        #: Key to the moment at which its mark was put there.
        self._put_at: dict[str, float] = {}

    def put(self, keys: frozenset[str]) -> None:
        """Put marks there, but for those that are fresh."""
        lifetime, now = settings.SHARED_FACTS["MARK_SECONDS"], time.monotonic()
        old = [key for key in keys if now - self._put_at.get(key, -lifetime) > lifetime / 2]
        for some in batched(old, _BATCH, strict=False):
            _try("mark", some, self._mark, lifetime, is_change=True)
        self._put_at |= dict.fromkeys(old, now)

    def release(self, keys: Iterable[str]) -> None:
        """Take marks away, and what is kept there with them."""
        for some in batched(keys, _BATCH, strict=False):
            _try("release", some, self._mark, is_change=True)

    def __call__(self) -> None:
        self.release(self._put_at)


def _seal(key: str, fact: object, *, ends_at: float, sealing_key: bytes) -> bytes:
    text = json.dumps([ends_at, fact], separators=(",", ":")).encode()
    return _FACT + _authenticate(key, text, sealing_key) + text


@lru_cache(_MAX_OPENED)
def _open(key: str, value: bytes, opening_keys: tuple[bytes, ...]) -> tuple[float, object] | None:
    """Return the end of a fact and the fact, which is shared: nobody changes one. None where it is none of ours."""
    if value[:1] != _FACT:
        return None
    mac, text = value[1 : 1 + _MAC_BYTES], value[1 + _MAC_BYTES :]
    if not any(hmac.compare_digest(mac, _authenticate(key, text, one)) for one in opening_keys):
        return None
    ends_at, fact = json.loads(text)
    return ends_at, fact


def _authenticate(key: str, text: bytes, sealing_key: bytes) -> bytes:
    # JSON holds no bare NUL, so the last one parts key and text.
    return hmac.digest(sealing_key, key.encode() + b"\x00" + text, "sha256")


def _fetch(keys: list[str]) -> dict[str, bytes]:
    """Return what is there under each key, empty where nothing is; no key at all where the cache doesn't answer."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - see get_redis_client

    places = [_PREFIX + key for key in keys]
    near = _find_near_cache()
    if near is not None and (known := near.fetch(places)) is not None:
        _note_answer()
        return dict(zip(keys, known, strict=True))
    try:
        values: Any = get_redis_client(settings.SHARED_FACTS["URL"]).mget(places)  # Any: untyped
    except RedisError as error:
        _note_outage(error, is_change=False)
        return {}
    _note_answer()
    return {key: value or b"" for key, value in zip(keys, values, strict=True)}


def _try(
    script: str, keys: Iterable[str], *arguments: bytes | int, is_change: bool = False
) -> Any:  # Any: what the script returns
    """Run a script; None where the cache doesn't answer."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - see get_redis_client

    places = [_PREFIX + key for key in keys]
    try:
        answer = _get_script(settings.SHARED_FACTS["URL"], script)(keys=places, args=list(arguments))
        if is_change and _find_near_cache() is not None:
            # When it answers once more, it has told everybody who has read these.
            get_redis_client(settings.SHARED_FACTS["URL"]).ping()
    except RedisError as error:
        _note_outage(error, is_change=is_change)
        return None
    finally:
        if (near := _find_near_cache()) is not None:
            near.discard(places)
    _note_answer()
    return answer


def _find_near_cache() -> NearCache | None:
    """Return what this process has read already, where the settings let it be believed."""
    seconds = settings.SHARED_FACTS["SILENCE_SECONDS"]
    return get_near_cache(settings.SHARED_FACTS["URL"], seconds) if seconds else None


def _note_outage(error: Exception, *, is_change: bool) -> None:
    # The text of the error may hold addresses, but nothing of what was asked.
    if is_change:
        _log.error("shared_facts_not_forgotten", error=repr(error))
    elif not _health.is_down:
        _log.warning("shared_cache_does_not_answer", error=repr(error))
    _health.is_down = True
    _health.rests_until = time.monotonic() + _REST_SECONDS


def forget_outage() -> None:
    """Ask the cache again, as a process does that has just begun."""
    _health.is_down, _health.rests_until = False, 0.0


def _note_answer() -> None:
    if _health.is_down:
        forget_outage()
        _log.info("shared_cache_answers_again")


@cache
def _get_script(url: str, name: str) -> "Script":
    return get_redis_client(url).register_script(_SCRIPTS[name])
