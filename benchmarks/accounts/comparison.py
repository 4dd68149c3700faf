"""Accounts: tokens, refreshing and sign-in, beside stock Django with djangorestframework-simplejwt in the same run.

Both are served alike, on one PostgreSQL server; ours with production settings and a shared cache. For the load the
limits of attempts at sign-in and refresh are lifted; nothing else is changed.
"""

import statistics
from collections.abc import Callable, Iterator
from importlib.metadata import version

from benchmarks.accounts.probing import PASSWORD, list_emails
from benchmarks.harness import Figure
from benchmarks.load import Load, build_request, call, call_at_once, call_at_rate, call_steadily
from benchmarks.serving import WORKERS, Program, Side, serve_beside

_OURS = Program("benchmarks.accounts.settings", "benchmarks.accounts.probe", "project.wsgi:application")
_PEER = Program(
    "benchmarks.accounts.peer.settings", "benchmarks.accounts.peer.probe", "benchmarks.accounts.peer.wsgi:application"
)
_RUNS = 3
_READ_SECONDS = 4.0
_CLIENTS = 8
_LOGIN_CLIENTS = 4
_LOGIN_RATE = 28  # a second, a little above the goal
_LOGIN_SECONDS = 8.0
_PEER_LOGIN_SECONDS = 1.0
_OVERLOAD = 3
_ROUNDS = 10
_RACERS = 50


def measure() -> list[Figure]:
    """Measure everything."""
    with serve_beside(_OURS, _PEER) as (ours, peer):
        lifted = Figure(name="doors whose limits are lifted for the load: LOGIN, REFRESH", value=2, unit="")
        return [
            lifted,
            *_tell_inside(ours, peer),
            *_measure_refreshes(ours, peer),
            *_measure_reads(ours, peer),
            *_measure_logins(ours, peer),
        ]


def _tell_inside(ours: Side, peer: Side) -> Iterator[Figure]:
    """Tell what the sides found in their own processes."""
    mine, its = ours.found, peer.found
    jwt = f"simplejwt {version('djangorestframework-simplejwt')}, {its['algorithm']}, its default"
    yield _limit("A1 verify an access token, ES256", mine["verify"], "us", 150, {jwt: its["verify"]})
    queries = mine["queries"]
    for name, count, goal in (
        ("shared cache, all known", queries["warm"], 0),
        ("shared cache emptied", queries["cold"], 1),
        # Once in the life of a process: what it remembers of keys, roles and permissions comes first.
        ("shared cache emptied, process just started", queries["started"], None),
        ("no shared cache", queries["alone"], 1),
    ):
        yield Figure(
            name=f"A1 queries, request with a permission, {name}",
            value=count,
            unit="",
            peers={"simplejwt, has_perm()": its["queries"]},
            goal=goal,
            is_less_better=True,
        )
    hashes = {f"Django {version('django')}, {its['hasher']}, its default": its["login"]["hash"]}
    yield Figure(name="A4 one password hash, argon2id", value=mine["login"]["hash"], unit="ms", peers=hashes)
    name = "A4 sign-in beside its hash"
    yield _limit(f"{name}, the whole request", mine["login"]["more"], "ms", 5, {"simplejwt": its["login"]["more"]})
    work = mine["login"]["more_work"]
    peers = {"simplejwt": its["login"]["more_work"]}
    yield Figure(name=f"{name}, the whole request: processor time", value=work, unit="ms", peers=peers)
    yield Figure(name=f"{name}, services.sign_in alone", value=mine["service"]["more"], unit="ms")
    yield Figure(
        name="A4 sign-in: SQL statements, BEGIN and COMMIT too", value=mine["login_statements"], unit="",
        peers={"simplejwt": its["login_statements"]},
    )  # fmt: skip


def _measure_refreshes(ours: Side, peer: Side) -> Iterator[Figure]:
    """Use one refresh token many times at the same moment."""
    mine = _race(ours, "/api/v1/auth/refresh", "refresh_token", _log_in_ours)
    its = _race(peer, "/refresh", "refresh", _log_in_peer)
    name = f"A2 {_RACERS} refreshes of one token at once, {_ROUNDS} rounds"
    successes = {"simplejwt": statistics.median(its["successes"])}
    yield Figure(name=f"{name}: successes", value=statistics.median(mine["successes"]), unit="", peers=successes)
    yield _limit(f"{name}: successors", max(mine["successors"]), "", 1, {"simplejwt": max(its["successors"])})
    yield _limit(f"{name}: 5xx in all", sum(mine["errors"]), "", 0, {"simplejwt": sum(its["errors"])})


def _race(side: Side, path: str, field: str, log_in: Callable[[Side, str], dict[str, str]]) -> dict[str, list[int]]:
    """Return, by round, how many answers were successes, different tokens among them, and errors of the server."""
    found: dict[str, list[int]] = {"successes": [], "successors": [], "errors": []}
    for email in list_emails()[:_ROUNDS]:
        token = log_in(side, email)[field]
        answers = call_at_once(side.port, build_request(path, body={field: token}), times=_RACERS)
        good = [answer for answer in answers if answer.status == 200]
        found["successes"].append(len(good))
        found["successors"].append(len({answer.json()[field] for answer in good}))
        found["errors"].append(sum(answer.status >= 500 for answer in answers))
    return found


