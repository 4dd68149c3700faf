"""How often one may try to sign in, register, refresh, reset and the like; see "Attempts" in ``docs/accounts.md``.

Each attempt counts for the client's address, for the account that is named, and for the pair of both, before anything
is checked, so that simultaneous attempts count too. Accounts are known by a keyed digest of what was typed, whether
there is such an account or not.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_network
from math import ceil
from typing import Final, override

import structlog
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.throttles.counting import Count, Success, Taken, get_counts
from accounts.throttles.doors import Door, Limit, get_limits
from project.crypto import keyed_digest
from project.current_request import get_client_address, parse_ip

__all__ = ["AuthThrottle", "Door", "LateThrottle", "count_attempt", "limit_account", "may_mail", "note_success"]

#: For so long after a success an address is known as one of the account's owner.
_KNOWN: Final = timedelta(days=30)
#: What a success at these shows: that the account is the client's. The others succeed for everybody.
_PROVING: Final = frozenset({Door.LOGIN, Door.REAUTHENTICATE, Door.VERIFY, Door.CONFIRM})
_PASSWORD_DOORS: Final = (Door.LOGIN, Door.REAUTHENTICATE)
#: Mails of one kind to one address: five at once, and then one in twelve minutes.
_MAILS: Final = Limit(5, first_delay=timedelta(minutes=12), factor=1, recovery=timedelta(minutes=12))
#: Longest body that is read before anything is counted: longer than one that names an account and a password need be.
_SHORT_BYTES: Final = 8192
_log: Final = structlog.get_logger("gatehouse.accounts")


def count_attempt(request: HttpRequest, *, door: Door, account: str = "", now: datetime) -> int | None:
    """Count one attempt of the client; return the seconds to wait where it is one too many, else None.

    A refused attempt doesn't count, so nobody waits longer for having been refused.

    Args:
        request: The request, for the address of its client.
        door: What is tried.
        account: The e-mail address that names the account, as it was typed; empty where the request names none.
        now: The present time.
    """
    client, account = _get_client(request), _normalize(account)
    counts = [*_list_address_counts(door, client), *_list_account_counts(door, client, account)]
    return _get_wait(_take(door, counts, client=client, account=account, now=now))


def note_success(request: HttpRequest, *, door: Door, account: str, is_session: bool = False, now: datetime) -> None:
    """Give the attempt back, forget what was tried before from there, and know the address from now on.

    Call it where the client has shown that the account is theirs, by its password or by a link that was mailed to it.

    Args:
        request: The request, for the address of its client.
        door: What was tried.
        account: The e-mail address of the account.
        is_session: Whether a session of the user's own began, whose program ``limit_account`` is to know again.
        now: The present time.

    Raises:
        ValueError: A success at this door shows nothing, because everybody has it.
    """
    if door not in _PROVING:
        raise ValueError(f"A success at the door {door} doesn't show whose the account is.")
    client, account = _get_client(request), _normalize(account)
    counts = [*_list_address_counts(door, client), *_list_account_counts(door, client, account)]
    pairs = {_get_pair_key(one, client, account) for one in (door, *_PASSWORD_DOORS)}
    success = Success(
        given_back=[count for count in counts if count.key not in pairs],
        cleared=sorted(pairs),
        known_until=now + _KNOWN,
        mark=_get_mark(request) if is_session else "",
    )
    get_counts().note(success, known=_get_known_key(client, account), now=now)


def limit_account(request: Request, account: str) -> bool:
    """Count the attempt of a view with ``AuthThrottle`` for the account that its body names.

    Of a view with ``LateThrottle`` it counts what that one left, too.

    Args:
        request: The request.
        account: The e-mail address that names the account; empty where the body names none.

    Returns:
        Whether the last success there was from the same address and by the same program, and a session began with it.

    Raises:
        Throttled: It is one too many.
    """
    view, client, account = _get_view(request), _get_client(request), _normalize(account)
    door, now = _get_door(view), timezone.now()
    of_address, of_account = [*_list_address_counts(door, client)], [*_list_account_counts(door, client, account)]
    is_late = LateThrottle in view.throttle_classes and _is_short(request)
    counts = of_address + of_account if is_late else of_account
    taken = _take(door, counts, client=client, account=account, now=now)
    if (wait := _get_wait(taken)) is not None:
        if not is_late:
            get_counts().give_back(of_address, now=now)  # since a refused attempt doesn't count
        raise Throttled(wait=wait)
    return taken.mark == _get_mark(request)


def may_mail(email: str, *, door: Door, now: datetime) -> bool:
    """Count one mail to an address, and say whether it is one of the few that may be sent.

    Each door has a count of its own: who has all mails of one kind sent to somebody can't keep others from them.

    Args:
        email: To whom.
        door: What causes the mail.
        now: The present time.
    """
    count = Count(_get_key("mail", door, _normalize(email)), _MAILS)
    return not get_counts().take([count], known="", now=now).wait


class AuthThrottle(BaseThrottle):
    """Counts an attempt at the ``throttle_door`` of an API view for the client's address, before the body is read.

    A view whose body names an account calls ``limit_account`` as soon as it knows which.
    """

    _wait: int | None = None

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request and say whether it may go on."""
        self._wait = count_attempt(request, door=_get_door(view), now=timezone.now())
        return self._wait is None

    @override
    def wait(self) -> int | None:
        """Return the seconds to wait after a refusal."""
        return self._wait


