"""Hashing passwords, a few at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import override

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.conf import get_password_settings
from accounts.exceptions import TooBusy

#: The one semaphore of this process for each number of hashes at once; a running house knows one number.
_doors: dict[int, BoundedSemaphore] = {}


class Argon2idHasher(Argon2PasswordHasher):
    """argon2id with t=2, m=19 MiB, p=1: about 30 ms of one core.

    Each hash holds its 19 MiB, so a process makes ``PASSWORD_HASHES_AT_ONCE`` of them at once and no more. Others wait
    their turn; what Django hashes for addresses that nobody has goes through the same door.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    @override
    def encode(self, password: str, salt: str) -> str:
        """Return what is stored.

        Raises:
            TooBusy: No turn came in time.
        """
        with _turn():
            return super().encode(_encodable(password), salt)

    @override
    def verify(self, password: str, encoded: str) -> bool:
        """Say whether the password is the one that was stored.

        Raises:
            TooBusy: No turn came in time.
        """
        with _turn():
            return super().verify(_encodable(password), encoded)


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for a turn and hold it."""
    settings = get_password_settings()
    count = settings.hashes_at_once or os.cpu_count() or 1
    door = _doors.get(count) or _doors.setdefault(count, BoundedSemaphore(count))
    if not door.acquire(timeout=settings.hash_wait.total_seconds()):
        raise TooBusy(wait=settings.hash_wait.total_seconds())
    try:
        yield
    finally:
        door.release()


def _encodable(password: str) -> str:
    """Spell halves of surrogate pairs out. No such password is ever accepted; this one is wrong, not an error."""
    return password.encode(errors="backslashreplace").decode()
