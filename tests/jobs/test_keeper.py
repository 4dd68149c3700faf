"""The thread that looks after what a worker holds: alone, and in a worker."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, override
from uuid import UUID, uuid4

import pytest
import structlog
from django.conf import settings as django_settings
from django.db import OperationalError, connection, connections, transaction
from django.db.models import Model
from django.utils import timezone
from pytest_django import Settings

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.coordination.database import DatabaseCoordinator
from jobs.coordination.holding import HeldPlaces
from jobs.drivers.base import Claim, QueueDriver, get_driver
from jobs.drivers.database import DatabaseDriver
from jobs.job import Job
from jobs.models import FailedJob, QueuedJob, Slot, WorkerHeartbeat
from jobs.worker.hand import Hand
from jobs.worker.keeper import Keeper
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.vitals import get_peak_mb
from tests.jobs.conftest import empty
from tests.jobs.messages import make
from tests.jobs.sample_jobs import AloneWaitJob, NoteJob, read_lines
from tests.jobs.steps import stored
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: So many jobs that take no time, and a worker claims many at once.
WARM = 40
MANY = 100
MB = 1024 * 1024
#: One in so many jobs looks at what its worker holds, the first among them.
LOOK_EVERY = 10


class ShakyDriver(DatabaseDriver):
    """Doesn't answer the next calls of one kind."""

    failures_left: ClassVar[dict[str, int]] = {}

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        self._maybe_fail("finish_all")
        return super().finish_all(claims)

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        self._maybe_fail("give_back")
        super().give_back(claims)

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        self._maybe_fail("renew_all")
        return super().renew_all(claims, now=now)

    def _maybe_fail(self, operation: str) -> None:
        if self.failures_left.get(operation):
            self.failures_left[operation] -= 1
            raise OperationalError


