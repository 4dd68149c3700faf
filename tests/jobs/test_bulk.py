"""Sending many jobs at once: as one by one, with fewer round trips."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, override
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from jobs.batch import batch
from jobs.coordination import get_coordinator
from jobs.drivers.base import STEP, get_driver
from jobs.exceptions import JobArgumentError, JobOptionError, JobRefusedError, PartlySentError, QueueFull
from jobs.job import Job, dispatch_many
from jobs.models import Batch
from jobs.queues import define_queue, forget_queue
from jobs.security import SecureJob
from jobs.services import UNIQUE
from jobs.signals import job_queued, job_queueing, unique_job_skipped
from jobs.testing import JobsFake
from tests.jobs.batch_jobs import StepJob
from tests.jobs.far_store import FarDriver
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.lossy_proxy import lossy_way
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import drain, heard, soon, stored

MANY = 2 * STEP + 100


class NumberedJob(Job):
    """Has a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    @override
    def handle(self) -> None: ...


class OneOfItsKindJob(NumberedJob):
    """Waits or runs once for each number."""

    unique_for = 3600

    @override
    def unique_key(self) -> str:
        return str(self.number)


class ReluctantJob(NumberedJob):
    """Is sent only where its number is even."""

    @override
    def prepare_for_dispatch(self) -> bool | None:
        return self.number % 2 == 0


class ForbiddenJob(SecureJob):
    """Needs a permission that nobody has."""

    def __init__(self) -> None:
        self.set_required_permissions(["do what nobody may"])

    @override
    def handle(self) -> None: ...


def _make_many() -> list[NumberedJob]:
    """Return many jobs, the first of each step with a lock, which takes a while to get."""
    return [OneOfItsKindJob(number) if number % STEP == 0 else NumberedJob(number) for number in range(MANY)]


@contextmanager
def counting_trips(monkeypatch: pytest.MonkeyPatch, store: str) -> Iterator[Counter[str]]:
    """Count what is sent to a store: pieces that Redis gets, or statements that the database gets."""
    trips: Counter[str] = Counter()
    if store == "database":
        with CaptureQueriesContext(connection) as queries:
            yield trips
        trips.update(query["sql"].split()[0] for query in queries)
        return
    from redis.connection import Connection  # noqa: PLC0415 - not every run has Redis

    send: Callable[..., object] = Connection.send_packed_command

    def note(self: Connection, command: Any, check_health: bool = True) -> None:
        trips["sent"] += 1
        send(self, command, check_health)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "send_packed_command", note)
        yield trips


def test_many_jobs_are_stored_in_their_order_under_the_ids_that_are_returned(job_connection: str) -> None:
    jobs = [NumberedJob(number) for number in range(MANY)]
    ids = dispatch_many(jobs)
    assert ids == [job.job_id for job in jobs]
    assert [job.job_id for job in get_driver().list_jobs(limit=MANY + 1, now=soon())] == ids
    assert all(job.was_sent for job in jobs)


