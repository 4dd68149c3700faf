"""The pages at /admin/jobs/: who may see and do what, what they show, and that looking changes nothing."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.batch import batch
from jobs.chain import chain
from jobs.dashboard.frame import RIGHTS
from jobs.models import Batch, FailedJob, JobTry, Schedule, WorkerHeartbeat
from jobs.queues import is_paused, pause_queue
from jobs.scheduler import save_entry
from jobs.schedules import forget_schedule, schedule
from jobs.selectors import MAX_TRIES, PAGE_SIZE
from jobs.services import MetricKey, TryFigures, add_metrics, add_tries, record_heartbeat
from jobs.worker.loop import Worker, WorkerOptions
from permissions.models import AuditEvent
from tests.jobs.batch_jobs import StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.messages import push
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import NOON, drain, make_try, stored

pytestmark = pytest.mark.usefixtures("job_connection")
HOSTILE = "<script>alert(1)</script>\x1b[31m\n\u202e{{ 7|add:7 }}"

type SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(client: Client) -> SignIn:
    def make(*rights: str, is_staff: bool = True) -> Client:
        user = get_user_model().objects.create_user(
            email=f"{uuid4()}@example.com", name="S", password="x" * 20, is_staff=is_staff
        )
        for right in rights:
            user.user_permissions.add(Permission.objects.get(codename=right.removeprefix("jobs.")))
        client.force_login(user)
        return client

    return make


@pytest.fixture
def viewer(sign_in: SignIn) -> Client:
    return sign_in("view_dashboard")


@pytest.fixture
def operator(sign_in: SignIn) -> Client:
    return sign_in("view_dashboard", *RIGHTS.values())


def work() -> int:
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


def see(client: Client, page: str, /, *arguments: object, status: int = 200, **query: Any) -> str:  # Any: texts
    response = client.get(reverse(f"dashboard:{page}", args=arguments), query)
    assert response.status_code == status
    return response.content.decode()


def do(client: Client, action: str, /, *arguments: object, **values: Any) -> str:  # Any: fields
    """Do something, sure of it, and return the page that follows."""
    response = client.post(reverse(f"dashboard:{action}", args=arguments), {"sure": "1", **values}, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def fail(*tags: str) -> UUID:
    job_id = HopelessJob().with_tags(*tags).dispatch()
    drain()
    return job_id


def list_events() -> list[str]:
    """Return what was recorded of jobs, in order."""
    events = AuditEvent.objects.order_by("pk").values_list("event", flat=True)
    return [event for event in events if event.startswith(("job.", "queue.", "worker."))]


def make_worker(name: str = "w") -> None:
    now = timezone.now()
    record_heartbeat(
        name=name, queues=[], started_at=now, now=now, alive_until=now + timedelta(minutes=1), current_job_id=None
    )


def list_pages() -> Iterator[str]:
    yield from (reverse(f"dashboard:{name}") for name in ("overview", "workers", "metrics", "batches", "schedules"))
    for status in ("waiting", "delayed", "running", "done", "failed", "silenced"):
        yield reverse("dashboard:list", args=[status])
    yield reverse("dashboard:confirm", args=["failed", "retry"])
    yield reverse("dashboard:job", args=[fail()])
    yield reverse("dashboard:batch", args=[batch([StepJob("a"), StepJob("broken")]).dispatch().id])


def list_actions() -> Iterator[tuple[str, str]]:
    """Yield each action's address, and the right that it takes."""
    job_id = fail()
    some = uuid4()
    yield reverse("dashboard:pause"), "pause"
    yield reverse("dashboard:resume"), "resume"
    yield reverse("dashboard:tell"), "tell"
    yield reverse("dashboard:retry-selected"), "retry"
    yield reverse("dashboard:discard-selected"), "discard"
    yield reverse("dashboard:retry", args=[job_id]), "retry"
    yield reverse("dashboard:discard", args=[job_id]), "discard"
    yield reverse("dashboard:cancel", args=[job_id]), "cancel"
    yield reverse("dashboard:cancel-batch", args=[some]), "change_batch"
    yield reverse("dashboard:retry-batch", args=[some]), "retry"
    yield reverse("dashboard:change-schedule", args=[1, "run"]), "schedule"


