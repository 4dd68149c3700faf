"""The history of jobs: which tries are listed, with what, and for how long."""

from datetime import timedelta
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from jobs.drivers.base import Claim
from jobs.exceptions import PermanentJobError
from jobs.job import Job
from jobs.models import FailedJob, JobTag, JobTry
from jobs.selectors import list_totals
from jobs.services import add_tries, history, prune_tries, sweep_expired
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.metering import Meter
from jobs.worker.outcomes import TryEnd
from tests.jobs.messages import push
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import NOON, make_try

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class StrangeTagsJob(Job):
    """A job with tags that PostgreSQL can't hold."""

    def get_tags(self) -> list[str]:
        return ["nul \x00", "surrogate \ud800"]

    def handle(self) -> None:
        """Fail."""
        raise PermanentJobError


class QuietJob(Job):
    """A job that nobody asks for."""

    silenced = True

    def get_tags(self) -> list[str]:
        return ["quiet", "quiet", "x" * 300]

    def handle(self) -> None:
        """Do nothing."""


def work() -> int:
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


def test_each_try_is_listed_with_how_it_ended(tmp_path: Path, job_connection: str) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    FailingJob.dispatch()
    HopelessJob.dispatch()
    work()
    tries = {one.job_class: one for one in JobTry.objects.all()}
    assert {name: (one.state, one.error, one.attempt) for name, one in tries.items()} == {
        "tests.NoteJob": ("done", "", 1),
        "tests.FailingJob": ("released", "ValueError", 1),
        "tests.HopelessJob": ("failed", "PermanentJobError", 1),
    }
    done = tries["tests.NoteJob"]
    assert (done.connection, done.queue) == (job_connection, "notes")
    assert done.dispatched_at is not None
    assert done.dispatched_at <= done.started_at + timedelta(seconds=1)
    assert done.worker


def test_a_record_that_can_not_be_trusted_is_listed_as_such(job_connection: str) -> None:
    push("made.up")
    work()
    (one,) = JobTry.objects.all()
    assert (one.state, one.job_class, one.dispatched_at) == ("quarantined", "made.up", None)


def test_a_silenced_class_and_its_tags_are_noted(job_connection: str) -> None:
    QuietJob.dispatch()
    work()
    (one,) = JobTry.objects.all()
    assert one.is_silenced
    assert sorted(JobTag.objects.values_list("tag", flat=True)) == ["quiet", "x" * 200]


def test_words_that_a_table_can_not_hold_are_written_out(job_connection: str) -> None:
    StrangeTagsJob.dispatch()
    work()
    tags = [r"nul \x00", r"surrogate \ud800"]
    assert sorted(JobTag.objects.values_list("tag", flat=True)) == tags
    assert FailedJob.objects.get().context["tags"] == tags
    assert sum(total.tries.failed_count for total in list_totals()) == 1


@pytest.mark.django_db
def test_no_word_of_a_try_makes_a_table_refuse_it() -> None:
    odd = "nul \x00 and surrogate \ud800"
    add_tries([make_try(queue=odd * 9, job_class=odd * 9, worker=odd * 9, error=odd * 9, tags=[odd * 9])])
    assert JobTry.objects.get().worker.startswith(r"nul \x00 and surrogate \ud800")


@pytest.mark.django_db
@pytest.mark.parametrize("word", ["tests.NoteJob", "loud"])
def test_the_settings_silence_a_class_or_a_tag(word: str, settings: Settings, tmp_path: Path) -> None:
    settings.JOBS = {**settings.JOBS, "SILENCED": [word]}
    NoteJob(str(tmp_path / "notes"), "x").with_tags("loud").dispatch()
    FailingJob.dispatch()
    work()
    assert dict(JobTry.objects.values_list("job_class", "is_silenced")) == {
        "tests.NoteJob": True,
        "tests.FailingJob": False,
    }


@pytest.mark.django_db
def test_only_so_many_that_went_well_are_listed_in_a_while_but_all_are_counted(
    settings: Settings, tmp_path: Path
) -> None:
    settings.JOBS = {**settings.JOBS, "HISTORY_PER_SECOND": 1}
    for _ in range(9):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    for _ in range(7):
        FailingJob.dispatch()
    work()
    assert JobTry.objects.filter(state="done").count() <= 5 + 5  # at most two writes, of five seconds each
    assert JobTry.objects.filter(state="released").count() == 7
    assert sum(total.tries.processed_count for total in list_totals()) == 9


