"""What can be said about how a job runs: fluently, by class, by queue, in the settings; and which of it holds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs.backoff import Exponential
from jobs.exceptions import JobDefinitionError, JobOptionError, PayloadError, UnknownQueueError
from jobs.job import Job, get_job_class, make_record, resolve_options
from jobs.options import JobOptions, get_due_time
from jobs.payload import read_payload
from jobs.queues import define_queue, forget_queue
from tests.jobs.sample_jobs import NoteJob, UrgentJob
from tests.jobs.steps import NOON, claim_one, soon, stored, stored_one


def slower(attempt: int, _error: Exception | None) -> float:
    """Wait longer from try to try."""
    return attempt * 2.5


class OpinionatedJob(NoteJob):
    """Says everything itself."""

    queue = "opinions"
    tries = 7
    backoff = (1, 2)
    timeout = 9
    priority = 3
    delay = 5
    max_exceptions = 4


@pytest.fixture
def defined() -> Iterator[Callable[..., None]]:
    """Define the queue of a test, which is forgotten afterwards."""

    def define(**words: Any) -> None:  # Any: of define_queue
        define_queue("opinions", **words)

    yield define
    forget_queue("opinions")


@pytest.mark.parametrize(
    ("say", "name", "value"),
    [
        (lambda job: job.on_queue("high"), "queue", "high"),
        (lambda job: job.on_connection("sync"), "connection", "sync"),
        (lambda job: job.with_tries(0), "tries", 0),
        (lambda job: job.with_backoff((1, 2, 3)), "backoff", (1, 2, 3)),
        (lambda job: job.with_timeout(1.5), "timeout", 1.5),
        (lambda job: job.with_priority(255), "priority", 255),
        (lambda job: job.delay_until(60), "delay", 60),
        (lambda job: job.delay_until(timedelta(minutes=1)), "delay", timedelta(minutes=1)),
        (lambda job: job.delay_until(60).without_delay(), "delay", 0),
        (lambda job: job.with_max_exceptions(2), "max_exceptions", 2),
        (lambda job: job.with_retry_until(timedelta(hours=1)), "retry_until", timedelta(hours=1)),
        (lambda job: job.after_commit(), "is_after_commit", True),
        (lambda job: job.before_commit(), "is_after_commit", False),
        (lambda job: job.with_tags("a").with_tags("b", "c"), "tags", ("a", "b", "c")),
        (lambda job: job.when(True, lambda it: it.with_tries(9)), "tries", 9),
        (lambda job: job.when(lambda: False, lambda it: it.with_tries(9)), "tries", None),
        (lambda job: job.unless(False, lambda it: it.with_tries(9)), "tries", 9),
        (lambda job: job.unless(lambda: True, lambda it: it.with_tries(9)), "tries", None),
    ],
)
def test_each_word_sets_its_option(say: Callable[[Any], Any], name: str, value: object) -> None:  # Any: forms
    job = NoteJob("notes.txt", "x")
    assert say(job).get_job() is job
    assert getattr(job.options, name) == value


def test_all_words_can_be_said_in_one_breath(job_connection: str) -> None:
    job = NoteJob("notes.txt", "x").on_queue("high").delay_until(3600).with_priority(10).with_tries(2).with_tags("t")
    job_id = job.dispatch()
    found = stored_one()
    assert (found.job_id, found.queue, found.priority, found.state) == (job_id, "high", 10, "delayed")
    record = read_payload(found.payload)
    assert (record.options, record.tags) == ({"tries": 2, "tags": ["t"]}, ("t",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tries", -1), ("tries", True), ("tries", 1.5), ("timeout", -1), ("timeout", float("nan")), ("timeout", "1"),
        ("priority", 256), ("priority", 999), ("priority", -1), ("backoff", -1), ("backoff", (1, "2")),
        ("backoff", "10"), ("backoff", 10**12), ("queue", ""), ("queue", "a,b"), ("queue", "a b"), ("queue", "a\x00"),
        ("queue", "x" * 101), ("queue", "a:p1"), ("queue", "*"), ("queue", 5), ("connection", ""), ("delay", -1),
        ("delay", timedelta(seconds=-1)), ("delay", "soon"), ("delay", datetime(2026, 1, 1)), ("max_exceptions", 0),  # noqa: DTZ001 - the naive one is the point
        ("retry_until", 60), ("retry_until", datetime(2026, 1, 1)),  # noqa: DTZ001 - as above
    ],
    ids=repr,
)  # fmt: skip
def test_an_option_out_of_range_is_refused_for_one_job_and_for_a_class(name: str, value: object) -> None:
    with pytest.raises(JobOptionError, match=f"^it: {name} must be"):
        JobOptions(**{name: value}).check(about="it")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(JobDefinitionError, match=f"OddJob: {name} must be"):
        type("OddJob", (NoteJob,), {"__module__": __name__, name: value})


@pytest.mark.parametrize("tag", ["", "x" * 201, "nul \x00", "surrogate \ud800"])
def test_a_tag_that_no_table_can_hold_is_refused_as_it_is_said(tag: str) -> None:
    with pytest.raises(JobOptionError, match="NoteJob: tags must be"):
        NoteJob("notes.txt", "x").with_tags(tag)


def test_a_word_out_of_range_is_refused_as_it_is_said() -> None:
    with pytest.raises(JobOptionError, match="NoteJob: priority must be a whole number from 0 to 255, not 999"):
        NoteJob("notes.txt", "x").with_priority(999)
    with pytest.raises(JobOptionError, match="NoteJob: delay"):
        NoteJob("notes.txt", "x").delay_until(-1)


@pytest.mark.parametrize("name", ["nobody-serves-it", "Emails"])
def test_an_unknown_queue_is_refused_with_those_there_are(name: str, job_connection: str) -> None:
    with pytest.raises(UnknownQueueError, match=r"known: .*emails.*notes"):
        NoteJob("notes.txt", "x").on_queue(name).dispatch()
    assert stored() == []


@pytest.mark.parametrize("pair", [{"unique_for": 1, "debounce_for": 1}, {"unique_for": -1}, {"debounce_max_wait": -1}])
def test_a_class_that_contradicts_itself_is_refused(pair: dict[str, int]) -> None:
    with pytest.raises(JobDefinitionError, match="OddJob"):
        type("OddJob", (NoteJob,), {"__module__": __name__, **pair})


def test_a_class_is_registered_by_app_label_and_class_name() -> None:
    assert get_job_class("tests.NoteJob") is NoteJob


def test_a_base_without_handle_is_not_registered_and_cannot_be_sent() -> None:
    class ReportJob(Job):
        queue = "reports"

    assert get_job_class("tests.ReportJob") is None
    with pytest.raises(JobDefinitionError, match="ReportJob"):
        ReportJob.dispatch()


def test_a_second_class_of_the_same_name_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match=r"tests\.NoteJob already"):
        type("NoteJob", (NoteJob,), {"__module__": "tests.elsewhere"})


# --- What holds


def test_what_the_job_says_holds_before_its_class_its_queue_and_the_settings(defined: Callable[..., None]) -> None:
    defined(connection="sync", tries=2, backoff=20, timeout=200)
    job = OpinionatedJob("notes.txt", "x").with_tries(1).with_backoff(0).with_timeout(0).on_connection("database")
    held = resolve_options(OpinionatedJob, job.get_job().options)
    assert (held.tries, held.backoff, held.timeout, held.connection) == (1, 0, 0, "database")


def test_what_the_class_says_holds_before_its_queue(defined: Callable[..., None]) -> None:
    defined(tries=2, backoff=20, timeout=200)
    held = resolve_options(OpinionatedJob, JobOptions())
    assert (held.tries, held.backoff, held.timeout, held.max_exceptions) == (7, (1, 2), 9, 4)


def test_what_the_queue_says_holds_before_the_settings(defined: Callable[..., None]) -> None:
    defined(connection="sync", tries=2, backoff=20, timeout=200)
    held = resolve_options(NoteJob, JobOptions(queue="opinions"))
    assert (held.connection, held.tries, held.backoff, held.timeout) == ("sync", 2, 20, 200)


def test_where_nobody_says_anything_the_settings_hold(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "TRIES": 5, "BACKOFF": 8, "TIMEOUT_SECONDS": 13, "CONNECTION": "sync"}
    held = resolve_options(NoteJob, JobOptions())
    assert (held.connection, held.tries, held.backoff, held.timeout, held.priority) == ("sync", 5, 8, 13, 0)
    assert (held.delay, held.max_exceptions, held.retry_until, held.is_failed_on_timeout) == (None, None, None, False)


def test_a_subclass_says_what_it_inherits_unless_it_says_something_else() -> None:
    assert (UrgentJob.queue, UrgentJob.priority, NoteJob.priority) == ("notes", 200, 0)
    assert resolve_options(UrgentJob, JobOptions()).priority == 200


def test_a_queue_sends_its_jobs_to_its_connection(defined: Callable[..., None], job_connection: str) -> None:
    defined(connection="database")
    assert make_record(OpinionatedJob("notes.txt", "x")).connection == "database"


def test_the_wait_of_a_class_holds_unless_the_job_is_to_go_without(job_connection: str) -> None:
    OpinionatedJob.dispatch("notes.txt", "x")
    assert stored_one().state == "delayed"
    OpinionatedJob("notes.txt", "y").without_delay().dispatch()
    assert sorted(job.state for job in stored()) == ["delayed", "waiting"]


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1), NOON + timedelta(minutes=1)], ids=repr)
def test_a_wait_is_seconds_or_a_duration_or_a_moment(delay: Any) -> None:  # Any: one of them
    assert get_due_time(delay, now=NOON) == NOON + timedelta(minutes=1)


def test_a_wait_until_a_moment_that_has_passed_is_none() -> None:
    assert get_due_time(datetime(1970, 1, 1, tzinfo=UTC), now=NOON) == NOON == get_due_time(None, now=NOON)


def test_of_the_due_jobs_of_a_queue_the_highest_priority_goes_first(job_connection: str) -> None:
    for priority in (0, 255, 10):
        NoteJob("notes.txt", str(priority)).with_priority(priority).dispatch()
    assert [claim_one("notes", now=soon()).priority for _ in range(3)] == [255, 10, 0]


@pytest.mark.parametrize("timeout", [0, 1, 3600])
def test_a_claim_holds_for_the_lease_of_the_settings_however_long_the_job_may_take(
    timeout: int, job_connection: str, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 7}
    NoteJob("notes.txt", "x").with_timeout(timeout).dispatch()
    now = soon()
    assert claim_one(now=now).lease_expires_at - now == timedelta(seconds=7)


# --- Options travel


_options = st.builds(
    JobOptions,
    tries=st.none() | st.integers(0, 1000),
    backoff=st.none() | st.integers(0, 100) | st.lists(st.floats(0, 100)).map(tuple) | st.just(slower)
    | st.builds(Exponential, first=st.floats(0, 10), cap=st.floats(10, 100), jitter=st.floats(0, 1)),
    timeout=st.none() | st.floats(0, 100),
    max_exceptions=st.none() | st.integers(1, 9),
    retry_until=st.none() | st.timedeltas(timedelta(0), timedelta(300)) | st.datetimes(timezones=st.just(UTC)),
    is_failed_on_timeout=st.none() | st.booleans(),
    tags=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9), max_size=5
    ).map(tuple),
)  # fmt: skip


@given(_options)
def test_options_come_back_as_they_were_sent(options: JobOptions) -> None:
    assert JobOptions.decode(options.encode()) == options


@pytest.mark.parametrize(
    "encoded",
    [
        {"nothing": 1},
        {"tries": "x"},
        {"backoff": {"function": "nothing:here"}},
        {"backoff": {"first": -1}},
        {"tags": 1},
    ],
    ids=repr,
)
def test_options_that_make_no_sense_are_refused(encoded: dict[str, object]) -> None:
    with pytest.raises(PayloadError):
        JobOptions.decode(encoded)


def test_a_function_that_cannot_travel_is_refused_at_dispatch(job_connection: str) -> None:
    with pytest.raises(JobDefinitionError, match="top level of a module"):
        NoteJob("notes.txt", "x").with_backoff(lambda attempt, _error: attempt).dispatch()
    assert stored() == []


def test_options_of_other_jobs_are_their_own() -> None:
    first, second = NoteJob("a", "b").with_tries(9), NoteJob("a", "b")
    assert (first.get_job().options.tries, second.options.tries) == (9, None)