# --- Who may


def test_strangers_are_sent_to_sign_in_and_see_nothing(client: Client) -> None:
    for address in [*list_pages(), *(address for address, _ in list_actions())]:
        for response in (client.get(address), client.post(address)):
            assert response.status_code == 302
            assert "/login" in response["Location"]


def test_people_who_are_no_staff_see_nothing(sign_in: SignIn) -> None:
    client = sign_in("view_dashboard", *RIGHTS.values(), is_staff=False)
    for address in list_pages():
        assert client.get(address, follow=True).status_code == 403


def test_staff_without_the_right_see_nothing(sign_in: SignIn) -> None:
    client = sign_in(*RIGHTS.values())
    for address in list_pages():
        if address != reverse("dashboard:overview"):
            assert client.get(address).status_code == 403
    for address, _ in list_actions():
        assert client.post(address).status_code == 403


def test_staff_without_the_right_find_the_tables_that_they_may_see_at_the_same_address(sign_in: SignIn) -> None:
    page = see(sign_in("view_failedjob"), "overview")
    assert "/admin/jobs/failedjob/" in page
    assert "jobs-tiles" not in page
    see(sign_in(), "overview", status=404)


def test_who_may_only_look_sees_each_page_and_no_button(viewer: Client) -> None:
    make_worker()
    for address in list_pages():
        if "retry" in address:
            assert viewer.get(address).status_code == 403
            continue
        page = viewer.get(address)
        assert page.status_code == 200
        forms = re.findall(r"<form[^>]*method=\"post\"[^>]*>", page.content.decode())
        assert [form for form in forms if "logout" not in form and "theme" not in form] == []


def test_who_may_only_look_may_follow_each_link(viewer: Client) -> None:
    save_entry(entry=schedule(HopelessJob).cron("*/5 * * * *").named("often").get_entry())
    forget_schedule("often")  # of the code, not of the table
    links = {
        urljoin(address, unescape(link))
        for address in list(list_pages())  # all is there before the first is looked at
        for link in re.findall(r'href="([^"]+)"', viewer.get(address).content.decode().partition('id="content"')[2])
    }
    assert len(links) > 20
    assert {link: status for link in links if (status := viewer.get(link, follow=True).status_code) != 200} == {}
    Schedule.objects.all().delete()
    assert "make one here" not in see(viewer, "schedules")


def test_each_action_takes_its_own_right_and_nothing_else(sign_in: SignIn) -> None:
    before = FailedJob.objects.count()
    for address, right in list_actions():
        client = sign_in("view_dashboard", *(name for key, name in RIGHTS.items() if key != right))
        assert client.post(address).status_code == 403, address
    assert FailedJob.objects.filter(retried_at=None).count() > before


