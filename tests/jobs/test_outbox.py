"""Jobs for Redis that wait in the database until Redis has them: with the commit, and while it is away."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import close_old_connections, connection, transaction
from django.tasks import TaskResultStatus
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.batch import batch
from jobs.chain import chain
from jobs.coordination import get_coordinator
from jobs.cron import Timing
from jobs.drivers.base import get_driver
from jobs.exceptions import QueueFull
from jobs.job import Job
from jobs.models import OutboxJob
from jobs.queues import define_queue, forget_queue
from jobs.redis_scripts import OUTAGES
from jobs.scheduler import run_due_schedules, save_entry
from jobs.schedules import Entry
from jobs.services import relay_outbox, retry_failed_job, send
from jobs.services.outbox import HOLD, forget_outages
from jobs.signals import job_debounced, job_queued, unique_job_skipped
from jobs.tasks import task
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.batch_jobs import NOTES, StepJob, UniqueStepJob, on_then, read_counts
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.outbox_store import Server, describe
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import FailingJob, NoteJob, read_lines
from tests.jobs.steps import NOON, drain, heard, run_next, soon, stored, stored_one
from tests.processes import ROOT, child_environment
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
#: When nobody holds any more what somebody has died of.
LATER = HOLD + timedelta(seconds=1)


class AloneInOutboxJob(NoteJob):
    """One at a time."""

    unique_for = 3600


@task(unique_for=60)
def alone(number: int) -> int:
    return number


class LastInOutboxJob(NoteJob):
    """The last one only."""

    debounce_for = 3600
    debounce_max_wait = 7200


def _texts(path: Path) -> list[str]:
    drain(now=soon())
    return read_lines(path)


def _count_calls(server: Server) -> int:
    """Return how many round trips there were: each script asks for the time once, and so does the driver itself."""
    return int(server.client.info("commandstats").get("cmdstat_time", {"calls": 0})["calls"])


def _dispatch_in_transaction(path: Path, *texts: str) -> None:
    with transaction.atomic():
        for text in texts:
            NoteJob.dispatch(str(path), text)


# --- With the commit


def test_with_the_commit_jobs_go_to_redis_in_their_order_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    with transaction.atomic():
        NoteJob.dispatch(str(tmp_path / "notes"), "one")
        NoteJob(str(tmp_path / "notes"), "later").delay_until(timedelta(minutes=30)).dispatch()
        NoteJob.dispatch(str(tmp_path / "notes"), "two")
        assert stored() == []
        assert OutboxJob.objects.count() == 3
    assert not OutboxJob.objects.exists()
    assert [job.state for job in stored()] == ["waiting", "waiting", "delayed"]
    assert _texts(tmp_path / "notes") == ["one", "two", "later"]


def test_a_rollback_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with transaction.atomic():
        AloneInOutboxJob.dispatch(str(tmp_path / "notes"), "one")
        transaction.set_rollback(True)
    assert not OutboxJob.objects.exists()
    assert stored() == []
    assert get_coordinator().list_owners("unique:tests.AloneInOutboxJob:") == []


def test_a_savepoint_that_is_rolled_back_takes_its_jobs_along_and_no_others(server: Server, tmp_path: Path) -> None:
    with transaction.atomic():
        NoteJob.dispatch(str(tmp_path / "notes"), "one")
        with transaction.atomic():
            NoteJob.dispatch(str(tmp_path / "notes"), "never")
            transaction.set_rollback(True)
        with transaction.atomic():
            NoteJob.dispatch(str(tmp_path / "notes"), "two")
        NoteJob.dispatch(str(tmp_path / "notes"), "three")
    assert _texts(tmp_path / "notes") == ["one", "two", "three"]


def test_many_jobs_of_a_transaction_cost_one_statement_each_and_one_round_trip_and_one_deletion_in_all(
    server: Server, tmp_path: Path
) -> None:
    _dispatch_in_transaction(tmp_path / "notes", "scripts are known now")
    before = _count_calls(server)
    with CaptureQueriesContext(connection) as queries:
        _dispatch_in_transaction(tmp_path / "notes", *map(str, range(10)))
    verbs = [query["sql"].split()[0] for query in queries if "jobs_outbox" in query["sql"]]
    assert verbs == ["INSERT"] * 10 + ["DELETE"]
    assert _count_calls(server) == before + 1


def test_jobs_of_a_batch_cost_one_statement_and_one_round_trip(server: Server) -> None:
    batch([StepJob("known")]).dispatch()
    before = _count_calls(server)
    with CaptureQueriesContext(connection) as queries:
        batch([StepJob(str(number)) for number in range(100)]).dispatch()
    verbs = [query["sql"].split()[0] for query in queries if "jobs_outbox" in query["sql"]]
    assert verbs == ["INSERT", "DELETE"]
    assert _count_calls(server) == before + 1


def test_outside_of_transactions_the_outbox_costs_nothing(server: Server, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "scripts are known now")
    with CaptureQueriesContext(connection) as queries:
        NoteJob.dispatch(str(tmp_path / "notes"), "one")
    assert not [query for query in queries if "jobs_outbox" in query["sql"]]


def test_a_job_is_told_as_queued_when_redis_has_it(server: Server, tmp_path: Path) -> None:
    with heard(job_queued) as facts, transaction.atomic():
        job_id = NoteJob.dispatch(str(tmp_path / "notes"), "one")
        assert facts == []
    assert [fact.job_id for _, fact in facts] == [job_id]


def test_redis_remembers_no_key_longer_than_it_must(server: Server, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        _dispatch_in_transaction(tmp_path / "notes", text)
    assert server.client.zcard("rq:jobs:relayed") == 1  # the next push says that this one may go


def test_a_transaction_that_takes_longer_than_a_hold_leaves_its_jobs_to_a_relay(server: Server, tmp_path: Path) -> None:
    with transaction.atomic():
        NoteJob.dispatch(str(tmp_path / "notes"), "one")
        OutboxJob.objects.update(held_until=timezone.now())
    relay_outbox()
    assert _texts(tmp_path / "notes") == ["one"]


def test_a_setting_turns_it_off(server: Server, tmp_path: Path, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "OUTBOX": False}
    server.kill()
    with pytest.raises(OUTAGES):
        NoteJob.dispatch(str(tmp_path / "notes"), "one")
    with pytest.raises(OUTAGES), transaction.atomic():
        NoteJob.dispatch(str(tmp_path / "notes"), "two")
    assert not OutboxJob.objects.exists()


# --- While Redis is away


@pytest.mark.parametrize("is_open", [False, True], ids=["outside", "in a transaction"])
def test_while_redis_is_dead_dispatch_answers_and_all_jobs_run_when_it_is_back(
    is_open: bool, server: Server, tmp_path: Path
) -> None:
    server.kill()
    texts = [str(number) for number in range(20)]
    for text in texts:
        if is_open:
            _dispatch_in_transaction(tmp_path / "notes", text)
        else:
            NoteJob.dispatch(str(tmp_path / "notes"), text)
    AloneInOutboxJob.dispatch(str(tmp_path / "notes"), "alone")
    assert OutboxJob.objects.count() == 21
    server.start()
    with heard(job_queued) as facts:
        (look,) = relay_outbox()
    assert (look.connection, look.count, look.is_away) == ("outbox", 21, False)
    assert len(facts) == 21
    assert not OutboxJob.objects.exists()
    assert _texts(tmp_path / "notes") == [*texts, "alone"]


def test_a_redis_that_stands_still_keeps_dispatch_waiting_for_a_moment_and_not_each_time(
    server: Server, tmp_path: Path
) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "before")
    with server.standing_still():
        started = time.monotonic()
        AloneInOutboxJob.dispatch(str(tmp_path / "notes"), "x")
        assert time.monotonic() - started < 4  # twice what is promised, for machines that are busy
        started = time.monotonic()
        for _ in range(6):
            NoteJob.dispatch(str(tmp_path / "notes"), "x")
            _dispatch_in_transaction(tmp_path / "notes", "x")
        assert time.monotonic() - started < 10  # each would wait for a second
    relay_outbox()
    relay_outbox(now=timezone.now() + LATER)
    assert _texts(tmp_path / "notes") == ["before", *"x" * 13]


def test_a_delay_is_counted_from_dispatch_not_from_the_end_of_the_outage(server: Server, tmp_path: Path) -> None:
    server.kill()
    NoteJob(str(tmp_path / "notes"), "one").delay_until(timedelta(hours=1)).dispatch()
    due_at = OutboxJob.objects.get().available_at
    server.start()
    relay_outbox()
    assert (stored_one().state, stored_one().available_at) == ("delayed", due_at)


def test_a_relay_leaves_what_its_store_does_not_take_as_it_was(server: Server, tmp_path: Path) -> None:
    server.kill()
    for text in ("one", "two", "three"):
        NoteJob.dispatch(str(tmp_path / "notes"), text)
    (look,) = relay_outbox()
    assert (look.count, look.is_away) == (0, True)
    assert OutboxJob.objects.filter(held_until=None).count() == 2  # one was tried
    server.start()
    relay_outbox()
    assert _texts(tmp_path / "notes") == ["one", "two", "three"]


def test_of_unique_jobs_that_were_sent_during_an_outage_one_is_run(server: Server, tmp_path: Path) -> None:
    server.kill()
    first = AloneInOutboxJob.dispatch(str(tmp_path / "notes"), "first")
    AloneInOutboxJob.dispatch(str(tmp_path / "notes"), "second")
    server.start()
    with heard(unique_job_skipped) as facts:
        relay_outbox()
    assert len(facts) == 1
    assert get_coordinator().list_owners("unique:tests.AloneInOutboxJob:") == [str(first)]
    assert _texts(tmp_path / "notes") == ["first"]
    assert get_coordinator().list_owners("unique:tests.AloneInOutboxJob:") == []
    assert not OutboxJob.objects.exists()


def test_a_unique_job_that_turns_out_to_wait_already_leaves_its_batch_with_what_is_chained_to_it(
    server: Server,
) -> None:
    UniqueStepJob("u").dispatch()
    server.kill()
    found = batch([UniqueStepJob("u"), StepJob("x"), [UniqueStepJob("u"), StepJob("y")]]).then(on_then).dispatch()
    chain([batch([UniqueStepJob("u")]), StepJob("z")]).dispatch()
    server.start()
    while OutboxJob.objects.exists():
        relay_outbox()
    drain(now=soon())
    assert read_counts(found.id) == (1, 0, 0)
    assert sorted(NOTES) == ["then 1/1", "u", "x", "z"]


def test_a_task_of_which_another_turns_out_to_wait_already_has_failed(server: Server) -> None:
    alone.enqueue(1)
    server.kill()
    result = alone.enqueue(1)
    server.start()
    relay_outbox()
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert len(stored()) == 1


def test_of_debounced_jobs_that_were_sent_during_an_outage_the_last_one_is_run(server: Server, tmp_path: Path) -> None:
    server.kill()
    for text in ("first", "second"):
        LastInOutboxJob.dispatch(str(tmp_path / "notes"), text)
    server.start()
    relay_outbox()
    assert [job.state for job in stored()] == ["delayed", "delayed"]
    assert _texts(tmp_path / "notes") == ["second"]


def test_a_debounced_job_that_comes_from_the_outbox_does_not_take_the_place_of_a_later_one(
    server: Server, tmp_path: Path
) -> None:
    LastInOutboxJob.dispatch(str(tmp_path / "notes"), "first")
    server.kill()
    LastInOutboxJob.dispatch(str(tmp_path / "notes"), "second")
    server.start()
    forget_outages()
    LastInOutboxJob.dispatch(str(tmp_path / "notes"), "third")
    with heard(job_debounced) as facts:
        relay_outbox()
        assert _texts(tmp_path / "notes") == ["third"]
    assert len(facts) == 2


def test_a_queue_with_a_limit_has_it_in_the_outbox_too(server: Server, tmp_path: Path) -> None:
    define_queue("narrow", max_jobs=2)
    try:
        server.kill()
        NoteJob(str(tmp_path / "notes"), "one").on_queue("narrow").dispatch()
        with transaction.atomic():
            NoteJob(str(tmp_path / "notes"), "two").on_queue("narrow").dispatch()
        with pytest.raises(QueueFull):
            NoteJob(str(tmp_path / "notes"), "three").on_queue("narrow").dispatch()
        with pytest.raises(QueueFull), transaction.atomic():
            NoteJob(str(tmp_path / "notes"), "three").on_queue("narrow").dispatch()
    finally:
        forget_queue("narrow")
    assert OutboxJob.objects.count() == 2


@pytest.mark.parametrize("is_open", [False, True], ids=["outside", "in a transaction"])
def test_what_waits_is_taken_back_where_another_connection_refuses_what_belongs_to_it(
    is_open: bool, server: Server, tmp_path: Path
) -> None:
    define_queue("narrow", max_jobs=1)
    try:
        NoteJob(str(tmp_path / "notes"), "one").on_queue("narrow").on_connection("database").dispatch()
        records = [
            NoteJob(str(tmp_path / "notes"), "two").make_record(),
            NoteJob(str(tmp_path / "notes"), "three")
            .on_queue("narrow")
            .on_connection("database")
            .get_job()
            .make_record(),
        ]
        server.kill()
        with transaction.atomic() if is_open else nullcontext(), pytest.raises(QueueFull):
            send(records)
    finally:
        forget_queue("narrow")
    server.start()
    assert not OutboxJob.objects.exists()
    assert stored() == []


def test_what_is_to_be_sent_before_the_commit_is_refused_while_redis_is_away(server: Server, tmp_path: Path) -> None:
    server.kill()
    with pytest.raises(OUTAGES), transaction.atomic():
        NoteJob(str(tmp_path / "notes"), "one").before_commit().dispatch()
    assert not OutboxJob.objects.exists()


def test_a_retry_goes_through_it_as_well(server: Server, tmp_path: Path) -> None:
    job_id = FailingJob(str(tmp_path / "notes"), "no luck").with_tries(1).dispatch()
    run_next(now=soon())
    server.kill()
    retry_failed_job(job_id=job_id)
    server.start()
    relay_outbox()
    assert stored_one().job_id == job_id


def test_what_follows_a_job_of_another_connection_waits_there_while_redis_is_away(
    server: Server, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "database", "COORDINATION": "database"}
    chain([StepJob("a"), StepJob("b").on_connection("outbox")]).dispatch()
    StepJob("c").dispatch()
    server.kill()
    assert drain() == 2
    assert NOTES == ["a", "c"]
    server.start()
    relay_outbox()
    settings.JOBS = {**settings.JOBS, "CONNECTION": "outbox"}
    drain(now=soon())
    assert NOTES == ["a", "c", "b"]


def test_a_schedule_that_is_due_while_redis_is_away_is_sent_once(server: Server, tmp_path: Path) -> None:
    entry = Entry(
        name="daily",
        job_class="tests.NoteJob",
        arguments={"path": str(tmp_path / "notes"), "text": "one"},
        timing=Timing(cron="@daily"),
    )
    save_entry(entry=entry, now=NOON)
    server.kill()
    (run,) = run_due_schedules(now=NOON + timedelta(days=1))
    assert run.state == "sent"
    server.start()
    relay_outbox()
    assert run_due_schedules(now=NOON + timedelta(days=1)) == []
    assert _texts(tmp_path / "notes") == ["one"]


class SecretInOutboxJob(Job):
    """Has an argument that nobody may read."""

    encrypted = True

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def handle(self) -> None: ...


def test_an_encrypted_job_is_encrypted_there(server: Server) -> None:
    server.kill()
    SecretInOutboxJob.dispatch("hunter2")
    assert "hunter2" not in OutboxJob.objects.get().payload


def test_a_worker_relays_by_the_way(server: Server, tmp_path: Path) -> None:
    server.kill()
    NoteJob.dispatch(str(tmp_path / "notes"), "one")
    server.start()
    Worker(WorkerOptions(sleep=timedelta(seconds=0.01), max_jobs=1)).run()
    assert read_lines(tmp_path / "notes") == ["one"]


# --- Whoever dies


_DISPATCH = """
import django
django.setup()
from django.conf import settings
from django.db import transaction
from tests.jobs.outbox_store import ENTRY, describe
from tests.jobs.sample_jobs import NoteJob
import sys
url, driver, dies, path = sys.argv[1:]
settings.RQ_QUEUES = {ENTRY: {"URL": url}}
settings.JOBS = {**settings.JOBS, "CONNECTION": "outbox", "COORDINATION": "outbox",
    "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "outbox": describe(driver, DIES=dies)}}
with transaction.atomic():
    NoteJob.dispatch(path, "one")
    NoteJob.dispatch(path, "two")
"""


def _die(server: Server, dies: str, path: Path) -> None:
    """Let a process dispatch two jobs in a transaction, and be killed before or after Redis has them."""
    driver = "tests.jobs.outbox_store.DyingDriver"
    command = [sys.executable, "-c", _DISPATCH, server.url, driver, dies, str(path)]
    environment = child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.worker_settings")
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.process
@pytest.mark.parametrize(("dies", "stored_by_then"), [("before", 0), ("after", 2)])
def test_a_process_that_is_killed_after_the_commit_loses_no_job_and_doubles_none(
    dies: str, stored_by_then: int, server: Server, tmp_path: Path
) -> None:
    _die(server, dies, tmp_path / "notes")
    assert len(stored()) == stored_by_then
    assert OutboxJob.objects.count() == 2
    if stored_by_then:
        assert _texts(tmp_path / "notes") == ["one", "two"]  # Redis knows nothing more of these jobs
    assert relay_outbox() == []  # whoever wrote them may be alive
    relay_outbox(now=timezone.now() + LATER)
    assert not OutboxJob.objects.exists()
    assert _texts(tmp_path / "notes") == ["one", "two"]


def test_a_redis_that_loses_its_answer_has_each_job_once(server: Server, tmp_path: Path) -> None:
    _dispatch_in_transaction(tmp_path / "notes", "scripts are known now")
    with server.standing_still():
        _dispatch_in_transaction(tmp_path / "notes", "one")
    wait_until(lambda: len(stored()) == 2)  # it was heard after all
    assert OutboxJob.objects.count() == 1
    assert _texts(tmp_path / "notes") == ["scripts are known now", "one"]
    relay_outbox()
    assert not OutboxJob.objects.exists()
    assert stored() == []


def test_relays_that_race_send_each_job_once(server: Server, tmp_path: Path) -> None:
    server.kill()
    texts = [str(number) for number in range(1_200)]
    batch_size = 300
    for start in range(0, len(texts), batch_size):
        with transaction.atomic():
            for text in texts[start : start + batch_size]:
                NoteJob.dispatch(str(tmp_path / "notes"), text)
    server.start()
    sent: list[int] = []
    ready = threading.Barrier(3)

    def relay() -> None:
        ready.wait()
        for _ in range(20):
            sent.extend(look.count for look in relay_outbox())
        close_old_connections()
        connection.close()

    _run_together(relay, 3)
    assert sum(sent) == len(texts)
    assert not OutboxJob.objects.exists()
    ids = [job.job_id for job in get_driver().list_jobs(limit=10_000)]
    assert len(ids) == len(set(ids)) == len(texts)


def _run_together(target: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_job_that_its_store_refuses_does_not_stop_those_behind_it(
    server: Server, tmp_path: Path, settings: Settings
) -> None:
    refusing = describe("tests.jobs.outbox_store.RefusingDriver")
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "outbox": refusing}}
    _dispatch_in_transaction(tmp_path / "notes", "one", "refused", "two")
    assert OutboxJob.objects.count() == 1
    assert _texts(tmp_path / "notes") == ["one", "two"]


def test_no_relay_sends_what_another_one_holds(server: Server, tmp_path: Path) -> None:
    server.kill()
    NoteJob.dispatch(str(tmp_path / "notes"), "one")
    OutboxJob.objects.update(held_until=timezone.now() + HOLD)
    server.start()
    assert relay_outbox() == []
    assert stored() == []
