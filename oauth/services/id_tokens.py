"""ID tokens: who somebody is, signed for one client (OpenID Connect Core §2)."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from joserfc import jwt

from accounts import keys
from accounts.services import Session
from oauth.models import Application

#: An ID token is read once, when it arrives.
_LIFETIME: Final = timedelta(minutes=10)


def issue_id_token(
    *,
    application: Application,
    session: Session,
    scope: tuple[str, ...],
    access_token: str,
    nonce: str,
    claims: str,
    code: str,
    now: datetime,
) -> str:
    """Return the signed ID token that goes with an access token."""
    del scope, claims
    said: dict[str, object] = {
        "iss": settings.BASE_URL,
        "sub": str(session.user_id),
        "aud": application.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + _LIFETIME).timestamp()),
        "at_hash": _hash_half(access_token),
    }
    if session.authenticated_at is not None:
        said["auth_time"] = int(session.authenticated_at.timestamp())
    if session.amr:
        said["amr"] = session.amr.split()
    if session.opened_in_id is not None:
        said["sid"] = str(session.opened_in_id)
    if nonce:
        said["nonce"] = nonce
    if code:
        said["c_hash"] = _hash_half(code)
    signer = keys.get_active_key()
    return jwt.encode({"alg": signer.algorithm, "kid": signer.kid}, said, signer.key, registry=keys.REGISTRY)


def _hash_half(text: str) -> str:
    """Return ``at_hash`` or ``c_hash`` (OpenID Connect Core §3.1.3.6) for algorithms with SHA-256."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
