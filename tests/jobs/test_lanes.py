"""Jobs that run several at a time in one worker process: in threads, and in the loop of events."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.db import connection, connections
from django.db.backends.signals import connection_created

from jobs.batch import batch
from jobs.chain import chain
from jobs.job import Job
from jobs.models import FailedJob, QueuedJob
from jobs.services import send
from jobs.signals import job_claiming
from jobs.worker.alarm import TimeIsUp
from jobs.worker.current import list_running_jobs
from jobs.worker.event_loop import Errand, EventLoop
from jobs.worker.hand import SUSPECT_CRASHES
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.watchdog import Watchdog
from tests.jobs.lane_jobs import (
    NOTES,
    AwaitingJob,
    AwaitingMemberJob,
    CallingJob,
    Crowd,
    GatheringJob,
    HastyAwaitingJob,
    HastyJob,
    LateCoroutineJob,
    LonelyLaneJob,
    MarkedLaneJob,
    MeetingJob,
    SwallowedJob,
    TransactionalJob,
    spin,
)
from tests.jobs.sample_jobs import MemberJob, NoteJob, read_lines
from tests.jobs.steps import heard, stored
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let each test begin with nothing."""
    NOTES.clear()
    CallingJob.work.clear()
    yield
    assert list_running_jobs() == []


def _work(**options: Any) -> int:  # Any: of WorkerOptions
    """Run a worker in this thread until nothing is due any more."""
    return Worker(
        WorkerOptions(**{"sleep": timedelta(seconds=0.05), "has_keeper": True, "stop_when_empty": True, **options})
    ).run()


def _say(text: str) -> None:
    NOTES.append(text)


async def _asay(text: str) -> None:
    await asyncio.sleep(0)
    NOTES.append(text)


