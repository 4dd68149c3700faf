"""Schedules in the admin."""

import json
import sys
from html import unescape
from typing import Any, override

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from jobs.cron import Timing
from jobs.job import Job
from jobs.models import QueuedJob, Schedule, ScheduleRun
from jobs.queues import define_queue, forget_queue
from jobs.scheduler import open_schedule, run_due_schedules, save_entry
from jobs.schedules import Entry
from jobs.security import SecureJob
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import NOON

pytestmark = pytest.mark.django_db
LIST = "/admin/jobs/schedule/"
FORM = {
    "name": "nightly",
    "job_class": "tests.NoteJob",
    "arguments": '{"path": "notes", "text": "hello"}',
    "cron": "0 3 * * *",
    "interval_seconds": "",
    "timezone": "Europe/Berlin",
    "queue": "",
    "priority": "",
    "is_enabled": "on",
    "missed_runs": "once",
    "max_missed": "10",
    "runs-TOTAL_FORMS": "0",
    "runs-INITIAL_FORMS": "0",
}


class CardJob(SecureJob):
    """A job with a secret, for which its user needs a permission."""

    def __init__(self, card: str) -> None:
        self.card = card
        self.set_sensitive_fields(["card"])
        self.set_required_permissions(["refund-orders"])

    @override
    def handle(self) -> None:
        """Do nothing."""


class HiddenJob(Job):
    """A job whose arguments are stored encrypted."""

    encrypted = True

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @override
    def handle(self) -> None:
        """Do nothing."""


class DayJob(Job):
    """A job with a default."""

    def __init__(self, days: int = 30) -> None:
        self.days = days

    @override
    def handle(self) -> None:
        """Do nothing."""


