"""Where strangers may try something, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_SECONDS: Final = "_SECONDS"
_SECOND: Final = timedelta(seconds=1)
_QUARTER: Final = timedelta(minutes=15)


class Door(StrEnum):
    """What is tried. The page and the API for one thing are one door."""

    LOGIN = "login"
    REGISTER = "register"
    REFRESH = "refresh"
    #: Using up the link that verifies an address.
    VERIFY = "verify"
    #: Asking for a link that lets a new password be chosen.
    RESET = "reset"
    #: Asking for the link that verifies an address once more.
    RESEND = "resend"
    #: Asking for a link that changes the address.
    CHANGE_EMAIL = "change_email"
    #: Giving one's password again: also where it is changed.
    REAUTHENTICATE = "reauthenticate"
    #: Using up a link that sets a password or changes the address.
    CONFIRM = "confirm"
    #: Having something kept while one signs in.
    KEEP = "keep"
    #: Starting a device that waits for its user.
    START_DEVICE = "start_device"
    #: Entering the code that a device shows; the account is the id of who is signed in.
    ENTER_DEVICE_CODE = "enter_device_code"


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may be tried.

    A few attempts are free; each one after them must wait longer than the one before. As time goes by attempts are
    forgiven one by one, so who goes on and on ends at about one attempt in each ``recovery``.
    """

    free: int = 5
    #: Wait after the last free attempt.
    first_delay: timedelta = _SECOND
    #: By how much each wait is longer than the one before.
    factor: float = 2
    longest_delay: timedelta = _QUARTER
    #: Time after which one attempt is forgiven.
    recovery: timedelta = _QUARTER

    def __post_init__(self) -> None:
        """Refuse what would let nobody in, or everybody.

        Raises:
            ValueError: A number is too small.
        """
        if self.free < 1 or self.factor < 1 or min(self.first_delay, self.longest_delay, self.recovery) < _SHORTEST:
            raise ValueError("FREE and FACTOR must be at least 1, times at least a millisecond.")


_SHORTEST: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """The limits of one door; None where there is none of the kind."""

    #: Of one client address, whichever accounts it names.
    address: Limit | None
    #: Of one account, from all addresses from which it wasn't signed in to lately.
    account: Limit | None = None
    #: Of one account from one address.
    pair: Limit | None = None


def _limit(free: int, *, recovery: float, longest: float) -> Limit:
    return Limit(free, recovery=timedelta(seconds=recovery), longest_delay=timedelta(seconds=longest))


# An account has a limit of its own where its password is tried, and with short waits: a stranger could use them up on
# its owner. Of mails to one address, which strangers can cause elsewhere, ``may_mail`` limits the number.
_PASSWORD: Final = DoorLimits(
    address=_limit(60, recovery=6, longest=60),
    account=_limit(10, recovery=60, longest=60),
    pair=Limit(),
)
_MAIL: Final = DoorLimits(address=_limit(20, recovery=30, longest=900), pair=_limit(10, recovery=300, longest=900))
# Nobody guesses 256 random bits: this bounds the work that one client can cause.
_TOKEN: Final = DoorLimits(address=_limit(60, recovery=2, longest=60))
DEFAULTS: Final[Mapping[Door, DoorLimits]] = {
    Door.LOGIN: _PASSWORD,
    Door.REAUTHENTICATE: _PASSWORD,
    Door.REGISTER: DoorLimits(address=_limit(30, recovery=6, longest=900), pair=_MAIL.pair),
    Door.RESET: _MAIL,
    Door.RESEND: _MAIL,
    Door.CHANGE_EMAIL: _MAIL,
    Door.VERIFY: _TOKEN,
    Door.CONFIRM: _TOKEN,
    # A whole office behind one address refreshes every few minutes.
    Door.REFRESH: DoorLimits(address=_limit(600, recovery=0.1, longest=10)),
    # Each makes a row, which lives for a quarter of an hour or so.
    Door.KEEP: _TOKEN,
    Door.START_DEVICE: _TOKEN,
    # People can guess at these codes of 34 bits (RFC 8628 §5.1).
    Door.ENTER_DEVICE_CODE: DoorLimits(
        address=_limit(30, recovery=20, longest=900), account=_limit(10, recovery=60, longest=900)
    ),
}


def get_limits(door: Door) -> DoorLimits:
    """Return the limits of a door as ``settings.ACCOUNTS["LIMITS"]`` changes them.

    Raises:
        ImproperlyConfigured: The setting can't be read.
    """
    changes: Mapping[str, Any] = settings.ACCOUNTS["LIMITS"].get(door.name, {})  # Any: mappings of numbers, or None
    limits = DEFAULTS[door]
    for scope, change in changes.items():
        try:
            limit = None if change is None else _change(getattr(limits, scope.lower()) or Limit(), change)
            limits = replace(limits, **{scope.lower(): limit})
        except (AttributeError, TypeError, ValueError) as error:
            message = f'ACCOUNTS["LIMITS"]["{door.name}"]["{scope}"] can\'t be read: {error}'
            raise ImproperlyConfigured(message) from error
    return limits


def _change(limit: Limit, change: Mapping[str, float]) -> Limit:
    values: dict[str, Any] = {}  # Any: numbers and durations
    for name, number in change.items():
        is_time = name.endswith(_SECONDS)
        values[name.removesuffix(_SECONDS).lower()] = timedelta(seconds=number) if is_time else number
    return replace(limit, **values)
