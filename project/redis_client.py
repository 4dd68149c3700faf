"""The client of a Redis that must not keep anybody waiting: one connection pool for each server in a process."""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis import Redis

_TIMEOUT_SECONDS: Final = 1


@cache
def get_redis_client(url: str) -> "Redis":
    """Return the client of a server; connections are opened as they are needed, and shared by all who ask for it.

    A command that gets no answer within a second raises ``RedisError``.
    """
    # A house without Redis needn't load it.
    from redis import Redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    # Once more, since a connection that lay idle may have been closed; then going on without it is the better answer.
    retry = Retry(NoBackoff(), 1)
    return Redis.from_url(url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS, retry=retry)
