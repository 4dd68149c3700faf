"""The cookie mode: a browser keeps the refresh token where no script can read it.

A cookie is sent by whoever makes the browser send a request. So a refresh by cookie must also show, in a header that
only a page of this host can set, the value of a second cookie, which only such a page can read.
"""

from datetime import datetime
from hmac import compare_digest
from typing import Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from accounts.exceptions import CsrfFailed, InvalidRefreshToken
from accounts.selectors import find_session_id
from accounts.services import TokenPair
from project.crypto import keyed_digest, keyed_digests

#: The refresh token goes to the addresses of the API that take it, and nowhere else.
PATH: Final = "/api/v1/auth/"
_PURPOSE: Final = "refresh-cookie-csrf"
_CSRF_HEADER: Final = "X-CSRF-Token"
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_MAX_TOKEN_CHARACTERS: Final = 512


def get_cookie_names() -> tuple[str, str]:
    """Return the names of the two cookies: of the refresh token, and of the value that shows where requests come from.

    Their prefixes make browsers refuse them without ``Secure`` (RFC 6265bis §4.1.3), which plain http can't have.
    """
    if _is_secure():
        return "__Secure-gatehouse-refresh", "__Host-gatehouse-csrf"
    return "gatehouse-refresh", "gatehouse-csrf"


def has_refresh_cookie(request: HttpRequest) -> bool:
    """Say whether the client keeps its refresh token in the cookie."""
    return get_cookie_names()[0] in request.COOKIES


def read_refresh_cookie(request: HttpRequest) -> str:
    """Return the refresh token of a request that shows that a page of this host sent it.

    Raises:
        CsrfFailed: The request may come from elsewhere.
        InvalidRefreshToken: The cookie holds no refresh token of ours.
    """
    check_origin(request)
    sent = request.headers.get(_CSRF_HEADER, "")
    if not sent:
        raise CsrfFailed(detail="no header")
    token = request.COOKIES[get_cookie_names()[0]]
    session_id = find_session_id(refresh_token=token) if len(token) <= _MAX_TOKEN_CHARACTERS else None
    if session_id is None:
        raise InvalidRefreshToken(detail="unknown, in a cookie")
    expected = keyed_digests(_PURPOSE, str(session_id))
    if not any(compare_digest(sent.encode(errors="replace"), one.encode()) for one in expected):
        raise CsrfFailed(detail="the header doesn't belong to the session")
    return token


def check_origin(request: HttpRequest) -> None:
    """Refuse what a browser sends for a page of another origin; who isn't a browser says nothing about that.

    Raises:
        CsrfFailed: It is.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    origin = request.headers.get("Origin")
    own = {settings.BASE_URL, f"{request.scheme}://{request.get_host()}"}
    if site not in _OWN_SITES or (origin is not None and origin not in own):
        raise CsrfFailed(detail="sent for a page of another origin")


def set_cookies(response: HttpResponseBase, pair: TokenPair, *, now: datetime) -> None:
    """Let the browser keep the refresh token for as long as it lives."""
    refresh, csrf = get_cookie_names()
    lifetime = int((pair.refresh_expires_at - now).total_seconds())
    response.set_cookie(
        refresh,
        pair.refresh_token,
        max_age=lifetime,
        path=PATH,
        secure=_is_secure(),
        httponly=True,
        samesite="Strict",
    )
    response.set_cookie(csrf, _make_csrf(pair.session.pk), max_age=lifetime, secure=_is_secure(), samesite="Strict")


def clear_cookies(response: HttpResponseBase) -> None:
    """Let the browser forget both."""
    refresh, csrf = get_cookie_names()
    response.delete_cookie(refresh, path=PATH, samesite="Strict")
    response.delete_cookie(csrf, samesite="Strict")


def _make_csrf(session_id: UUID) -> str:
    return keyed_digest(_PURPOSE, str(session_id))


def _is_secure() -> bool:
    """Say whether the house is reached by https; development goes without."""
    return bool(settings.BASE_URL.startswith("https://"))
