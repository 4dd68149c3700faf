"""Jobs of others in our lists: however many they are, ours are found behind them, and nobody's order changes."""

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from jobs.drivers.redis import RedisDriver
from jobs.redis_scripts import OURS
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.rq.steps import dispatch
from tests.jobs.sample_jobs import read_lines
from tests.jobs.steps import soon

pytestmark = pytest.mark.django_db(transaction=True)

#: So many of others stand before ours; a claim looks at a thousand.
MANY = 2_500


def _enqueue_others(queue: Queue, count: int = MANY) -> list[str]:
    """Put jobs of RQ's own into a list; return their ids."""
    jobs = queue.enqueue_many([Queue.prepare_data("builtins.len", args=[""]) for _ in range(count)])
    return [job.id for job in jobs]


def _claim(driver: RedisDriver, *, within: int, count: int = 1) -> list[str]:
    """Return the ids of the first jobs that a worker gets which looks some times."""
    for _ in range(within):
        if claims := driver.claim(queues=["default"], worker="w", count=count, now=soon()):
            return [str(claim.job_id) for claim in claims]
    return []


def test_ours_are_found_behind_many_of_others_in_their_order(driver: RedisDriver, queue: Queue, tmp_path: Path) -> None:
    others = _enqueue_others(queue)
    ours = [str(dispatch(tmp_path / "notes")) for _ in range(5)]
    assert _claim(driver, within=3, count=2) == ours[:2]
    # Nobody looks at the others again.
    assert _claim(driver, within=1, count=2) == ours[2:4]
    assert queue.get_job_ids() == [*others, ours[4]]


def test_ours_are_found_at_once_after_workers_of_rq_have_taken_some_of_theirs(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    _enqueue_others(queue)
    ours = [str(dispatch(tmp_path / "notes")) for _ in range(3)]
    assert _claim(driver, within=3) == ours[:1]
    server.lpop(queue.key, 1_200)
    assert _claim(driver, within=1) == ours[1:2]
    # Where the one that was remembered is gone, it is looked for again.
    server.lpop(queue.key, MANY - 1_200)
    _enqueue_others(queue)
    assert _claim(driver, within=1) == ours[2:]


def test_ours_that_come_later_are_found_at_once(driver: RedisDriver, queue: Queue, tmp_path: Path) -> None:
    others = _enqueue_others(queue)
    assert _claim(driver, within=4) == []
    others += _enqueue_others(queue, 10)
    job_id = str(dispatch(tmp_path / "notes"))
    assert _claim(driver, within=1) == [job_id]
    assert queue.get_job_ids() == others


def test_what_tools_of_rq_put_first_is_found_there(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    _enqueue_others(queue)
    ours = [str(dispatch(tmp_path / "notes")) for _ in range(2)]
    assert _claim(driver, within=3) == ours[:1]
    server.lrem(queue.key, 1, ours[1])
    server.lpush(queue.key, ours[1])
    server.lpush(queue.key, queue.get_job_ids()[5])
    assert _claim(driver, within=1) == ours[1:]


def test_what_was_put_first_is_claimed_together_with_what_stands_behind_the_others(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    others = _enqueue_others(queue)
    ours = [str(dispatch(tmp_path / "notes")) for _ in range(3)]
    assert _claim(driver, within=3) == ours[:1]
    server.lrem(queue.key, 1, ours[1])
    server.lpush(queue.key, ours[1])
    assert _claim(driver, within=1, count=9) == ours[1:]
    assert queue.get_job_ids() == others


def test_what_is_remembered_is_forgotten_in_time_and_may_be_nonsense(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    _enqueue_others(queue)
    ours = [str(dispatch(tmp_path / "notes")) for _ in range(5)]
    assert _claim(driver, within=3) == ours[:1]
    (key,) = server.keys(f"{OURS}passed:*")
    assert 0 < server.ttl(key) <= 600
    for number, nonsense in enumerate([b"x", b"9" * 30 + b":x", b"200:x"], 1):
        server.set(key, nonsense)
        assert _claim(driver, within=3) == ours[number : number + 1]
    server.delete(key)
    server.hset(key, "x", "y")
    assert _claim(driver, within=3) == ours[4:]


def test_few_of_others_leave_nothing_to_remember(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    _enqueue_others(queue, 50)
    dispatch(tmp_path / "notes")
    assert Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run() == 1
    assert read_lines(tmp_path / "notes") == ["done"]
    assert server.keys(f"{OURS}passed:*") == []
