"""Figures of tries: gathered by workers, added up in the table, shown by queue and by class."""

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.utils import timezone
from pytest_django import Settings

from jobs.drivers.base import Claim
from jobs.models import JobMetric
from jobs.models.metrics import EVER
from jobs.models.metrics import HOUR as BY_HOUR
from jobs.models.metrics import MINUTE as BY_MINUTE
from jobs.selectors import TryStatistics, find_percentile, get_try_statistics, list_points, list_totals
from jobs.services import MetricKey, TryFigures, add_metrics, prune_metrics
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.metering import MAX_KEPT, Meter
from jobs.worker.outcomes import Lost, TryEnd, summarize
from tests.jobs.messages import push
from tests.jobs.sample_jobs import EndlessJob, FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import NOON, claim_one

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
UNTRUSTED = TryEnd(state="quarantined", duration=timedelta(0), is_timed_out=False, error="PayloadError")


def work() -> int:
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


def key(queue: str = "q", job_class: str = "c", *, minutes_ago: int = 0, store: str = "database") -> MetricKey:
    return MetricKey(minute=NOON - minutes_ago * MINUTE, connection=store, queue=queue, job_class=job_class)


def figures_of(number: int = 1) -> TryFigures:
    return TryFigures(
        processed=number, run_seconds=number, max_run_seconds=number, wait_seconds=number, max_wait_seconds=number
    )


def make_claim(number: int = 0, *, job_class: str = "c") -> Claim:
    return Claim(
        job_id=UUID(int=number), queue=f"q{number}", job_class=job_class, payload="", priority=0, attempts=1,
        lease_id=UUID(int=number), lease_expires_at=NOON, connection="database", worker="w",
    )  # fmt: skip


@contextmanager
def writes(*, refused: int = 0, error: type[Exception] = OperationalError) -> Iterator[list[str]]:
    """Yield the statements that add figures; the first ones are not answered."""
    seen: list[str] = []

    def look(execute: Callable[..., object], sql: str, *arguments: object) -> object:
        if sql.startswith("INSERT INTO job_metrics"):
            seen.append(sql)
            if len(seen) <= refused:
                message = "the server closed the connection"
                raise error(message)
        return execute(sql, *arguments)

    with connection.execute_wrapper(look):
        yield seen


def count_tries() -> dict[str, tuple[int, int, int, int]]:
    """Return the numbers of processed, released, failed and timed out tries, by class."""
    rows = get_try_statistics(since=timezone.now() - HOUR, until=timezone.now() + MINUTE, by="job_class")
    return {
        name: (one.processed_count, one.released_count, one.failed_count, one.timed_out_count)
        for name, one in rows.items()
    }


# --- What a worker counts


def test_a_worker_counts_each_try_by_how_it_ended(tmp_path: Path, job_connection: str) -> None:
    for _ in range(2):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    FailingJob.dispatch()
    HopelessJob.dispatch()
    assert work() == 4
    assert count_tries() == {
        "tests.FailingJob": (0, 1, 0, 0),
        "tests.HopelessJob": (0, 0, 1, 0),
        "tests.NoteJob": (2, 0, 0, 0),
    }
    assert set(JobMetric.objects.values_list("connection", flat=True)) == {job_connection}
    assert set(JobMetric.objects.values_list("queue", flat=True)) == {"default", "notes"}


def test_a_try_that_took_too_long_is_counted_as_such_with_its_time(job_connection: str) -> None:
    EndlessJob.dispatch()
    work()
    assert count_tries() == {"tests.EndlessJob": (0, 0, 1, 1)}
    row = JobMetric.objects.get(period_seconds=BY_MINUTE)
    assert row.run_seconds == row.max_run_seconds >= 1


def test_a_record_that_can_not_be_trusted_counts_as_failed_whatever_class_it_names(job_connection: str) -> None:
    push("made.up")
    work()
    assert count_tries() == {"": (0, 0, 1, 0)}


def test_a_claim_knows_how_long_its_job_was_due(job_connection: str) -> None:
    push("late", at=NOON - 5 * SECOND)
    assert claim_one(now=NOON).waited == 5 * SECOND
    push("in time")
    assert claim_one(now=NOON).waited == timedelta(0)


def test_the_wait_is_counted_from_the_moment_at_which_a_job_was_due(tmp_path: Path, job_connection: str) -> None:
    push("made.up", at=timezone.now() - HOUR)
    work()
    assert 3600 <= JobMetric.objects.get(period_seconds=EVER).max_wait_seconds < 3700


@pytest.mark.django_db
def test_a_worker_writes_now_and_then_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    for _ in range(30):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    with writes() as seen:
        assert work() == 30
    assert len(seen) < 10
    assert count_tries() == {"tests.NoteJob": (30, 0, 0, 0)}


