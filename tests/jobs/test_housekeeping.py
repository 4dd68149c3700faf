"""What has expired is deleted, in small steps, by one worker at a time."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models import Model
from pytest_django import Settings

from jobs.coordination import get_coordinator
from jobs.coordination.database import DatabaseCoordinator
from jobs.models import Counter, Hit, JobResult, JobTry, Slot, WorkerHeartbeat
from jobs.services import (
    MAX_SWEPT,
    MetricKey,
    TryFigures,
    add_metrics,
    add_tries,
    create_result,
    get_restart_count,
    record_heartbeat,
    request_restart,
    sweep_expired,
)
from jobs.worker.housekeeping import Housekeeper
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import NOON, make_try, soon
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TABLES: list[type[Model]] = [Slot, Hit, Counter, JobResult, WorkerHeartbeat, JobTry]
#: Figures of a minute, and of an hour, go as well.
ROWS = len(TABLES) + 2


def fill(moment: datetime) -> None:
    """Store one row of each kind that ends a minute after the moment."""
    coordinator = DatabaseCoordinator({})
    coordinator.acquire(f"lock {moment}", owner="o", lifetime=MINUTE, now=moment)
    coordinator.hit(f"hit {moment}", limit=1, window=MINUTE, now=moment)
    coordinator.increment(f"number {moment}", lifetime=MINUTE, now=moment)
    add_metrics(gathered={MetricKey(moment, "database", "q", "c"): TryFigures(processed=1)})
    add_tries([make_try(ended_at=moment, tags=["t"])])
    create_result(
        job_id=uuid4(), task="t", backend="default", queue="q", priority=0, run_after=None, args=[], kwargs={},
        now=moment, kept=MINUTE,
    )  # fmt: skip
    record_heartbeat(
        name=f"worker {moment}",
        queues=[],
        started_at=moment,
        now=moment,
        alive_until=moment + MINUTE,
        current_job_id=None,
    )


def count() -> list[int]:
    return [table._default_manager.count() for table in TABLES]


@pytest.mark.django_db
def test_what_has_expired_is_deleted_and_the_rest_stays() -> None:
    fill(NOON - 60 * DAY)
    fill(NOON)
    swept = sweep_expired(now=NOON)
    assert (swept.count, swept.is_complete) == (ROWS, True)
    assert count() == [1] * len(TABLES)
    assert sweep_expired(now=NOON).count == 0


@pytest.mark.django_db
def test_locks_without_an_end_and_the_count_of_restarts_stay() -> None:
    DatabaseCoordinator({}).acquire("for ever", owner="o", lifetime=None, now=NOON)
    request_restart()
    assert sweep_expired(now=NOON + 3650 * DAY).count == 0
    assert get_restart_count() == 1


@pytest.mark.django_db
def test_what_ended_a_moment_ago_stays_for_the_case_that_the_clock_is_set_back() -> None:
    fill(NOON)
    sweep_expired(now=NOON + 2 * MINUTE)
    assert count()[:3] == [1, 1, 1]


@pytest.mark.django_db
def test_one_step_deletes_so_much_and_no_more() -> None:
    Counter.objects.bulk_create(Counter(key=str(number), expires_at=NOON) for number in range(MAX_SWEPT + 1))
    first, second = sweep_expired(now=NOON + DAY), sweep_expired(now=NOON + DAY)
    assert (first.count, first.is_complete) == (MAX_SWEPT, False)
    assert (second.count, second.is_complete) == (1, True)


@pytest.mark.django_db
def test_figures_are_kept_as_long_as_the_settings_say(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "METRICS_HOURS": 24}
    for days in (0.5, 1.5):
        add_metrics(gathered={MetricKey(NOON - days * DAY, "database", "q", "c"): TryFigures(processed=1)})
    assert sweep_expired(now=NOON).count == 1


def test_one_worker_sweeps_and_the_others_leave_it_to_it(job_connection: str) -> None:
    fill(soon(-24 * 60))
    first, second = Housekeeper(), Housekeeper()
    assert first.tick() == ROWS
    fill(soon(-24 * 60))
    assert (second.tick(), first.tick()) == (0, 0)
    get_coordinator().forget("sweep")
    assert Housekeeper().tick() >= ROWS


@pytest.mark.django_db
def test_who_has_not_done_sweeping_goes_on_soon() -> None:
    Counter.objects.bulk_create(Counter(key=str(number), expires_at=NOON) for number in range(MAX_SWEPT + 1))
    keeper = Housekeeper()
    assert keeper.tick() == MAX_SWEPT
    assert wait_until(keeper.tick) == 1


def test_a_worker_sweeps_between_jobs(job_connection: str) -> None:
    fill(soon(-24 * 60))
    HopelessJob.dispatch()
    Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()
    assert not WorkerHeartbeat.objects.exists()
    assert not Hit.objects.exists()
    assert not JobResult.objects.exists()


@pytest.mark.django_db
def test_a_coordinator_that_is_away_stops_no_worker(settings: Settings) -> None:
    connections = {**settings.JOBS["CONNECTIONS"], "odd": {"COORDINATOR": "jobs.nothing.There"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "COORDINATION": "odd"}
    fill(soon(-24 * 60))
    assert Housekeeper().tick() == 0
