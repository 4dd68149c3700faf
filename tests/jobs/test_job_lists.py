"""Lists of jobs by status, with what is looked for, a page at a time; one job's life; and all at a glance."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, override
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobs.batch import batch
from jobs.drivers.base import UNKNOWN
from jobs.drivers.database import DatabaseDriver
from jobs.exceptions import InvalidCursorError, JobNotFoundError, JobOutOfReachError
from jobs.models import FailedJob
from jobs.queues import pause_queue
from jobs.selectors import (
    FailedState,
    JobQuery,
    JobStatus,
    get_job_life,
    get_overview,
    list_jobs,
)
from jobs.services import (
    MetricKey,
    Steer,
    TryFigures,
    add_metrics,
    add_tries,
    cancel_job,
    plan_steering,
    record_heartbeat,
    retry_failed_job,
    steer_some,
)
from jobs.worker.loop import Worker, WorkerOptions
from permissions import audit
from tests.jobs.batch_jobs import StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.far_store import FarDriver
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.messages import push
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import NOON, claim_one, make_try, push_record, soon

MINUTE = timedelta(minutes=1)


def work() -> int:
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


def fail(number: int, **values: Any) -> UUID:  # Any: columns
    fields = {
        "queue": "default", "job_class": "c", "payload": "", "attempts": 1, "exception": "ValueError: no",
        "failed_at": NOON - number * MINUTE, "context": {"tags": ["t"]}, "connection": "database",
    }  # fmt: skip
    return FailedJob.objects.create(job_id=uuid4(), **{**fields, **values}).job_id


def find(status: JobStatus, *, limit: int = 3, **words: Any) -> list[UUID]:  # Any: fields
    """Return all that a search finds, page by page."""
    query, cursor = JobQuery(status=status, **words), ""
    found: list[UUID] = []
    while True:
        page = list_jobs(query, cursor=cursor, limit=limit)
        assert len(page.rows) <= limit
        found += [row.job_id for row in page.rows]
        if not (cursor := page.cursor):
            return found


# --- Lists


@pytest.mark.django_db
def test_pages_of_failed_and_done_jobs_stand_newest_first_without_gaps() -> None:
    failed = [fail(number) for number in range(8)]
    tries = [make_try(ended_at=NOON - number * MINUTE) for number in range(8)]
    add_tries(tries)
    assert find(JobStatus.FAILED) == failed
    assert find(JobStatus.DONE) == [one.job_id for one in tries]
    assert find(JobStatus.SILENCED) == []


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_runs_is_told_with_the_moment_at_which_it_was_due() -> None:
    push_record(queue="a", created_at=NOON)
    claim_one(now=NOON + MINUTE)
    (row,) = list_jobs(JobQuery(status=JobStatus.RUNNING), now=NOON + MINUTE).rows
    assert row.at == NOON


@pytest.mark.django_db
def test_pages_have_no_gaps_where_many_ended_at_the_same_moment() -> None:
    add_tries([make_try() for _ in range(7)])
    assert len(set(find(JobStatus.DONE))) == 7


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"queue": "b"}, {"queue": "b"}),
        ({"job_class": "d"}, {"job_class": "d"}),
        ({"connection": "redis"}, {"connection": "redis"}),
        ({"exception": "KeyError: 'x'"}, {"exception": "keyerror"}),
        ({"context": {"tags": ["é", "u:5"]}}, {"tag": "é"}),
        ({"failed_at": NOON + MINUTE}, {"since": NOON + MINUTE / 2}),
        ({"failed_at": NOON - 60 * MINUTE}, {"until": NOON - 30 * MINUTE}),
    ],
)
def test_failed_jobs_are_found_by_what_is_said_of_them(
    columns: dict[str, Any],  # Any: each has a type of its own
    words: dict[str, Any],  # Any: as above
) -> None:
    fail(1)
    wanted = fail(2, **columns)
    assert find(JobStatus.FAILED, **words) == [wanted]


@pytest.mark.django_db
@pytest.mark.parametrize("tag", ["worker", "w1", "tags", "GREEN", "gree", "5"])
def test_a_failed_job_is_found_by_its_tags_and_by_nothing_else_that_was_noted_of_it(tag: str) -> None:
    fail(1, context={"worker": "w1", "tags": ["green", "t"]})
    fail(1, context={"worker": "w1"})
    fail(1, context={"tags": [5]})
    fail(1, context=[])
    wanted = fail(2, context={"worker": "w1", "tags": ["t", tag]})
    assert find(JobStatus.FAILED, tag=tag) == [wanted]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"queue": "b"}, {"queue": "b"}),
        ({"job_class": "d"}, {"job_class": "d"}),
        ({"tags": ["u:5", "u:6"]}, {"tag": "u:5"}),
        ({"ended_at": NOON + MINUTE}, {"since": NOON + MINUTE / 2}),
    ],
)
def test_done_jobs_are_found_by_what_is_said_of_them(
    values: dict[str, Any],  # Any: each has a type of its own
    words: dict[str, Any],  # Any: as above
) -> None:
    wanted = make_try(**values)
    add_tries([make_try(), wanted])
    assert find(JobStatus.DONE, **words) == [wanted.job_id]


@pytest.mark.django_db
def test_failed_jobs_are_found_by_what_became_of_them() -> None:
    opened, retrying, recovered = fail(1), fail(2, retried_at=NOON), fail(3, retried_at=NOON, recovered_at=NOON)
    assert find(JobStatus.FAILED) == [opened]
    assert find(JobStatus.FAILED, outcome=FailedState.RETRYING) == [retrying]
    assert find(JobStatus.FAILED, outcome=FailedState.RECOVERED) == [recovered]
    assert find(JobStatus.FAILED, outcome=None) == [opened, retrying, recovered]


def test_jobs_that_wait_are_found_by_their_tags(tmp_path: Path, job_connection: str) -> None:
    NoteJob(str(tmp_path), "green").dispatch()
    wanted = NoteJob(str(tmp_path), "x").with_tags("green").dispatch()
    later = NoteJob(str(tmp_path), "x").with_tags("green").delay_until(60).dispatch()
    assert find(JobStatus.WAITING, tag="green") == [wanted]
    assert find(JobStatus.DELAYED, tag="green") == [later]
    assert len(find(JobStatus.WAITING)) == 2
    claim = claim_one(now=timezone.now())
    assert find(JobStatus.RUNNING) == [claim.job_id]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["x", "WyJhIl0:abc", "é", "a" * 5000])
def test_a_cursor_can_not_be_made_up(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        list_jobs(JobQuery(status=JobStatus.DONE), cursor=text)


@pytest.mark.django_db
def test_a_cursor_holds_for_its_own_search_alone() -> None:
    add_tries([make_try(), make_try()])
    query = JobQuery(status=JobStatus.DONE)
    cursor = list_jobs(query, limit=1).cursor
    assert list_jobs(query, cursor=cursor, limit=1).rows
    for other in (replace(query, status=JobStatus.FAILED), replace(query, queue="b")):
        with pytest.raises(InvalidCursorError):
            list_jobs(other, cursor=cursor)


# --- One job


def test_the_life_of_a_job_tells_each_try_and_what_followed(job_connection: str) -> None:
    job_id = FailingJob.dispatch()
    assert get_job_life(job_id).state == "waiting"
    work()
    life = get_job_life(job_id, now=soon(-1))
    assert (life.state, life.attempts, life.connection) == ("delayed", 1, job_connection)
    assert [(one.state, one.error) for one in life.tries] == [("released", "ValueError")]
    assert life.record is not None


def test_a_job_that_is_cancelled_before_its_next_try_is_gone(job_connection: str) -> None:
    job_id = FailingJob.dispatch()
    work()
    cancel_job(job_id=job_id)
    life = get_job_life(job_id)
    assert (life.state, life.stored, [one.state for one in life.tries]) == ("gone", None, ["released"])


def test_the_life_of_a_failed_job_goes_on_when_it_is_retried(job_connection: str) -> None:
    job_id = HopelessJob.dispatch()
    work()
    life = get_job_life(job_id)
    assert (life.state, life.failed is not None) == ("failed", True)
    retry_failed_job(job_id=job_id)
    assert get_job_life(job_id).state == "waiting"
    work()
    assert [one.state for one in get_job_life(job_id).tries] == ["failed", "failed"]


def test_the_life_of_a_done_job_is_known_for_a_while(tmp_path: Path, job_connection: str) -> None:
    job_id = NoteJob(str(tmp_path / "notes"), "x").with_tags("green").dispatch()
    work()
    life = get_job_life(job_id)
    assert (life.state, life.tags, life.record, life.attempts) == ("done", ["green"], None, 1)
    with pytest.raises(JobNotFoundError):
        get_job_life(uuid4())


def test_a_job_knows_its_batch_also_when_it_is_done(job_connection: str) -> None:
    step = StepJob("a")
    found = batch([step]).dispatch()
    assert get_job_life(step.job_id).batch_id == found.id
    work()
    assert get_job_life(step.job_id).batch_id == found.id


def test_a_job_that_may_be_where_nobody_answers_is_not_said_to_be_gone(far: set[str], tmp_path: Path) -> None:
    far.add("find_job")
    with pytest.raises(JobOutOfReachError):
        get_job_life(uuid4())
    with pytest.raises(JobOutOfReachError):
        cancel_job(job_id=uuid4())
    waiting = NoteJob(str(tmp_path), "x").on_connection("near").dispatch()
    assert get_job_life(waiting).away == ["far"]
    cancel_job(job_id=waiting)
    assert find(JobStatus.WAITING) == []


@pytest.mark.django_db
def test_of_a_job_that_was_tried_for_days_the_last_tries_are_told() -> None:
    record = push_record()
    add_tries([make_try(job_id=record.job_id, state="released", attempt=number, ended_at=NOON + number * MINUTE)
               for number in range(1, 251)])  # fmt: skip
    life = get_job_life(record.job_id)
    assert [one.attempt for one in life.tries] == list(range(51, 251))
    assert life.attempts == 250


def test_what_was_steered_before_a_store_went_away_is_told(far: set[str]) -> None:
    for _ in range(3):
        HopelessJob.dispatch()
    work()
    FarDriver.pushes_left = 1
    plan = steer_some(plan_steering(JobQuery(status=JobStatus.FAILED), Steer.RETRY))
    assert (plan.done, plan.skipped, plan.is_complete) == (1, 0, False)
    assert audit.list_events(event="job.retry_by_hand").get().data["count"] == 1
    with pytest.raises(OperationalError):
        steer_some(plan)
    far.clear()
    FarDriver.pushes_left = None
    assert steer_some(plan).done == 3


def test_a_record_that_can_not_be_trusted_is_told_as_such(job_connection: str) -> None:
    message = push("made.up")
    assert get_job_life(message.job_id).record is None
    work()
    assert get_job_life(message.job_id).state == "quarantined"


def test_a_life_tells_when_a_job_was_dispatched_first_though_it_was_put_back(job_connection: str) -> None:
    job_id = HopelessJob.dispatch()
    work()
    before = timezone.now()
    retry_failed_job(job_id=job_id)
    life = get_job_life(job_id)
    assert life.dispatched_at is not None
    assert life.dispatched_at < before
    assert replace(life, failed=None).dispatched_at == replace(life, tries=[]).dispatched_at == life.dispatched_at
    assert life.stored is not None
    put_back = replace(life, failed=None, tries=[])
    assert put_back.dispatched_at is not None
    assert put_back.dispatched_at >= before
    unreadable = replace(life.stored, created_at=UNKNOWN)
    assert replace(put_back, record=None, stored=unreadable).dispatched_at is None


# --- All at a glance


def _beat(**values: Any) -> None:  # Any: fields
    now = timezone.now()
    record_heartbeat(
        name="w", queues=[], started_at=now, now=now, alive_until=now + MINUTE, current_job_id=None, **values
    )


@pytest.mark.django_db
def test_queues_of_one_name_on_two_connections_hide_nothing_of_each_other(settings: Settings) -> None:
    away = {"DRIVER": "tests.jobs.far_store.FarDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "zzz": away}}
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    for name, count in [("database", 9), ("zzz", 1)]:
        key = MetricKey(minute=minute, connection=name, queue="q", job_class="c")
        add_metrics(gathered={key: TryFigures(processed=count)})
    found = get_overview(now=now)
    assert found.fastest is not None
    assert (found.fastest.connection, found.fastest.name) == ("database", "q")
    assert found.fastest.value == max(queue.lately.processed_per_minute for queue in found.queues)


def test_the_overview_of_a_busy_house(tmp_path: Path, job_connection: str) -> None:
    for _ in range(3):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    HopelessJob.dispatch()
    work()
    push_record(queue="slow", created_at=soon(-1))
    push_record(queue="slow", delay_until=soon(1))
    _beat()
    found = get_overview(now=timezone.now())
    assert (found.status, found.processed_count, found.failed_count, found.open_failed_count) == ("running", 3, 1, 1)
    assert found.per_minute == pytest.approx(0.6, abs=0.15)
    assert found.longest_wait is not None
    assert found.longest_wait.name == "slow"
    assert found.longest_run is not None
    assert found.fastest is not None
    assert found.fastest.name == "notes"
    queues = {queue.queue: queue for queue in found.queues}
    assert (queues["slow"].waiting_count, queues["slow"].delayed_count) == (1, 1)
    assert queues["notes"].hourly.get_run_percentile(0.5) is not None
    assert {queue.connection for queue in found.queues} == {job_connection}
    assert queues["slow"].worker_count == 1


class AheadDriver(DatabaseDriver):
    """A store whose clock is an hour ahead of this host's."""

    @override
    def get_now(self) -> datetime:
        return super().get_now() + 60 * MINUTE


