"""Authorization requests on their way through sign-in: in the address that comes back, or stored if they are long."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from oauthlib.oauth2.rfc6749 import errors

from accounts.throttles import Door, count_attempt
from oauth import services
from oauth.authorization import AuthorizationRequest
from oauth.form_requests import read_query
from oauth.selectors import find_stored_request
from oauth.tokens import make_secret
from oauth.views.answers import ASKED, refuse_attempt

#: Longest address that goes through sign-in by itself: what Django, proxies and browsers agree on.
_MAX_ADDRESS_CHARACTERS: Final = 2_000
#: Longest request that is stored.
_MAX_REQUEST_CHARACTERS: Final = 50_000
_HANDLE: Final = "request_handle"
_ASKED_SALT: Final = "oauth.asked"
_ASKED_SECONDS: Final = 3600
#: Where the session of a person keeps which ways back have led to an answer.
_USED_KEY: Final = "_answered"
#: Ties stored requests and ways back to one browser.
_COOKIE: Final = "authorization"
_COOKIE_PATH: Final = "/oauth/"
_COOKIE_SECONDS: Final = 3600


def read_request(request: HttpRequest) -> Mapping[str, str]:
    """Return the parameters of the authorization request that an address carries, or has stored.

    Raises:
        InvalidRequestFatalError: They can't be read, or are stored no longer.
    """
    handle = request.GET.get(_HANDLE)
    if handle is None or "client_id" in request.GET:  # to a client, the name is one that means nothing
        return read_query(request)
    found = find_stored_request(handle=handle, browser_key=request.COOKIES.get(_COOKIE, ""), now=timezone.now())
    if found is None:
        raise errors.InvalidRequestFatalError("You took too long to sign in. Go back to the app and begin again.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """That a request was sent through sign-in and has come back in the same browser.

    Attributes:
        asked_at: When it was, for the first time.
        mark: What tells it from others; see ``use_up``.
    """

    asked_at: datetime
    mark: str


def find_way_back(request: HttpRequest, asked: AuthorizationRequest) -> WayBack | None:
    """Return when this very request was sent through sign-in; None where it wasn't lately, or has its answer."""
    note = request.GET.get(ASKED, "")
    try:
        signed = signing.loads(note, salt=_ASKED_SALT, max_age=_ASKED_SECONDS)
        at, digest = signed
    except (signing.BadSignature, ValueError):
        return None
    mark = sha256(note.encode()).hexdigest()
    if digest != _digest(asked, request.COOKIES.get(_COOKIE, "")) or is_used_up(request, mark):
        return None
    return WayBack(asked_at=datetime.fromtimestamp(at, UTC), mark=mark)


def use_up(request: HttpRequest, mark: str) -> None:
    """Let a way back lead to no other answer; the session of who has signed in remembers it as long as it could.

    Two requests at the same moment may both come through: they are of one browser, and one sign-in.
    """
    if mark:
        oldest = time.time() - _ASKED_SECONDS
        marks = {known: at for known, at in request.session.get(_USED_KEY, {}).items() if at > oldest}
        request.session[_USED_KEY] = {**marks, mark: time.time()}


def is_used_up(request: HttpRequest, mark: str) -> bool:
    """Say whether a way back has led to its answer."""
    return mark in request.session.get(_USED_KEY, {})


def send_through(
    request: HttpRequest, asked: AuthorizationRequest, page: str, *, asked_at: datetime, login_hint: str = ""
) -> HttpResponseBase:
    """Send the person to a page of accounts that comes back to the request.

    Raises:
        InvalidRequestError: The request is too long to be kept.
    """
    browser_key = request.COOKIES.get(_COOKIE) or make_secret()
    signed = signing.dumps([asked_at.timestamp(), _digest(asked, browser_key)], salt=_ASKED_SALT)
    more = {"login_hint": login_hint} if login_hint else {}

    def build(address: str) -> str:
        return f"{reverse(page)}?{urlencode({'next': address, **more}, safe='/')}"

    response = _leave(request, asked, build, browser_key, signed)
    _set_browser_key(response, browser_key)
    return response


def send_back(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponseBase:
    """Have the request made once more, by an address.

    Raises:
        InvalidRequestError: The request is too long to be kept.
    """
    return _leave(request, asked, str, request.COOKIES.get(_COOKIE) or make_secret())


def get_address(asked: AuthorizationRequest) -> str:
    """Return the request as an address, however long."""
    return f"{reverse('oauth2_provider:authorize')}?{asked.query}"


def _leave(
    request: HttpRequest,
    asked: AuthorizationRequest,
    build: Callable[[str], str],
    browser_key: str,
    signed: str = "",
) -> HttpResponseBase:
    suffix = f"&{urlencode({ASKED: signed})}" if signed else ""
    address = get_address(asked) + suffix
    if len(address) <= _MAX_ADDRESS_CHARACTERS:
        return HttpResponseRedirect(build(address))
    if len(address) > _MAX_REQUEST_CHARACTERS:
        raise asked.refuse(errors.InvalidRequestError("The request is too long."))
    path, handle, now = reverse("oauth2_provider:authorize"), request.GET.get(_HANDLE), timezone.now()
    if handle is not None and "client_id" not in request.GET:  # it is stored already
        return HttpResponseRedirect(build(f"{path}?{urlencode({_HANDLE: handle})}{suffix}"))
    wait = count_attempt(request, door=Door.KEEP, now=now)
    if wait is not None:
        return refuse_attempt(request, wait)
    parameters = {**asked.parameters, "scope": " ".join(asked.scopes)}
    handle = services.store_request(
        application=asked.application, parameters=parameters, browser_key=browser_key, now=now
    )
    response = HttpResponseRedirect(build(f"{path}?{urlencode({_HANDLE: handle})}{suffix}"))
    _set_browser_key(response, browser_key)
    return response


def _set_browser_key(response: HttpResponseBase, browser_key: str) -> None:
    response.set_cookie(
        _COOKIE,
        browser_key,
        max_age=_COOKIE_SECONDS,
        path=_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _digest(asked: AuthorizationRequest, browser_key: str) -> str:
    # In an order of its own: what was stored comes back in another one from PostgreSQL.
    said = sorted(parse_qsl(asked.query, keep_blank_values=True))
    return sha256(repr([browser_key, *said]).encode()).hexdigest()