@pytest.mark.django_db(transaction=True)
def test_figures_that_a_store_did_not_take_are_written_later(tmp_path: Path) -> None:
    for _ in range(3):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    with writes(refused=1) as seen:
        assert work() == 3
    assert len(seen) == 2
    assert count_tries() == {"tests.NoteJob": (3, 0, 0, 0)}


@pytest.mark.django_db(transaction=True)
def test_figures_that_would_be_refused_for_ever_are_dropped() -> None:
    meter = Meter()
    meter.note(make_claim(), UNTRUSTED, ended_at=NOON)
    with writes(refused=1, error=ValueError):
        meter.write()
    assert not meter.gathered


def test_what_can_not_be_written_is_kept_up_to_a_bound() -> None:
    meter = Meter()
    for number in range(MAX_KEPT + 1):
        meter.note(make_claim(number), UNTRUSTED, ended_at=NOON)
    assert len(meter.gathered) == MAX_KEPT
    assert key("q0", "") not in meter.gathered
    assert key(f"q{MAX_KEPT}", "") in meter.gathered


def test_a_try_whose_end_is_somebody_elses_to_write_is_not_counted() -> None:
    assert summarize(Lost()) is None


# --- Added up


def _in_threads(targets: Sequence[Callable[[], None]]) -> None:
    failures: list[Exception] = []

    def run(target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[target]) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.django_db(transaction=True)
def test_workers_that_add_at_once_to_the_same_rows_lose_and_double_nothing() -> None:
    keys = [key(queue) for queue in "abcde"]

    def add(seed: int) -> None:
        shuffled = random.Random(seed)  # noqa: S311 - an order, no secret
        for number in range(1, 11):
            gathered = {one: figures_of(number) for one in shuffled.sample(keys, len(keys))}
            add_metrics(gathered=gathered)

    _in_threads([partial(add, seed) for seed in range(6)])
    for period in (BY_MINUTE, BY_HOUR, EVER):
        rows = JobMetric.objects.filter(period_seconds=period)
        values = rows.values_list("processed", "run_seconds", "max_run_seconds", "max_wait_seconds")
        assert list(values) == [(330, 330.0, 10.0, 10.0)] * 5


