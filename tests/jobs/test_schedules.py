"""Jobs by the clock: each run once, missed ones by policy, changed while it runs."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from pytest_django.fixtures import Settings

from jobs.checks import check_schedules
from jobs.cron import Timing
from jobs.drivers.database import DatabaseDriver
from jobs.exceptions import (
    JobArgumentError,
    JobDefinitionError,
    JobOptionError,
    ScheduleBrokenError,
    ScheduleTimingError,
)
from jobs.job import Job
from jobs.models import QueuedJob, Schedule, ScheduleRun
from jobs.queues import define_queue, forget_queue
from jobs.scheduler import (
    Ticker,
    disable_schedules,
    enable_schedules,
    open_schedule,
    prune_schedule_runs,
    resend_runs,
    reset_schedules,
    run_due_schedules,
    run_schedule_now,
    save_entry,
    synchronise_schedules,
)
from jobs.schedules import Entry, forget_schedule, schedule
from jobs.security import SecureJob
from jobs.signals import ScheduleDispatched, schedule_broken, schedule_dispatched
from jobs.worker.loop import Worker, WorkerOptions
from permissions import scope
from tests.articles.models import Team
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import NOON, drain, heard, soon, stored, stored_one, worker_environment
from tests.processes import manage
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


class SecretNoteJob(Job):
    """A job whose arguments are stored encrypted."""

    encrypted = True

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @override
    def handle(self) -> None:
        """Do nothing."""


class LonelyJob(Job):
    """A job of which one alone may wait or run."""

    unique_for = 3600

    @override
    def handle(self) -> None:
        """Do nothing."""


class MoodyJob(Job):
    """A job whose own code goes wrong when it is sent."""

    @override
    def prepare_for_dispatch(self) -> bool | None:
        raise RuntimeError("not today")

    @override
    def handle(self) -> None:
        """Do nothing."""


class OutsideDriver(DatabaseDriver):
    """A store that takes no part in transactions, and may be away."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = (ConnectionError,)
    is_transactional: ClassVar[bool] = False
    is_away: ClassVar[bool] = False

    @override
    def push(self, messages: Any, *, limits: Mapping[str, int] | None = None) -> None:  # Any: as the driver takes it
        if self.is_away:
            raise ConnectionError("away")
        super().push(messages, limits=limits)


