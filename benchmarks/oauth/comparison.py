"""OAuth: tokens, bearer reads and introspection, beside stock django-oauth-toolkit and npm oidc-provider.

Ours and the toolkit are served alike, by granian with as many workers on one PostgreSQL server; ours with production
settings and a shared cache, the settings under which its tests for conformance and attacks run. oidc-provider runs in
one process, its tokens in Redis.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.harness import Figure
from benchmarks.load import Load, build_request, call_steadily
from benchmarks.oauth.node_peer import NodePeer, serve_node_peer
from benchmarks.serving import WORKERS, Program, Side, serve_beside

_OURS = Program("benchmarks.oauth.settings", "benchmarks.oauth.probe", "project.wsgi:application")
_PEER = Program(
    "benchmarks.oauth.peer.settings", "benchmarks.oauth.peer.probe", "benchmarks.oauth.peer.wsgi:application"
)
_RUNS = 3
_SECONDS = 4.0
_CLIENTS = 8
_FORM = {"grant_type": "client_credentials", "scope": "users:read"}
#: Name of the count, what it counts, and how many there may be.
_STATEMENTS = (
    ("code", "code exchange with ID token", 9),
    ("refresh", "refresh with ID token", 9),
    ("client", "client_credentials, warm", 0),
    ("read", "bearer read, warm", 0),
    ("introspect", "introspection, warm", None),
)


def measure() -> list[Figure]:
    """Measure everything."""
    with serve_node_peer() as node, serve_beside(_OURS, _PEER) as (ours, peer):
        stock = f"django-oauth-toolkit {peer.found['version']}"
        return [
            *_tell_statements(ours.found["queries"], peer.found["queries"], stock),
            *_measure_clients(ours, peer, node, stock),
            *_compare("bearer-protected reads", _read, ours, peer, stock, ratio=3.5),
            *_compare("introspections", _introspect, ours, peer, stock, ratio=4),
        ]


def _tell_statements(mine: Mapping[str, int], its: Mapping[str, int], stock: str) -> Iterator[Figure]:
    for key, name, goal in _STATEMENTS:
        yield Figure(
            name=f"SQL statements: {name}", value=mine[key], unit="", peers={stock: its[key]}, goal=goal,
            is_less_better=True,
        )  # fmt: skip


def _measure_clients(ours: Side, peer: Side, node: NodePeer | None, stock: str) -> Iterator[Figure]:
    """Ask for tokens of clients that act for themselves."""
    targets = {
        "ours": (ours.port, build_request("/oauth/token", form=_FORM, login=ours.found["service"])),
        "stock": (peer.port, build_request("/o/token/", form=_FORM, login=peer.found["plain"])),
    }
    if node is not None:
        targets["node"] = (node.port, build_request("/token", form=_FORM, login=node.login))
    loads = _take_turns(targets)
    slow = call_steadily(
        peer.port, [build_request("/o/token/", form=_FORM, login=peer.found["hashed"])], clients=2, seconds=_SECONDS
    )
    peers = {
        f"{stock}, plaintext secret": _rate(loads["stock"]),
        f"{stock}, its default hashed secret": slow.rate,
    }
    if node is not None:
        peers[f"oidc-provider {node.version}, Redis, one process"] = _rate(loads["node"])
    name = f"client_credentials, {_CLIENTS} clients, {WORKERS} workers"
    yield Figure(name=name, value=_rate(loads["ours"]), unit="1/s", peers=peers)
    yield from _tell_ratio(name, loads["ours"], loads["stock"], stock, 5)
    if node is not None:
        yield Figure(
            name=f"{name}: times oidc-provider", value=_rate(loads["ours"]) / _rate(loads["node"]), unit="", goal=1
        )
    yield from _tell_percentiles(name, loads, stock)


def _compare(
    name: str, build: Callable[[Side, bool], bytes], ours: Side, peer: Side, stock: str, *, ratio: float
) -> Iterator[Figure]:
    targets = {"ours": (ours.port, build(ours, True)), "stock": (peer.port, build(peer, False))}  # noqa: FBT003 - whose side it is
    loads = _take_turns(targets)
    name = f"{name}, {_CLIENTS} clients, {WORKERS} workers"
    yield Figure(name=name, value=_rate(loads["ours"]), unit="1/s", peers={stock: _rate(loads["stock"])})
    yield from _tell_ratio(name, loads["ours"], loads["stock"], stock, ratio)
    yield from _tell_percentiles(name, loads, stock)


def _read(side: Side, is_ours: bool) -> bytes:  # noqa: FBT001 - as above
    del is_ours
    return build_request("/api/v1/read", token=side.found["token"])


def _introspect(side: Side, is_ours: bool) -> bytes:  # noqa: FBT001 - as above
    path = "/oauth/introspect" if is_ours else "/o/introspect/"
    return build_request(path, form={"token": side.found["token"]}, login=side.found["web"])


def _take_turns(targets: Mapping[str, tuple[int, bytes]]) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in targets}
    for _ in range(_RUNS):
        for name, (port, request) in targets.items():
            load = call_steadily(port, [request], clients=_CLIENTS, seconds=_SECONDS)
            assert set(load.statuses) == {200}, (name, load.statuses)  # noqa: S101 - a refused request costs less
            loads[name].append(load)
    return loads


def _rate(loads: list[Load]) -> float:
    return statistics.median(load.rate for load in loads)


def _tell_ratio(name: str, mine: list[Load], its: list[Load], stock: str, goal: float) -> Iterator[Figure]:
    yield Figure(name=f"{name}: times {stock}", value=_rate(mine) / _rate(its), unit="", goal=goal)
    share = statistics.median(load.own_share for load in mine)
    yield Figure(name=f"{name}: the load generator itself, of a core", value=share, unit="%")


def _tell_percentiles(name: str, loads: Mapping[str, list[Load]], stock: str) -> Iterator[Figure]:
    for share in (0.5, 0.99):
        found: dict[str, Any] = {  # Any: numbers
            side: statistics.median(load.percentile(share) for load in some) for side, some in loads.items()
        }
        peers = {stock: found["stock"]} | ({"oidc-provider": found["node"]} if "node" in found else {})
        yield Figure(name=f"{name}: p{share * 100:.0f}", value=found["ours"], unit="ms", peers=peers)
