"""The keys that sign the access tokens and ID tokens of the house: one at a time of each algorithm.

Private keys lie in the database, encrypted with a key derived from ``SECRET_KEY``: neither alone can mint a token.
Each process keeps the parsed keys, so a request that brings a known ``kid`` costs no query, and remembers for a short
while which key signs.

The times of a rotation fit together like this. A key is published (``next``) for at least ``KEY_PUBLISH_SECONDS``
before it signs, so that whoever keeps a copy of the key set has it by then. When another key takes over, processes that
remember the old one go on signing with it for at most ``ACTIVE_SECONDS``; so it verifies (``retiring``) for the life of
an access token and that time longer. Then it leaves the key set (``withdrawn``) and loses its private half; what is
left verifies ID tokens that come back as hints, for ``ID_TOKEN_HINT_SECONDS``, and only then is it deleted.
"""

import json
import time
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.conf import get_settings
from accounts.keys.algorithms import ALGORITHMS, REGISTRY, Key
from accounts.keys.ring import KeyRing, KnownKey, is_kid
from accounts.keys.sealing import seal_private_jwk
from accounts.models import SigningKey

__all__ = [
    "ACTIVE_SECONDS",
    "REGISTRY",
    "Key",
    "KeyRing",
    "KnownKey",
    "forget_keys",
    "get_active_key",
    "get_hint_key",
    "get_public_key",
    "get_verifying_margin",
    "is_kid",
    "list_public_keys",
    "make_key",
    "store_key",
]

#: For how long a process remembers which key signs.
ACTIVE_SECONDS: Final = 30
_log = structlog.get_logger("gatehouse.accounts")


_ring = KeyRing()
#: Algorithm to the key with which this process signs, and until when it need not ask again.
_active: dict[str, tuple[KnownKey, float]] = {}
#: Ids of keys that a transaction of this process has made and not ended yet: they may never come to be.
_uncommitted: set[str] = set()


def get_active_key(algorithm: str | None = None) -> KnownKey:
    """Return the key that signs now, for access tokens where no algorithm is named; the first call makes it.

    Safe against races: the database holds at most one active key of an algorithm, and who comes second takes the
    other's. An active key that ``SECRET_KEY`` no longer opens retires, so that its tokens still verify, and a new one
    takes over.
    """
    algorithm = algorithm or get_settings().signing_algorithm
    key, until = _active.get(algorithm, (None, 0.0))
    if key is not None and time.monotonic() < until:
        return key
    key = _load_active(algorithm)
    if key.kid not in _uncommitted:
        _active[algorithm] = key, time.monotonic() + ACTIVE_SECONDS
    return key


def get_public_key(kid: str) -> KnownKey | None:
    """Return the key that verifies tokens with this ``kid``, or None; a known one costs no query."""
    known = _ring.get_public_key(kid)
    return None if known is None or known.is_withdrawn else known


def get_hint_key(kid: str) -> KnownKey | None:
    """Return the key that verifies ID tokens with this ``kid`` which come back as hints, or None; as above."""
    return _ring.get_public_key(kid)


def list_public_keys() -> list[dict[str, object]]:
    """Return the public key set (RFC 7517 §5): what signs, what will, and what still verifies; newest first.

    Who has it can verify whatever is signed from now on: the keys of algorithms that weren't needed yet are made.
    """
    for needed in get_settings().algorithms:
        get_active_key(needed)
    public = SigningKey.objects.filter(algorithm__in=ALGORITHMS).exclude(state=SigningKey.State.WITHDRAWN)
    rows = public.order_by("-created_at", "kid")
    found: list[dict[str, object]] = []
    for kid, algorithm, public_jwk in rows.values_list("kid", "algorithm", "public_jwk"):
        found.append(json.loads(public_jwk) | {"kid": kid, "alg": algorithm, "use": "sig"})
    return found


def make_key(algorithm: str, *, state: SigningKey.State, now: datetime) -> SigningKey:
    """Store a new key pair and return its row."""
    return store_key(ALGORITHMS[algorithm].generate(), algorithm=algorithm, state=state, now=now)


def store_key(key: Key, *, algorithm: str, state: SigningKey.State, now: datetime) -> SigningKey:
    """Store a key pair that is there already, and return its row."""
    kid = key.thumbprint()
    row = SigningKey(
        kid=kid,
        algorithm=algorithm,
        public_jwk=json.dumps(key.as_dict(private=False)),
        private_jwk=seal_private_jwk(json.dumps(key.as_dict(private=True)).encode(), kid=kid),
        state=state,
        created_at=now,
        activated_at=now if state == SigningKey.State.ACTIVE else None,
    )
    row.save(force_insert=True)
    if transaction.get_connection().in_atomic_block:
        _uncommitted.add(kid)
        transaction.on_commit(lambda: _uncommitted.discard(kid))
    return row


def forget_keys() -> None:
    """Let this process look up every key again."""
    _ring.forget()
    _active.clear()


def get_verifying_margin() -> timedelta:
    """Return how long a key must verify after another one took over."""
    return get_settings().access_token_lifetime + timedelta(seconds=2 * ACTIVE_SECONDS)


def _load_active(algorithm: str) -> KnownKey:
    row = _find_active(algorithm)
    key = _ring.get_private_key(row) if row else None
    if row and key is None:
        _log.warning("signing key cannot be decrypted, a new one takes over", kid=row.kid)
        unopened = SigningKey.objects.filter(pk=row.pk, state=SigningKey.State.ACTIVE)
        unopened.update(state=SigningKey.State.RETIRING, retired_at=timezone.now())
    if row is None or key is None:
        row = _create_active(algorithm)
        key = _ring.get_private_key(row)
    if key is None:
        message = "The active signing key was encrypted under another SECRET_KEY; do all processes have the same?"
        raise RuntimeError(message)
    return key


def _find_active(algorithm: str) -> SigningKey | None:
    return SigningKey.objects.filter(algorithm=algorithm, state=SigningKey.State.ACTIVE).first()


def _create_active(algorithm: str) -> SigningKey:
    try:
        with transaction.atomic():
            return make_key(algorithm, state=SigningKey.State.ACTIVE, now=timezone.now())
    except IntegrityError:
        winner = _find_active(algorithm)
        if winner is None:
            raise
        return winner
