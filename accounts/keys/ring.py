"""The parsed keys of one process."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.db.models import Q
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

    An unknown ``kid`` makes it read that key and all that aren't withdrawn, at most ``reads_per_second`` times: a flood
    of invented ids cannot become a flood of queries, and cannot keep a new key from being found. A key is looked up
    again when it has been known for ``max_age`` seconds, so that one deleted from the database stops verifying. As long
    as nothing of it has changed it is the same object.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_age: float = 60.0,
        reads_per_second: int = 10,
    ) -> None:
        """Start empty."""
        self._clock = clock
        self._max_age = max_age
        self._reads_per_second = reads_per_second
        #: With the public JWK that was read, and when. Ids of the database alone get in, so their number is its keys'.
        self._public: dict[str, tuple[KnownKey, str, float]] = {}
        self._private: dict[str, KnownKey] = {}
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
        self._read(kid)
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
        if entry is None or self._clock() - entry[2] > self._max_age:
            return None
        return entry[0]

    def _may_read(self) -> bool:
        with self._lock:
            now = self._clock()
            if now - self._window_started_at >= 1:
                self._window_started_at, self._window_reads = now, 0
            self._window_reads += 1
            return self._window_reads <= self._reads_per_second

    def _read(self, kid: str) -> None:
        wanted = Q(kid=kid) | ~Q(state=SigningKey.State.WITHDRAWN)
        rows = SigningKey.objects.filter(wanted, algorithm__in=ALGORITHMS)
        for found, algorithm, public_jwk, state in rows.values_list("kid", "algorithm", "public_jwk", "state"):
            self._remember(found, algorithm, public_jwk, is_withdrawn=state == SigningKey.State.WITHDRAWN)

    def _remember(self, kid: str, algorithm: str, public_jwk: str, *, is_withdrawn: bool = False) -> None:
        with self._lock:
            known, known_jwk, _ = self._public.get(kid, (None, "", 0.0))
        if known is None or (known.algorithm, known_jwk, known.is_withdrawn) != (algorithm, public_jwk, is_withdrawn):
            known = KnownKey(kid, algorithm, ALGORITHMS[algorithm].load(json.loads(public_jwk)), is_withdrawn)
        with self._lock:
            self._public[kid] = known, public_jwk, self._clock()


@lru_cache
def _encode_header(algorithm: str, kind: str, kid: str) -> bytes:
    return _encode({"typ": kind, "alg": algorithm, "kid": kid})


def _encode(said: dict[str, object]) -> bytes:
    return urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode())


def is_kid(text: str) -> bool:
    """Say whether a text could be the id of a key of ours."""
    return _KID.fullmatch(text) is not None
