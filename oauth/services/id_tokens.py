"""ID tokens: who somebody is, signed for one client (OpenID Connect Core §2)."""

import base64
import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.conf import settings

from accounts import keys
from accounts.conf import get_settings as get_accounts_settings
from accounts.services import Session
from oauth.claims import describe_person, get_acr, parse_claims
from oauth.conf import get_settings
from oauth.models import Application

#: What ``at_hash`` and ``c_hash`` are made with (OpenID Connect Core §3.1.3.6): the hash of the algorithm.
_HASHES: Final = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}


def issue_id_token(
    *,
    application: Application,
    session: Session,
    scope: Collection[str],
    access_token: str,
    nonce: str = "",
    code: str = "",
    now: datetime,
) -> str:
    """Return the signed ID token that goes with an access token.

    It is signed as its client wants it. Beside the sign-in it tells only what the parameter ``claims`` asks to find
    there (§5.5); all the rest is at the userinfo endpoint (§5.4).
    """
    algorithm = _choose_algorithm(application)
    wanted = parse_claims(session.claims).id_token
    told: dict[str, object] = {}
    if wanted - {"sub", "acr", "auth_time"}:
        told = describe_person(session.user, client_id=application.client_id, scopes=scope)
    said: dict[str, object] = {
        **{name: value for name, value in told.items() if name in wanted},
        "iss": settings.BASE_URL,
        "sub": str(session.user_id),
        "aud": application.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + get_settings().id_token_lifetime).timestamp()),
        "at_hash": _hash_half(access_token, algorithm),
    }
    methods = session.amr.split()
    optional: dict[str, object] = {
        "auth_time": session.authenticated_at and int(session.authenticated_at.timestamp()),
        "amr": methods,
        "acr": get_acr(methods),
        "sid": session.opened_in_id and str(session.opened_in_id),
        "nonce": nonce,
        "c_hash": code and _hash_half(code, algorithm),
    }
    said |= {name: value for name, value in optional.items() if value}
    return keys.get_active_key(algorithm).sign(said)


def _choose_algorithm(application: Application) -> str:
    """Return what the client wants, or RS256 where that was taken out of the settings since it was registered."""
    known = get_accounts_settings().id_token_algorithms
    return application.algorithm if application.algorithm in known else Application.Algorithm.RS256.value


def _hash_half(text: str, algorithm: str) -> str:
    digest = _HASHES[algorithm](text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