def _measure_reads(ours: Side, peer: Side) -> Iterator[Figure]:
    """Read with one token each, in turns."""
    email = list_emails()[0]
    requests = {
        ours.port: [build_request("/api/v1/read", token=_log_in_ours(ours, email)["access_token"])],
        peer.port: [build_request("/api/v1/read", token=_log_in_peer(peer, email)["access"])],
    }
    loads = _take_turns(ours, peer, lambda side: call_steadily(
        side.port, requests[side.port], clients=_CLIENTS, seconds=_READ_SECONDS
    ))  # fmt: skip
    yield from _tell_rate(f"authenticated reads, {_CLIENTS} clients, {WORKERS} workers", *loads)


def _measure_logins(ours: Side, peer: Side) -> Iterator[Figure]:
    """Sign in: as fast as a few clients can, at a steady rate, and far too often."""
    mine, its = ([*map(_login_request_ours, list_emails())], [*map(_login_request_peer, list_emails())])
    requests = {ours.port: mine, peer.port: its}

    def saturate(side: Side) -> Load:
        return call_steadily(side.port, requests[side.port], clients=_LOGIN_CLIENTS, seconds=_READ_SECONDS)

    def arrive(side: Side) -> Load:
        # A server that can't keep up works long at what has come.
        seconds = _LOGIN_SECONDS if side is ours else _PEER_LOGIN_SECONDS
        return call_at_rate(side.port, requests[side.port], rate=_LOGIN_RATE, seconds=seconds)

    most = _take_turns(ours, peer, saturate)
    yield from _tell_rate(f"A4 password sign-ins, {_LOGIN_CLIENTS} clients, {WORKERS} workers", *most, goal=25)
    our_loads, its_loads = _take_turns(ours, peer, arrive)
    name = f"A4 password sign-ins arriving at {_LOGIN_RATE}/s"
    yield from _tell_rate(name, our_loads, its_loads, goal=25)
    yield from _tell_percentile(name, 0.5, our_loads, its_loads)
    yield from _tell_percentile(name, 0.95, our_loads, its_loads, goal=250)
    overload = call_at_rate(ours.port, mine, rate=_OVERLOAD * _LOGIN_RATE, seconds=_LOGIN_SECONDS)
    yield from _tell_overload(overload)


def _tell_overload(load: Load) -> Iterator[Figure]:
    name = f"A4 sign-ins arriving at {_OVERLOAD * _LOGIN_RATE}/s"
    for status, count in sorted(load.statuses.items()):
        yield Figure(name=f"{name}: answers {status}", value=count, unit="")
    others = sum(count for status, count in load.statuses.items() if status not in {200, 429, 503})
    yield _limit(f"{name}: answers but 200, 429, 503", others, "", 0, {})
    yield _limit(f"{name}: 429 and 503 without Retry-After", load.silent_refusals, "", 0, {})
    yield Figure(name=f"{name}: p95", value=load.percentile(0.95), unit="ms")


def _take_turns(ours: Side, peer: Side, run: Callable[[Side], Load]) -> tuple[list[Load], list[Load]]:
    loads: dict[int, list[Load]] = {ours.port: [], peer.port: []}
    for _ in range(_RUNS):
        for side in (ours, peer):
            load = run(side)
            assert set(load.statuses) == {200}, load.statuses  # noqa: S101 - a refused request costs less
            loads[side.port].append(load)
    return loads[ours.port], loads[peer.port]


def _tell_rate(name: str, mine: list[Load], its: list[Load], *, goal: float | None = None) -> Iterator[Figure]:
    peers = {"simplejwt": _median(its, lambda load: load.rate)}
    yield Figure(name=name, value=_median(mine, lambda load: load.rate), unit="1/s", peers=peers, goal=goal)
    peers = {"with simplejwt": _median(its, lambda load: load.own_share)}
    value = _median(mine, lambda load: load.own_share)
    yield Figure(name=f"{name}: the load generator itself, of a core", value=value, unit="%", peers=peers)


def _tell_percentile(
    name: str, share: float, mine: list[Load], its: list[Load], *, goal: float | None = None
) -> Iterator[Figure]:
    def pick(load: Load) -> float:
        return load.percentile(share)

    peers = {"simplejwt": _median(its, pick)}
    value = _median(mine, pick)
    yield Figure(
        name=f"{name}: p{share * 100:.0f}", value=value, unit="ms", peers=peers, goal=goal, is_less_better=True
    )


def _median(loads: list[Load], get: Callable[[Load], float]) -> float:
    return statistics.median(get(load) for load in loads)


def _limit(name: str, value: float, unit: str, goal: float, peers: dict[str, float]) -> Figure:
    return Figure(name=name, value=value, unit=unit, peers=peers, goal=goal, is_less_better=True)


def _login_request_ours(email: str) -> bytes:
    return build_request("/api/v1/auth/login", body={"email": email, "password": PASSWORD})


def _login_request_peer(email: str) -> bytes:
    return build_request("/login", body={"username": email, "password": PASSWORD})


def _log_in_ours(side: Side, email: str) -> dict[str, str]:
    return call(side.port, _login_request_ours(email)).json()


def _log_in_peer(side: Side, email: str) -> dict[str, str]:
    return call(side.port, _login_request_peer(email)).json()