@pytest.mark.django_db
def test_nothing_that_went_well_is_listed_where_the_settings_say_so(settings: Settings, tmp_path: Path) -> None:
    settings.JOBS = {**settings.JOBS, "HISTORY_PER_SECOND": 0}
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    work()
    assert not JobTry.objects.exists()


@pytest.mark.django_db
def test_many_tries_are_written_in_few_statements(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(4):  # with the savepoint of the test
        add_tries([make_try(tags=["a", "b"]) for _ in range(40)])
    assert JobTag.objects.count() == 80


@pytest.mark.django_db(transaction=True)
def test_what_a_store_did_not_take_is_listed_later(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    FailingJob.dispatch()
    refused = 0

    def refuse(execute, sql, *arguments):  # type: ignore[no-untyped-def]  # whatever Django passes on
        nonlocal refused
        if sql.startswith('INSERT INTO "job_tries"') and not refused:
            refused += 1
            raise OperationalError
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        work()
    assert refused == 1
    assert JobTry.objects.count() == 2
    assert sum(total.tries.try_count for total in list_totals()) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["job_tries", "job_metrics"])
def test_where_tries_are_refused_their_figures_are_not_nor_the_other_way_round(table: str, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")

    def refuse(execute, sql, *arguments):  # type: ignore[no-untyped-def]  # whatever Django passes on
        if sql.replace('"', "").startswith(f"INSERT INTO {table}"):
            raise DataError
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        work()
    assert JobTry.objects.count() == (table != "job_tries")
    assert sum(total.tries.try_count for total in list_totals()) == (table != "job_metrics")


@pytest.mark.django_db(transaction=True)
def test_what_went_well_while_the_database_is_away_is_kept_up_to_a_bound(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "HISTORY_PER_SECOND": 1}  # five in a write
    meter = Meter()

    def note_and_refuse(*_statement: object) -> NoReturn:
        note_done()
        raise OperationalError

    def note_done() -> None:
        for _ in range(5):
            meter.note(claim, done, ended_at=NOON)

    claim = Claim(
        job_id=uuid4(), queue="q", job_class="c", payload="", priority=0, attempts=1, lease_id=uuid4(),
        lease_expires_at=NOON, connection="database", worker="w",
    )  # fmt: skip
    done = TryEnd(state="done", duration=timedelta(0), is_timed_out=False, error=None)
    note_done()
    with connection.execute_wrapper(note_and_refuse):
        for _ in range(3):
            meter.write(at_once=True)
    meter.write(at_once=True)
    assert JobTry.objects.count() == 5
    assert sum(total.tries.processed_count for total in list_totals()) == 20


@pytest.mark.django_db
def test_what_went_well_goes_soon_and_what_went_wrong_after_a_week() -> None:
    add_tries([make_try(ended_at=NOON - ago, state=state) for state in ("done", "failed") for ago in (DAY, 8 * DAY)])
    sweep_expired(now=NOON)
    assert list(JobTry.objects.values_list("state", "ended_at")) == [("failed", NOON - DAY)]
    add_tries([make_try(ended_at=NOON - MINUTE, tags=["t"])])
    assert prune_tries(now=NOON) == 0
    assert prune_tries(older_than=timedelta(0), now=NOON) == 2
    assert not JobTag.objects.exists()


@pytest.mark.django_db
def test_tries_are_pruned_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    add_tries([make_try(tags=["a", "b"]) for _ in range(5)])
    monkeypatch.setattr(history, "MAX_TRIES_DELETED", 2)
    with CaptureQueriesContext(connection) as seen:
        assert prune_tries(older_than=timedelta(0), now=NOON + MINUTE) == 5
    assert not JobTag.objects.exists()
    deleting = [query["sql"] for query in seen if query["sql"].startswith('DELETE FROM "job_tries"')]
    assert len(deleting) == 3


def test_a_meter_without_tries_asks_nothing() -> None:
    Meter().write(at_once=True)