class LateThrottle(AuthThrottle):
    """Leaves what has a short body to be counted for address and account in one step.

    The view calls ``limit_account`` before it does anything else with the body, also where that makes no sense.
    """

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count a request whose body may be long, as ``AuthThrottle`` does, and say whether it may go on."""
        return _is_short(request) or super().allow_request(request, view)


def _take(door: Door, counts: list[Count], *, client: str, account: str, now: datetime) -> Taken:
    taken = get_counts().take(counts, known=_get_known_key(client, account), now=now)
    if taken.wait:
        _log.info("attempt refused", door=door.value, wait=_get_wait(taken))
    return taken


def _get_wait(taken: Taken) -> int | None:
    """Return the seconds to wait; None where the attempt was counted."""
    return ceil(taken.wait.total_seconds()) if taken.wait else None


def _list_address_counts(door: Door, client: str) -> Iterator[Count]:
    if limit := get_limits(door).address:
        yield Count(_get_key("address", door, client), limit)


def _list_account_counts(door: Door, client: str, account: str) -> Iterator[Count]:
    limits = get_limits(door)
    if account and limits.account:
        yield Count(_get_key("account", door, account), limits.account, spares_known=True)
    if account and limits.pair:
        yield Count(_get_pair_key(door, client, account), limits.pair)


def _get_pair_key(door: Door, client: str, account: str) -> str:
    return _get_key("pair", door, client, account)


def _get_known_key(client: str, account: str) -> str:
    return _get_key("known", client, account)


def _get_mark(request: HttpRequest | Request) -> str:
    """Return by what the program of a request is known again."""
    return _get_key("program", request.headers.get("User-Agent", ""))


def _get_key(kind: str, *parts: str) -> str:
    """Return a key that tells nobody who reads the cache which accounts and addresses there are."""
    return f"{kind}:{keyed_digest('attempts', '\n'.join((kind, *parts)).encode(errors='replace'))}"


def _normalize(account: str) -> str:
    """Return an e-mail address as it is looked up; a line end in it, which no address has, mustn't join two parts."""
    return " ".join(account.lower().split())


def _get_door(view: APIView) -> Door:
    door: Door = view.throttle_door  # type: ignore[attr-defined]  # what AuthThrottle asks of its views
    return door


def _is_short(request: Request) -> bool:
    """Say whether it is little work to read the body."""
    return int(request.META.get("CONTENT_LENGTH") or 0) <= _SHORT_BYTES


def _get_view(request: Request) -> APIView:
    view: APIView = request.parser_context["view"]
    return view


def _get_client(request: HttpRequest) -> str:
    """Return who is counted: the address, or the /64 network of an IPv6 one, which one client has all of."""
    address = get_client_address(request)
    match parse_ip(address):
        case IPv6Address() as parsed:
            return str(ip_network((parsed, 64), strict=False).network_address)
        case IPv4Address() as parsed:
            return str(parsed)
        case None:
            return sha256(address.encode(errors="replace")).hexdigest()
