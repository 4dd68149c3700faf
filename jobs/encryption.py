"""Secrets in stored records: AES-256-GCM under a key for this purpose alone, named by an id, so that keys can change.

NIST SP 800-38D: the nonce is random, 96 bit; one key may seal 2^32 values.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jobs.exceptions import PayloadError
from project.crypto import derive_keys

#: Key of the JSON object that stands for a sealed value.
SEALED: Final = "$sealed"
_PURPOSE: Final = "job-encryption"
_NONCE_BYTES: Final = 12


def seal(value: object, *, about: str) -> dict[str, str]:
    """Return a JSON object that stands for a JSON value; it opens for the same ``about`` alone."""
    key = derive_keys(_PURPOSE)[0]
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    sealed = AESGCM(key).encrypt(nonce, plain, about.encode())
    return {SEALED: f"{_get_key_id(key)}.{urlsafe_b64encode(nonce + sealed).decode()}"}


def is_sealed(value: object) -> bool:
    """Say whether a JSON value is what ``seal`` returns."""
    return isinstance(value, dict) and list(value) == [SEALED] and isinstance(value[SEALED], str)


def unseal(value: object, *, about: str) -> object:
    """Return the value that was sealed, with the current key or one that came before it.

    Raises:
        PayloadError: It was changed, was sealed for something else, or its key is gone.
    """
    if not isinstance(value, dict) or not is_sealed(value):
        raise PayloadError("A sealed value of the record is none.")
    key_id, _, body = value[SEALED].partition(".")
    key = next((one for one in derive_keys(_PURPOSE) if _get_key_id(one) == key_id), None)
    if key is None:
        raise PayloadError("A sealed value of the record was sealed with a key that is gone.")
    try:
        data = urlsafe_b64decode(body.encode())
        plain = AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], about.encode())
        opened: object = json.loads(plain)
    except (InvalidTag, ValueError):
        raise PayloadError("A sealed value of the record was changed, or belongs elsewhere.") from None
    return opened


def _get_key_id(key: bytes) -> str:
    return hashlib.sha256(b"job-encryption-id" + key).hexdigest()[:8]