def test_actions_answer_to_posts_alone_with_a_token(operator: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    for address, _ in [*list_actions(), (reverse("dashboard:proceed"), "")]:
        assert operator.get(address).status_code == 405
        assert strict.post(address).status_code == 403


def test_pages_answer_to_gets_alone(operator: Client) -> None:
    for address in list_pages():
        assert operator.post(address).status_code == 405


def test_the_menu_of_the_admin_leads_here(operator: Client) -> None:
    assert f'href="{reverse("dashboard:overview")}"' in operator.get("/admin/").content.decode()
    assert reverse("dashboard:overview") == "/admin/jobs/"


# --- Looking


def test_looking_runs_and_changes_nothing(operator: Client, tmp_path: Path) -> None:
    pages = list(list_pages())
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    before = ([job.job_id for job in stored()], list(FailedJob.objects.values()), AuditEvent.objects.count())
    for address in pages:
        with CaptureQueriesContext(connection) as asked:
            operator.get(address)
        changes = [one["sql"] for one in asked if not one["sql"].startswith(("SELECT", "WITH", "SAVEPOINT", "RELEASE"))]
        assert [sql for sql in changes if "job" in sql] == []
    assert ([job.job_id for job in stored()], list(FailedJob.objects.values()), AuditEvent.objects.count()) == before
    assert not (tmp_path / "notes").exists()


def test_no_page_asks_more_of_many_rows(operator: Client) -> None:
    pages = list(list_pages())

    def count() -> list[int]:
        counts = []
        for address in pages:
            with CaptureQueriesContext(connection) as asked:
                assert operator.get(address).status_code == 200
            # The clock of the database is asked each half minute, whatever is shown.
            counts.append(sum("clock_timestamp()" not in one["sql"] for one in asked))
        return counts

    count()  # what the first request of a process asks once
    before = count()
    for number in range(5):
        FailedJob.objects.create(
            job_id=uuid4(), queue=f"q{number}", job_class="c", payload="", attempts=1, exception="E",
            failed_at=timezone.now(), connection="database",
        )  # fmt: skip
        make_worker(f"w{number}")
        Batch.objects.create(name=str(number), options="", created_at=timezone.now(), total_jobs=1, pending_jobs=1)
    add_tries([make_try(queue=f"q{number}", tags=["a", "b"], ended_at=timezone.now()) for number in range(5)])
    after = count()
    assert after == before
    assert max(after) < 15


def test_the_overview_shows_tiles_queues_workers_and_failures(viewer: Client, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    HopelessJob.dispatch()
    work()
    make_worker("here:1:ff")
    page = see(viewer, "overview")
    for text in ("Jobs per minute", "notes", "here:1:ff", "tests.HopelessJob", "the account is closed", "<svg"):
        assert text in page
    assert page.count('<li><span class="jobs-name">') == 8


def test_an_empty_house_says_what_to_do(viewer: Client) -> None:
    page = see(viewer, "overview")
    assert "make queue-work" in page
    assert "make queue-example" in page
    assert "There are none." in see(viewer, "list", "waiting")


@pytest.mark.parametrize("status", ["waiting", "delayed", "running", "done", "failed", "silenced"])
def test_lists_are_searched_by_their_address(status: str, viewer: Client) -> None:
    page = see(viewer, "list", status, queue="no such queue")
    assert "Nothing is found." in page
    assert 'value="no such queue"' in page


def test_a_search_shows_what_fits_and_leads_on(viewer: Client) -> None:
    wanted = fail("green")
    for _ in range(55):
        FailedJob.objects.create(
            job_id=uuid4(), queue="many", job_class="c", payload="", attempts=1, exception="E",
            failed_at=timezone.now(), connection="database",
        )  # fmt: skip
    page = see(viewer, "list", "failed", tag="green")
    assert str(wanted) in page
    assert page.count("tests.HopelessJob") >= 1
    first = see(viewer, "list", "failed", queue="many")
    (after,) = re.findall(r'href="\?(queue=many&amp;cursor=[^"]+)"', first)
    second = viewer.get(f"{reverse('dashboard:list', args=['failed'])}?{unescape(after)}").content.decode()
    assert second.count('class="jobs-note jobs-id"') == 5
    stale = see(viewer, "list", "failed", cursor="made up")
    assert "this is the first one" in stale


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"outcome": "x"}, {"tag": "x" * 500}])
def test_a_search_that_can_not_be_is_told_in_the_form(
    query: dict[str, Any],  # Any: texts
    viewer: Client,
) -> None:
    assert "errorlist" in see(viewer, "list", "failed", **query)


def test_a_job_shows_its_life(viewer: Client) -> None:
    job_id = FailingJob().with_tags("green").dispatch()
    work()
    page = see(viewer, "job", job_id)
    for text in ("dispatched", "released", "Try 1: ValueError", "delayed", "green"):
        assert text in page
    see(viewer, "job", uuid4(), status=404)


def test_a_crash_is_seen_in_the_life_of_a_job(viewer: Client) -> None:
    job_id = uuid4()
    add_tries([make_try(job_id=job_id, attempt=1, state="released"), make_try(job_id=job_id, attempt=3)])
    assert "Try 2: no end was written down." in see(viewer, "job", job_id)


def test_a_try_that_is_not_told_any_more_was_not_cut_short(viewer: Client) -> None:
    job_id = uuid4()
    add_tries([make_try(job_id=job_id, attempt=number, state="released") for number in range(1, MAX_TRIES + 2)])
    page = see(viewer, "job", job_id)
    assert "Try 2" in page
    assert "no end was written down" not in page


