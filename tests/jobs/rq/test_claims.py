"""A claim of many jobs reads its lists ahead: what stands there beside them, and what it costs."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from redis import Redis
from rq import Queue

from jobs.drivers.base import Claim
from jobs.drivers.redis import RedisDriver
from jobs.redis_scripts import OURS
from tests.jobs.rq.steps import dispatch
from tests.jobs.steps import soon
from tests.redis_commands import list_commands

pytestmark = pytest.mark.django_db(transaction=True)

#: Jobs of one call, as many as are told to be done in it.
MANY = 64
#: Of all queues as one, and of one by its name.
each_way = pytest.mark.parametrize("queues", [[], ["default"]], ids=["all", "named"])


def _dispatch(path: Path, count: int) -> list[str]:
    return [str(dispatch(path)) for _ in range(count)]


def _claim(driver: RedisDriver, queues: Sequence[str] = (), *, count: int = MANY) -> list[str]:
    return [str(claim.job_id) for claim in driver.claim(queues=queues, worker="w", count=count, now=soon())]


def _write(queue: Queue, *entries: str) -> None:
    queue.connection.delete(queue.key)
    queue.connection.rpush(queue.key, *entries)


def _enqueue_others(queue: Queue, count: int) -> list[str]:
    """Make jobs of RQ's own; return their ids."""
    jobs = queue.enqueue_many([Queue.prepare_data("builtins.len", args=[""]) for _ in range(count)])
    return [job.id for job in jobs]


# --- What stands in a list -------------------------------------------------------------------------------------------


@each_way
def test_more_may_be_wanted_than_there_are(
    driver: RedisDriver, queues: list[str], queue: Queue, tmp_path: Path
) -> None:
    ours = _dispatch(tmp_path / "n", MANY)
    assert _claim(driver, queues, count=40) == ours[:40]
    assert queue.get_job_ids() == ours[40:]
    assert _claim(driver, queues) == ours[40:]
    assert _claim(driver, queues) == queue.get_job_ids() == []


@each_way
def test_a_job_that_stands_twice_is_claimed_once(
    driver: RedisDriver, queues: list[str], queue: Queue, tmp_path: Path
) -> None:
    a, b, c, d = _dispatch(tmp_path / "n", 4)
    _write(queue, a, a, b, c, b, d, a)
    assert _claim(driver, queues, count=3) == [a, b, c]
    assert _claim(driver, queues) == [d]
    assert queue.get_job_ids() == []


def test_a_job_that_stands_in_two_queues_is_claimed_once(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    (job_id,) = _dispatch(tmp_path / "n", 1)
    server.sadd(f"{OURS}queues", "emails")
    server.rpush("rq:queue:emails", job_id)
    assert _claim(driver) == [job_id]
    assert _claim(driver) == []


@each_way
@pytest.mark.parametrize("many", [1, 130])
def test_jobs_of_others_between_ours_stay_in_their_order(
    many: int, driver: RedisDriver, queues: list[str], queue: Queue, tmp_path: Path
) -> None:
    first, second = _enqueue_others(queue, many), _enqueue_others(queue, many)
    a, b, c, d, e = _dispatch(tmp_path / "n", 5)
    _write(queue, a, b, *first, c, *second, d, e)
    assert _claim(driver, queues, count=4) == [a, b, c, d]
    assert queue.get_job_ids() == [*first, *second, e]
    assert _claim(driver, queues) == [e]
    assert queue.get_job_ids() == [*first, *second]


def test_a_list_under_two_names_of_its_priority_keeps_what_is_not_ours(
    driver: RedisDriver, server: Redis, queue: Queue, tmp_path: Path
) -> None:
    (other,) = _enqueue_others(queue, 1)
    a, b = _dispatch(tmp_path / "n", 2)
    _write(queue, a, other, b)
    server.zadd(f"{OURS}lines:default", {"00": 0, "000": 0})
    assert _claim(driver) == [a, b]
    assert queue.get_job_ids() == [other]


@each_way
def test_a_job_that_is_not_due_goes_from_among_others_to_the_scheduled_ones(
    driver: RedisDriver, queues: list[str], server: Redis, queue: Queue, tmp_path: Path
) -> None:
    a, b, c = _dispatch(tmp_path / "n", 3)
    server.hset(f"rq:job:{b}", "due", (timezone.now() + timedelta(days=1)).timestamp())
    assert _claim(driver, queues) == [a, c]
    assert queue.get_job_ids() == []
    assert queue.scheduled_job_registry.get_job_ids() == [b]


def test_counts_of_nonsense_are_left_as_they_are_and_those_beside_them_counted(
    driver: RedisDriver, server: Redis, tmp_path: Path
) -> None:
    ids = _dispatch(tmp_path / "n", 7)
    written: list[tuple[dict[str, str], list[bytes | None]]] = [
        ({}, [b"1", None]),
        ({"attempts": "abc"}, [b"abc", None]),
        ({"attempts": "99999999999"}, [b"99999999999", None]),
        ({"attempts": "007"}, [b"8", None]),
        ({"attempts": "1", "lease_id": "old"}, [b"2", b"1"]),
        ({"crashes": "many", "lease_id": "old"}, [b"1", b"many"]),
        ({"crashes": "3"}, [b"1", b"3"]),
    ]
    for job_id, (fields, _) in zip(ids, written, strict=True):
        for name, value in fields.items():
            server.hset(f"rq:job:{job_id}", name, value)
    server.hdel(f"rq:job:{ids[2]}", "crashes")
    assert _claim(driver) == ids
    found = [server.hmget(f"rq:job:{job_id}", "attempts", "crashes") for job_id in ids]
    assert found == [counts for _, counts in written]


# --- What it leaves, and what it costs -------------------------------------------------------------------------------


def test_nothing_of_jobs_that_are_done_stays(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    ids = [str(dispatch(tmp_path / "n", priority=priority)) for priority in (3, 0)]
    claims = driver.claim(queues=[], worker="w", count=2, now=soon())
    for job_id in ids:
        server.sadd(f"rq:job:{job_id}:dependents", "x")
        server.set(f"rq:results:{job_id}", "x")
        for key in ("failed:default", "failed:default:p3", "scheduled:default", "jobs:returned:default"):
            server.zadd(f"rq:{key}", {job_id: 1, "another": 1})
    assert driver.finish_all(claims) == 0
    left = {key.decode(): key for key in server.scan_iter()}
    assert not [name for name in left if any(job_id in name for job_id in ids)]
    sets = [key for key in left.values() if server.type(key) == b"zset" and b":lines:" not in key]
    assert {member for key in sets for member in server.zrange(key, 0, -1)} == {b"another"}


@each_way
def test_a_job_among_many_costs_few_commands(
    driver: RedisDriver, queues: list[str], server: Redis, tmp_path: Path
) -> None:
    _dispatch(tmp_path / "n", 2 * MANY)
    _, done = driver.exchange([], queues=queues, worker="w", count=MANY, now=soon())
    answers: list[tuple[int, Sequence[Claim]]] = []

    def exchange() -> None:
        answers.append(driver.exchange(done, queues=queues, worker="w", count=MANY, now=soon()))

    given = list_commands(server, exchange, with_scripts=True)
    ((lost, claims),) = answers
    assert (lost, len(claims)) == (0, MANY)
    assert 1 < len(given) / MANY < 6
