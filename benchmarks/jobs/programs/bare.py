"""What nobody can beat who waits for the store: the same work, and no queue.

Prints JSON, both a second: ``push``, how often a loop puts as many bytes as a short job has into a list, over a bare
socket; ``incr``, how often two processes together do what a job of one INCR does.
"""

import json
import os
import socket
import sys
import time
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from urllib.parse import urlsplit

from benchmarks.jobs import work

_PROCESSES = 2
_KEY, _JOB = b"bench:bare", b"x" * 300
_PUSH = b"*3\r\n$5\r\nLPUSH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(_KEY), _KEY, len(_JOB), _JOB)


def _measure_push(count: int) -> float:
    url = urlsplit(os.environ[work.STORE])
    with socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379)) as store:
        store.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        for _ in range(count):
            store.sendall(_PUSH)
            store.recv(64)
        rate = count / (time.perf_counter() - started)
        store.sendall(b"*2\r\n$3\r\nDEL\r\n$%d\r\n%s\r\n" % (len(_KEY), _KEY))
        store.recv(64)
    return rate


def _measure_incr(count: int) -> float:
    context = get_context("fork")
    begin, end = context.Barrier(_PROCESSES + 1), context.Barrier(_PROCESSES + 1)
    processes = [context.Process(target=_repeat, args=(count // _PROCESSES, begin, end)) for _ in range(_PROCESSES)]
    for process in processes:
        process.start()
    begin.wait()
    started = time.perf_counter()
    end.wait()
    rate = count / (time.perf_counter() - started)
    for process in processes:
        process.join()
    return rate


def _repeat(count: int, begin: Barrier, end: Barrier) -> None:
    work.incr()
    begin.wait()
    for _ in range(count):
        work.incr()
    end.wait()


if __name__ == "__main__":
    _count = int(sys.argv[1])
    sys.stdout.write(json.dumps({"push": _measure_push(_count), "incr": _measure_incr(_count)}))
