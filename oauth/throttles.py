"""How often clients may do at the endpoints what strangers could do too; the counts are those of ``accounts``."""

from datetime import datetime
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.utils import timezone

from accounts.exceptions import EmailNotVerified, InvalidCredentials
from accounts.services import check_credentials
from accounts.throttles import Door, count_attempt, note_success
from project.current_request import get_current_request

_MAX_PASSWORD_CHARACTERS: Final = 256


class TooManyAttempts(Exception):
    """There were too many attempts; ``wait`` says for how many seconds there is no room."""

    def __init__(self, wait: int) -> None:
        """Say how long to wait."""
        super().__init__(f"There were too many attempts. Wait {wait} seconds.")
        self.wait = wait


def limit_devices(request: HttpRequest, *, now: datetime) -> None:
    """Count that a device is started.

    Raises:
        TooManyAttempts: It is one too many from there.
    """
    wait = count_attempt(request, door=Door.START_DEVICE, now=now)
    if wait is not None:
        raise TooManyAttempts(wait)


def check_password(*, email: str, password: str) -> AbstractBaseUser | None:
    """Return whose password a client was given, counted and recorded as at sign-in; None where nobody may sign in so.

    Raises:
        TooManyAttempts: It is one too many: from there, at that account, or both.
        TooBusy: Too many passwords are being checked at this moment.
    """
    request, now = get_current_request(), timezone.now()
    if request is None:
        return None  # nobody could count it
    wait = count_attempt(request, door=Door.LOGIN, account=email, now=now)
    if wait is not None:
        raise TooManyAttempts(wait)
    if len(password) > _MAX_PASSWORD_CHARACTERS:
        return None
    try:
        user = check_credentials(email=email, password=password)
    except (InvalidCredentials, EmailNotVerified):
        return None
    note_success(request, door=Door.LOGIN, account=email, now=now)
    return user
