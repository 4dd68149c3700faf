"""How often one client address may try to register, sign in, refresh or verify; API and pages share the count.

And how many mails registrations may cause to one e-mail address, from wherever they come.
"""

from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import override

import structlog
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from project.crypto import keyed_digest
from project.current_request import get_client_address, parse_ip

_log = structlog.get_logger("gatehouse.accounts")
_MAILS_PER_HOUR = 5
_HOUR_SECONDS = 3600
_PERIOD_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def count_attempt(request: HttpRequest, *, now: datetime) -> int | None:
    """Count one attempt of the client; return the seconds to wait where it is one too many, else None.

    Counts per minute (or whatever the rate says) in the shared cache, one step per attempt, so that simultaneous
    attempts count too.
    """
    limit, period = _get_rate()
    seconds = int(now.timestamp())
    count = _count(f"auth:{_bucket(get_client_address(request))}", period=period, seconds=seconds)
    return None if count <= limit else period - seconds % period


def may_mail(email: str, *, now: datetime) -> bool:
    """Count one mail that a registration causes to an address, and say whether it is one of the hour's first."""
    digest = keyed_digest("mail-limit", email.lower())  # no cache needs to know who is registered
    return _count(f"mail:{digest}", period=_HOUR_SECONDS, seconds=int(now.timestamp())) <= _MAILS_PER_HOUR


class AuthThrottle(BaseThrottle):
    """Apply the shared count to an API view."""

    _wait: int | None = None

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request and say whether it may go on."""
        self._wait = count_attempt(request, now=timezone.now())
        return self._wait is None

    @override
    def wait(self) -> int | None:
        """Return the seconds to wait after a refusal."""
        return self._wait


def _count(name: str, *, period: int, seconds: int) -> int:
    """Count one more in the current period and return how many there are; 0 where the cache can't tell."""
    key = f"throttle:{name}:{seconds // period}"
    try:
        cache.add(key, 0, timeout=period * 2)
        return cache.incr(key)
    except ValueError:  # the cache dropped the entry in between
        return 0
    except RedisError as error:
        # A dead cache must not lock everybody out; each attempt still costs a slow hash.
        _log.warning("throttle_unavailable", error=type(error).__name__)
        return 0


def _get_rate() -> tuple[int, int]:
    """Return the number of attempts and the seconds in which they count."""
    number, _, period = str(api_settings.DEFAULT_THROTTLE_RATES["auth"]).partition("/")
    return int(number), _PERIOD_SECONDS[period[0]]


def _bucket(address: str) -> str:
    """Return what is counted: the address, or the /64 network of an IPv6 one, which one client has all of."""
    match parse_ip(address):
        case IPv6Address() as parsed:
            return str(ip_network((parsed, 64), strict=False).network_address)
        case IPv4Address() as parsed:
            return str(parsed)
        case None:
            return sha256(address.encode(errors="replace")).hexdigest()