@pytest.mark.django_db
def test_rows_are_written_together_and_those_last_that_all_workers_want() -> None:
    written: list[list[int]] = []

    def look(execute: Callable[..., object], sql: str, values: Sequence[int], *arguments: object) -> object:
        if sql.startswith("INSERT INTO job_metrics"):
            written.append([values[place] for place in range(0, len(values), len(values) // sql.count("(%s"))])
        return execute(sql, values, *arguments)

    with connection.execute_wrapper(look):
        add_metrics(gathered={key(f"q{number:02}"): figures_of() for number in range(50)})
    assert written == [[BY_MINUTE] * 50 + [BY_HOUR] * 50, [EVER] * 50]
    assert JobMetric.objects.count() == 150


@pytest.mark.django_db
def test_statistics_of_a_while_are_told_by_queue_class_and_connection() -> None:
    add_metrics(
        gathered={
            key("a", "x", minutes_ago=1): figures_of(2),
            key("a", "y", minutes_ago=59): TryFigures(failed=3, run_seconds=4, max_run_seconds=2),
            key("b", "x", minutes_ago=2, store="redis"): figures_of(1),
            key("b", "x", minutes_ago=61): figures_of(50),
        }
    )
    hour = get_try_statistics(since=NOON - HOUR, until=NOON)
    assert [(name, one.try_count) for name, one in hour.items()] == [("a", 5), ("b", 1)]
    assert hour["a"].failure_rate == pytest.approx(0.6)
    assert hour["a"].processed_per_minute == pytest.approx(2 / 60)
    assert (hour["a"].average_run, hour["a"].longest_run) == (6 * SECOND / 5, 2 * SECOND)
    assert (hour["a"].average_wait, hour["a"].longest_wait) == (2 * SECOND / 5, 2 * SECOND)
    classes = get_try_statistics(since=NOON - HOUR, until=NOON, by="job_class")
    assert [(name, one.processed_count) for name, one in classes.items()] == [("x", 3), ("y", 0)]
    assert list(get_try_statistics(since=NOON - HOUR, until=NOON, connection="redis")) == ["b"]


@pytest.mark.django_db
def test_the_minute_in_which_a_while_begins_counts_whole() -> None:
    add_metrics(gathered={key(minutes_ago=5): figures_of(11)})
    (one,) = get_try_statistics(since=NOON - 4.5 * MINUTE, until=NOON + MINUTE / 2).values()
    assert (one.span, one.processed_per_minute) == (5.5 * MINUTE, 2)
    assert get_try_statistics(since=NOON - 4 * MINUTE, until=NOON) == {}


def test_statistics_of_nothing_have_no_averages() -> None:
    one = TryStatistics(span=HOUR)
    assert (one.failure_rate, one.average_run, one.average_wait, one.processed_per_minute) == (None, None, None, 0)


def times(*seconds: float) -> TryFigures:
    figures = TryFigures(processed=len(seconds))
    for one in seconds:
        figures.note_times(run=one, wait=one / 10)
    return figures


@pytest.mark.django_db
def test_percentiles_are_told_as_exactly_as_the_bounds_let() -> None:
    add_metrics(gathered={key(): times(*[0.02] * 90, *[0.2] * 9, 4.0)})
    (one,) = get_try_statistics(since=NOON, until=NOON + MINUTE, has_percentiles=True).values()
    half, most, nearly_all = (one.get_run_percentile(share) for share in (0.5, 0.95, 0.99))
    assert half is not None
    assert most is not None
    assert nearly_all is not None
    assert 0.01 <= half.total_seconds() <= 0.025
    assert 0.1 <= most.total_seconds() <= 0.25
    assert nearly_all.total_seconds() <= 0.25
    assert one.get_run_percentile(1) == 4 * SECOND
    assert one.get_wait_percentile(1) == 0.4 * SECOND


def test_no_percentile_is_longer_than_the_longest() -> None:
    counts = [0] * 16 + [2]
    assert find_percentile(counts, 0.5, longest=4000 * SECOND) == 3800 * SECOND
    assert find_percentile([2] + [0] * 16, 1, longest=0.001 * SECOND) == 0.001 * SECOND
    assert find_percentile([0] * 17, 0.5, longest=SECOND) is None
    assert find_percentile([], 0.5, longest=SECOND) is None


@pytest.mark.django_db
def test_points_cover_a_while_without_gaps_and_add_up_what_falls_into_one() -> None:
    add_metrics(gathered={key(minutes_ago=ago): times(ago) for ago in (1, 2, 7, 20)})
    points = list_points(since=NOON - 10 * MINUTE, until=NOON, step=5 * MINUTE)
    assert [(point.at, point.tries.processed_count) for point in points] == [
        (NOON - 10 * MINUTE, 1),
        (NOON - 5 * MINUTE, 2),
    ]
    assert [point.tries.longest_run for point in points] == [7 * SECOND, 2 * SECOND]
    assert points[1].tries.processed_per_minute == 0.4
    assert list_points(since=NOON - HOUR, until=NOON, step=HOUR, queue="other")[0].tries.try_count == 0
    assert list_points(since=NOON - HOUR, until=NOON, step=HOUR, queue="q")[0].tries.try_count == 4


@pytest.mark.django_db
def test_a_longer_while_is_read_by_the_hour() -> None:
    add_metrics(gathered={key(minutes_ago=ago): figures_of() for ago in (1, 2, 90)})
    JobMetric.objects.filter(period_seconds=BY_MINUTE).delete()
    assert get_try_statistics(since=NOON - HOUR, until=NOON) == {}
    week = get_try_statistics(since=NOON - 7 * 24 * HOUR, until=NOON)
    assert week["q"].processed_count == 3


# --- Shown, and deleted


def call(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_queue_stats_shows_how_fast_queues_are_worked_off_also_those_that_are_empty_now() -> None:
    minute = timezone.now().replace(second=0, microsecond=0) - MINUTE
    figures = TryFigures(processed=120, failed=40, run_seconds=240, max_run_seconds=9, wait_seconds=80)
    add_metrics(gathered={key("done", "x")._replace(minute=minute): figures})
    (row,) = [line.split() for line in call("queue_stats").splitlines() if line.startswith("done")]
    assert row[1:5] == ["0", "0", "0", "0"]
    # The minute that has begun is part of the while.
    assert 20 <= float(row[6]) <= 24
    assert 1.9 <= float(row[7]) <= 2
    assert row[8:] == ["40", "1.50", "s", "0.50", "s"]
    body = json.loads(call("queue_stats", "--json"))
    (queue,) = body["queues"]
    assert queue["last_hour"]["processed_count"] == queue["last_5_minutes"]["processed_count"] == 120
    assert queue["last_hour"]["failure_rate"] == 0.25
    assert (queue["last_hour"]["average_run_seconds"], queue["last_hour"]["longest_run_seconds"]) == (1.5, 9.0)
    assert [one["job_class"] for one in body["job_classes"]] == ["x"]


@pytest.mark.django_db
def test_old_figures_are_pruned(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "METRICS_HOURS": 2}
    add_metrics(gathered={key(minutes_ago=minutes): figures_of() for minutes in (30, 90, 150)})
    assert prune_metrics(now=NOON) == 1
    assert prune_metrics(older_than=HOUR, now=NOON) == 1
    assert JobMetric.objects.filter(period_seconds=BY_MINUTE).count() == 1
    assert sum(total.tries.processed_count for total in list_totals()) == 3
    prune_metrics(now=NOON + 31 * 24 * HOUR)
    assert not JobMetric.objects.exclude(period_seconds=EVER).exists()
    add_metrics(gathered={key()._replace(minute=timezone.now() - 90 * MINUTE): figures_of()})
    assert json.loads(call("queue_prune", "--metrics-hours", "1", "--json"))["metrics"] >= 1
