"""The keys that sign the access tokens of the house.

Private keys lie in the database, encrypted with a key derived from ``SECRET_KEY``: neither alone can mint a token.
Each process keeps the parsed keys, so a request that brings a known ``kid`` costs no query.
"""

import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import IntegrityError, transaction
from joserfc.jwk import ECKey

from accounts.models import SigningKey
from project.crypto import derive_keys

#: The one JWS algorithm of the house (RFC 7518 §3.4).
ALGORITHM = "ES256"

_PURPOSE = "signing-key"
_NONCE_BYTES = 12
_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # an RFC 7638 thumbprint
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that may sign."""

    kid: str
    key: ECKey


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
        max_age: float = 300.0,
        reads_per_second: int = 10,
    ) -> None:
        """Start empty."""
        self._clock = clock
        self._capacity = capacity
        self._max_age = max_age
        self._reads_per_second = reads_per_second
        self._public: OrderedDict[str, tuple[ECKey, float]] = OrderedDict()
        self._private: OrderedDict[str, ECKey] = OrderedDict()
        self._window_started_at = clock()
        self._window_reads = 0
        self._lock = threading.Lock()

    def get_public_key(self, kid: str) -> ECKey | None:
        """Return the key that verifies, or None where there is no such key."""
        if not _KID.fullmatch(kid):
            return None
        if (known := self._get_fresh(kid)) is not None:
            return known
        if not self._may_read():
            return None
        self._read_all()
        return self._get_fresh(kid)

    def get_private_key(self, row: SigningKey) -> ECKey | None:
        """Return the key that signs, or None where ``SECRET_KEY`` and its fallbacks don't open it."""
        with self._lock:
            known = self._private.get(row.kid)
        if known is not None:
            return known
        plain = _decrypt(row)
        if plain is None:
            return None
        key = ECKey.import_key(json.loads(plain))
        with self._lock:
            self._private[row.kid] = key
            _shrink(self._private, self._capacity)
        self._remember(row.kid, row.public_jwk)
        return key

    def _get_fresh(self, kid: str) -> ECKey | None:
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
        newest = SigningKey.objects.filter(algorithm=ALGORITHM).order_by("-created_at")[: self._capacity]
        # Oldest first, so that it is the oldest that fall out where there are too many.
        for kid, public_jwk in reversed(newest.values_list("kid", "public_jwk")):
            self._remember(kid, public_jwk)

    def _remember(self, kid: str, public_jwk: str) -> None:
        key = ECKey.import_key(json.loads(public_jwk))
        with self._lock:
            self._public[kid] = (key, self._clock())
            self._public.move_to_end(kid)
            _shrink(self._public, self._capacity)


_ring = KeyRing()


def get_active_key() -> PrivateKey:
    """Return the key that signs now; the first call of an installation makes it.

    Safe against races: the database holds at most one active key, and who comes second takes the other's. An active
    key that ``SECRET_KEY`` no longer opens retires, so that its tokens still verify, and a new one takes over.
    """
    row = _find_active()
    key = _ring.get_private_key(row) if row else None
    if row and key is None:
        _log.warning("signing key cannot be decrypted, a new one takes over", kid=row.kid)
        SigningKey.objects.filter(pk=row.pk, state=SigningKey.State.ACTIVE).update(state=SigningKey.State.RETIRING)
    if row is None or key is None:
        row = _create_active()
        key = _ring.get_private_key(row)
    if key is None:
        message = "The active signing key was encrypted under another SECRET_KEY; do all processes have the same?"
        raise RuntimeError(message)
    return PrivateKey(row.kid, key)


def get_public_key(kid: str) -> ECKey | None:
    """Return the key that verifies tokens with this ``kid``, or None; a known one costs no query."""
    return _ring.get_public_key(kid)


def _find_active() -> SigningKey | None:
    return SigningKey.objects.filter(algorithm=ALGORITHM, state=SigningKey.State.ACTIVE).first()


def _create_active() -> SigningKey:
    key = ECKey.generate_key("P-256", auto_kid=True)
    kid = key.thumbprint()
    row = SigningKey(
        kid=kid,
        algorithm=ALGORITHM,
        public_jwk=json.dumps(key.as_dict(private=False)),
        private_jwk=_encrypt(json.dumps(key.as_dict(private=True)).encode(), kid=kid),
        state=SigningKey.State.ACTIVE,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        winner = _find_active()
        if winner is None:
            raise
        return winner
    return row


def _encrypt(plain: bytes, *, kid: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(derive_keys(_PURPOSE)[0]).encrypt(nonce, plain, kid.encode())


def _decrypt(row: SigningKey) -> bytes | None:
    sealed = bytes(row.private_jwk)
    for key in derive_keys(_PURPOSE):
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.kid.encode())
        except InvalidTag:
            continue
    return None


def _shrink[V](cache: OrderedDict[str, V], capacity: int) -> None:
    while len(cache) > capacity:
        cache.popitem(last=False)
