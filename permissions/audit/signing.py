"""What proves that an event is as the house wrote it, and stands where it was put.

Keys are derived from ``SECRET_KEY``, so whoever can only write the database can prove nothing. What was signed with an
earlier secret is good as long as that one is among ``SECRET_KEY_FALLBACKS``.
"""

import hashlib
import hmac
import json
import secrets
from datetime import UTC

from permissions.models.audit import AuditEvent, AuditHead
from project.crypto import derive_keys

#: Stands for the hash of the last event where that one can't be believed, so that the break is never forgotten.
BROKEN = "broken"
_NONCE_BYTES = 8


def sign_event(event: AuditEvent) -> str:
    """Return the signature of an event that is about to be stored: different each time, so that no copy has it too."""
    nonce = secrets.token_hex(_NONCE_BYTES)
    return nonce + _sign("audit-event", nonce, *_content(event))


def is_genuine(event: AuditEvent) -> bool:
    """Say whether an event is as it was recorded."""
    nonce, signature = event.signature[: 2 * _NONCE_BYTES], event.signature[2 * _NONCE_BYTES :]
    return _is_signed(signature, "audit-event", nonce, *_content(event))


def chain_event(event: AuditEvent) -> str:
    """Return the hash of an event that follows the one with ``previous_hash``."""
    return _sign("audit-chain", *_link(event))


def is_unchanged(event: AuditEvent) -> bool:
    """Say whether an event is as it was sealed, and follows what it followed then."""
    return _is_signed(event.hash, "audit-chain", *_link(event))


def sign_head(head: AuditHead) -> str:
    """Return the signature of the end of the chain."""
    return _sign("audit-head", head.position, head.hash)


def is_genuine_head(head: AuditHead) -> bool:
    """Say whether the sealer wrote the end of the chain."""
    return _is_signed(head.signature, "audit-head", head.position, head.hash)


def _content(event: AuditEvent) -> tuple[object, ...]:
    return (
        event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.event,
        event.actor_id,
        event.actor_label,
        event.subject_type,
        event.subject_id,
        event.subject_label,
        event.client_id,
        event.ip_address,
        event.request_id,
        event.data,
    )


def _link(event: AuditEvent) -> tuple[object, ...]:
    # The position isn't part of it: each hash names the one before it, which settles the order.
    return (event.previous_hash, event.pk, *_content(event), event.signature)


def _sign(purpose: str, *values: object) -> str:
    return _hash(derive_keys(purpose)[0], values)


def _is_signed(signature: str, purpose: str, *values: object) -> bool:
    return any(hmac.compare_digest(_hash(key, values).encode(), signature.encode()) for key in derive_keys(purpose))


def _hash(key: bytes, values: tuple[object, ...]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