@pytest.fixture
def shaky(settings: Settings) -> Iterator[QueueDriver]:
    connections = {**settings.JOBS["CONNECTIONS"], "shaky": {"DRIVER": f"{__name__}.ShakyDriver"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "shaky"}
    yield get_driver("shaky")
    ShakyDriver.failures_left.clear()


def _claim(driver: QueueDriver, names: str) -> Sequence[Claim]:
    driver.push([make(name, at=driver.get_now()) for name in names])
    return driver.claim(queues=["default"], worker="w", count=len(names))


@contextmanager
def _kept(driver: QueueDriver, claims: Sequence[Claim], beat: Callable[[], object] = lambda: None) -> Iterator[Hand]:
    hand = Hand()
    hand.take(claims, until=math.inf)
    hand.begin()
    with Keeper(hand, driver, beat=beat).keeping():
        yield hand


def _get_states() -> list[tuple[str, str]]:
    return [(job.job_class, job.state) for job in stored()]


# --- Alone


def test_the_lease_of_what_runs_is_renewed_again_and_again(driver: QueueDriver, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 0.5}
    claims = _claim(driver, "a")
    with _kept(driver, claims):
        wait_until(lambda: driver.get_now() > claims[0].lease_expires_at + timedelta(seconds=0.5))
        assert driver.claim(queues=["default"], worker="other") == []
    wait_until(lambda: driver.claim(queues=["default"], worker="other"))


def test_the_store_is_told_of_what_is_done_while_the_worker_is_busy(driver: QueueDriver) -> None:
    claims = _claim(driver, "ab")
    with _kept(driver, claims) as hand:
        hand.finish(claims[0])
        hand.begin()
        wait_until(lambda: _get_states() == [("b", "running")])


def test_what_waits_behind_a_slow_job_is_given_back(driver: QueueDriver) -> None:
    with _kept(driver, _claim(driver, "abc")) as hand:
        wait_until(lambda: _get_states() == [("a", "running"), ("b", "waiting"), ("c", "waiting")])
        assert {job.attempts for job in stored()} == {0, 1}
        assert [claim.job_class for claim in hand.list_held()] == ["a"]


def test_at_the_end_everything_is_told_and_given_back(driver: QueueDriver) -> None:
    claims = _claim(driver, "abc")
    with _kept(driver, claims) as hand:
        hand.begin()
        hand.finish(claims[0])
    assert _get_states() == [("b", "running"), ("c", "waiting")]


@pytest.mark.parametrize("operation", ["finish_all", "give_back", "renew_all"])
def test_a_store_that_does_not_answer_for_a_while_hears_it_later(
    operation: str, shaky: QueueDriver, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 2}
    claims = _claim(shaky, "abc")
    ShakyDriver.failures_left[operation] = 1
    with structlog.testing.capture_logs() as lines, _kept(shaky, claims) as hand:
        hand.finish(claims[0])
        hand.begin()
        wait_until(lambda: _get_states() == [("b", "running"), ("c", "waiting")])
        wait_until(lambda: shaky.get_now() > claims[0].lease_expires_at)
        assert _get_states() == [("b", "running"), ("c", "waiting")]
    assert ShakyDriver.failures_left == {operation: 0}
    assert [line["is_outage"] for line in lines if line["event"] == "keeper_interrupted"] == [True]


@pytest.mark.parametrize("is_lost", [True, False])
def test_leases_that_are_lost_are_logged_and_jobs_that_ended_are_not(
    is_lost: bool, driver: QueueDriver, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 0.5}
    claims = _claim(driver, "a")
    looks: list[Sequence[Claim]] = []

    class Watched(Hand):
        """Ends its job while the store is asked to renew it, unless somebody else has it."""

        @override
        def list_held(self) -> list[Claim]:
            held = super().list_held()
            if held and not looks:
                driver.finish(claims[0])
                if not is_lost:
                    self.end(claims[0])
            looks.append(held)
            return held

    hand = Watched()
    hand.take(claims, until=math.inf)
    hand.begin()
    with structlog.testing.capture_logs() as lines, Keeper(hand, driver, beat=lambda: None).keeping():
        wait_until(lambda: len(looks) > 2)
    assert ("leases_lost" in [line["event"] for line in lines]) is is_lost


def test_it_says_at_once_that_the_worker_is_alive(driver: QueueDriver) -> None:
    said = threading.Event()
    with _kept(driver, _claim(driver, "a"), beat=said.set):
        wait_until(said.is_set)


# --- In a worker


def _worker(**options: Any) -> Worker:  # Any: of WorkerOptions
    return Worker(WorkerOptions(**{"sleep": timedelta(seconds=0.02), "has_keeper": True, **options}))


@contextmanager
def _running(worker: Worker) -> Iterator[None]:
    def run() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        worker.go_on()
        thread.join()


def _dispatch_notes(path: Path, count: int, *, priority: int = 0) -> None:
    for number in range(count):
        NoteJob(str(path), f"{priority}/{number}").with_priority(priority).dispatch()


class MeddlingJob(Job):
    """Now and then calls what the test says, with how many jobs its worker has claimed and not begun.

    The others do nothing: to ask the store takes longer than jobs of which many are claimed at once.
    """

    queue = "notes"
    meddle: ClassVar[Callable[[int], object]]
    begun: ClassVar[set[UUID]] = set()

    @override
    def handle(self) -> None:
        assert self.running is not None
        self.begun.add(self.running.job_id)
        if len(self.begun) % LOOK_EVERY != 1:
            return
        held = get_driver().list_jobs(state="running", now=timezone.now())
        type(self).meddle(sum(job.job_id not in self.begun for job in held))


def _dispatch_meddling(meddle: Callable[[int], object], *, count: int = 1) -> None:
    MeddlingJob.meddle = staticmethod(meddle)
    MeddlingJob.begun.clear()
    for _ in range(count):
        MeddlingJob.dispatch()


def test_a_worker_that_does_jobs_quickly_claims_many_at_once(job_connection: str) -> None:
    held: list[int] = []
    _dispatch_meddling(held.append, count=MANY)
    assert _worker(stop_when_empty=True).run() == MANY
    assert max(held) > 1
    assert stored() == []
    assert len(MeddlingJob.begun) == MANY


@pytest.mark.parametrize("max_jobs", [1, WARM - 1, WARM + 7])
def test_a_worker_makes_exactly_as_many_tries_as_it_may(max_jobs: int, tmp_path: Path, job_connection: str) -> None:
    _dispatch_notes(tmp_path / "notes", 2 * WARM)
    assert _worker(max_jobs=max_jobs).run() == max_jobs
    assert len(read_lines(tmp_path / "notes")) == max_jobs
    assert {(job.state, job.attempts) for job in stored()} == {("waiting", 0)}
    assert len(stored()) == 2 * WARM - max_jobs


class GrowingJob(Job):
    """Notes the memory that it begins with, and needs some more when many are claimed at once."""

    queue = "notes"
    begun_with: ClassVar[list[float]] = []
    kept: ClassVar[list[bytes]] = []

    @override
    def handle(self) -> None:
        peak = get_peak_mb()
        self.begun_with.append(peak)
        # What other tests gave back is taken again first, however much it is.
        while len(self.begun_with) > WARM and get_peak_mb() < peak + 0.25:
            self.kept.append(b"x" * (MB // 4))


def test_no_job_is_begun_any_more_when_the_memory_is_used_up(job_connection: str) -> None:
    GrowingJob.begun_with.clear()
    for _ in range(MANY):
        GrowingJob.dispatch()
    limit = int(get_peak_mb()) + 4
    worker = _worker(memory_mb=limit)
    worker.run()
    GrowingJob.kept.clear()
    assert worker.stop_reason == "memory"
    assert max(GrowingJob.begun_with) < limit + 0.5
    assert {(job.state, job.attempts) for job in stored()} == {("waiting", 0)}


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_begun(job_connection: str) -> None:
    worker = _worker()

    def stop(held: int) -> None:
        if held:
            worker.stop()

    _dispatch_meddling(stop, count=MANY)
    begun = worker.run()
    assert begun == len(MeddlingJob.begun) < MANY
    assert [(job.state, job.attempts) for job in stored()] == [("waiting", 0)] * (MANY - begun)


def test_a_worker_that_rests_gives_back_what_it_has_not_begun(job_connection: str) -> None:
    worker, is_resting = _worker(), threading.Event()

    def rest(held: int) -> None:
        if held and not is_resting.is_set():
            worker.rest()
            is_resting.set()

    _dispatch_meddling(rest, count=MANY)
    with _running(worker):
        wait_until(is_resting.is_set)
        wait_until(lambda: {(job.state, job.attempts) for job in stored()} == {("waiting", 0)})
        assert len(MeddlingJob.begun) < MANY
        worker.go_on()
        wait_until(lambda: stored() == [])
    assert len(MeddlingJob.begun) == MANY


def test_a_job_that_a_worker_died_of_is_held_alone(tmp_path: Path) -> None:
    running: list[str] = []
    _dispatch_notes(tmp_path / "notes", WARM, priority=1)
    _dispatch_notes(tmp_path / "notes", 3)
    _dispatch_meddling(
        lambda _held: running.extend(
            QueuedJob.objects.filter(lease_id__isnull=False, priority=0).values_list("job_class", flat=True)
        )
    )
    QueuedJob.objects.filter(job_class="tests.MeddlingJob").update(
        attempts=1, lease_id=uuid4(), lease_expires_at=timezone.now(), worker="died"
    )
    _dispatch_notes(tmp_path / "notes", WARM)
    assert _worker(stop_when_empty=True).run() == 2 * WARM + 4
    assert [name for name in running if name != "tests.NoteJob"] == ["tests.MeddlingJob"]
    assert len(running) <= 4  # those before it may be done and not told yet; none of those behind it
    assert not FailedJob.objects.exists()


def test_a_busy_worker_says_that_it_is_alive_and_which_job_it_runs(tmp_path: Path) -> None:
    goes_on = threading.Event()
    _dispatch_meddling(lambda _held: goes_on.wait(30))
    with _running(_worker()):
        try:
            wait_until(lambda: WorkerHeartbeat.objects.filter(current_job_id__isnull=False).exists(), seconds=20)
            beat = WorkerHeartbeat.objects.get()
            assert beat.current_job_id == stored()[0].job_id
            assert beat.alive_until - beat.beat_at == timedelta(seconds=15)
        finally:
            goes_on.set()
    assert not WorkerHeartbeat.objects.exists()


def test_a_lock_is_held_as_long_as_the_job_runs_and_no_longer_than_a_lease_without_its_worker(
    job_connection: str, settings: Settings, tmp_path: Path
) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 0.5}
    AloneWaitJob.dispatch(str(tmp_path))
    driver, coordinator, lock = get_driver(), get_coordinator(), "overlap:tests.AloneWaitJob:"
    with _running(_worker()):
        wait_until(lambda: read_lines(tmp_path / "started"))
        first_end = driver.get_now() + timedelta(seconds=0.5)
        wait_until(lambda: driver.get_now() > first_end + timedelta(seconds=0.5))
        assert len(coordinator.list_owners(lock)) == 1
        assert coordinator.list_owners(lock, now=driver.get_now() + timedelta(seconds=0.5)) == []
        (tmp_path / "go").touch()
        wait_until(lambda: stored() == [])
    assert coordinator.list_owners(lock) == []


@contextmanager
def _standing_still(model: type[Model]) -> Iterator[None]:
    """Let the database answer nothing about a table, from the moment on at which somebody waits for that."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'LOCK TABLE "{model._meta.db_table}" IN ACCESS EXCLUSIVE MODE')

        def is_waited_for() -> bool:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

        wait_until(is_waited_for)
        yield


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis, and a database that can stand still")
@pytest.mark.parametrize(("model", "coordination"), [(WorkerHeartbeat, "redis"), (Slot, "database")])
def test_while_the_database_stands_still_what_is_kept_in_redis_is_held(
    model: type[Model], coordination: str, settings: Settings, tmp_path: Path
) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis", "COORDINATION": coordination, "LEASE_SECONDS": 2}
    empty("redis")
    AloneWaitJob.dispatch(str(tmp_path))
    driver, lock = get_driver(), "overlap:tests.AloneWaitJob:"
    with _running(_worker()):
        try:
            wait_until(lambda: read_lines(tmp_path / "started"))
            with _standing_still(model):
                later = driver.get_now() + 2 * get_job_settings().lease
                wait_until(lambda: driver.get_now() > later)
                assert driver.claim(queues=[], worker="other") == []
                if coordination == "redis":
                    assert len(get_coordinator().list_owners(lock)) == 1
        finally:
            (tmp_path / "go").touch()
        wait_until(lambda: stored() == [])
    assert len(read_lines(tmp_path / "started")) == 1


def test_a_lock_that_somebody_else_has_by_now_is_renewed_no_more(driver: QueueDriver) -> None:
    places, coordinator, life = HeldPlaces(), get_coordinator(), timedelta(minutes=1)
    places.add("k", owner="slow", places=1)
    coordinator.acquire("k", owner="other", lifetime=life)
    places.renew()
    coordinator.release("k", owner="other")
    places.renew()
    assert coordinator.list_owners("k") == []


class SlowCoordinator(DatabaseCoordinator):
    """Takes its time to renew a place, in which it is given back."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []

    @override
    def acquire(self, key: str, **arguments: Any) -> bool:  # Any: as of the base
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().acquire(key, **arguments)


def test_a_lock_that_is_given_back_while_it_is_renewed_is_free_and_nobody_waited(
    settings: Settings, job_connection: str
) -> None:
    own = {**settings.JOBS["CONNECTIONS"]["database"], "COORDINATOR": f"{__name__}.SlowCoordinator"}
    settings.JOBS = {
        **settings.JOBS,
        "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "own": own},
        "COORDINATION": "own",
    }
    places, coordinator = HeldPlaces(), get_coordinator()
    places.add("k", owner="one", places=1)
    places.renew()

    def give_back() -> None:
        places.drop("k", owner="one")
        coordinator.release("k", owner="one")

    SlowCoordinator.meanwhile.append(give_back)
    places.renew()
    assert SlowCoordinator.meanwhile == []
    assert coordinator.list_owners("k") == []


def test_a_lock_that_was_given_back_is_renewed_no_more(driver: QueueDriver) -> None:
    places = HeldPlaces()
    places.add("k", owner="one", places=1)
    places.renew()
    assert get_coordinator().list_owners("k") == ["one"]
    places.drop("k", owner="one")
    get_coordinator().release("k", owner="one")
    places.renew()
    assert get_coordinator().list_owners("k") == []
