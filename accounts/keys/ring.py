"""The parsed keys of one process."""

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from joserfc.util import urlsafe_b64encode

from accounts.keys.algorithms import ALGORITHMS, Key, SignatureRegistry
from accounts.keys.sealing import open_private_jwk
from accounts.models import SigningKey

_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # an RFC 7638 thumbprint


@dataclass(frozen=True, slots=True, repr=False)
class KnownKey:
    """A key with its only algorithm."""

    kid: str
    algorithm: str
    key: Key
    #: Whether it verifies ID tokens that come back as hints, and nothing else.
    is_withdrawn: bool = False

    def sign(self, claims: Mapping[str, object], *, kind: str = "JWT") -> str:
        """Return a signed JWT of that type, in compact form (RFC 7515 §7.1); the key must be a private one."""
        message = _encode_header(self.algorithm, kind, self.kid) + b"." + _encode(dict(claims))
        signature = SignatureRegistry.algorithms[self.algorithm].sign(message, self.key)
        return (message + b"." + urlsafe_b64encode(signature)).decode()


class KeyRing:
    """The parsed keys of this process, by ``kid``; safe for threads.

    An unknown ``kid`` makes it read all keys anew, at most ``reads_per_second`` times: a flood of invented ids cannot
    become a flood of queries, and cannot keep a new key from being found. A key is looked up again when it has been
    known for ``max_age`` seconds, so that one deleted from the database stops verifying.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 64,
        max_age: float = 60.0,
        reads_per_second: int = 10,
    ) -> None:
        """Start empty."""
        self._clock = clock
        self._capacity = capacity
        self._max_age = max_age
        self._reads_per_second = reads_per_second
        self._public: OrderedDict[str, tuple[KnownKey, float]] = OrderedDict()
        self._private: OrderedDict[str, KnownKey] = OrderedDict()
        self._window_started_at = clock()
        self._window_reads = 0
        self._lock = threading.Lock()

    def get_public_key(self, kid: str) -> KnownKey | None:
        """Return the key that verifies, or None where there is no such key."""
        if not is_kid(kid):
            return None
        if (known := self._get_fresh(kid)) is not None:
            return known
        if not self._may_read():
            return None
        self._read_all()
        return self._get_fresh(kid)

    def get_private_key(self, row: SigningKey) -> KnownKey | None:
        """Return the key that signs, or None where ``SECRET_KEY`` and its fallbacks don't open it."""
        with self._lock:
            known = self._private.get(row.kid)
        if known is not None:
            return known
        plain = open_private_jwk(row)
        if plain is None:
            return None
        known = KnownKey(row.kid, row.algorithm, ALGORITHMS[row.algorithm].load(json.loads(plain)))
        with self._lock:
            self._private[row.kid] = known
            _shrink(self._private, self._capacity)
        self._remember(row.kid, row.algorithm, row.public_jwk)
        return known

    def forget(self) -> None:
        """Forget all keys, so that each is looked up again."""
        with self._lock:
            self._public.clear()
            self._private.clear()

    def _get_fresh(self, kid: str) -> KnownKey | None:
        with self._lock:
            entry = self._public.get(kid)
        if entry is None or self._clock() - entry[1] > self._max_age:
            return None
        return entry[0]

    def _may_read(self) -> bool:
        with self._lock:
            now = self._clock()
            if now - self._window_started_at >= 1:
                self._window_started_at, self._window_reads = now, 0
            self._window_reads += 1
            return self._window_reads <= self._reads_per_second

    def _read_all(self) -> None:
        newest = SigningKey.objects.filter(algorithm__in=ALGORITHMS).order_by("-created_at")[: self._capacity]
        # Oldest first, so that it is the oldest that fall out where there are too many.
        rows = newest.values_list("kid", "algorithm", "public_jwk", "state")
        for kid, algorithm, public_jwk, state in reversed(rows):
            self._remember(kid, algorithm, public_jwk, is_withdrawn=state == SigningKey.State.WITHDRAWN)

    def _remember(self, kid: str, algorithm: str, public_jwk: str, *, is_withdrawn: bool = False) -> None:
        known = KnownKey(kid, algorithm, ALGORITHMS[algorithm].load(json.loads(public_jwk)), is_withdrawn)
        with self._lock:
            self._public[kid] = (known, self._clock())
            self._public.move_to_end(kid)
            _shrink(self._public, self._capacity)


@lru_cache
def _encode_header(algorithm: str, kind: str, kid: str) -> bytes:
    return _encode({"typ": kind, "alg": algorithm, "kid": kid})


def _encode(said: dict[str, object]) -> bytes:
    return urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode())


def is_kid(text: str) -> bool:
    """Say whether a text could be the id of a key of ours."""
    return _KID.fullmatch(text) is not None


def _shrink[V](cache: OrderedDict[str, V], capacity: int) -> None:
    while len(cache) > capacity:
        cache.popitem(last=False)
