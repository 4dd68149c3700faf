"""Sending jobs: every form, what is refused before anything is stored, and what transactions do to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, override
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from jobs.arguments import decode_arguments
from jobs.exceptions import JobArgumentError, JobDefinitionError, JobOptionError, UnknownConnectionError
from jobs.job import Job, build_job, dispatch
from jobs.models import Slot
from jobs.payload import read_payload
from jobs.signals import job_queued, job_queueing
from tests.jobs.sample_jobs import NoteJob, TypedJob
from tests.jobs.steps import drain, heard, run_next, stored, stored_one


def test_dispatch_stores_one_job_and_returns_its_id(job_connection: str) -> None:
    job_id = NoteJob.dispatch("notes.txt", text="hello")
    job = stored_one()
    assert (job.job_id, job.queue, job.job_class, job.attempts, job.state) == (
        job_id,
        "notes",
        "tests.NoteJob",
        0,
        "waiting",
    )


@pytest.mark.parametrize("form", [lambda job: job.dispatch(), lambda job: job.on_queue("notes").dispatch(), dispatch])
def test_a_job_that_was_made_before_is_sent_under_its_own_id(form: Any, job_connection: str) -> None:  # Any: forms
    job = NoteJob("notes.txt", "hello")
    assert form(job) == job.job_id == stored_one().job_id


def test_what_is_sent_twice_is_stored_twice_each_time_under_an_id_of_its_own(job_connection: str) -> None:
    job = NoteJob("notes.txt", "hello")
    ids = [job.dispatch(), job.on_queue("high").dispatch(), dispatch(job)]
    assert len(set(ids)) == 3
    assert {one.job_id for one in stored()} == set(ids)


class AgainJob(Job):
    """Send itself once more."""

    @override
    def handle(self) -> None:
        if len(stored()) == 1:
            self.dispatch()


def test_a_job_that_runs_may_send_itself_again(job_connection: str) -> None:
    first = AgainJob.dispatch()
    run_next()
    assert stored_one().job_id != first


@pytest.mark.parametrize("condition", [True, lambda: True, "words"], ids=["bool", "function", "truth"])
def test_a_condition_that_holds_sends_the_job(condition: object, job_connection: str) -> None:
    assert NoteJob.dispatch_if(condition, "notes.txt", "hello") == stored_one().job_id
    assert NoteJob.dispatch_unless(condition, "notes.txt", "hello") is None
    assert NoteJob("notes.txt", "hello").on_queue("low").dispatch_unless(condition) is None
    assert len(stored()) == 1


@pytest.mark.parametrize("condition", [False, lambda: False, ""], ids=["bool", "function", "truth"])
def test_a_condition_that_does_not_hold_sends_nothing(condition: object, job_connection: str) -> None:
    assert NoteJob.dispatch_if(condition, "notes.txt", "hello") is None
    assert NoteJob("notes.txt", "hello").on_queue("low").dispatch_if(condition) is None
    assert stored() == []
    assert isinstance(NoteJob.dispatch_unless(condition, "notes.txt", "hello"), UUID)


def test_a_condition_is_followed_by_the_arguments_which_are_checked() -> None:
    with pytest.raises(JobArgumentError, match="NoteJob"):
        NoteJob.dispatch_if(True, 1)  # type: ignore[arg-type, call-arg]  # wrong on purpose


@pytest.mark.parametrize("send", [NoteJob.dispatch_if, NoteJob.dispatch_unless], ids=["if", "unless"])
def test_a_condition_that_is_missing_is_an_error_that_says_so(send: Callable[..., object]) -> None:
    with pytest.raises(JobArgumentError, match="NoteJob: a condition is needed"):
        send()


def test_a_job_that_was_made_takes_no_more_arguments(job_connection: str) -> None:
    job: Any = NoteJob("notes.txt", "hello")  # Any: wrong on purpose
    words: dict[str, tuple[object, ...]] = {"dispatch": ("x",), "dispatch_if": (True, "x"), "dispatch_now": (1,)}
    for word, arguments in words.items():
        with pytest.raises(JobArgumentError, match="NoteJob: this job was made with its arguments"):
            getattr(job, word)(*arguments)
    assert stored() == []


def test_a_job_is_built_anew_from_what_was_stored(job_connection: str) -> None:
    job = TypedJob("ä", 2**80, 1.5, True, uuid4(), datetime(2026, 1, 1, tzinfo=UTC), ["a"], {"b": None})
    job.dispatch()
    assert build_job(TypedJob, read_payload(stored_one().payload)) == job


@pytest.mark.parametrize(
    "arguments", [(), ("notes.txt",), ("notes.txt", 1), ("notes.txt", None), ("notes.txt", "a", "b"), (b"", "a")]
)
def test_wrong_arguments_are_refused_at_dispatch_and_store_nothing(
    arguments: tuple[Any, ...],
    job_connection: str,  # Any: wrong on purpose
) -> None:
    with pytest.raises(JobArgumentError, match="NoteJob"):
        NoteJob.dispatch(*arguments)
    assert stored() == []


class LockedNoteJob(NoteJob):
    """Takes a lock, if it comes so far."""

    unique_for = 60


def test_an_argument_of_ten_megabytes_is_refused_and_neither_stored_nor_locked(job_connection: str) -> None:
    with pytest.raises(JobArgumentError, match="pass an id instead"):
        LockedNoteJob.dispatch("notes.txt", "x" * 10_000_000)
    assert stored() == []
    assert LockedNoteJob.dispatch("notes.txt", "x") == stored_one().job_id


class AnythingJob(Job):
    """Takes whatever there is."""

    unique_for = 60

    def __init__(self, value: object) -> None:
        self.value = value

    @override
    def handle(self) -> None: ...


@pytest.mark.parametrize(
    "value", [b"x", {1}, object(), open, float("nan"), {"a": [b"x"]}], ids=lambda value: type(value).__name__
)
def test_what_cannot_be_stored_is_refused_and_takes_no_lock(value: object, job_connection: str) -> None:
    with pytest.raises(JobArgumentError, match="'value' can't be stored"):
        AnythingJob.dispatch(value)
    assert not Slot.objects.exists()
    assert AnythingJob.dispatch(1) == stored_one().job_id


@pytest.mark.django_db
def test_what_the_constructor_objects_to_is_heard_at_dispatch() -> None:
    class PickyJob(Job):
        def __init__(self, amount: int) -> None:
            if amount < 0:
                raise ValueError("the amount must not be negative")

        @override
        def handle(self) -> None: ...

    with pytest.raises(ValueError, match="must not be negative"):
        PickyJob.dispatch(-1)
    assert stored() == []


class HidingMethodJob(Job):
    """Calls an attribute as a method is called."""

    def __init__(self, name: str) -> None:
        setattr(self, name, "mine")

    @override
    def handle(self) -> None: ...


@pytest.mark.parametrize("name", ["chain", "dispatch", "release", "failed", "on_queue", "handle", "middleware"])
def test_an_attribute_that_hides_a_method_is_refused_with_the_name_to_change(name: str) -> None:
    with pytest.raises(JobDefinitionError, match=f"HidingMethodJob: the attribute '{name}' would hide Job.{name}"):
        HidingMethodJob(name).send()


@pytest.mark.parametrize("name", ["batch", "options", "job_id", "attempts"])
def test_an_attribute_that_would_replace_what_every_job_has_is_refused(name: str) -> None:
    with pytest.raises(JobDefinitionError, match=f"change its name, such as to {name}_"):
        HidingMethodJob.dispatch(name)


@pytest.mark.parametrize("name", ["queue", "tries", "timeout", "priority", "fail_on_timeout"])
def test_an_option_that_a_job_sets_on_itself_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(JobDefinitionError, match=r"Set self\.options\.\w+ if that is meant"):
        HidingMethodJob.dispatch(name)


@dataclass
class HidingFieldJob(Job):
    """A field called like a method."""

    chain: str  # type: ignore[assignment]  # wrong on purpose

    @override
    def handle(self) -> None: ...


def test_a_field_of_a_dataclass_that_hides_a_method_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="'chain'"):
        HidingFieldJob("x").send()


@dataclass(slots=True)
class HidingSlotJob(Job):
    """A field called like a method, in a slot."""

    chain: str  # type: ignore[assignment]  # wrong on purpose

    @override
    def handle(self) -> None: ...


def test_a_slot_that_hides_a_method_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="'chain'"):
        HidingSlotJob("x").send()


done: list[object] = []


@dataclass
class MakingFieldsJob(Job):
    """Has fields whose defaults are made."""

    word: str
    made: list[int] = field(default_factory=lambda: [1])
    key: UUID = field(default_factory=uuid4)

    @override
    def handle(self) -> None:
        done.append((self.word, self.made, self.key))


class RecordingJob(Job, is_base=True):
    """Notes what it has and how often it was tried."""

    word: str
    made: list[int]

    @override
    def handle(self) -> None:
        done.append((self.word, self.made, self.attempts))


@dataclass(frozen=True)
class FrozenJob(RecordingJob):
    """Takes no assignment."""

    word: str
    made: list[int] = field(default_factory=list)


@dataclass(slots=True)
class SlottedJob(RecordingJob):
    """Keeps its fields in slots."""

    word: str
    made: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FrozenSlottedJob(RecordingJob):
    """Keeps its fields in slots and takes no assignment."""

    word: str
    made: list[int] = field(default_factory=list)


def test_a_default_that_a_function_makes_is_made_once_and_stays(job_connection: str) -> None:
    done.clear()
    MakingFieldsJob.dispatch("class")
    job = MakingFieldsJob("job", key=UUID(int=7))
    job.dispatch()
    stored_arguments = {one.job_id: read_payload(one.payload).arguments for one in stored()}
    assert stored_arguments[job.job_id] == {"word": "job", "made": [1], "key": {"$uuid": str(UUID(int=7))}}
    drain()
    keys = {str(arguments["word"]): decode_arguments(arguments)["key"] for arguments in stored_arguments.values()}
    assert sorted(done, key=str) == [("class", [1], keys["class"]), ("job", [1], UUID(int=7))]


def test_a_default_that_a_function_makes_is_checked(job_connection: str) -> None:
    job = MakingFieldsJob("x")
    job.made = ["no"]  # type: ignore[list-item]  # wrong on purpose
    with pytest.raises(JobArgumentError, match="'made' must be list"):
        job.dispatch()


def test_a_record_from_before_a_field_came_runs_with_its_default(job_connection: str) -> None:
    job = MakingFieldsJob.deserialize({"word": "old"})
    assert (job.word, job.made) == ("old", [1])


@pytest.mark.parametrize("job_class", [FrozenJob, SlottedJob, FrozenSlottedJob])
def test_dataclasses_that_are_frozen_or_have_slots_are_jobs(job_class: Any, job_connection: str) -> None:  # Any: forms
    done.clear()
    job_class.dispatch("class", [5])
    job = job_class("job")
    job.on_queue("high").with_tries(2).dispatch()
    assert job.was_sent
    assert {one.queue for one in stored()} == {"default", "high"}
    job.dispatch()
    job_class("now").dispatch_now()
    run_next()
    run_next()
    run_next()
    assert sorted(done, key=str) == [("class", [5], 1), ("job", [], 1), ("job", [], 1), ("now", [], 1)]


class PreparedJob(Job):
    """Has a say before it is sent."""

    prepared: ClassVar[list[str]] = []

    def __init__(self, word: str, is_sent: bool) -> None:
        self.word = word
        self.is_sent = is_sent

    @override
    def prepare_for_dispatch(self) -> bool | None:
        self.prepared.append(self.word)
        return None if self.is_sent else False

    @override
    def handle(self) -> None:
        self.prepared.append("handled")


def test_a_job_may_prepare_itself_and_stop_its_dispatch(job_connection: str) -> None:
    PreparedJob.prepared.clear()
    PreparedJob.dispatch("stays", is_sent=False)
    PreparedJob.dispatch_now("stays too", is_sent=False)
    assert stored() == []
    job_id = PreparedJob.dispatch("goes", is_sent=True)
    assert stored_one().job_id == job_id
    assert PreparedJob.prepared == ["stays", "stays too", "goes"]


class ReservedJob(Job):
    """Says in the constructor where it goes."""

    def __init__(self, urgency: int) -> None:
        self.options.queue = "high"
        self.options.priority = urgency

    @override
    def handle(self) -> None: ...


def test_a_constructor_may_set_options(job_connection: str) -> None:
    ReservedJob.dispatch(7)
    assert (stored_one().queue, stored_one().priority) == ("high", 7)
    with pytest.raises(JobOptionError, match="ReservedJob: priority must be a whole number from 0 to 255, not 999"):
        ReservedJob.dispatch(999)


@pytest.mark.parametrize("name", ["nowhere", "Database", "redis2"])
def test_an_unknown_connection_is_refused_with_those_there_are(name: str, job_connection: str) -> None:
    with pytest.raises(UnknownConnectionError, match=r"CONNECTIONS'\] has database"):
        LockedNoteJob("notes.txt", "x").on_connection(name).dispatch()
    assert stored() == []
    assert not Slot.objects.exists()


# --- Transactions


def _dispatch_and_fail(**words: bool) -> None:
    with transaction.atomic():
        job = LockedNoteJob("notes.txt", "hello")
        (job.before_commit() if words.get("is_early") else job.after_commit()).dispatch()
        raise LookupError


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_stores_and_announces_nothing(job_connection: str) -> None:
    with heard(job_queued) as seen, pytest.raises(LookupError):
        _dispatch_and_fail()
    assert stored() == []
    assert seen == []


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_gives_its_lock_back(job_connection: str) -> None:
    with pytest.raises(LookupError):
        _dispatch_and_fail()
    assert LockedNoteJob.dispatch("notes.txt", "again") == stored_one().job_id


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_savepoint_gives_the_lock_back_while_the_transaction_goes_on(job_connection: str) -> None:
    with transaction.atomic():
        with pytest.raises(LookupError):
            _dispatch_and_fail()
        job_id = LockedNoteJob.dispatch("notes.txt", "again")
    assert stored_one().job_id == job_id


@pytest.mark.django_db(transaction=True)
def test_a_dispatch_becomes_visible_and_is_announced_with_the_commit(job_connection: str) -> None:
    with heard(job_queueing, job_queued) as seen, transaction.atomic():
        job_id = NoteJob.dispatch("notes.txt", "hello")
        assert [signal for signal, _ in seen] == [job_queueing]
        if job_connection == "redis":
            assert stored() == []
    assert stored_one().job_id == job_id
    assert [(signal, fact.job_id) for signal, fact in seen] == [(job_queueing, job_id), (job_queued, job_id)]
    assert seen[1][1].connection == job_connection


@pytest.mark.django_db(transaction=True)
def test_before_the_commit_a_job_is_sent_at_once_where_the_store_takes_no_part(job_connection: str) -> None:
    with pytest.raises(LookupError):
        _dispatch_and_fail(is_early=True)
    assert len(stored()) == (0 if job_connection == "database" else 1)


@pytest.mark.django_db(transaction=True)
def test_the_settings_say_whether_dispatch_waits_for_the_commit(job_connection: str, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "AFTER_COMMIT": False}
    with transaction.atomic():
        NoteJob.dispatch("notes.txt", "hello")
        assert len(stored()) == 1


@pytest.mark.django_db(transaction=True)
def test_jobs_dispatched_in_one_transaction_run_in_their_order(job_connection: str, tmp_path: Any) -> None:  # Any: Path
    with transaction.atomic():
        for word in "abc":
            NoteJob.dispatch(str(tmp_path / "notes"), word)
    assert drain() == 3
    assert (tmp_path / "notes").read_text().split() == ["a", "b", "c"]


def _raise() -> None:
    raise RuntimeError


@transaction.atomic
def _dispatch_behind_a_hook_that_raises() -> None:
    transaction.on_commit(_raise)
    LockedNoteJob.dispatch("notes.txt", "hello")


@pytest.mark.django_db(transaction=True)
def test_a_hook_of_somebody_else_that_raises_stops_no_dispatch(job_connection: str) -> None:
    with heard(job_queued) as seen, pytest.raises(RuntimeError):
        _dispatch_behind_a_hook_that_raises()
    assert len(stored()) == len(seen) == 1
    LockedNoteJob.dispatch("notes.txt", "is refused, for the first one holds its lock")
    assert len(stored()) == 1


@pytest.mark.django_db(transaction=True)
def test_after_a_rollback_the_lock_is_where_the_job_is_that_was_sent_before_the_commit(job_connection: str) -> None:
    with pytest.raises(LookupError):
        _dispatch_and_fail(is_early=True)
    LockedNoteJob.dispatch("notes.txt", "again")
    assert len(stored()) == 1
