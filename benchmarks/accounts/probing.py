"""What both sides measure alike, each in a process of its own with its own settings."""

import json
import statistics
import time
from collections.abc import Callable

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.load import HOST

PASSWORD = "correct horse battery staple 47"  # noqa: S105 - of users who live as long as the benchmark
USER_COUNT = 40
_PAIRS = 20


def list_emails() -> list[str]:
    """Return the addresses of the users."""
    return [f"person{number}@example.com" for number in range(USER_COUNT)]


def make_client(token: str = "") -> Client:
    """Return a client as the proxy in front would come."""
    headers = {"host": HOST, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"}
    return Client(headers=headers | ({"authorization": f"Bearer {token}"} if token else {}))


def count_queries(action: Callable[[], object]) -> int:
    """Return how many statements an action sends."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


def read(token: str) -> Callable[[], None]:
    """Return the authenticated read."""
    client = make_client(token)

    def request() -> None:
        response = client.get("/api/v1/read")
        assert response.status_code == 200, response.content  # noqa: S101 - a refused request costs less

    return request


def log_in(path: str, name: str) -> Callable[[], dict[str, str]]:
    """Return the sign-in of one user over the whole way of a request."""
    client, body = make_client(), json.dumps({name: list_emails()[0], "password": PASSWORD})

    def request() -> dict[str, str]:
        response = client.post(path, body, content_type="application/json")
        assert response.status_code == 200, response.content  # noqa: S101 - as above
        answer: dict[str, str] = response.json()
        return answer

    return request


def measure_surplus(action: Callable[[], object], hash_alone: Callable[[], object]) -> dict[str, float]:
    """Return in ms what a hash takes, and the median of what an action with one takes more, run in pairs.

    ``more`` is by the clock on the wall, in which the stores answer; ``more_work`` is processor time of this process.
    """
    action()
    hash_alone()
    pairs = [(_time(action), _time(hash_alone)) for _ in range(_PAIRS)]
    return {
        "hash": statistics.median(part for _, (part, _) in pairs),
        "more": statistics.median(whole - part for (whole, _), (part, _) in pairs),
        "more_work": statistics.median(whole - part for (_, whole), (_, part) in pairs),
    }


def _time(action: Callable[[], object]) -> tuple[float, float]:
    """Return how long it takes in ms, on the wall and of the processor."""
    started, work_started = time.perf_counter(), time.process_time()
    action()
    return (time.perf_counter() - started) * 1e3, (time.process_time() - work_started) * 1e3
