"""What stands around a job: order, conditions, locks, circuit breakers, logs."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar, override

import pytest
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from jobs.batch import Batch, BatchableJob, batch
from jobs.chain import chain
from jobs.checks import check_middleware
from jobs.coordination import Window, get_coordinator
from jobs.drivers.base import QueueDriver
from jobs.exceptions import JobDefinitionError, JobOptionError
from jobs.job import Job
from jobs.limits import ConcurrencyLimit
from jobs.middleware import (
    LimitConcurrency,
    LoggingMiddleware,
    Middleware,
    MiddlewareStack,
    Proceed,
    Release,
    Skip,
    SkipIfBatchCancelled,
    WithoutOverlapping,
)
from jobs.models import FailedJob
from jobs.queues import define_queue, forget_queue
from jobs.signals import batch_finished, job_exception_occurred
from jobs.worker.runner import Failed, Processed, Released
from tests.jobs.batch_jobs import BROKEN, NOTES, SkippingJob, on_finally, on_then
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.layered import LayeredJob, OtherLayeredJob, get_wait, layers
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import drain, heard, run_next, stored

OVERLAP = "overlap:tests.LayeredJob:"
CIRCUIT = "circuit:tests.LayeredJob"
LIFE = timedelta(minutes=1)
trace: list[str] = []


class Tracing(Middleware):
    """Note when it is entered and left, and change the result."""

    def __init__(self, name: str = "settings") -> None:
        self.name = name

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        trace.append(f"{self.name} in")
        result = proceed()
        trace.append(f"{self.name} out")
        return f"{result}>{self.name}"


class Raising(Middleware):
    """Go wrong before the job runs."""

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        raise LookupError("no")


class Silent(Middleware):
    """Neither go on nor decide."""

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        return None


class AsyncLayeredJob(Job):
    """Do its work in a coroutine, between two notes of its middleware."""

    @override
    def middleware(self) -> list[Middleware]:
        return [Tracing("job")]

    @override
    async def handle(self) -> None:
        await asyncio.sleep(0)
        trace.append("work")


class BatchedLayeredJob(BatchableJob):
    """Skip itself with its batch."""

    ran: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self.number = number

    @override
    def middleware(self) -> list[Middleware]:
        return [SkipIfBatchCancelled()]

    @override
    def handle(self) -> None:
        self.ran.append(self.number)


tracing = Tracing("object")


@pytest.fixture(autouse=True)
def empty_trace() -> Iterator[None]:
    trace.clear()
    BatchedLayeredJob.ran.clear()
    yield
    forget_queue("layered")


# --- Order


@pytest.mark.usefixtures("job_connection")
def test_a_job_passes_what_all_pass_then_what_its_queue_passes_then_its_own(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "MIDDLEWARE": ["tests.jobs.test_middleware.Tracing"]}
    define_queue("layered", middleware=[Tracing("queue")])
    with layers(Tracing("outer"), Tracing("inner")):
        LayeredJob.dispatch()
        outcome = run_next()
    assert trace == [f"{name} in" for name in ("settings", "queue", "outer", "inner")] + [
        f"{name} out" for name in ("inner", "outer", "queue", "settings")
    ]
    assert isinstance(outcome, Processed)
    assert outcome.result == "None>inner>outer>queue>settings"


@pytest.mark.django_db
def test_the_queue_that_a_job_was_sent_to_counts_not_that_of_its_class() -> None:
    define_queue("layered", middleware=[Tracing("layered")])
    LayeredJob().on_queue("default").dispatch()
    run_next()
    assert trace == []


@pytest.mark.django_db
def test_a_job_that_runs_at_once_passes_its_middleware_too() -> None:
    with layers(Tracing("job")):
        assert LayeredJob.dispatch_now() == "None>job"


def test_a_stack_is_added_to_inside_and_outside_and_loses_classes() -> None:
    stack = MiddlewareStack([Tracing("b")]).add(Tracing("c"), Silent()).prepend(Tracing("a")).without(Silent)
    assert [one.name for one in stack if isinstance(one, Tracing)] == ["a", "b", "c"]
    assert len(stack) == 3
    assert stack.run(LayeredJob(), lambda: "core") == "core>c>b>a"


@pytest.mark.parametrize("name", ["Tracing", "tracing"])
def test_the_settings_name_a_class_or_an_object_with_parameters_of_its_own(settings: Settings, name: str) -> None:
    settings.JOBS = {**settings.JOBS, "MIDDLEWARE": [f"tests.jobs.test_middleware.{name}"]}
    assert [type(one) for one in MiddlewareStack.of(LayeredJob())] == [Tracing]
    assert check_middleware(None) == []


@pytest.mark.parametrize("path", ["nowhere.Middleware", "tests.jobs.test_middleware.LIFE", "uuid.uuid4"])
def test_what_is_no_middleware_is_found_by_the_check_and_at_the_job(settings: Settings, path: str) -> None:
    settings.JOBS = {**settings.JOBS, "MIDDLEWARE": [path]}
    with pytest.raises(JobDefinitionError, match="MIDDLEWARE"):
        MiddlewareStack.of(LayeredJob())
    assert [error.id for error in check_middleware(None)] == ["jobs.E004"]


@pytest.mark.usefixtures("job_connection")
def test_an_async_job_runs_inside_of_its_middleware() -> None:
    AsyncLayeredJob.dispatch()
    run_next()
    assert trace == ["job in", "work", "job out"]


@pytest.mark.usefixtures("job_connection")
def test_middleware_that_raises_counts_as_the_job_raising() -> None:
    with layers(Raising()) as ran, heard(job_exception_occurred) as seen:
        LayeredJob().with_tries(2).dispatch()
        first, last = run_next(), run_next()
    assert ran == []
    assert isinstance(first, Released)
    assert isinstance(first.error, LookupError)
    assert isinstance(last, Failed)
    assert FailedJob.objects.get().exception == "LookupError: no"
    assert len(seen) == 2


@pytest.mark.usefixtures("job_connection")
def test_middleware_that_does_not_go_on_ends_the_job_unrun() -> None:
    with layers(Silent()) as ran:
        LayeredJob.dispatch()
        assert isinstance(run_next(), Processed)
    assert (ran, stored()) == ([], [])


# --- Conditions


@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize(("make", "truth"), [(Skip.when, True), (Skip.unless, False)])
@pytest.mark.usefixtures("job_connection")
def test_a_job_is_skipped_on_its_condition_and_runs_otherwise(
    make: Callable[[object], Skip], truth: bool, is_asked: bool
) -> None:
    for answer, expected in ((truth, []), (not truth, ["x"])):
        with layers(make((lambda answer=answer: answer) if is_asked else answer)) as ran:
            LayeredJob.dispatch("x")
            assert isinstance(run_next(), Processed)
        assert (ran, stored()) == (expected, [])


@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize(("make", "truth"), [(Release.when, True), (Release.unless, False)])
@pytest.mark.usefixtures("job_connection")
def test_a_job_is_put_back_on_its_condition_and_runs_otherwise(
    make: Callable[..., Release], truth: bool, is_asked: bool
) -> None:
    with layers(make((lambda: truth) if is_asked else truth, after=60)) as ran:
        LayeredJob.dispatch("x")
        assert get_wait(run_next()) == 60
    assert (ran, [job.state for job in stored()]) == ([], ["delayed"])
    with layers(make((lambda: not truth) if is_asked else not truth, after=60)) as ran:
        LayeredJob.dispatch_now("x")
    assert ran == ["x"]


@pytest.mark.usefixtures("job_connection")
def test_a_job_is_put_back_without_a_wait_unless_one_is_said_and_the_try_counts() -> None:
    with layers(Release.when(True)):
        LayeredJob.dispatch()
        assert get_wait(run_next()) == 0
    assert stored()[0].attempts == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Release.when(True, after=-1),
        lambda: WithoutOverlapping(release_after=-1),
        lambda: WithoutOverlapping(expire_after=-1),
        lambda: LimitConcurrency(ConcurrencyLimit(1), release_after=-1),
    ],
)
def test_a_wait_that_is_out_of_range_is_refused_where_it_is_said(make: Callable[[], Middleware]) -> None:
    with pytest.raises(JobOptionError, match="0 to"):
        make()


@pytest.mark.usefixtures("job_connection")
def test_what_follows_a_skipped_job_goes_on() -> None:
    with layers(Skip.when(True)) as ran:
        chain([LayeredJob("first"), BatchedLayeredJob(2)]).dispatch()
        assert drain() == 2
    assert (ran, BatchedLayeredJob.ran) == ([], [2])


@pytest.mark.usefixtures("job_connection")
def test_jobs_of_a_cancelled_batch_skip_themselves() -> None:
    found = batch([BatchedLayeredJob(1), BatchedLayeredJob(2)]).dispatch()
    run_next()
    found.cancel()
    run_next()
    assert BatchedLayeredJob.ran == [1]


@pytest.mark.usefixtures("job_connection")
def test_jobs_that_are_put_back_run_with_what_comes_back_with_them_though_their_batch_was_cancelled() -> None:
    BROKEN.add("a")
    found = batch([[SkippingJob("a"), SkippingJob("b"), SkippingJob("c")]]).then(on_then).dispatch()
    drain()
    BROKEN.clear()
    found.retry_failed()
    drain()
    assert NOTES == ["a", "b", "c", "then 3/3"]


@pytest.mark.usefixtures("job_connection")
@pytest.mark.parametrize("is_retried", [False, True])
def test_a_batch_of_which_jobs_skipped_themselves_has_not_ended_well(is_retried: bool) -> None:
    BROKEN.update({"a"} if is_retried else ())
    found = batch([SkippingJob("a"), SkippingJob("b")]).then(on_then).finally_(on_finally).dispatch()
    if not is_retried:
        found.cancel()
    with heard(batch_finished) as seen:
        drain()
        BROKEN.clear()
        assert len(found.retry_failed()) == is_retried
        drain()
    assert (["finally 1/1", "a"] if is_retried else ["finally 0/0"]) == NOTES
    assert seen == []


@pytest.mark.usefixtures("job_connection")
def test_a_job_outside_of_batches_runs_though_it_would_skip_itself_with_one() -> None:
    BatchedLayeredJob.dispatch(7)
    run_next()
    assert BatchedLayeredJob.ran == [7]


# --- Locks


@pytest.mark.parametrize("error", [None, ValueError("no")])
@pytest.mark.usefixtures("job_connection")
def test_the_lock_is_given_back_however_the_job_ends(error: Exception | None) -> None:
    with layers(WithoutOverlapping(), errors=[error]) as ran:
        LayeredJob.dispatch("x")
        run_next()
    assert ran == ["x"]
    assert get_coordinator().list_owners(OVERLAP) == []


@pytest.mark.usefixtures("job_connection")
def test_an_overlapping_job_is_put_back_and_the_lock_stays_with_its_owner() -> None:
    get_coordinator().acquire(OVERLAP, owner="other", lifetime=LIFE)
    with layers(WithoutOverlapping(release_after=15)) as ran:
        LayeredJob.dispatch()
        assert get_wait(run_next()) == 15
    assert ran == []
    assert get_coordinator().list_owners(OVERLAP) == ["other"]


@pytest.mark.usefixtures("job_connection")
def test_an_overlapping_job_is_dropped_where_that_is_said() -> None:
    get_coordinator().acquire(OVERLAP, owner="other", lifetime=LIFE)
    with layers(WithoutOverlapping(is_dropped=True)) as ran:
        LayeredJob.dispatch()
        assert isinstance(run_next(), Processed)
    assert (ran, stored()) == ([], [])


@pytest.mark.parametrize(("is_shared", "runs"), [(False, True), (True, False)])
@pytest.mark.usefixtures("job_connection")
def test_jobs_of_other_classes_count_only_where_the_key_is_shared(is_shared: bool, runs: bool) -> None:
    middleware = WithoutOverlapping("k", is_shared=is_shared)
    get_coordinator().acquire(middleware.get_lock_key(OtherLayeredJob()), owner="other", lifetime=LIFE)
    with layers(middleware) as ran:
        LayeredJob.dispatch("x")
        run_next()
    assert bool(ran) is runs


def test_the_key_of_the_lock_names_the_class_unless_it_is_shared() -> None:
    assert WithoutOverlapping("k").get_lock_key(LayeredJob()) == "overlap:tests.LayeredJob:k"
    assert WithoutOverlapping("k", is_shared=True).get_lock_key(LayeredJob()) == "overlap:k"


@pytest.mark.parametrize(("expire_after", "seconds"), [(None, 60.0 + 20.0), (5, 5.0)])
@pytest.mark.usefixtures("job_connection")
def test_the_lock_of_a_worker_that_died_is_free_when_the_job_can_run_no_more_or_when_that_is_said(
    driver: QueueDriver, expire_after: float | None, seconds: float
) -> None:
    held: list[int] = []

    class Looking(Middleware):
        """Look at the lock as one does who comes later."""

        @override
        def handle(self, job: Job, proceed: Proceed) -> object:
            for wait in (seconds - 2, seconds + 2):
                now = driver.get_now() + timedelta(seconds=wait)
                held.append(len(get_coordinator().list_owners(OVERLAP, now=now)))
            return proceed()

    with layers(WithoutOverlapping(expire_after=expire_after), Looking()):
        LayeredJob().with_timeout(60).dispatch()
        run_next()
    assert held == [1, 0]


@pytest.mark.usefixtures("job_connection")
def test_only_so_many_jobs_of_a_key_run_at_the_same_time() -> None:
    with layers(LimitConcurrency(ConcurrencyLimit(2, key="k"), release_after=3)) as ran:
        get_coordinator().acquire("running:k", owner="one", lifetime=LIFE, places=2)
        LayeredJob.dispatch("first")
        run_next()
        get_coordinator().acquire("running:k", owner="two", lifetime=LIFE, places=2)
        LayeredJob.dispatch("second")
        assert get_wait(run_next()) == 3
    assert ran == ["first"]


# --- Logs


@pytest.mark.parametrize(
    ("inner", "error", "outcome"),
    [(Tracing(), None, "done"), (Skip.when(True), None, "deleted"), (Release.when(True), None, "released")],
    ids=["done", "deleted", "released"],
)
@pytest.mark.django_db
def test_the_log_tells_how_a_job_ended_and_never_its_arguments(
    inner: Middleware, error: Exception | None, outcome: str
) -> None:
    with layers(LoggingMiddleware(), inner, errors=[error]), capture_logs() as entries:
        LayeredJob.dispatch("s3cret")
        run_next()
    first, last = [entry for entry in entries if entry["event"] in {"job_started", "job_ended"}]
    assert (first["job_class"], first["attempt"]) == ("tests.LayeredJob", 1)
    assert last["outcome"] == outcome
    assert last["duration_ms"] >= 0
    assert "s3cret" not in str(entries)


@pytest.mark.django_db
def test_the_log_tells_the_class_of_an_exception_and_not_its_text() -> None:
    with layers(LoggingMiddleware(level="warning"), errors=[ValueError("s3cret")]), capture_logs() as entries:
        LayeredJob.dispatch("s3cret")
        run_next()
    assert [entry["error"] for entry in entries if entry["event"] == "job_raised"] == ["ValueError"]
    assert [entry["log_level"] for entry in entries if entry["event"] == "job_started"] == ["warning"]
    assert "s3cret" not in str(entries)


def test_a_level_that_the_log_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="level must be"):
        LoggingMiddleware(level="loud")


# --- Queues


@pytest.mark.usefixtures("job_connection")
def test_a_queue_lets_only_so_many_of_its_jobs_run_at_the_same_time() -> None:
    define_queue("layered", max_running=1)
    with layers() as ran:
        get_coordinator().acquire("running:queue:layered", owner="other", lifetime=LIFE)
        LayeredJob.dispatch("x")
        assert get_wait(run_next()) == 1
        get_coordinator().release("running:queue:layered", owner="other")
        OtherLayeredJob.dispatch("y")
        run_next()
    assert ran == ["y"]


@pytest.mark.usefixtures("job_connection")
def test_a_queue_lets_its_jobs_start_only_so_often_whatever_their_class() -> None:
    define_queue("layered", rate_limit_enabled=True, rate_limit_max_attempts=1, rate_limit_per_seconds=60)
    with layers() as ran:
        LayeredJob.dispatch("x")
        run_next()
        OtherLayeredJob.dispatch("y")
        assert 50 < get_wait(run_next()) <= 60
    assert ran == ["x"]


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_finds_no_place_to_run_does_not_use_up_the_rate_of_its_queue() -> None:
    define_queue("layered", max_running=1, rate_limit_enabled=True, rate_limit_max_attempts=1)
    get_coordinator().acquire("running:queue:layered", owner="other", lifetime=LIFE)
    with layers():
        LayeredJob.dispatch()
        run_next()
    assert not get_coordinator().get_wait(Window("rate:queue:layered/3600", 1, timedelta(hours=1)))


@pytest.mark.usefixtures("job_connection")
def test_callbacks_and_the_opening_of_a_batch_pass_neither_limits_nor_middleware_of_others(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "MIDDLEWARE": ["tests.jobs.test_middleware.Tracing"]}
    define_queue("layered", max_running=1, middleware=[Tracing("queue")])
    get_coordinator().acquire("running:queue:layered", owner="other", lifetime=LIFE)
    inner = batch([BatchedLayeredJob(1).on_queue("default")]).on_queue("layered").then(note_end)
    batch([inner]).on_queue("layered").then(note_end).dispatch()
    drain()
    assert trace == ["end", "settings in", "settings out", "end"]
    assert not FailedJob.objects.exists()


def note_end(_found: Batch) -> None:
    """Note that a batch has ended."""
    trace.append("end")


@pytest.mark.usefixtures("job_connection")
def test_jobs_of_other_queues_pass_a_queue_that_is_limited(tmp_path: object) -> None:
    define_queue("layered", rate_limit_enabled=True, rate_limit_max_attempts=0)
    NoteJob.dispatch(f"{tmp_path}/notes", "x")
    assert isinstance(run_next(), Processed)