@pytest.fixture(autouse=True)
def no_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start with no entry in the code, in a folder where what they write down is out of the way."""
    monkeypatch.setattr("jobs.schedules._planned", [])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def outside(settings: Settings) -> Iterator[type[OutsideDriver]]:
    """Jobs go to a store outside of transactions."""
    path = f"{OutsideDriver.__module__}.{OutsideDriver.__qualname__}"
    connections_ = {**settings.JOBS["CONNECTIONS"], "outside": {"DRIVER": path}}
    settings.JOBS = {**settings.JOBS, "CONNECTION": "outside", "CONNECTIONS": connections_, "COORDINATION": "database"}
    OutsideDriver.is_away = False
    yield OutsideDriver
    OutsideDriver.is_away = False


def _add(name: str = "minutely", *, now: datetime = NOON, **values: Any) -> Schedule:  # Any: fields of the entry
    fields: dict[str, Any] = {
        "job_class": "tests.NoteJob",
        "arguments": {"path": "notes", "text": name},
        "timing": Timing(cron="* * * * *"),
        **values,
    }
    return save_entry(entry=Entry(name=name, **fields), now=now)


def _get(name: str = "minutely") -> Schedule:
    return Schedule.objects.get(name=name)


def _list_runs(name: str = "minutely") -> list[tuple[str, str]]:
    runs = ScheduleRun.objects.filter(schedule__name=name).order_by("run_at")
    return [(f"{run.run_at:%H:%M}", run.state) for run in runs]


# --- Due


def test_an_entry_that_is_due_dispatches_its_job_with_its_arguments(tmp_path: Path) -> None:
    _add(arguments={"path": str(tmp_path / "notes"), "text": "hello"})
    (run,) = run_due_schedules(now=NOON + MINUTE)
    job = QueuedJob.objects.get()
    assert (run.run_at, run.job_id, job.queue) == (NOON + MINUTE, job.job_id, "notes")
    assert drain() == 1
    assert read_lines(tmp_path / "notes") == ["hello"]


def test_an_entry_is_not_due_before_its_moment_and_not_twice() -> None:
    _add()
    assert run_due_schedules(now=NOON + MINUTE - timedelta(seconds=1)) == []
    assert len(run_due_schedules(now=NOON + MINUTE)) == 1
    assert run_due_schedules(now=NOON + MINUTE + timedelta(seconds=1)) == []
    row = _get()
    assert (row.last_run_at, row.next_run_at) == (NOON + MINUTE, NOON + 2 * MINUTE)


def test_an_interval_begins_when_it_is_written_down_and_stays_in_step() -> None:
    _add(timing=Timing(interval=timedelta(seconds=90)))
    assert run_due_schedules(now=NOON + timedelta(seconds=89)) == []
    assert len(run_due_schedules(now=NOON + timedelta(seconds=100))) == 1
    assert _get().next_run_at == NOON + timedelta(seconds=180)


def test_a_run_at_a_time_that_clocks_leave_out_or_show_twice_is_one_run() -> None:
    for moment in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        name = f"{moment:%m}"
        _add(name, timing=Timing(cron="30 2 * * *", timezone="Europe/Berlin"), now=moment, missed_runs="all")
        for half_hours in range(48):
            run_due_schedules(now=moment + half_hours * timedelta(minutes=30))
        assert len(_list_runs(name)) == 1


def test_queue_and_priority_of_the_entry_go_before_those_of_the_class() -> None:
    _add(queue="high", priority=9)
    run_due_schedules(now=NOON + MINUTE)
    job = QueuedJob.objects.get()
    assert (job.queue, job.priority) == ("high", 9)


def test_the_job_is_tagged_with_its_schedule() -> None:
    _add()
    run_due_schedules(now=NOON + MINUTE)
    assert "schedule:minutely" in json.loads(QueuedJob.objects.get().payload)["tags"]


def test_what_is_secret_is_stored_sealed_and_runs() -> None:
    row = _add("secret", job_class="tests.SecretNoteJob", arguments={"secret": "s3cret"})
    assert "s3cret" not in row.arguments + row.signature
    run_due_schedules(now=NOON + MINUTE)
    assert "s3cret" not in QueuedJob.objects.get().payload
    job = open_schedule(_get("secret"))
    assert isinstance(job, SecretNoteJob)
    assert job.secret == "s3cret"


def test_a_disabled_entry_is_not_due_and_makes_up_for_nothing_when_it_is_enabled() -> None:
    row = _add(missed_runs="all")
    assert disable_schedules(ids=[row.pk]) == 1
    assert run_due_schedules(now=NOON + 5 * MINUTE) == []
    assert enable_schedules(ids=[row.pk], now=NOON + 5 * MINUTE) == 1
    assert len(run_due_schedules(now=NOON + 6 * MINUTE)) == 1


def test_a_unique_job_that_waits_still_is_left_out() -> None:
    _add(job_class="tests.LonelyJob", arguments={})
    run_due_schedules(now=NOON + MINUTE)
    run_due_schedules(now=NOON + 2 * MINUTE)
    assert _list_runs() == [("12:01", "sent"), ("12:02", "skipped")]
    assert QueuedJob.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_each_run_is_announced() -> None:
    _add()
    with heard(schedule_dispatched) as seen:
        run_due_schedules(now=NOON + MINUTE)
    fact = ScheduleDispatched(schedule="minutely", run_at=NOON + MINUTE, job_id=QueuedJob.objects.get().job_id)
    assert seen == [(schedule_dispatched, fact)]


# --- Missed


@pytest.mark.parametrize(
    ("policy", "late", "expected"),
    [
        ("skip", timedelta(0), [("12:10", "sent")]),
        ("skip", timedelta(seconds=45), [("12:10", "sent")]),
        ("once", timedelta(0), [("12:10", "sent")]),
        ("all", timedelta(0), [("12:08", "sent"), ("12:09", "sent"), ("12:10", "sent")]),
    ],
)
def test_of_missed_runs_each_policy_makes_what_it_says(
    policy: str, late: timedelta, expected: list[tuple[str, str]]
) -> None:
    _add(missed_runs=policy, max_missed=3)
    run_due_schedules(now=NOON + 10 * MINUTE + late)
    assert _list_runs() == expected
    assert _get().next_run_at == NOON + 11 * MINUTE


@pytest.mark.parametrize(
    ("policy", "states"), [("skip", ["skipped"]), ("once", ["sent"]), ("all", ["sent", "sent"])], ids=str
)
def test_runs_that_all_came_too_late_are_left_out_or_made_up_for(policy: str, states: list[str]) -> None:
    _add(timing=Timing(cron="0 * * * *"), missed_runs=policy)
    run_due_schedules(now=NOON + timedelta(hours=2, minutes=30))
    assert [state for _, state in _list_runs()] == states
    assert QueuedJob.objects.count() == states.count("sent")
    assert _get().next_run_at == NOON + timedelta(hours=3)


def test_missed_runs_of_an_interval_are_made_up_for_too() -> None:
    _add(timing=Timing(interval=timedelta(minutes=1)), missed_runs="all", max_missed=2)
    run_due_schedules(now=NOON + 100 * MINUTE)
    assert _list_runs() == [("13:39", "sent"), ("13:40", "sent")]


# --- Any number of schedulers


@pytest.mark.django_db(transaction=True)
def test_schedulers_in_many_threads_start_each_run_once() -> None:
    for number in range(10):
        _add(f"entry {number}", missed_runs="all", max_missed=5)
    barrier = threading.Barrier(4)

    def look() -> None:
        barrier.wait()
        for minute in range(1, 6):
            run_due_schedules(now=NOON + minute * MINUTE)
        connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due_schedules(now=NOON + 5 * MINUTE)
    assert QueuedJob.objects.count() == ScheduleRun.objects.count() == 50


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("commands", [("queue_schedule", "queue_schedule"), ("queue_schedule", "queue_work")], ids=str)
def test_processes_of_several_kinds_start_each_run_once(commands: tuple[str, ...], tmp_path: Path) -> None:
    for number in range(5):
        _add(
            f"entry {number}",
            arguments={"path": str(tmp_path / "notes"), "text": "run"},
            timing=Timing(interval=timedelta(seconds=1)),
            missed_runs="all",
            now=timezone.now(),
        )
    with ExitStack() as stack:
        for command in commands:
            stack.enter_context(manage(command, environment=worker_environment()))
        wait_until(lambda: ScheduleRun.objects.count() >= 20, seconds=40)
    runs = ScheduleRun.objects.values_list("job_id", flat=True)
    assert len(set(runs)) == len(runs)
    assert all(row.next_run_at is not None for row in Schedule.objects.all())
    if "queue_work" not in commands:
        assert QueuedJob.objects.count() == len(runs)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_written_down_before_is_not_dispatched_again() -> None:
    row = _add()
    run_due_schedules(now=NOON + MINUTE)
    Schedule.objects.filter(pk=row.pk).update(next_run_at=NOON + MINUTE)
    assert run_due_schedules(now=NOON + MINUTE) == []
    assert QueuedJob.objects.count() == 1


# --- A store outside of the transaction


@pytest.mark.django_db(transaction=True)
def test_a_run_counts_as_sent_when_the_other_store_has_it(outside: type[OutsideDriver]) -> None:
    _add()
    run_due_schedules(now=NOON + MINUTE)
    run = ScheduleRun.objects.get()
    assert (run.state, run.payload) == ("sent", "")
    assert QueuedJob.objects.get().job_id == run.job_id


@pytest.mark.django_db(transaction=True)
def test_a_run_that_the_store_could_not_take_is_sent_again_with_its_own_id(outside: type[OutsideDriver]) -> None:
    _add()
    _add("hourly", timing=Timing(cron="@hourly"))
    outside.is_away = True
    run_due_schedules(now=NOON + MINUTE)
    run = ScheduleRun.objects.get()
    assert run.state == "pending"
    assert resend_runs(now=NOON + 2 * MINUTE) == 0
    outside.is_away = False
    assert resend_runs(now=NOON + MINUTE) == 0, "it may be on its way still"
    assert resend_runs(now=NOON + 2 * MINUTE) == 1
    assert resend_runs(now=NOON + 2 * MINUTE) == 0
    assert QueuedJob.objects.get().job_id == run.job_id
    assert _list_runs() == [("12:01", "sent")]


@pytest.mark.django_db(transaction=True)
def test_a_record_that_waits_and_was_changed_is_not_sent(outside: type[OutsideDriver]) -> None:
    _add()
    outside.is_away = True
    run_due_schedules(now=NOON + MINUTE)
    outside.is_away = False
    run = ScheduleRun.objects.get()
    ScheduleRun.objects.update(payload=run.payload.replace("minutely", "monthly"))
    assert resend_runs(now=NOON + 2 * MINUTE) == 0
    assert _list_runs() == [("12:01", "failed")]
    assert not QueuedJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_runs_reach_the_store_of_each_connection(job_connection: str, tmp_path: Path) -> None:
    _add(arguments={"path": str(tmp_path / "notes"), "text": "hello"})
    run_due_schedules(now=NOON + MINUTE)
    assert _list_runs() == [("12:01", "sent")]
    assert drain(now=soon()) == 1
    assert read_lines(tmp_path / "notes") == ["hello"]


# --- Broken


def _break_class(row: Schedule) -> None:
    save_entry(entry=Entry(name=row.name, job_class="tests.GoneJob", timing=row.timing), schedule=row, now=NOON)


def _break_arguments(row: Schedule) -> None:
    save_entry(
        entry=Entry(name=row.name, job_class="tests.NoteJob", arguments={"path": 1}, timing=row.timing),
        schedule=row,
        now=NOON,
    )


def _break_signature(row: Schedule) -> None:
    Schedule.objects.filter(pk=row.pk).update(job_class="tests.ExitJob", arguments="{}")


def _break_code(row: Schedule) -> None:
    save_entry(entry=Entry(name=row.name, job_class="tests.MoodyJob", timing=row.timing), schedule=row, now=NOON)


def _break_timing(row: Schedule) -> None:
    Schedule.objects.filter(pk=row.pk).update(timezone="Mars/Olympus")


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (_break_class, "No registered job class is called tests.GoneJob"),
        (_break_arguments, "NoteJob: missing a required argument: 'text'"),
        (_break_signature, "changed in the database"),
        (_break_code, "RuntimeError was raised"),
        (_break_timing, "There is no time zone 'Mars/Olympus'"),
    ],
    ids=["class gone", "arguments wrong", "changed", "own code", "timing"],
)
def test_a_broken_entry_is_reported_once_and_does_not_stop_the_others(
    break_it: Callable[[Schedule], None], problem: str
) -> None:
    break_it(_add("broken"))
    _add()
    with heard(schedule_broken) as seen:
        for minute in range(1, 4):
            run_due_schedules(now=NOON + minute * MINUTE)
    assert len(_list_runs()) == 3
    assert QueuedJob.objects.count() == 3
    assert problem in _get("broken").problem
    assert [fact.schedule for _, fact in seen] == ["broken"]


class GuardedReportJob(SecureJob):
    """Needs a right."""

    def __init__(self) -> None:
        self.set_required_permissions(["jobs.change_failedjob"])

    @override
    def handle(self) -> None: ...


def test_a_secure_job_of_an_entry_that_names_nobody_is_refused_with_what_to_do() -> None:
    schedule(GuardedReportJob).every(60).named("report")
    synchronise_schedules(now=NOON)
    with heard(schedule_broken) as seen:
        (run,) = run_due_schedules(now=NOON + MINUTE)
        run_due_schedules(now=NOON + 2 * MINUTE)
    assert (run.state, len(seen), stored()) == ("failed", 1, [])
    assert "there is no acting user" in _get("report").problem
    assert ".on_behalf_of(" in _get("report").problem
    with pytest.raises(ScheduleBrokenError, match=r"on_behalf_of"):
        run_schedule_now(schedule_id=_get("report").pk, now=NOON)


def test_a_secure_job_of_an_entry_that_names_somebody_needs_the_right_outside_of_teams(
    settings: Settings,
) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    user = get_user_model().objects.create_user(email="clerk@example.com")
    schedule(GuardedReportJob).every(60).named("report").on_behalf_of(user.pk)
    synchronise_schedules(now=NOON)
    with scope.use_team(Team.objects.create(name="north")):
        user.give_permission_to("jobs.change_failedjob")
    run_due_schedules(now=NOON + MINUTE)
    assert "permissions are lacking" in _get("report").problem
    user.give_permission_to("jobs.change_failedjob")
    run_due_schedules(now=NOON + 2 * MINUTE)
    assert _get("report").problem == ""
    assert stored_one().job_class == "tests.GuardedReportJob"


def test_an_entry_that_was_mended_runs_and_is_reported_when_it_breaks_again() -> None:
    row = _add()
    with heard(schedule_broken) as seen:
        _break_class(row)
        run_due_schedules(now=NOON + MINUTE)
        _add_again(row)
        run_due_schedules(now=NOON + 2 * MINUTE)
        assert _get().problem == ""
        _break_class(_get())
        run_due_schedules(now=NOON + 3 * MINUTE)
    assert len(seen) == 2
    assert _list_runs() == [("12:01", "failed"), ("12:02", "sent"), ("12:03", "failed")]


def _add_again(row: Schedule) -> None:
    row.refresh_from_db()
    entry = Entry(name=row.name, job_class="tests.NoteJob", arguments={"path": "notes", "text": "x"}, timing=row.timing)
    save_entry(entry=entry, schedule=row, now=NOON)


def test_while_its_queue_is_full_an_entry_waits_and_then_makes_up_by_its_policy() -> None:
    define_queue("notes", max_jobs=1)
    try:
        _add(missed_runs="once")
        with heard(schedule_broken) as seen:
            for minute in range(1, 5):
                run_due_schedules(now=NOON + minute * MINUTE)
        assert _list_runs() == [("12:01", "sent")]
        assert "full" in _get().problem
        assert len(seen) == 1
        QueuedJob.objects.all().delete()
        run_due_schedules(now=NOON + 5 * MINUTE)
        assert _list_runs() == [("12:01", "sent"), ("12:05", "sent")]
        assert _get().problem == ""
    finally:
        forget_queue("notes")


# --- Changed while it runs


def test_what_is_changed_takes_effect_at_the_next_look() -> None:
    row = _add()
    run_due_schedules(now=NOON + MINUTE)
    entry = Entry(
        name="minutely",
        job_class="tests.NoteJob",
        arguments={"path": "notes", "text": "changed"},
        timing=Timing(cron="*/30 * * * *"),
    )
    save_entry(entry=entry, schedule=_get(), now=NOON + MINUTE)
    assert run_due_schedules(now=NOON + 2 * MINUTE) == []
    assert len(run_due_schedules(now=NOON + 30 * MINUTE)) == 1
    job = open_schedule(Schedule.objects.get(pk=row.pk))
    assert isinstance(job, NoteJob)
    assert job.text == "changed"


def test_what_has_nothing_to_do_with_time_leaves_the_next_run_where_it_is() -> None:
    row = _add(timing=Timing(interval=timedelta(hours=1)))
    entry = Entry(name="minutely", job_class="tests.LonelyJob", timing=row.timing)
    save_entry(entry=entry, schedule=row, now=NOON + timedelta(minutes=50))
    assert _get().next_run_at == NOON + timedelta(hours=1)


def test_an_entry_can_be_run_now_besides_its_own_runs() -> None:
    row = _add()
    disable_schedules(ids=[row.pk])
    run = run_schedule_now(schedule_id=row.pk, now=NOON + timedelta(seconds=7))
    assert QueuedJob.objects.get().job_id == run.job_id
    assert _get().next_run_at is None


def test_a_broken_entry_cannot_be_run_now() -> None:
    row = _add()
    _break_class(row)
    with pytest.raises(ScheduleBrokenError, match=r"tests\.GoneJob"):
        run_schedule_now(schedule_id=row.pk)
    assert not ScheduleRun.objects.exists()


def test_old_runs_are_pruned_and_those_on_their_way_stay() -> None:
    row = _add()
    for days, state in ((40, "sent"), (40, "pending"), (1, "sent")):
        moment = NOON - timedelta(days=days, seconds=len(state))
        ScheduleRun.objects.create(schedule=row, run_at=moment, created_at=moment, state=state)
    assert prune_schedule_runs(now=NOON) == 1
    assert sorted(run.state for run in ScheduleRun.objects.all()) == ["pending", "sent"]


# --- In code


def test_entries_of_code_are_written_down_changed_and_disabled_with_it() -> None:
    schedule(NoteJob, "notes", text="one").cron("0 3 * * *", timezone="Europe/Berlin").named("nightly")
    schedule(LonelyJob).every(timedelta(minutes=5)).with_priority(7).when_missed("all", at_most=4)
    assert synchronise_schedules(now=NOON) == 2
    assert synchronise_schedules(now=NOON + MINUTE) == 0
    nightly, lonely = _get("nightly"), _get("tests.LonelyJob")
    assert (nightly.cron, nightly.timezone, nightly.origin) == ("0 3 * * *", "Europe/Berlin", "code")
    assert nightly.next_run_at == datetime(2026, 6, 2, 1, tzinfo=UTC)
    assert (lonely.interval_seconds, lonely.priority, lonely.missed_runs, lonely.max_missed) == (300, 7, "all", 4)

    forget_schedule("nightly")
    schedule(NoteJob, "notes", text="two").cron("0 4 * * *", timezone="Europe/Berlin").named("nightly")
    forget_schedule("tests.LonelyJob")
    assert synchronise_schedules(now=NOON) == 2
    assert _get("nightly").next_run_at == datetime(2026, 6, 2, 2, tzinfo=UTC)
    gone = _get("tests.LonelyJob")
    assert (gone.is_enabled, gone.is_gone, gone.next_run_at) == (False, True, None)

    schedule(LonelyJob).every(300).with_priority(7).when_missed("all", at_most=4)
    synchronise_schedules(now=NOON)
    assert (_get("tests.LonelyJob").is_enabled, _get("tests.LonelyJob").is_gone) == (True, False)


def test_what_somebody_has_edited_stays_until_it_is_reset() -> None:
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    row = _get("mine")
    edited = Entry(name="mine", job_class="tests.LonelyJob", timing=Timing(cron="@daily"))
    save_entry(entry=edited, schedule=row, now=NOON)
    assert synchronise_schedules(now=NOON) == 0
    assert (_get("mine").cron, _get("mine").is_edited) == ("@daily", True)
    assert reset_schedules(ids=[row.pk]) == 1
    assert (_get("mine").cron, _get("mine").interval_seconds, _get("mine").is_edited) == ("", 300, False)


def test_what_somebody_has_disabled_stays_disabled() -> None:
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    disable_schedules(ids=[_get("mine").pk])
    synchronise_schedules(now=NOON)
    forget_schedule("mine")
    synchronise_schedules(now=NOON)
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    assert not _get("mine").is_enabled


def test_an_edited_entry_comes_back_with_the_code_as_it_was_edited() -> None:
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    save_entry(
        entry=Entry(name="mine", job_class="tests.LonelyJob", timing=Timing(cron="@daily")), schedule=_get("mine")
    )
    forget_schedule("mine")
    synchronise_schedules(now=NOON)
    assert not _get("mine").is_enabled
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    assert (_get("mine").is_enabled, _get("mine").cron) == (True, "@daily")


def test_an_entry_that_code_has_no_more_can_be_kept() -> None:
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    forget_schedule("mine")
    synchronise_schedules(now=NOON)
    enable_schedules(ids=[_get("mine").pk], now=NOON)
    synchronise_schedules(now=NOON)
    assert (_get("mine").is_enabled, _get("mine").origin) == (True, "admin")


def test_an_entry_of_the_admin_keeps_its_name() -> None:
    _add("mine")
    schedule(LonelyJob).every(300).named("mine")
    assert synchronise_schedules(now=NOON) == 0
    assert _get("mine").job_class == "tests.NoteJob"


def test_an_entry_of_code_that_was_changed_in_the_database_is_mended() -> None:
    schedule(LonelyJob).every(300).named("mine")
    synchronise_schedules(now=NOON)
    Schedule.objects.update(job_class="tests.ExitJob")
    assert synchronise_schedules(now=NOON) == 1
    assert isinstance(open_schedule(_get("mine")), LonelyJob)


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_together_write_each_entry_down_once() -> None:
    schedule(LonelyJob).every(300).named("mine")
    barrier = threading.Barrier(3)
    errors: list[Exception] = []

    def start() -> None:
        barrier.wait()
        try:
            synchronise_schedules(now=NOON)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)
        connections.close_all()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Schedule.objects.count() == 1


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (lambda: schedule(NoteJob, "notes"), JobArgumentError),  # type: ignore[call-arg] # the point of the test
        (lambda: schedule(NoteJob, 1, "x"), JobArgumentError),  # type: ignore[arg-type] # as above
        (lambda: schedule(print, "x"), JobDefinitionError),  # type: ignore[arg-type] # as above
        (lambda: schedule(LonelyJob).cron("61 * * * *"), ScheduleTimingError),
        (lambda: schedule(LonelyJob).cron("@daily", timezone="Nowhere"), ScheduleTimingError),
        (lambda: schedule(LonelyJob).every(0), ScheduleTimingError),
        (lambda: schedule(LonelyJob).every(1).with_priority(999), JobOptionError),
        (lambda: schedule(LonelyJob).every(1).on_queue("a,b"), JobOptionError),
        (lambda: schedule(LonelyJob).every(1).when_missed("twice"), JobOptionError),  # type: ignore[arg-type] # as above
        (lambda: schedule(LonelyJob).every(1).when_missed("all", at_most=0), JobOptionError),
        (lambda: schedule(LonelyJob).every(1).named("x" * 101), JobDefinitionError),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_where_it_is_written(
    plan: Callable[[], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        plan()


def test_two_entries_of_one_name_are_refused() -> None:
    schedule(LonelyJob).every(300).named("mine")
    with pytest.raises(JobDefinitionError, match="two schedules called 'mine'"):
        schedule(LonelyJob).every(60).named("mine")


def test_an_entry_that_does_not_say_when_is_refused_by_the_checks() -> None:
    schedule(LonelyJob).named("mine")
    (error,) = check_schedules(None)
    assert (error.id, "add .cron" in error.msg) == ("jobs.E005", True)


# --- Who looks


def test_a_worker_looks_after_the_schedule_between_jobs(tmp_path: Path) -> None:
    schedule(NoteJob, str(tmp_path / "notes"), "from code").every(3600).named("mine")
    _add(arguments={"path": str(tmp_path / "notes"), "text": "due"}, now=timezone.now() - 2 * MINUTE)
    Worker(WorkerOptions(sleep=timedelta(seconds=0.02), stop_when_empty=True)).run()
    assert read_lines(tmp_path / "notes") == ["due"]
    assert _get("mine").origin == "code"


def test_a_ticker_looks_once_a_second_at_most() -> None:
    ticker = Ticker()
    _add(now=timezone.now() - 2 * MINUTE)
    assert len(ticker.tick()) == 1
    Schedule.objects.update(next_run_at=timezone.now() - timedelta(seconds=5))
    assert ticker.tick() == []


def test_a_mistake_in_code_does_not_keep_the_other_entries_from_running() -> None:
    schedule(LonelyJob).named("says not when")
    _add(now=timezone.now() - 2 * MINUTE)
    assert len(Ticker().tick()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_ticker_bears_that_the_store_is_away(outside: type[OutsideDriver]) -> None:
    _add(now=timezone.now() - 2 * MINUTE)
    outside.is_away = True
    assert Ticker().tick() == []
    outside.is_away = False
    resend_runs(now=timezone.now() + MINUTE)
    assert QueuedJob.objects.count() == 1


def _call(*arguments: str) -> str:
    output = StringIO()
    call_command("queue_schedule", *arguments, stdout=output)
    return output.getvalue()


def test_queue_schedule_dispatches_once_and_says_what() -> None:
    assert "Nothing is due." in _call("--once")
    _add(now=timezone.now() - 2 * MINUTE)
    output = _call("--once")
    assert f"minutely  job {QueuedJob.objects.get().job_id}" in output
    assert ScheduleRun.objects.get().state == "sent"


def test_queue_schedule_prints_what_it_dispatched_as_json() -> None:
    _add(now=timezone.now() - 2 * MINUTE)
    (run,) = json.loads(_call("--once", "--json"))
    assert (run["schedule"], run["state"], run["job_id"]) == ("minutely", "sent", str(QueuedJob.objects.get().job_id))


def test_queue_schedule_lists_entries_with_their_runs_in_words() -> None:
    assert "has no entry" in _call("--list")
    now = timezone.now()
    _add("nightly", timing=Timing(cron="0 3 * * *", timezone="Europe/Berlin"), now=now)
    _add("often", timing=Timing(interval=timedelta(hours=3)), now=now)
    broken = _add("broken", now=now)
    Schedule.objects.filter(pk=broken.pk).update(problem="The class is gone.", last_run_at=now - timedelta(hours=2))
    disable_schedules(ids=[broken.pk])
    output = _call("--list")
    assert "nightly  tests.NoteJob  every day at 03:00, Europe/Berlin" in output
    assert "next in 2 h 59 min (" in output
    assert "disabled, last 2 h 0 min ago (" in output
    assert "Problem: The class is gone." in output


def test_queue_schedule_lists_entries_as_json() -> None:
    _add(timing=Timing(cron="@daily"), now=NOON)
    (row,) = json.loads(_call("--list", "--json"))
    assert (row["name"], row["when"], row["next_run_at"]) == (
        "minutely",
        "every day at 00:00, UTC",
        "2026-06-02T00:00:00+00:00",
    )


def test_queue_schedule_explains_itself_and_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("queue_schedule", "--help")
    assert "Exit code: 0" in " ".join(capsys.readouterr().out.split())


def test_queue_schedule_refuses_to_list_and_to_run_at_once() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        _call("--once", "--list")


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_queue_schedule_runs_until_it_is_told_to_stop() -> None:
    _add(timing=Timing(interval=timedelta(seconds=1)), now=timezone.now())
    with manage("queue_schedule", environment=worker_environment()) as process:
        wait_until(QueuedJob.objects.exists)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "minutely  job" in output
    assert "left to others" in output