def test_a_chain_and_a_batch_are_seen_as_pictures(viewer: Client) -> None:
    chain([StepJob("a"), StepJob("b"), batch([StepJob("c")]).name("Third")]).dispatch()
    (job,) = stored()
    page = see(viewer, "job", job.job_id)
    assert page.count('class="jobs-link-to-come"') == 2
    assert "Batch Third" in page
    found = batch([StepJob("a"), StepJob("broken"), StepJob("b")]).dispatch()
    drain()
    page = see(viewer, "batch", found.id)
    assert (page.count('<rect class="jobs-cell-'), page.count('<rect class="jobs-cell-failed"')) == (3, 1)
    with CaptureQueriesContext(connection) as asked:
        assert str(found.id) in see(viewer, "batches")
    assert not [query for query in asked if '"options"' in query["sql"]]


def test_a_chain_shows_what_is_done_of_it_too(viewer: Client) -> None:
    found = batch([StepJob("b")]).name("Second")
    chain([StepJob("a"), found, StepJob("broken"), StepJob("d")]).dispatch()
    work()
    failed = FailedJob.objects.get()
    page = see(viewer, "job", failed.job_id)
    states = re.findall(r'<li class="jobs-link-([a-z-]+)">', page)
    assert states == ["done", "done", "now", "to-come"]
    assert "Batch Second" in page
    (first,) = re.findall(r'/admin/jobs/job/([0-9a-f-]+)/">tests.StepJob', page)
    assert "done" in see(viewer, "job", UUID(first))


def test_arguments_are_shown_to_who_may_see_them_and_that_is_recorded(sign_in: SignIn, tmp_path: Path) -> None:
    job_id = NoteJob.dispatch(str(tmp_path), "a very own text")
    address = f"{reverse('dashboard:job', args=[job_id])}?arguments=1"
    viewer = sign_in("view_dashboard")
    assert viewer.get(address).status_code == 403
    assert "a very own text" not in see(viewer, "job", job_id)
    curious = sign_in("view_dashboard", "view_payload")
    page = curious.get(address).content.decode()
    assert "a very own text" in page
    assert "data-live" not in page.split("jobs-tabs")[1]
    assert list_events() == ["job.payload_viewed"]


def test_metrics_are_shown_for_a_queue_and_a_class(viewer: Client) -> None:
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=2)
    for queue, count in (("a", 3), ("b", 4)):
        figures = TryFigures(processed=count)
        for _ in range(count):
            figures.note_times(run=0.02, wait=3)
        add_metrics(gathered={MetricKey(minute, "database", queue, "tests.X"): figures})
    page = see(viewer, "metrics")
    assert "7 done and 0 failed in this time." in page
    assert "3 done and 0 failed in this time." in see(viewer, "metrics", queue="a")
    for span in ("6h", "24h", "7d", "31d", "nonsense"):
        assert "tests.X" in see(viewer, "metrics", span=span)


def test_batches_are_turned_over_though_one_is_pruned_meanwhile(viewer: Client) -> None:
    for number in range(2 * PAGE_SIZE):
        Batch.objects.create(name=f"n{number:03}", created_at=NOON + timedelta(minutes=number))
    first = see(viewer, "batches", state="open", name="N")
    assert "n099" in first
    (cursor,) = re.findall(r'cursor=([^"&]+)"', first)
    Batch.objects.filter(name="n050").delete()  # the last one of the first page
    second = see(viewer, "batches", state="open", name="N", cursor=unquote(cursor))
    assert ("n050" in second, "n049" in second, "n000" in second) == (False, True, True)
    for name, text in {"": unquote(cursor), "N": "made up"}.items():
        stale = see(viewer, "batches", state="open", name=name, cursor=text)
        assert "That page can't be shown" in unescape(stale)
        assert "n099" in stale


