"""What others ask about the queues."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from jobs.models import FailedJob
from jobs.selectors import (
    QueueHealth,
    get_queue_health,
    get_queue_statistics,
    list_connection_states,
    list_failed_jobs,
    list_workers,
)
from jobs.services import record_heartbeat
from tests.jobs.steps import NOON, claim_one, push_record

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def _queue(queue: str = "default", *, delay: timedelta = timedelta(0)) -> None:
    push_record(queue=queue, created_at=NOON + min(delay, timedelta(0)), delay_until=NOON + delay)


def _beat(name: str, *, queues: tuple[str, ...] = ()) -> None:
    record_heartbeat(
        name=name, queues=queues, started_at=NOON, now=NOON, alive_until=NOON + MINUTE, current_job_id=None
    )


def test_health_of_an_empty_house_is_all_quiet() -> None:
    assert get_queue_health(now=NOON) == QueueHealth(
        oldest_wait=None, waiting_count=0, worker_count=0, last_heartbeat_at=None
    )


def test_health_tells_the_longest_wait_over_all_queues() -> None:
    _queue("a")
    _queue("b", delay=-MINUTE)
    _queue("c", delay=MINUTE)
    health = get_queue_health(now=NOON + MINUTE / 2)
    assert (health.oldest_wait, health.waiting_count) == (MINUTE * 1.5, 2)


def test_a_job_in_hand_does_not_wait() -> None:
    _queue()
    claim_one(now=NOON)
    assert get_queue_health(now=NOON).oldest_wait is None


def test_health_counts_workers_that_are_alive_and_remembers_the_last_heartbeat() -> None:
    _beat("w")
    assert get_queue_health(now=NOON).worker_count == 1
    health = get_queue_health(now=NOON + MINUTE)
    assert (health.worker_count, health.last_heartbeat_at) == (0, NOON)


def test_health_takes_two_queries_however_many_jobs(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(10):
        _queue(f"q{number}")
    with django_assert_num_queries(2):
        get_queue_health(now=NOON)


def test_statistics_cover_each_queue_also_one_with_failed_jobs_alone() -> None:
    _queue("a")
    _queue("a", delay=MINUTE)
    FailedJob.objects.create(
        job_id="00000000-0000-4000-8000-000000000001", queue="b", job_class="x", payload="", attempts=1, failed_at=NOON
    )
    figures = [
        (row.queue, row.waiting_count, row.delayed_count, row.running_count, row.failed_count)
        for row in get_queue_statistics(list_connection_states(now=NOON))
    ]
    assert figures == [("a", 1, 1, 0, 0), ("b", 0, 0, 0, 1)]


def test_workers_are_listed_with_what_they_serve() -> None:
    _beat("a")
    _beat("b", queues=("x", "y"))
    assert [(w.name, w.queues, w.is_alive) for w in list_workers(now=NOON)] == [
        ("a", [], True),
        ("b", ["x", "y"], True),
    ]


def test_failed_jobs_are_listed_newest_first_and_by_queue() -> None:
    for number, queue in enumerate("aba"):
        FailedJob.objects.create(
            job_id=f"00000000-0000-4000-8000-00000000000{number}",
            queue=queue,
            job_class=f"job{number}",
            payload="",
            attempts=1,
            failed_at=NOON + number * MINUTE,
        )
    assert [job.job_class for job in list_failed_jobs(queue="a")] == ["job2", "job0"]
    assert list_failed_jobs().count() == 3
