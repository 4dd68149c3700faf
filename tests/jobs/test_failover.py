"""The driver that sends jobs to the first connection that can be reached."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, override

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.utils import timezone
from pytest_django import Settings

from jobs.coordination import get_coordinator
from jobs.drivers.base import Claim, Message, get_driver
from jobs.drivers.database import DatabaseDriver
from jobs.exceptions import ConnectionsAwayError, QueueFull
from jobs.models import FailedJob, QueuedJob
from jobs.queues import define_queue, forget_queue, list_pauses, pause_queue, resume_queue
from jobs.redis_scripts import OUTAGES
from jobs.selectors import get_queue_health
from jobs.services import UNIQUE, clear_queue
from jobs.signals import JobProcessed, job_processed, queue_failed_over, queue_paused, queue_resumed
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.runner import Failed
from permissions import audit
from tests.jobs.batch_jobs import StepJob, UniqueStepJob
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import claim_next, claim_one, drain, heard, run_next, soon

#: What isn't part of the transaction is sent with the commit, which must therefore come.
pytestmark = pytest.mark.django_db(transaction=True)


class SwitchedDriver(DatabaseDriver):
    """A store with a switch; it keeps its jobs in queues with a prefix of its own name."""

    off: ClassVar[set[str]] = set()
    kept: ClassVar[dict[str, list[Message]]] = {}

    @override
    def push(self, messages: Sequence[Message], **arguments: Any) -> None:  # Any: as of the base
        self._check()
        self.kept.setdefault(self.name, []).extend(messages)
        super().push(messages, **arguments)

    @override
    def claim(self, **arguments: Any) -> Sequence[Claim]:  # Any: as of the base
        self._check()
        ids = {message.job_id for message in self.kept.get(self.name, [])}
        waiting = QueuedJob.objects.exclude(job_id__in=ids)
        hidden = dict(waiting.values_list("pk", "available_at"))
        waiting.update(available_at="2999-01-01T00:00Z")  # those of the other connection
        try:
            return super().claim(**arguments)
        finally:
            for key, available_at in hidden.items():
                QueuedJob.objects.filter(pk=key).update(available_at=available_at)

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        self._check()
        return super().finish_all(claims)

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        self._check()
        super().give_back(claims)

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        self._check()
        return super().renew_all(claims, now=now)

    def _check(self) -> None:
        if self.name in self.off:
            message = f"{self.name} is away"
            raise OperationalError(message)


@pytest.fixture(autouse=True)
def two_connections(settings: Settings) -> Iterator[None]:
    driver = {"DRIVER": f"{__name__}.SwitchedDriver"}
    failover = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["first", "second"]}
    connections = {**settings.JOBS["CONNECTIONS"], "first": driver, "second": driver, "failover": failover}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "failover"}
    yield
    SwitchedDriver.off.clear()
    SwitchedDriver.kept.clear()


@pytest.fixture
def away(settings: Settings) -> str:
    """Name of the first connection, a Redis that nobody serves; the second one is the database."""
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "nobody": {"URL": "redis://127.0.0.1:1/0"}}
    redis = {"DRIVER": "jobs.drivers.redis.RedisDriver", "RQ_QUEUE": "nobody"}
    failover = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["nobody", "database"]}
    connections = {**settings.JOBS["CONNECTIONS"], "nobody": redis, "failover": failover}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "failover", "COORDINATION": "database"}
    return "nobody"


def _kept() -> dict[str, int]:
    return {name: len(messages) for name, messages in SwitchedDriver.kept.items()}


def test_jobs_go_to_the_first_connection_while_it_answers() -> None:
    with heard(queue_failed_over) as seen:
        NoteJob.dispatch("notes.txt", "x")
    assert _kept() == {"first": 1}
    assert seen == []


def test_while_the_first_one_is_away_the_second_one_takes_them_and_that_is_told() -> None:
    SwitchedDriver.off.add("first")
    with heard(queue_failed_over) as seen:
        NoteJob.dispatch("notes.txt", "x")
    assert _kept() == {"second": 1}
    ((_, fact),) = seen
    assert (fact.connection, fact.failed_connection) == ("failover", "first")
    assert str(fact.error) == "first is away"


def test_where_none_answers_dispatch_says_so() -> None:
    SwitchedDriver.off.update({"first", "second"})
    with pytest.raises(OperationalError, match="second is away"):
        NoteJob.dispatch("notes.txt", "x")


def test_a_worker_drains_both() -> None:
    NoteJob.dispatch("/dev/null", "x")
    SwitchedDriver.off.add("first")
    NoteJob.dispatch("/dev/null", "y")
    SwitchedDriver.off.clear()
    assert drain(now=soon()) == 2
    assert not QueuedJob.objects.exists()


def test_a_worker_goes_on_with_the_second_one_while_the_first_one_is_away() -> None:
    NoteJob.dispatch("/dev/null", "waits for the first")
    SwitchedDriver.off.add("first")
    NoteJob.dispatch("/dev/null", "runs")
    run_next(now=soon())
    assert QueuedJob.objects.count() == 1


@pytest.mark.parametrize("how", ["give_back", "finish_all", "renew_all"])
def test_of_several_stores_each_is_told_that_answers(how: str) -> None:
    NoteJob.dispatch("/dev/null", "x")
    SwitchedDriver.off.add("first")
    NoteJob.dispatch("/dev/null", "y")
    SwitchedDriver.off.clear()
    driver, now = get_driver(), soon()
    claims = [claim_one(now=now), claim_one(now=now)]
    assert [claim.connection for claim in claims] == ["first", "second"]
    SwitchedDriver.off.add("first")
    with pytest.raises(OperationalError, match="first is away"):
        getattr(driver, how)(claims)
    SwitchedDriver.off.clear()
    ends = list(QueuedJob.objects.order_by("pk").values_list("lease_expires_at", flat=True))
    assert ends[0] == claims[0].lease_expires_at
    assert ends[1:] != [claims[1].lease_expires_at]


def test_what_one_store_is_not_told_keeps_nobody_from_the_jobs_of_the_other() -> None:
    NoteJob.dispatch("/dev/null", "done, but its store is away before it could be told")
    SwitchedDriver.off.add("first")
    NoteJob.dispatch("/dev/null", "runs")
    SwitchedDriver.off.clear()
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=0.01), max_jobs=2, has_keeper=True))

    def turn_off(fact: JobProcessed) -> None:
        SwitchedDriver.off.add("first")

    job_processed.listen(turn_off)
    try:
        assert worker.run() == 2
    finally:
        job_processed.unlisten(turn_off)
    assert list(QueuedJob.objects.values_list("job_id", flat=True)) == [SwitchedDriver.kept["first"][0].job_id]


def test_a_worker_waits_while_one_is_away_and_the_other_is_empty() -> None:
    SwitchedDriver.off.add("first")
    with pytest.raises(OperationalError):
        claim_next(now=soon())


def test_a_job_that_fails_is_written_down_with_the_connection_that_kept_it() -> None:
    HopelessJob.dispatch()
    assert isinstance(run_next(now=soon()), Failed)
    assert FailedJob.objects.get().connection == "first"


def test_figures_and_rest_are_of_both() -> None:
    pause_queue("notes")
    NoteJob.dispatch("notes.txt", "x")
    assert claim_next(now=soon()) is None
    assert resume_queue("notes")
    assert get_driver().measure()["notes"].waiting >= 1


def test_while_the_first_one_is_away_what_the_second_one_says_is_read(away: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    pause_queue("notes", connection="database")
    driver = get_driver()
    assert driver.measure()["notes"].waiting == 1
    assert [job.queue for job in driver.list_jobs()] == ["notes"]
    assert list_pauses() == {"notes": None}
    assert driver.list_set_apart() == []
    assert get_queue_health(now=timezone.now()).waiting_count == 1


def test_where_none_answers_reading_says_so(away: str, settings: Settings) -> None:
    connections = settings.JOBS["CONNECTIONS"]
    alone = {**connections, "failover": {**connections["failover"], "CONNECTIONS": [away]}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": alone}
    with pytest.raises(OUTAGES):
        get_driver().measure()
    with heard(queue_paused) as facts, pytest.raises(OUTAGES):
        pause_queue("notes")
    assert facts == []


def test_rest_and_its_end_reach_who_answers_and_name_who_does_not(away: str) -> None:
    with heard(queue_paused, queue_resumed) as facts:
        with pytest.raises(ConnectionsAwayError, match=f"failover, {away} did not answer") as raised:
            pause_queue("notes")
        assert raised.value.away == (away,)
        assert list_pauses(connection="database") == {"notes": None}
        for _time in range(2):
            with pytest.raises(ConnectionsAwayError):
                resume_queue("notes")
    assert list_pauses(connection="database") == {}
    assert [signal for signal, _fact in facts] == [queue_paused, queue_resumed]


def test_the_commands_go_through_all_queues_and_name_who_does_not_answer(away: str) -> None:
    with pytest.raises(CommandError, match=f"{away} did not answer"):
        call_command("queue_pause", "notes,emails")
    assert set(list_pauses()) == {"notes", "emails"}
    with pytest.raises(CommandError, match=f"{away} did not answer"):
        call_command("queue_resume", "--all")
    assert list_pauses() == {}


def test_a_queue_with_a_limit_takes_jobs_in_a_transaction_while_the_first_one_is_away(away: str) -> None:
    define_queue("narrow", max_jobs=1)
    try:
        with transaction.atomic():
            NoteJob("notes.txt", "x").on_queue("narrow").dispatch()
        with pytest.raises(QueueFull), transaction.atomic():
            NoteJob("notes.txt", "x").on_queue("narrow").dispatch()
    finally:
        forget_queue("narrow")
    assert QueuedJob.objects.get().queue == "narrow"


def test_jobs_are_removed_and_cleared_where_somebody_answers(away: str) -> None:
    job_id = NoteJob.dispatch("notes.txt", "x")
    with pytest.raises(ConnectionsAwayError):
        get_driver().remove([job_id])
    NoteJob.dispatch("notes.txt", "x")
    with pytest.raises(ConnectionsAwayError):
        get_driver().clear(queue=None)
    assert not QueuedJob.objects.exists()


def test_all_that_waits_where_somebody_answers_is_cleared_with_its_locks_and_told(away: str) -> None:
    UniqueStepJob.dispatch("u")
    StepJob("later").delay_until(3600).dispatch()
    with pytest.raises(CommandError, match=f"{away} did not answer"):
        call_command("queue_clear", "--no-input")
    assert not QueuedJob.objects.exists()
    assert get_coordinator().list_owners(f"{UNIQUE}tests.UniqueStepJob:u") == []
    (event,) = audit.list_events(event="job.clear_by_hand")
    assert event.data == {"count": 2, "about": {"queue": "", "connection": "failover"}}


def test_clearing_raises_what_the_last_one_raised_where_none_answers(away: str, settings: Settings) -> None:
    failover = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": [away]}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "failover": failover}}
    with pytest.raises(OUTAGES):
        clear_queue()


def test_the_loop_works_on_it_as_on_any_other() -> None:
    NoteJob.dispatch("/dev/null", "x")
    worker = Worker(WorkerOptions(sleep=timedelta(0), stop_when_empty=True))
    assert worker.run() == 1


@pytest.mark.parametrize("names", [[], ["failover"]])
def test_a_failover_to_nobody_or_to_itself_is_refused(names: list[str], settings: Settings) -> None:
    options = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": names}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "failover": options}}
    with pytest.raises(ImproperlyConfigured, match="must name other connections"):
        get_driver("failover")
