"""What is asked of a Redis that tests which run beside each other share."""

from collections.abc import Callable
from itertools import takewhile
from typing import Final

from redis import Redis

_END: Final = "that was all"
#: How a new connection introduces itself.
_GREETINGS: Final = {"HELLO", "CLIENT", "SELECT", "AUTH"}


def list_commands(server: Redis, act: Callable[[], object], *, with_scripts: bool = False) -> list[str]:
    """Return the commands that reach a client's database while something is done.

    ``with_scripts``: also those that scripts give themselves.

    Each process of a run has a database of its own; what reaches the others is somebody else's.
    """
    own = server.get_connection_kwargs()["db"]
    server.ping()  # it is connected now
    with server.monitor() as monitor:  # type: ignore[no-untyped-call] # redis-py leaves it untyped
        act()
        server.echo(_END)
        here = (one for one in monitor.listen() if one["db"] == own)
        heard = list(takewhile(lambda one: _END not in one["command"], here))
    told = [str(one["command"]) for one in heard if with_scripts or one["client_type"] != "lua"]
    return [command for command in told if command.split()[0].upper() not in _GREETINGS]