def test_schedules_are_told_in_words(operator: Client) -> None:
    save_entry(entry=schedule(HopelessJob).cron("*/5 * * * *").named("often").get_entry())
    forget_schedule("often")  # of the code, not of the table
    row = Schedule.objects.get(name="often")
    Schedule.objects.update(last_run_at=timezone.now() - timedelta(hours=3))
    assert "3\xa0hours ago" in unescape(see(operator, "schedules"))
    Schedule.objects.update(last_run_at=None)
    page = see(operator, "schedules")
    assert "often" in page
    assert "5 minutes" in page
    assert f'href="{reverse("admin:jobs_schedule_change", args=[row.pk])}"' in page
    assert ">never<" in page
    assert "rests" in do(operator, "change-schedule", row.pk, "disable")
    assert "due again" in do(operator, "change-schedule", row.pk, "enable")
    assert "was dispatched" in do(operator, "change-schedule", row.pk, "run")
    assert [job.job_class for job in stored()] == ["tests.HopelessJob"]
    changes = AuditEvent.objects.filter(event__startswith="schedule.").order_by("pk").values_list("event", flat=True)
    assert list(changes) == ["schedule.saved", "schedule.disabled", "schedule.enabled", "schedule.run"]


# --- Doing


def test_a_queue_is_paused_for_a_while_and_resumed(operator: Client, job_connection: str) -> None:
    page = do(operator, "pause", connection=job_connection, queue="notes", minutes="5")
    assert f"The queue notes of {job_connection}: paused." in page
    assert is_paused("notes")
    assert "paused until" in page
    assert "resumed." in do(operator, "resume", connection=job_connection, queue="notes")
    assert not is_paused("notes")
    assert "was not paused" in do(operator, "resume", connection=job_connection, queue="notes")
    assert list_events() == ["queue.paused", "queue.resumed"]


@pytest.mark.parametrize(
    "values",
    [
        {"connection": "no such", "queue": "notes"},
        {"queue": "a b"},
        {"queue": ""},
        {"queue": "notes", "minutes": "-1"},
        {"queue": "notes\x00"},
    ],
)
def test_a_pause_that_can_not_be_is_refused_with_the_reason(
    values: dict[str, str], operator: Client, job_connection: str
) -> None:
    page = do(operator, "pause", **{"connection": job_connection, **values})
    assert 'class="error"' in page
    assert not is_paused("notes")


def test_a_worker_is_told_something(operator: Client) -> None:
    make_worker("here:1:ff")
    assert "is told to rest" in do(operator, "tell", worker="here:1:ff", wish="rest")
    assert WorkerHeartbeat.objects.get().wish == "rest"
    assert "can be told to rest" in do(operator, "tell", worker="here:1:ff", wish="dance")
    assert "No worker of this name" in do(operator, "tell", worker="nobody", wish="stop")


def test_one_job_is_retried_discarded_or_cancelled(operator: Client, tmp_path: Path) -> None:
    first, second = fail(), fail()
    assert "was put back" in do(operator, "retry", first)
    assert "No failed job has this id" in do(operator, "retry", first)
    assert "was deleted" in do(operator, "discard", second)
    waiting = NoteJob.dispatch(str(tmp_path), "x")
    assert "was cancelled" in do(operator, "cancel", waiting)
    assert [job.job_id for job in stored()] == [first]


def test_ticked_jobs_are_retried_or_discarded(operator: Client) -> None:
    ids = [fail() for _ in range(3)]
    assert "2 jobs were put back" in do(operator, "retry-selected", job=[str(one) for one in ids[:2]])
    page = do(operator, "discard-selected", job=[str(ids[2]), "nonsense", str(uuid4())])
    assert "1 job was deleted." in page
    assert "2 were left" in page
    assert "Tick the jobs first." in do(operator, "retry-selected")
    assert list_events() == ["job.retry_by_hand", "job.discard_by_hand"]


def test_all_that_is_found_is_retried_after_a_question_step_by_step(operator: Client) -> None:
    wanted = [fail("green") for _ in range(3)]
    fail("red")
    page = see(operator, "confirm", "failed", "retry", tag="green")
    assert "3 failed jobs will be put back" in page
    for _ in range(10):
        sealed = re.findall(r'name="plan" value="([^"]+)"', page)
        if not sealed:
            break
        page = do(operator, "proceed", plan=unescape(sealed[0]))
    assert "3 jobs were put back" in page
    assert {job.job_id for job in stored()} == set(wanted)
    assert "The cursor is not one" in do(operator, "proceed", plan="made up")


