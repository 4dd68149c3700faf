"""The half of a peer that sends jobs: a program that is told on its input what to send, and says how long that took.

A request is a line of JSON, ``{"do": "single" | "bulk" | "stamp", "kind": …, "count": …}``; the answer is one, too.
A producer that can look at its store is asked so: ``{"do": "look", "is_whole": …}``.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

#: Longest pause between two jobs of the kind ``stamp``, in seconds.
_LONGEST_PAUSE = 0.04


def serve(
    distribution: str,
    *,
    single: Callable[[str, int], object],
    bulk: Callable[[str, int], object] | None,
    stamp: Callable[[float], object],
    look: Callable[[bool], Mapping[str, object]] | None = None,
) -> None:
    """Send what the input asks for, until it ends.

    Args:
        distribution: What the peer is installed as.
        single: Sends so many jobs of a kind one after the other.
        bulk: Sends them at once, where the peer can.
        stamp: Sends a job that notes how long ago it was sent.
        look: Tells what the store holds; all of it where it is given True.
    """

    def send_spaced(_kind: str, count: int) -> None:
        for _ in range(count):
            stamp(time.monotonic())
            time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - no secret

    ways = {"single": single, "bulk": bulk or single, "stamp": send_spaced}
    _say({"version": _get_version(distribution), "has_bulk": bulk is not None})
    for line in sys.stdin:
        request = json.loads(line)
        if look is not None and request["do"] == "look":
            _say(look(request["is_whole"]))
            continue
        started = time.perf_counter()
        ways[request["do"]](request["kind"], request["count"])
        _say({"seconds": time.perf_counter() - started})


def _get_version(distribution: str) -> str:
    with suppress(PackageNotFoundError):
        return version(distribution)
    return ""


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(dict(answer)) + "\n")
    sys.stdout.flush()


def repeat(send: Callable[[str], object]) -> Callable[[str, int], None]:
    """Return what sends so many jobs of a kind one after the other."""

    def send_all(kind: str, count: int) -> None:
        for _ in range(count):
            send(kind)

    return send_all
