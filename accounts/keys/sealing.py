"""Private keys at rest: encrypted with a key derived from ``SECRET_KEY``, and bound to their ``kid``."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from accounts.models import SigningKey
from project.crypto import derive_keys

_PURPOSE: Final = "signing-key"
_NONCE_BYTES: Final = 12


def seal_private_jwk(plain: bytes, *, kid: str) -> bytes:
    """Encrypt a private JWK (AES-256-GCM)."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(derive_keys(_PURPOSE)[0]).encrypt(nonce, plain, kid.encode())


def open_private_jwk(row: SigningKey) -> bytes | None:
    """Return a private JWK, or None where neither ``SECRET_KEY`` nor a fallback opens it."""
    sealed = bytes(row.private_jwk)
    for key in derive_keys(_PURPOSE):
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.kid.encode())
        except InvalidTag:
            continue
    return None