@pytest.mark.parametrize(("status", "steer"), [("done", "discard"), ("waiting", "retry"), ("failed", "dance")])
def test_what_can_not_be_done_to_a_list_is_not_there(status: str, steer: str, operator: Client) -> None:
    see(operator, "confirm", status, steer, status=404)


def test_a_plan_takes_the_right_of_what_it_does(sign_in: SignIn) -> None:
    fail()
    page = see(sign_in("view_dashboard", "delete_failedjob"), "confirm", "failed", "discard")
    (sealed,) = re.findall(r'name="plan" value="([^"]+)"', page)
    other = sign_in("view_dashboard", "change_failedjob")
    response = other.post(reverse("dashboard:proceed"), {"plan": unescape(sealed)})
    assert response.status_code == 403
    assert FailedJob.objects.count() == 1


def test_a_batch_is_cancelled_and_what_failed_in_it_retried(operator: Client) -> None:
    found = batch([StepJob("a"), StepJob("broken")]).dispatch()
    drain()
    assert "1 job was put back" in do(operator, "retry-batch", found.id)
    other = batch([StepJob("a")]).dispatch()
    assert "was cancelled" in do(operator, "cancel-batch", other.id)
    assert "was cancelled before" in do(operator, "cancel-batch", other.id)
    assert "No batch has this id" in do(operator, "cancel-batch", uuid4())
    assert list_events() == ["job.retry_by_hand", "job.cancel_batch_by_hand"]


def test_a_job_is_found_by_its_id(viewer: Client) -> None:
    job_id = fail()
    assert "Life" in viewer.get(reverse("dashboard:find"), {"id": f" {job_id} "}, follow=True).content.decode()
    page = viewer.get(reverse("dashboard:find"), {"id": "x"}, follow=True).content.decode()
    assert "That is not the id of a job." in page


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/admin/jobs/", "/accounts/", "/admin/jobs/../../x", "javascript:1"]
)
def test_nobody_is_sent_elsewhere_after_an_action(back: str, operator: Client, job_connection: str) -> None:
    response = operator.post(reverse("dashboard:pause"), {"connection": job_connection, "queue": "notes", "back": back})
    assert response["Location"] == reverse("dashboard:overview")


@pytest.mark.parametrize(
    ("action", "values"),
    [
        ("discard", {}),
        ("cancel", {}),
        ("discard-selected", {"job": ["00000000-0000-4000-8000-000000000001", "x<y"]}),
        ("tell", {"worker": "w", "wish": "stop"}),
    ],
)
def test_what_can_not_be_taken_back_is_asked_before(
    action: str,
    values: dict[str, Any],  # Any: texts and lists
    operator: Client,
) -> None:
    job_id = fail()
    make_worker("w")
    address = reverse(f"dashboard:{action}", args=[job_id] if action in {"discard", "cancel"} else [])
    page = operator.post(address, values)
    assert page.status_code == 200
    text = page.content.decode()
    assert "Yes, do it" in text
    for value in [one for many in values.values() for one in ([many] if isinstance(many, str) else many)]:
        assert f'value="{escape(value)}"' in text
    assert f'action="{address}"' in text
    assert FailedJob.objects.filter(job_id=job_id).exists()
    assert WorkerHeartbeat.objects.get().wish == ""


def test_a_filter_that_there_is_not_is_no_filter_and_the_question_says_so(operator: Client) -> None:
    fail()
    push("tests.Waiting")
    page = see(operator, "list", "waiting", exception="foo", Class="X")
    assert "Discard all that are waiting" in page
    page = see(operator, "confirm", "waiting", "discard", exception="foo")
    assert "No filter is said: this is about all of them." in page
    assert "<dt>Outcome" not in page
    assert "No filter is said" not in see(operator, "confirm", "failed", "retry", job_class="x")


def test_tracebacks_are_for_who_may_see_failed_jobs(sign_in: SignIn) -> None:
    job_id = fail()
    assert "Traceback" not in see(sign_in("view_dashboard"), "job", job_id)
    for right in ("view_failedjob", "change_failedjob"):
        assert "Traceback" in see(sign_in("view_dashboard", right), "job", job_id)


