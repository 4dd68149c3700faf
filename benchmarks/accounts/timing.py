"""Whether the time of an answer tells which accounts there are (ASVS 6.3.8): addresses of all kinds, asked by chance.

Everything is as in production, limits of attempts too: each try names an address that none before it did, and comes
from an address of its own. One client asks over one connection, so that nothing but the house makes a difference. The
times of each kind are held against those of addresses without an account by the two-sample test of Kolmogorov and
Smirnov. Of so many tests one would fail by chance, so each may fail with its part of 5 % only (Bonferroni).
"""

import gc
import json
import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from ipaddress import IPv4Address
from itertools import count
from math import exp, sqrt
from typing import Final

from benchmarks.accounts.probing import PASSWORD
from benchmarks.harness import Figure
from benchmarks.load import HOST
from benchmarks.serving import Program, serve_alone

_OURS: Final = Program("project.settings.production", "benchmarks.accounts.timing_probe", "project.wsgi:application")
#: Of each kind at each door.
TRIES: Final = 1000
UNKNOWN: Final = "unknown"
#: In which states an account can be. A password is tried at none of them that is right.
ACCOUNTS: Final = ("verified", "unverified", "inactive", "unusable")
_CHANCE: Final = 0.05
_WARM_UP: Final = 20
_LOGIN: Final = "/api/v1/auth/login"
#: Door and path; and the status of every answer.
DOORS: Final = {
    "login": (_LOGIN, 401),
    "register": ("/api/v1/auth/register", 202),
    "reset": ("/api/v1/auth/password/reset", 202),
    "resend": ("/api/v1/auth/verify-email/resend", 202),
}
_WRONG: Final = PASSWORD[::-1]
#: Each client has an IPv4 address of its own among those for private use.
_clients: Final = count(int(IPv4Address("10.0.0.1")))


@dataclass(frozen=True, slots=True)
class Pair:
    """Times of one kind of address beside those of addresses without an account, at one door; in seconds."""

    door: str
    kind: str
    times: Sequence[float]
    unknown: Sequence[float]


def measure() -> list[Figure]:
    """Ask, and compare."""
    with serve_alone(_OURS) as side:
        pairs = [*_ask_everywhere(side.port), _ask_where_locked(side.port)]
    return [figure for pair in pairs for figure in _compare(pair, goal=_CHANCE / len(pairs))]


def list_addresses(door: str, kind: str) -> list[str]:
    """Return the addresses that are tried, in their order."""
    return [f"{door}-{kind}-{number}@example.com" for number in range(TRIES)]


def compare_samples(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the two-sample Kolmogorov-Smirnov statistic, and its p-value with Stephens' approximation."""
    first, second = sorted(one), sorted(other)
    distance = max(
        abs(bisect_right(first, value) / len(first) - bisect_right(second, value) / len(second))
        for value in {*first, *second}
    )
    size = sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.2:  # there the series needs many terms to say 1
        return distance, 1.0
    p = 2 * sum((-1) ** (term - 1) * exp(-2 * term**2 * scaled**2) for term in range(1, 101))
    return distance, min(max(p, 0.0), 1.0)


def _ask_everywhere(port: int) -> Iterator[Pair]:
    for door, (path, status) in DOORS.items():
        times = _ask_in_turns(port, door, path, status)
        yield from (Pair(door, kind, times[kind], times[UNKNOWN]) for kind in ACCOUNTS)


def _ask_in_turns(port: int, door: str, path: str, status: int) -> dict[str, list[float]]:
    """Try every address once, each time one of whichever kind comes up."""
    kinds = [UNKNOWN, *ACCOUNTS]
    rest = {kind: iter(list_addresses(door, kind)) for kind in kinds}
    turns = [kind for kind in kinds for _ in range(TRIES)]
    random.shuffle(turns)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    ask = _open(port)
    for number in range(_WARM_UP):
        ask(path, _write(door, f"{door}-warm-up-{number}@example.com"), next(_clients))
    for kind in turns:
        answered, seconds = ask(path, _write(door, next(rest[kind])), next(_clients))
        assert answered == status, (door, kind, answered)  # noqa: S101 - another answer is another work
        times[kind].append(seconds)
    return times


def _ask_where_locked(port: int) -> Pair:
    """Try one account, and one address without an account, long after both are locked."""
    names = {"locked": list_addresses("login", "verified")[0], UNKNOWN: "nobody@example.com"}
    times: dict[str, list[float]] = {kind: [] for kind in names}
    client, ask = next(_clients), _open(port)
    while min(map(len, times.values())) < TRIES:
        for kind in random.sample(list(names), len(names)):
            answered, seconds = ask(_LOGIN, _write("login", names[kind]), client)
            if answered == 429:  # else it was the turn of an attempt
                times[kind].append(seconds)
    return Pair("login, locked", "verified", times["locked"][:TRIES], times[UNKNOWN][:TRIES])


def _write(door: str, email: str) -> str:
    """Return the body that a door takes."""
    return json.dumps({"email": email} | ({"password": _WRONG} if door in {"login", "register"} else {}))


def _open(port: int) -> Callable[[str, str, int], tuple[int, float]]:
    """Connect, and return what posts to a path a body from a client, and returns status and seconds."""
    connection = HTTPConnection("127.0.0.1", port)
    common = {"Host": HOST, "Content-Type": "application/json", "X-Forwarded-Proto": "https"}

    def ask(path: str, body: str, client: int) -> tuple[int, float]:
        headers = common | {"X-Forwarded-For": str(IPv4Address(client))}
        gc.disable()
        started = time.perf_counter()
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        seconds = time.perf_counter() - started
        gc.enable()
        return response.status, seconds

    return ask


def _compare(pair: Pair, *, goal: float) -> Iterator[Figure]:
    distance, p = compare_samples(pair.times, pair.unknown)
    name = f"A3 {pair.door}: {pair.kind} beside {UNKNOWN}, {TRIES} tries each"
    medians = {UNKNOWN: statistics.median(pair.unknown) * 1e3}
    yield Figure(name=f"{name}: median", value=statistics.median(pair.times) * 1e3, unit="ms", peers=medians)
    yield Figure(name=f"{name}: KS statistic", value=distance, unit="")
    yield Figure(name=f"{name}: p", value=p, unit="", goal=goal)
