"""What the jobs of every peer do, in the peer's own process. Needs nothing but redis-py.

Each job notes that it was done: it appends the id of its process to a file, which is one system call. So jobs are
counted apart from the peer and its store, and it is seen which processes take part.
"""

import os
import struct
import time
from collections.abc import Callable
from functools import cache

from redis import Redis

#: Environment: where the store of the peer is, as its workers see it.
STORE = "BENCH_STORE_URL"
#: Where the Redis is that jobs of the kind ``incr`` count in.
COUNTER = "BENCH_COUNTER_URL"
#: Files that jobs append to.
TALLY, STAMPS, LEDGER = "BENCH_TALLY", "BENCH_STAMPS", "BENCH_LEDGER"
#: What is counted.
KEY = "bench:done"
#: How long a job of the kind ``nap`` takes, in seconds.
NAP = 0.001


@cache
def _open(name: str) -> int:
    return os.open(os.environ[name], os.O_WRONLY | os.O_APPEND)


@cache
def _connect(_process_id: int) -> "Redis":
    return Redis.from_url(os.environ[COUNTER])


def note() -> None:
    """Note that a job is done."""
    os.write(_open(TALLY), struct.pack("<I", os.getpid()))


def note_number(number: int) -> None:
    """Note which job has ended, in four bytes of a file of its own; all who write there append."""
    os.write(_open(LEDGER), struct.pack("<I", number))


def noop() -> None:
    """Do nothing."""
    note()


def incr() -> None:
    """Count in Redis, which stands for a small write somewhere."""
    write()
    note()


def write() -> None:
    """Count in Redis, and note nothing."""
    _connect(os.getpid()).incr(KEY)


def nap() -> None:
    """Wait for a millisecond, which stands for asking another service."""
    time.sleep(NAP)
    note()


def stamp(sent_at: float) -> None:
    """Note how long ago the job was sent, on the clock that all processes of a machine share."""
    os.write(_open(STAMPS), struct.pack("<d", time.monotonic() - sent_at))
    note()


#: The kinds of jobs that take no argument.
KINDS: dict[str, Callable[[], None]] = {"noop": noop, "incr": incr, "nap": nap}