def test_a_pause_of_all_is_seen_and_ended(operator: Client, job_connection: str) -> None:
    make_worker()
    pause_queue()
    page = see(operator, "overview")
    assert f"All queues of {job_connection} are paused." in page
    assert "jobs-status-paused" in page
    push("tests.Waiting")
    page = see(operator, "overview")
    assert f"Resume all of {job_connection}" in page
    assert 'class="visually-hidden"> default' not in page  # whose own pause it isn't
    do(operator, "resume", connection=job_connection, queue="*")
    assert "are paused" not in see(operator, "overview")


def test_a_life_with_a_retry_and_crashes_is_told_in_its_order(viewer: Client) -> None:
    job_id, minute = uuid4(), timedelta(minutes=1)
    add_tries(
        [
            make_try(
                job_id=job_id, attempt=4, state="failed", started_at=NOON - minute / 2, ended_at=NOON,
                dispatched_at=NOON - minute,
            ),
            make_try(
                job_id=job_id, attempt=2, ended_at=NOON + 9 * minute, started_at=NOON + 9 * minute,
                dispatched_at=NOON + 5 * minute,
            ),
        ]
    )  # fmt: skip
    life = see(viewer, "job", job_id).partition('class="jobs-life"')[2].partition("</ol>")[0]
    told = re.findall(r"<strong>([^<]+)</strong> ([^<]*)", life)
    assert [(name, detail.strip()) for name, detail in told] == [
        ("dispatched", "to default"),
        ("cut short", "Tries 1 to 3: no end was written down."),
        ("failed", "Try 4"),
        ("retried", "Put back with all its tries."),
        ("cut short", "Try 1: no end was written down."),
        ("done", "Try 2"),
    ]


def test_a_row_keeps_the_ids_of_its_buttons(operator: Client) -> None:
    make_worker("m")
    (before,) = re.findall(r'id="(stop-[^"]+)"', see(operator, "workers"))
    make_worker("a")
    after = re.findall(r'id="(stop-[^"]+)"', see(operator, "workers"))
    assert len(set(after)) == 2
    assert after[1] == before


# --- What strangers may have written


def test_hostile_names_and_texts_are_shown_harmless(operator: Client, job_connection: str) -> None:
    push("made.up")
    huge = HOSTILE + "x" * 1_000_000
    job_id = uuid4()
    FailedJob.objects.create(
        job_id=job_id, queue=HOSTILE, job_class=HOSTILE, payload=huge, attempts=1, exception=huge, traceback=huge,
        failed_at=timezone.now(), connection=job_connection, context={"worker": HOSTILE, "tags": [HOSTILE]},
    )  # fmt: skip
    make_worker(HOSTILE)
    add_tries([make_try(queue=HOSTILE, job_class=HOSTILE, worker=HOSTILE, error=HOSTILE, tags=[HOSTILE])])
    found = Batch.objects.create(name=HOSTILE, options="", created_at=timezone.now(), total_jobs=1, pending_jobs=1)
    add_metrics(
        gathered={
            MetricKey(timezone.now().replace(second=0, microsecond=0), job_connection, HOSTILE, HOSTILE): TryFigures(
                processed=1
            )
        }
    )
    pages = [
        see(operator, "overview"),
        see(operator, "workers"),
        see(operator, "metrics"),
        see(operator, "metrics", queue=HOSTILE),
        see(operator, "batches", name=HOSTILE.replace("\n", "")),
        see(operator, "batch", found.id),
        see(operator, "list", "failed"),
        see(operator, "list", "failed", tag=HOSTILE, exception=HOSTILE),
        see(operator, "list", "done"),
        see(operator, "job", job_id),
        see(operator, "job", job_id, arguments="1"),
        see(operator, "job", JobTry.objects.get().job_id),
        see(operator, "confirm", "failed", "discard", tag=HOSTILE),
    ]
    for page in pages:
        assert "<script>alert" not in page
        text = re.sub('="[^"]*"', "", page)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "14" not in re.findall(r"u202e(..)", page)
        assert len(page) < 500_000
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\n\\u202e" in pages[6]