@pytest.mark.django_db
def test_the_overview_tells_waits_by_the_clock_of_each_store(settings: Settings) -> None:
    ahead = {"DRIVER": f"{__name__}.AheadDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "ahead": ahead}}
    push_record(queue="q", created_at=soon(-1))
    push_record(queue="q", delay_until=soon(0.5))
    found = {one.connection: one for one in get_overview().queues if one.queue == "q"}
    assert (found["database"].waiting_count, found["ahead"].waiting_count) == (1, 2)
    waits = [found[name].oldest_wait or timedelta(0) for name in ("database", "ahead")]
    assert [round(wait / MINUTE) for wait in waits] == [60, 120]


def test_the_overview_tells_that_nobody_works_or_that_all_rest(job_connection: str) -> None:
    assert get_overview(now=timezone.now()).status == "inactive"
    _beat()
    assert get_overview(now=timezone.now()).status == "running"
    push_record()
    pause_queue()
    found = get_overview(now=timezone.now())
    assert found.status == "paused"
    assert [queue.is_paused for queue in found.queues if queue.queue == "default"] == [True]


@pytest.mark.django_db
def test_the_overview_asks_as_much_of_many_queues_as_of_none(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    get_overview(now=NOON)
    with django_assert_num_queries(8):
        get_overview(now=NOON)
    for number in range(10):
        push_record(queue=f"q{number}")
        fail(number, queue=f"f{number}")
    with django_assert_num_queries(8):
        get_overview(now=NOON)