@pytest.fixture
def superuser(client: Client) -> Client:
    user = get_user_model().objects.create_superuser(email="root@example.com", name="Root", password="x" * 20)
    client.force_login(user)
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    """Staff who may look at schedules and no more."""
    user = get_user_model().objects.create_user(email="v@example.com", name="V", password="x" * 20, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(user)
    return client


def _save(client: Client, address: str = f"{LIST}add/", **values: Any) -> dict[str, list[str]]:  # Any: what is typed in
    """Send the form; return its errors by field."""
    fields = {name: value for name, value in {**FORM, **values}.items() if value is not None}
    response = client.post(address, fields)
    if response.status_code == 302:
        return {}
    return {name: [str(text) for text in texts] for name, texts in response.context["adminform"].form.errors.items()}


def _add(name: str = "nightly", **values: Any) -> Schedule:  # Any: fields of an entry
    fields: dict[str, Any] = {
        "job_class": "tests.NoteJob",
        "arguments": {"path": "notes", "text": name},
        "timing": Timing(cron="0 3 * * *", timezone="Europe/Berlin"),
        **values,
    }
    return save_entry(entry=Entry(name=name, **fields), now=NOON)


def _act(client: Client, action: str, *rows: Schedule) -> str:
    response = client.post(LIST, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def _page(client: Client, row: Schedule) -> str:
    response = client.get(f"{LIST}{row.pk}/change/")
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_an_entry_that_is_added_is_due_and_runs(superuser: Client) -> None:
    assert _save(superuser) == {}
    row = Schedule.objects.get()
    assert (row.origin, row.cron, row.timezone) == ("admin", "0 3 * * *", "Europe/Berlin")
    assert row.next_run_at is not None
    assert len(run_due_schedules(now=row.next_run_at)) == 1
    job = open_schedule(row)
    assert isinstance(job, NoteJob)
    assert job.text == "hello"


def test_an_interval_is_taken_in_place_of_an_expression(superuser: Client) -> None:
    assert _save(superuser, cron="", interval_seconds="90") == {}
    assert Schedule.objects.get().interval_seconds == 90


def test_defaults_of_the_constructor_are_written_out(superuser: Client) -> None:
    assert _save(superuser, job_class="tests.DayJob", arguments="") == {}
    assert json.loads(Schedule.objects.get().arguments) == {"days": 30}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"cron": "61 3 * * *"}, "cron", "'61' can't be the minute. It takes 0-59"),
        ({"cron": "0 3 * *"}, "cron", "has 4 fields"),
        ({"cron": "0 0 30 2 *"}, "cron", "never comes"),
        ({"cron": ""}, "cron", "either a cron expression or an interval"),
        ({"interval_seconds": "60"}, "cron", "either a cron expression or an interval"),
        ({"cron": "", "interval_seconds": "0"}, "interval_seconds", "greater than or equal to 1"),
        ({"timezone": "Europe/Berln"}, "timezone", "Did you mean Europe/Berlin?"),
        ({"timezone": "../../etc/passwd"}, "timezone", "There is no time zone"),
        ({"job_class": "tests.GoneJob"}, "job_class", "not one of the available choices"),
        ({"arguments": "{"}, "arguments", "This is not JSON (line 1, column 2)"),
        ({"arguments": "[" * 100_000}, "arguments", "This is not JSON"),
        ({"arguments": "[]"}, "arguments", "no object"),
        ({"arguments": "{}"}, "arguments", "missing a required argument: 'path'"),
        ({"arguments": '{"path": "notes", "text": 5}'}, "arguments", "'text' must be str, not int"),
        ({"arguments": '{"path": "notes", "text": "", "more": 1}'}, "arguments", "unexpected keyword argument 'more'"),
        (
            {"arguments": '{"path": {"$enum": ["os:system", "ls"]}, "text": ""}'},
            "arguments",
            "was an enum",
        ),
        (
            {"arguments": '{"path": {"$enum": ["antigravity:Enum", "x"]}, "text": ""}'},
            "arguments",
            "names something that isn't in use here",
        ),
        ({"queue": "nowhere"}, "queue", "There is no queue 'nowhere'"),
        ({"queue": "a,b"}, "queue", "1 to 100 characters"),
        ({"priority": "256"}, "priority", "less than or equal to 255"),
        ({"max_missed": "0"}, "max_missed", "greater than or equal to 1"),
        ({"missed_runs": "twice"}, "missed_runs", "not one of the available choices"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field_with_the_way_out(
    values: dict[str, str], field: str, words: str, superuser: Client
) -> None:
    errors = _save(superuser, **values)
    assert list(errors) == [field]
    assert words in errors[field][0]
    assert not Schedule.objects.exists()


def test_what_is_typed_in_imports_nothing(superuser: Client) -> None:
    _save(superuser, arguments='{"path": ["x", {"y": {"$enum": ["antigravity:Enum", "x"]}}], "text": ""}')
    assert "antigravity" not in sys.modules


def test_two_entries_cannot_have_one_name(superuser: Client) -> None:
    _add()
    assert list(_save(superuser)) == ["name"]


def test_an_entry_is_changed_and_its_next_run_with_it(superuser: Client) -> None:
    row = _add()
    assert _save(superuser, f"{LIST}{row.pk}/change/", cron="0 4 * * *", timezone="UTC") == {}
    row.refresh_from_db()
    assert row.next_run_at is not None
    assert f"{row.next_run_at:%H:%M}" == "04:00"
    assert Schedule.objects.count() == 1


def test_an_entry_can_be_renamed_and_runs_on(superuser: Client) -> None:
    row = _add("old", job_class="tests.HiddenJob", arguments={"secret": "s3cret"})
    assert _save(superuser, f"{LIST}{row.pk}/change/", name="new", job_class="tests.HiddenJob", arguments="") == {}
    job = open_schedule(Schedule.objects.get(name="new"))
    assert isinstance(job, HiddenJob)
    assert job.secret == "s3cret"


def test_an_entry_of_the_code_keeps_its_name_and_counts_as_edited(superuser: Client) -> None:
    row = save_entry(entry=Entry(name="nightly", job_class="tests.DayJob", timing=Timing(cron="@daily")), origin="code")
    address = f"{LIST}{row.pk}/change/"
    assert list(_save(superuser, address, name="other")) == ["name"]
    assert _save(superuser, address) == {}
    row.refresh_from_db()
    assert (row.is_edited, row.origin, row.cron) == (True, "code", "0 3 * * *")


def test_the_page_shows_the_timing_in_words_and_the_next_five_runs(superuser: Client) -> None:
    page = _page(superuser, _add(timing=Timing(cron="0 3 * * *", timezone="Europe/Berlin")))
    assert "every day at 03:00, Europe/Berlin" in page
    assert page.count(" 03:00:00 CE") == 5


def test_the_list_shows_entries_with_what_is_wrong(superuser: Client) -> None:
    row = _add()
    Schedule.objects.filter(pk=row.pk).update(problem="No registered job class is called x.")
    page = unescape(superuser.get(LIST).content.decode())
    for text in (
        "nightly",
        "tests.NoteJob",
        "every day at 03:00, Europe/Berlin",
        "No registered job class is called x.",
    ):
        assert text in page


@pytest.mark.parametrize(
    "changes",
    [
        {"timezone": "Mars/Olympus"},
        {"cron": "x"},
        {"job_class": "tests.GoneJob"},
        {"arguments": "x"},
        {"signature": "x"},
        {"problem": "<script>alert(1)</script>"},
    ],
    ids=str,
)
def test_an_entry_that_is_broken_can_be_looked_at(changes: dict[str, str], superuser: Client) -> None:
    row = _add()
    Schedule.objects.filter(pk=row.pk).update(**changes)
    assert superuser.get(LIST).status_code == 200
    assert "<script>alert" not in superuser.get(f"{LIST}{row.pk}/change/").content.decode()
    _page(superuser, row)


@pytest.mark.parametrize("job_class", ["tests.CardJob", "tests.HiddenJob"])
def test_arguments_that_are_secret_are_never_shown_and_kept_where_none_are_entered(
    job_class: str, superuser: Client
) -> None:
    name = "card" if job_class == "tests.CardJob" else "secret"
    assert _save(superuser, job_class=job_class, arguments=json.dumps({name: "s3cret"})) == {}
    row = Schedule.objects.get()
    assert "s3cret" not in row.arguments + _page(superuser, row)
    assert _save(superuser, f"{LIST}{row.pk}/change/", job_class=job_class, arguments="", cron="@daily") == {}
    assert getattr(open_schedule(Schedule.objects.get()), name) == "s3cret"
    assert Schedule.objects.get().cron == "@daily"


def test_secret_arguments_do_not_move_to_another_job(superuser: Client) -> None:
    row = _add(job_class="tests.HiddenJob", arguments={"secret": "s3cret"})
    errors = _save(superuser, f"{LIST}{row.pk}/change/", arguments="")
    assert "belong to another job" in errors["arguments"][0]


def test_who_lacks_what_a_job_requires_cannot_have_it_scheduled(client: Client) -> None:
    user = get_user_model().objects.create_user(email="s@example.com", name="S", password="x" * 20, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_schedule"))
    client.force_login(user)
    errors = _save(client, job_class="tests.CardJob", arguments='{"card": "4111"}')
    assert "You lack a permission" in errors["job_class"][0]


def test_jobs_run_on_behalf_of_who_saved_the_entry_last(superuser: Client) -> None:
    _save(superuser)
    assert Schedule.objects.get().actor_id == str(get_user_model().objects.get(email="root@example.com").pk)


def test_selected_entries_are_enabled_and_disabled(superuser: Client) -> None:
    first, second = _add("one"), _add("two")
    assert "1 schedule was disabled." in _act(superuser, "disable", first)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_enabled, first.next_run_at, second.is_enabled) == (False, None, True)
    assert "1 schedule was enabled." in _act(superuser, "enable", first, second)
    first.refresh_from_db()
    assert first.next_run_at is not None


def test_selected_entries_are_run_now(superuser: Client) -> None:
    row = _add()
    page = _act(superuser, "run_now", row)
    assert f"Schedule nightly: job {QueuedJob.objects.get().job_id} was dispatched." in page
    assert ScheduleRun.objects.get().schedule == row


def test_why_one_could_not_be_run_now_is_said_and_the_others_run(superuser: Client) -> None:
    broken, full, good = _add("broken", job_class="tests.GoneJob"), _add("full", queue="low"), _add("good")
    define_queue("low", max_jobs=1)
    try:
        NoteJob("notes", "x").on_queue("low").dispatch()
        page = _act(superuser, "run_now", broken, full, good)
    finally:
        forget_queue("low")
    assert "Schedule broken: No registered job class is called tests.GoneJob" in page
    assert "Schedule full: The queue low holds 1 jobs" in page
    assert "Schedule good: job" in page


def test_selected_entries_of_the_code_are_reset(superuser: Client) -> None:
    assert "0 schedules were reset." in _act(superuser, "reset", _add())


def test_who_may_only_look_sees_entries_and_changes_nothing(viewer: Client) -> None:
    row, secret = _add(), _add("secret", job_class="tests.HiddenJob", arguments={"secret": "s3cret"})
    assert viewer.get(LIST).status_code == 200
    assert "hello" not in _page(viewer, secret)
    _page(viewer, row)
    for action in ("disable", "run_now", "reset", "delete_selected"):
        _act(viewer, action, row)
    assert viewer.post(f"{LIST}{row.pk}/change/", FORM).status_code == 403
    assert viewer.post(f"{LIST}add/", FORM).status_code == 403
    row.refresh_from_db()
    assert row.is_enabled
    assert not QueuedJob.objects.exists()


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    for address in (LIST, f"{LIST}add/"):
        assert client.get(address).status_code == 302


def test_the_page_shows_the_last_runs(superuser: Client) -> None:
    row = _add()
    for number in range(12):
        moment = NOON.replace(minute=number)
        ScheduleRun.objects.create(
            schedule=row, run_at=moment, created_at=moment, state="failed", detail=f"detail {number:02}"
        )
    page = _page(superuser, row)
    assert "detail 11" in page
    assert "detail 01" not in page


def test_an_entry_is_deleted_with_its_runs(superuser: Client) -> None:
    row = _add()
    run_due_schedules(now=row.next_run_at)
    superuser.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert not Schedule.objects.exists()
    assert not ScheduleRun.objects.exists()


@pytest.mark.parametrize("query", ["?q=%00", "?p=x", "?origin=x", "?o=9.x", "?is_enabled__exact=x"])
def test_hostile_queries_are_no_server_error(query: str, superuser: Client) -> None:
    _add()
    assert superuser.get(LIST + query).status_code < 500


def test_the_list_takes_a_fixed_number_of_queries(
    superuser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        _add(f"entry {number}")
    with django_assert_num_queries(8):
        superuser.get(LIST)