def test_one_dispatch_is_one_round_trip(job_connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    NumberedJob.dispatch(0)  # connections are opened, scripts and the clock of the store are known
    with counting_trips(monkeypatch, job_connection) as trips:
        NumberedJob.dispatch(1)
    assert trips.total() == 1
    assert len(stored()) == 2


def test_many_jobs_take_a_round_trip_for_each_step_of_them(
    job_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch_many(NumberedJob(number) for number in range(MANY))
    with counting_trips(monkeypatch, job_connection) as trips:
        dispatch_many(NumberedJob(number) for number in range(MANY))
    assert trips.total() == 3 if job_connection == "redis" else trips.total() <= 6
    with counting_trips(monkeypatch, job_connection) as trips:
        batch([StepJob(str(number)) for number in range(MANY)]).dispatch()
    assert trips.total() < 30


@pytest.mark.django_db(transaction=True)
def test_each_is_announced_as_if_it_were_sent_alone(job_connection: str) -> None:
    with heard(job_queueing, job_queued) as seen:
        ids = dispatch_many([NumberedJob(1), NumberedJob(2), NumberedJob(3)])
    assert [fact.job_id for signal, fact in seen if signal is job_queueing] == ids
    assert [fact.job_id for signal, fact in seen if signal is job_queued] == ids


def test_each_is_sent_as_it_says_itself(job_connection: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    note = str(notes)
    dispatch_many(
        [
            NoteJob(note, "later").delay_until(timedelta(hours=1)),
            NoteJob(note, "plain"),
            NoteJob(note, "urgent").with_priority(9),
            NoteJob(note, "first of two").on_queue("default").chain([NoteJob(note, "second of two")]),
        ]
    )
    assert {(job.queue, job.priority, job.state) for job in stored()} == {
        ("notes", 0, "delayed"), ("notes", 0, "waiting"), ("notes", 9, "waiting"), ("default", 0, "waiting"),
    }  # fmt: skip
    drain("notes", now=soon(0.5))
    assert read_lines(notes) == ["urgent", "plain"]
    drain(now=soon(2))
    assert sorted(read_lines(notes)[2:]) == ["first of two", "later", "second of two"]


def test_unique_jobs_take_their_locks_one_by_one(job_connection: str) -> None:
    jobs = [OneOfItsKindJob(number) for number in (1, 2, 1)]
    with heard(unique_job_skipped) as seen:
        ids = dispatch_many(jobs)
    assert len(ids) == 3
    assert [job.was_sent for job in jobs] == [True, True, False]
    assert [fact.job_id for _, fact in seen] == ids[2:]
    assert {job.job_id for job in stored()} == set(ids[:2])
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:1") == [str(ids[0])]


def test_what_does_not_want_to_be_sent_is_left_out(job_connection: str) -> None:
    jobs = [ReluctantJob(number) for number in range(4)]
    dispatch_many(jobs)
    assert [job.was_sent for job in jobs] == [True, False, True, False]
    assert len(stored()) == 2


def test_what_cannot_be_sent_is_heard_before_anything_is_stored(job_connection: str) -> None:
    wrong: Any = "one"  # Any: the wrong type is wanted
    with pytest.raises(JobArgumentError):
        dispatch_many([OneOfItsKindJob(1), NumberedJob(wrong)])
    with pytest.raises(JobRefusedError):
        dispatch_many([OneOfItsKindJob(1), ForbiddenJob()])
    twice = NumberedJob(1)
    with pytest.raises(JobOptionError, match="once"):
        dispatch_many([twice, NumberedJob(2), twice])
    assert stored() == []
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:1") == []


def test_a_queue_without_room_for_its_jobs_lets_none_be_sent(job_connection: str) -> None:
    define_queue("small", max_jobs=10)
    try:
        jobs = [NumberedJob(number).on_queue("small" if number % 50 == 0 else "default") for number in range(MANY)]
        with pytest.raises(QueueFull):
            dispatch_many(jobs)
        assert stored() == []
        dispatch_many(jobs[:450] + [NumberedJob(number) for number in range(MANY)])
    finally:
        forget_queue("small")
    assert get_driver().measure(now=soon())["small"].waiting == 9


def test_jobs_that_were_sent_are_other_jobs_when_they_are_sent_again(job_connection: str) -> None:
    jobs = [NumberedJob(1), NumberedJob(2)]
    assert set(dispatch_many(jobs)).isdisjoint(dispatch_many(jobs))
    assert len(stored()) == 4


def test_nothing_is_sent_of_nothing(job_connection: str) -> None:
    assert dispatch_many([]) == []


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_they_are_sent_with_the_commit_or_never(job_connection: str) -> None:
    with transaction.atomic():
        dispatch_many(OneOfItsKindJob(number) for number in range(3))
        transaction.set_rollback(True)
    assert stored() == []
    with transaction.atomic():
        jobs = [*(OneOfItsKindJob(number) for number in range(3)), NumberedJob(7).before_commit()]
        dispatch_many(jobs)
        early = {job.job_id for job in stored()}
    assert early == ({jobs[-1].get_job().job_id} if job_connection == "redis" else {one.job_id for one in stored()})
    assert len(stored()) == 4


def test_a_fake_takes_them(jobs_fake: JobsFake) -> None:
    jobs = [NumberedJob(number) for number in range(STEP + 1)]
    dispatch_many(jobs)
    assert jobs_fake.dispatched(NumberedJob) == jobs
    assert jobs_fake.run_pending() == STEP + 1


def test_where_a_store_fails_in_the_middle_what_it_has_stays_and_the_others_can_be_sent(far: set[str]) -> None:
    jobs = _make_many()
    FarDriver.pushes_left = 1
    with heard(job_queued) as seen, pytest.raises(PartlySentError) as caught:
        dispatch_many(jobs)
    assert isinstance(caught.value.__cause__, OperationalError)
    sent = {job.job_id for job in jobs[:STEP]}
    assert caught.value.sent == sent
    assert {fact.job_id for _, fact in seen} == sent
    assert {job.job_id for job in jobs if job.was_sent} == sent
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:0") != []
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:{STEP}") == []
    FarDriver.pushes_left = None
    far.clear()
    dispatch_many(job for job in jobs if not job.was_sent)
    assert sorted(job.job_id for job in get_driver().list_jobs(limit=MANY + 1)) == sorted(job.job_id for job in jobs)


def test_where_the_first_step_fails_that_is_raised_and_nothing_is_sent(far: set[str]) -> None:
    jobs = _make_many()
    far.add("push")
    with pytest.raises(OperationalError, match="far is away"):
        dispatch_many(jobs)
    assert not any(job.was_sent for job in jobs)
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:0") == []


def test_where_another_store_fails_what_the_first_has_stays(far: set[str]) -> None:
    far.add("push")
    jobs = [NumberedJob(1).on_connection("near"), NumberedJob(2)]
    with pytest.raises(PartlySentError) as caught:
        dispatch_many(jobs)
    assert caught.value.sent == {jobs[0].get_job().job_id}
    assert len(stored()) == 1


def test_after_the_commit_what_was_stored_stays_as_well(far: set[str]) -> None:
    jobs = _make_many()
    FarDriver.pushes_left = 2
    with pytest.raises(PartlySentError) as caught, transaction.atomic():
        dispatch_many(jobs)
    assert caught.value.sent == {job.job_id for job in jobs[: 2 * STEP]}
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:0") != []
    assert get_coordinator().list_owners(f"{UNIQUE}tests.OneOfItsKindJob:{2 * STEP}") == []


def test_of_a_batch_nothing_stays_where_its_store_fails_in_the_middle(far: set[str]) -> None:
    FarDriver.pushes_left = 1
    with pytest.raises(OperationalError, match="far is away"):
        batch([StepJob(str(number)) for number in range(MANY)]).dispatch()
    assert not Batch.objects.exists()
    assert stored() == []


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis")
@pytest.mark.django_db(transaction=True)
def test_steps_whose_answers_were_lost_are_stored_once_though_their_jobs_have_ended(settings: Settings) -> None:
    jobs = [NumberedJob(number) for number in range(2 * STEP)]
    ended: list[UUID] = []

    def finish_all() -> bool:
        """Finish all jobs, once both steps are stored."""
        driver = get_driver()
        if sum(one.waiting for one in driver.measure().values()) < len(jobs):
            return False
        while claims := driver.claim(queues=(), worker="w", count=50):
            assert driver.finish_all(claims) == 0
            ended.extend(claim.job_id for claim in claims)
        return True

    with lossy_way(settings) as proxy:
        NumberedJob.dispatch(0)
        drain()
        with proxy.losing(str(jobs[-1].job_id), until=finish_all):
            ids = dispatch_many(jobs)
        assert ended == ids
        assert stored() == []