async def _swallow(seconds: float = 0) -> None:
    """Not be stopped by being cancelled, once."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    await asyncio.sleep(seconds)


def _swallow_in_thread(seconds: float = 0) -> None:
    with suppress(BaseException):
        spin()
    spin(seconds)


# --- Side by side


def test_threads_run_jobs_at_the_same_time(job_connection: str) -> None:
    MeetingJob.barrier = threading.Barrier(4)
    for _ in range(8):
        MeetingJob.dispatch()
    assert _work(threads=4) == 8
    assert len(set(NOTES)) == 4
    assert stored() == []


def test_a_thousand_coroutines_wait_in_one_process(job_connection: str) -> None:
    GatheringJob.crowd = Crowd(1000)
    send([GatheringJob().make_record() for _ in range(1000)], is_after_commit=True)
    assert _work(concurrency=1000) == 1000
    assert GatheringJob.crowd.here == 1000
    assert stored() == []


def test_no_more_coroutines_run_than_may(job_connection: str) -> None:
    most = running = 0
    crowd = Crowd(3)

    async def count(_job: Job) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await crowd.arrive()
        await asyncio.sleep(0.01)
        running -= 1

    CallingJob.work["count"] = count
    for _ in range(20):
        AwaitingJob.dispatch("count")
    assert _work(concurrency=3) == 20
    assert most == 3


@pytest.mark.parametrize("threads", [0, 1])
def test_a_job_that_awaits_holds_up_none_that_blocks(threads: int, job_connection: str) -> None:
    goes_on = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def wait(_job: Job) -> None:
        loops.append(asyncio.get_running_loop())
        await goes_on.wait()

    def let_go_on(_job: Job) -> None:
        loops[0].call_soon_threadsafe(goes_on.set)

    CallingJob.work.update({"wait": wait, "let go on": let_go_on})
    AwaitingJob("wait").with_priority(9).dispatch()
    # Where threads take it, it may be begun before the first is in the loop; its turn comes again.
    CallingJob("let go on").with_tries(0).with_backoff(0).dispatch()
    _work(threads=threads)
    assert stored() == []


def test_a_slow_job_in_one_thread_holds_up_no_others(tmp_path: Path, job_connection: str) -> None:
    CallingJob.work["slow"] = lambda _job: _wait_until(lambda: len(read_lines(tmp_path / "notes")) == 100)
    CallingJob.dispatch("slow")
    for number in range(100):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    assert _work(threads=2) == 101
    assert stored() == []


def _wait_until(condition: Any) -> None:  # Any: a function without arguments
    while not condition():
        time.sleep(0.01)


@contextmanager
def _running(**options: Any) -> Iterator[Worker]:  # Any: of WorkerOptions
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=0.05), has_keeper=True, **options))

    def run() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


def test_a_job_that_is_to_run_alone_goes_to_a_worker_that_is_free(tmp_path: Path) -> None:
    goes_on = threading.Event()
    CallingJob.work["slow"] = lambda _job: goes_on.wait(60)
    CallingJob.dispatch("slow")
    with _running(threads=2, name="busy"), heard(job_claiming) as looks:
        try:
            wait_until(lambda: [job.state for job in stored()] == ["running"])
            NoteJob.dispatch(str(tmp_path / "notes"), "alone")
            QueuedJob.objects.filter(job_class="tests.NoteJob").update(crashes=SUSPECT_CRASHES)
            wait_until(lambda: {job.worker.split(":")[0] for job in stored()} == {"busy"})
            before = len(looks)
            with _running():
                wait_until(lambda: read_lines(tmp_path / "notes"))
            assert len([fact for _, fact in looks[before:] if fact.worker.startswith("busy")]) < 30
            assert not goes_on.is_set()
        finally:
            goes_on.set()
        wait_until(lambda: stored() == [])


def test_a_job_that_is_to_run_alone_runs_in_the_end_where_nobody_is_free(tmp_path: Path) -> None:
    CallingJob.work["slow"] = lambda _job: time.sleep(2)
    CallingJob.dispatch("slow")
    CallingJob.work["alone"] = lambda _job: _say(str(len(list_running_jobs())))
    CallingJob.dispatch("alone")
    QueuedJob.objects.filter(payload__contains="alone").update(crashes=SUSPECT_CRASHES)
    assert _work(threads=2) == 2
    assert NOTES == ["1"]


@pytest.mark.parametrize("options", [{"threads": 3}, {"concurrency": 7}], ids=str)
@pytest.mark.parametrize("job_class", [CallingJob, AwaitingJob])
def test_as_many_tries_are_made_as_may_be(
    options: dict[str, Any], job_class: type[CallingJob], job_connection: str
) -> None:
    CallingJob.work["say"] = lambda _job: _asay("x") if job_class is AwaitingJob else _say("x")
    for _ in range(40):
        job_class("say").dispatch()
    assert _work(max_jobs=23, **options) == 23
    assert len(NOTES) == 23
    assert {(job.state, job.attempts) for job in stored()} == {("waiting", 0)}
    assert len(stored()) == 17


def test_a_coroutine_that_nothing_announces_is_awaited_in_its_thread(job_connection: str) -> None:
    CallingJob.work["say"] = lambda _job: _asay("said")
    LateCoroutineJob.dispatch("say")
    assert _work(threads=1) == 1
    assert (NOTES, stored()) == (["said"], [])


# --- How they end


@pytest.mark.parametrize("threads", [0, 2])
def test_a_job_in_the_loop_decides_itself_how_it_ends(threads: int, job_connection: str) -> None:
    async def release(job: Job) -> None:
        await asyncio.sleep(0)
        job.release(3600)

    async def delete(job: Job) -> None:
        job.delete()
        await asyncio.sleep(0)
        raise ValueError

    async def fail(job: Job) -> None:
        await asyncio.sleep(0)
        job.fail("no use")

    CallingJob.work.update({"release": release, "delete": delete, "fail": fail})
    for word in ("release", "delete", "fail"):
        AwaitingJob(word).with_tries(3).dispatch()
    assert _work(threads=threads) == 3
    assert [(job.state, job.attempts) for job in stored()] == [("delayed", 1)]
    assert "no use" in FailedJob.objects.get().exception


@pytest.mark.parametrize("threads", [0, 1])
def test_a_job_that_would_end_the_process_ends_neither_the_loop_nor_a_thread(threads: int, job_connection: str) -> None:
    async def leave(_job: Job) -> None:
        await asyncio.create_task(_exit())

    async def cancel(_job: Job) -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    works = {"exit": lambda _job: _exit(), "task": leave, "cancel": cancel, "say": lambda _job: _say("x")}
    CallingJob.work.update(works, thread=_exit_now)
    for word in ("exit", "task", "cancel"):
        AwaitingJob.dispatch(word)
    CallingJob.dispatch("thread")
    CallingJob("say").delay_until(0).dispatch()
    assert _work(threads=threads) == 5
    assert stored() == []
    assert NOTES == ["x"]
    assert {row.summary.partition(":")[0] for row in FailedJob.objects.all()} == {"jobs.exceptions.JobInterruptedError"}
    assert FailedJob.objects.count() == 4


async def _exit() -> None:
    await asyncio.sleep(0)
    raise SystemExit(3)


def _exit_now(_job: Job) -> None:
    raise SystemExit(3)


def test_what_a_job_leaves_running_in_the_loop_ends_with_it(job_connection: str) -> None:
    kept: list[asyncio.Task[None]] = []

    async def leave(_job: Job) -> None:
        kept.append(asyncio.create_task(_swallow()))
        await asyncio.sleep(0)

    CallingJob.work["leave"] = leave
    AwaitingJob.dispatch("leave")
    assert _work() == 1
    assert kept[0].done()
    assert stored() == []


def test_chains_and_batches_go_through_the_loop_and_threads(tmp_path: Path, job_connection: str) -> None:
    chain(
        [AwaitingMemberJob("first"), MemberJob(str(tmp_path / "notes"), "second"), AwaitingMemberJob("third")]
    ).dispatch()
    _work(threads=2)
    assert NOTES == ["first of 0", "third of 0"]
    assert read_lines(tmp_path / "notes") == ["second"]
    done = batch([AwaitingMemberJob(str(number)) for number in range(5)]).dispatch()
    _work(threads=2)
    assert sorted(NOTES[2:]) == [f"{number} of 5" for number in range(5)]
    fresh = done.fresh()
    assert fresh is not None
    assert fresh.is_finished


# --- Their time


@pytest.mark.parametrize(
    ("job_class", "work"),
    [
        (HastyAwaitingJob, lambda _job: asyncio.sleep(60)),
        (HastyAwaitingJob, lambda _job: _swallow()),
        (HastyAwaitingJob, lambda _job: _swallow(60)),
        (HastyAwaitingJob, lambda _job: _spin_in_loop()),
        (HastyJob, lambda _job: spin()),
        (HastyJob, lambda _job: _swallow_in_thread()),
        (HastyJob, lambda _job: _swallow_in_thread(60)),
    ],
    ids=["await", "swallow", "swallow and go on", "block the loop", "block", "swallow blocking", "and go on"],
)
@pytest.mark.parametrize("threads", [0, 1])
def test_a_job_that_takes_too_long_is_stopped_and_harms_no_other(
    threads: int, job_class: type[CallingJob], work: Any, job_connection: str
) -> None:
    CallingJob.work.update({"slow": work, "say": lambda _job: _say("said"), "asay": lambda _job: _asay("awaited")})
    job_class("slow").with_priority(9).dispatch()
    begun_at = time.monotonic()
    for _ in range(3):
        CallingJob.dispatch("say")
        AwaitingJob.dispatch("asay")
    assert _work(threads=threads) == 7
    assert time.monotonic() - begun_at < 25
    assert FailedJob.objects.get().summary.startswith("jobs.exceptions.JobTimeoutError")
    assert sorted(NOTES) == ["awaited"] * 3 + ["said"] * 3
    assert stored() == []


async def _spin_in_loop() -> None:
    await asyncio.create_task(_spin())


async def _spin() -> None:
    spin()


def test_a_coroutine_that_is_interrupted_takes_along_neither_others_nor_the_loop() -> None:
    is_over = threading.Event()
    ended: list[str] = []

    begun: list[object] = []

    async def work(swallowed: tuple[type[BaseException], ...] = ()) -> None:
        begun.append(swallowed)
        while not is_over.is_set():
            with suppress(*swallowed):
                while not is_over.is_set():
                    await asyncio.sleep(0)

    before, loop = sys.getswitchinterval(), EventLoop(Watchdog())
    restless = Errand(work((TimeIsUp, asyncio.CancelledError)), seconds=3600, on_end=lambda: ended.append("restless"))
    others = [Errand(work(), seconds=3600, on_end=lambda: ended.append("other")) for _ in range(3)]
    with structlog.testing.capture_logs() as lines, loop.running():
        for errand in (restless, *others):
            loop.add(errand)
        loop.flush()
        wait_until(lambda: len(begun) == 4)
        sys.setswitchinterval(1e-6)  # threads take turns wherever they may
        try:
            for _ in range(300_000):
                restless.ring()
        finally:
            sys.setswitchinterval(before)
            is_over.set()
        wait_until(lambda: len(ended) == 4)
    assert [errand.get_result() for errand in others] == [None, None, None]
    assert [line["event"] for line in lines] == []


@pytest.mark.parametrize("threads", [0, 1])
def test_what_swallows_the_end_of_its_time_outside_of_the_loop_has_timed_out_all_the_same(
    threads: int, job_connection: str
) -> None:
    async def wait(_job: Job) -> None:
        await asyncio.sleep(60)

    CallingJob.work["wait"] = wait
    SwallowedJob.dispatch("wait")
    assert _work(threads=threads) == 1
    assert FailedJob.objects.get().summary.startswith("jobs.exceptions.JobTimeoutError")


# --- What stands around them


def test_no_two_jobs_of_a_lock_overlap_in_the_loop(job_connection: str) -> None:
    crowd = Crowd(2)

    async def wait(_job: Job) -> None:
        NOTES.append("lonely")
        await crowd.arrive()

    async def let_go_on(_job: Job) -> None:
        await crowd.arrive()

    CallingJob.work.update({"wait": wait, "let go on": let_go_on})
    LonelyLaneJob("wait").with_priority(9).dispatch()
    LonelyLaneJob("wait").with_priority(8).dispatch()
    AwaitingJob("let go on").dispatch()
    assert _work() == 3
    assert NOTES == ["lonely"]
    LonelyLaneJob("wait").dispatch()
    assert _work() == 1
    assert NOTES == ["lonely", "lonely"]
    assert stored() == []


def test_a_transaction_around_a_coroutine_is_shared_with_no_other_job(job_connection: str) -> None:
    for text in ("", "raise", "", "raise", ""):
        TransactionalJob.dispatch(text)
    assert _work() == 5
    assert NOTES == ["begun", "ended"] * 5
    assert FailedJob.objects.filter(job_class="written").count() == 3
    assert FailedJob.objects.exclude(job_class="written").count() == 2
    assert not connection.in_atomic_block


def test_what_belongs_to_a_context_is_each_jobs_own(job_connection: str) -> None:
    structlog.contextvars.clear_contextvars()
    MarkedLaneJob.crowd = Crowd(12)
    for number in range(12):
        MarkedLaneJob.dispatch(number)
    assert _work() == 12
    assert sorted(NOTES) == sorted(f"{n} {n} {n} True {['de', 'fr'][n % 2]}" for n in range(12))
    assert structlog.contextvars.get_contextvars() == {}


# --- What they leave


def test_no_thread_leaves_a_connection_open(job_connection: str) -> None:
    made: list[Any] = []  # Any: connections of Django

    def note(*, connection: Any, **_others: object) -> None:  # Any: as above
        made.append(connection)

    async def ask(_job: Job) -> None:
        await FailedJob.objects.acount()

    CallingJob.work.update({"ask": lambda _job: FailedJob.objects.count(), "aask": ask})
    for _ in range(10):
        CallingJob.dispatch("ask")
        AwaitingJob.dispatch("aask")
    connection_created.connect(note)
    try:
        assert _work(threads=3) == 20
    finally:
        connection_created.disconnect(note)
    others = [one for one in made if one not in connections.all()]
    assert others
    assert [one for one in others if one.connection is not None] == []


def test_an_alarm_that_is_over_is_not_heard_later() -> None:
    """Run many jobs in one thread whose time is up just when they end."""
    heard: list[BaseException] = []

    def spin_for_about_its_time(_job: Job) -> None:
        try:
            spin(0.099)
        except TimeIsUp as error:
            heard.append(error)
            raise

    CallingJob.work["spin"] = spin_for_about_its_time
    for _ in range(30):
        HastyJob("spin").with_tries(1).dispatch()
    with structlog.testing.capture_logs() as lines:
        assert _work(threads=1) == 30
    assert "lane_interrupted" not in [line["event"] for line in lines]
    assert stored() == []
