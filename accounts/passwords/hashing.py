"""Hashing passwords, a few at a time."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import override

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.conf import get_password_settings
from accounts.exceptions import TooBusy
from project.processors import count_processors

#: The threads that hash, by their number; a running house knows one number.
_pools: dict[int, ThreadPoolExecutor] = {}
# Threads don't live on in a forked process; it starts its own.
os.register_at_fork(after_in_child=_pools.clear)


class Argon2idHasher(Argon2PasswordHasher):
    """argon2id with t=2, m=19 MiB, p=1: about 30 ms of one core.

    Each hash holds its 19 MiB, so a process makes ``PASSWORD_HASHES_AT_ONCE`` of them at once and no more. Others wait
    their turn; what Django hashes for addresses that nobody has waits among them.
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
        encode = super().encode
        return _take_turn(lambda: encode(_encodable(password), salt))

    @override
    def verify(self, password: str, encoded: str) -> bool:
        """Say whether the password is the one that was stored.

        Raises:
            TooBusy: No turn came in time.
        """
        verify = super().verify
        return _take_turn(lambda: verify(_encodable(password), encoded))


def get_pool() -> ThreadPoolExecutor:
    """Return the threads that hash in this process.

    They are threads of their own because what ``malloc`` has once given to a thread may stay with it: were each request
    to hash in its own thread, then in time each would keep 19 MiB.
    """
    count = get_password_settings().hashes_at_once or count_processors()
    return _pools.get(count) or _pools.setdefault(count, ThreadPoolExecutor(count, thread_name_prefix="passwords"))


def _take_turn[T](make_hash: Callable[[], T]) -> T:
    wait = get_password_settings().hash_wait.total_seconds()
    turn = get_pool().submit(make_hash)
    try:
        return turn.result(timeout=wait)
    except TimeoutError:
        if turn.cancel():
            raise TooBusy(wait=wait) from None
        return turn.result()  # it has begun


def _encodable(password: str) -> str:
    """Spell halves of surrogate pairs out. No such password is ever accepted; this one is wrong, not an error."""
    return password.encode(errors="backslashreplace").decode()
