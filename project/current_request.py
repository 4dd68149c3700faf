"""The request that is being answered, and who sends it, for code that is far from any view."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

_HOP = re.compile(r"\[(?P<v6>[^\[\]]+)\](:[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")
_current: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)


@contextmanager
def bind_request(request: HttpRequest) -> Iterator[None]:
    """Make a request the current one within the block, for this thread or asynchronous task."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def get_current_request() -> HttpRequest | None:
    """Return the request that is being answered; None in a command, a job or a test that calls no view."""
    return _current.get()


def get_known_user(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the user of a request, if that is known already: to find out now would cost a query."""
    known = vars(request).get("user")
    if isinstance(known, SimpleLazyObject):
        known = vars(request).get("_cached_user")
    return known if isinstance(known, AbstractBaseUser) else None


def get_client_id(request: HttpRequest) -> str:
    """Return the client whose access token the request brought; empty where it brought none."""
    return str(getattr(vars(request).get("auth"), "client_id", ""))


def get_client_address(request: HttpRequest) -> str:
    """Return the address of the client as the outermost trusted proxy saw it, else of the connection."""
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    count = min(settings.TRUSTED_PROXY_COUNT, len(hops))
    return _strip_port(hops[-count]) if count else str(request.META.get("REMOTE_ADDR", ""))


def get_client_ip(request: HttpRequest) -> str | None:
    """Return the client's address in its normal form, or None where it isn't an IP address."""
    address = parse_ip(get_client_address(request))
    return str(address) if address else None


def parse_ip(address: str) -> IPv4Address | IPv6Address | None:
    """Return an address in its normal form, or None where it isn't one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed))  # without the zone, which a database can't hold
    return parsed


def _strip_port(hop: str) -> str:
    """Return the address in what a proxy wrote: some add the client's port, and brackets to an IPv6 address."""
    matched = _HOP.fullmatch(hop)
    return (matched["v6"] or matched["v4"]) if matched else hop
