"""The pages of jobs in real Chromium: sound in each look and for each reader, live while somebody looks, and usable."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import User
from jobs.batch import batch
from jobs.models import Batch, FailedJob, Schedule, WorkerHeartbeat
from jobs.payload import Record
from jobs.queues import is_paused
from jobs.scheduler import save_entry
from jobs.schedules import forget_schedule, schedule
from jobs.selectors import JobStatus
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, make_messages, record_heartbeat
from permissions.services import assign_role, seed_roles
from tests.browser.looks import Console, assert_sound
from tests.jobs.batch_jobs import StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import drain, push_record, stored
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]

#: Roles of a new installation.
VIEWER, OPERATOR = "jobs-viewer", "jobs-operator"
#: The page that only those see who may act.
QUESTION = "list/failed/retry/"
PAGES = [
    "", "workers/", "metrics/", "batches/", "schedules/", "job/{job}/", "batches/{batch}/",
    *(f"list/{status}/" for status in JobStatus), QUESTION,
]  # fmt: skip
#: Pages with something to do for those who may.
STEERABLE = {
    "", "workers/", "schedules/", "job/{job}/", "batches/{batch}/",
    "list/waiting/", "list/delayed/", "list/failed/", QUESTION,
}  # fmt: skip
#: What acts, or asks whether to.
STEERING = ".jobs form[method=post], .jobs-actions a"

type SignIn = Callable[[str], None]


@pytest.fixture
def sign_in(sign_in: Callable[..., User]) -> SignIn:
    """Sign the browser in as somebody of the staff with a seeded role, or with none."""

    def make(role: str) -> None:
        seed_roles()
        user = sign_in(is_staff=True)
        if role:
            assign_role(user=user, role=role)

    return make


def tell_a_story() -> dict[str, UUID]:
    """Let there be something of each kind; return the ids of a failed job and of a batch."""
    now = timezone.now()
    for ago in (2, 3, 20):
        figures = TryFigures(processed=9, failed=ago, released=1)
        for _ in range(10):
            figures.note_times(run=0.02, wait=ago)
        minute = now.replace(second=0, microsecond=0) - timedelta(minutes=ago)
        add_metrics(gathered={MetricKey(minute, "database", "emails", "accounts.SendEmailJob"): figures})
    found = batch([StepJob("a"), StepJob("broken"), StepJob("b")]).name("Three").dispatch()
    job_id = HopelessJob().with_tags("accounts.user:5").dispatch()
    drain()
    push_record(queue="slow")
    push_record(queue="slow", delay_until=now + timedelta(hours=1))
    make_worker(job_id)
    plan_often()
    return {"job": job_id, "batch": found.id}


def make_worker(job_id: UUID | None = None, *, is_resting: bool = False) -> None:
    now = timezone.now()
    record_heartbeat(
        name="here:1:ff", queues=["emails"], started_at=now, now=now, alive_until=now + timedelta(minutes=9),
        current_job_id=job_id, report=WorkerReport(host="here", is_resting=is_resting),
    )  # fmt: skip


def plan_often() -> None:
    save_entry(entry=schedule(HopelessJob).cron("*/5 * * * *").named("often").get_entry())
    forget_schedule("often")  # of the code, not of the table


def fail(count: int) -> None:
    """Let there be failed jobs of a queue that is called many."""
    now = timezone.now()
    records = [
        Record(job_id=uuid4(), connection="database", queue="many", job_class="tests.HopelessJob", arguments={})
        for _ in range(count)
    ]
    FailedJob.objects.bulk_create(
        FailedJob(
            job_id=message.job_id, queue=message.queue, job_class=message.job_class, payload=message.payload,
            attempts=1, exception="E", failed_at=now, connection="database",
        )
        for message in make_messages(records, now=now)
    )  # fmt: skip


def tick_failed_jobs(house: str, page: Page) -> None:
    fail(3)
    page.goto(f"{house}/admin/jobs/list/failed/")
    page.get_by_role("button", name="Tick all on this page").click()


def be_sure(page: Page) -> None:
    """Answer the question that an action asks, on a page that is sound itself."""
    page.get_by_role("heading", name="Are you sure?").wait_for()
    assert_sound(page, Console(page))
    page.get_by_role("button", name="Yes, do it").click()


# --- Who sees what


@pytest.mark.parametrize(("address", "role"), list(product(PAGES, (VIEWER, OPERATOR))))
def test_each_page_is_sound_and_has_buttons_for_those_who_may_act(
    address: str, role: str, house: str, page: Page, sign_in: SignIn
) -> None:
    sign_in(role)
    console = Console(page)
    response = page.goto(f"{house}/admin/jobs/{address.format(**tell_a_story())}")
    assert response is not None
    assert response.status == (403 if role == VIEWER and address == QUESTION else 200)
    for one in page.locator("details > summary").all():
        if one.is_visible():
            one.click()
    assert bool(page.locator(STEERING).count()) is (role == OPERATOR and address in STEERABLE)
    assert_sound(page, console)


def test_strangers_are_sent_to_sign_in(house: str, page: Page) -> None:
    story = tell_a_story()
    for address in PAGES:
        page.goto(f"{house}/admin/jobs/{address.format(**story)}")
        assert page.get_by_label("Password").is_visible(), address


def test_staff_without_the_right_are_refused_on_a_page_that_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in("")
    story, console = tell_a_story(), Console(page)
    for address in PAGES[1:]:  # the first is the admin's own page of its tables, which tells those who see none of them
        response = page.goto(f"{house}/admin/jobs/{address.format(**story)}")
        assert response is not None
        assert response.status == 403, address
    assert_sound(page, console)


def test_the_page_of_a_job_with_what_it_was_given_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in("admin")
    console = Console(page)
    page.goto(f"{house}/admin/jobs/job/{tell_a_story()['job']}/?arguments=1")
    assert_sound(page, console)


def test_the_page_of_a_job_that_is_not_there_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    console = Console(page)
    page.goto(f"{house}/admin/jobs/job/00000000-0000-4000-8000-000000000000/")
    assert page.get_by_text("No job has this id").is_visible()
    assert_sound(page, console)


# --- Live


def test_the_overview_is_live_while_somebody_looks_and_keeps_the_focus(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    tell_a_story()
    page.goto(f"{house}/admin/jobs/")
    page.get_by_label("Refresh").select_option("2")
    link = page.get_by_role("link", name="processes")
    link.focus()
    push_record(queue="brand-new")
    page.get_by_role("link", name="brand-new").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "processes"
    page.reload()
    assert page.get_by_label("Refresh").input_value() == "2"


def test_nothing_is_asked_while_nobody_looks_or_wants_it(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    page.clock.install()
    page.goto(f"{house}/admin/jobs/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(6_000)
    wait_until(lambda: asked)
    page.wait_for_load_state("networkidle")
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => false, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    wait_until(lambda: asked)
    page.get_by_label("Refresh").select_option("0")
    page.wait_for_load_state("networkidle")
    asked.clear()
    page.clock.run_for(120_000)
    assert asked == []


# --- What operators do


def test_a_queue_is_paused_and_resumed_by_keyboard(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    push_record(queue="slow")
    page.goto(f"{house}/admin/jobs/")
    page.get_by_role("button", name="Pause slow").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The queue slow of database: paused.").wait_for()
    assert is_paused("slow")
    page.get_by_role("button", name="Resume slow").focus()
    page.keyboard.press("Space")
    page.get_by_text("The queue slow of database: resumed.").wait_for()
    assert not is_paused("slow")


def test_a_failed_job_is_retried_and_cancelled_while_it_waits(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    job_id = HopelessJob.dispatch()
    drain()
    page.goto(f"{house}/admin/jobs/job/{job_id}/")
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("The job was put back").wait_for()
    assert [job.job_id for job in stored()] == [job_id]
    page.get_by_role("button", name="Cancel the job").click()
    be_sure(page)
    page.get_by_text("The job was cancelled.").wait_for()
    assert stored() == []


def test_a_failed_job_is_discarded(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    job_id = HopelessJob.dispatch()
    drain()
    page.goto(f"{house}/admin/jobs/job/{job_id}/")
    page.get_by_role("button", name="Discard the failure").click()
    be_sure(page)
    page.get_by_text("The failed job was deleted.").wait_for()
    assert not FailedJob.objects.exists()


def test_failed_jobs_are_ticked_and_retried(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    tick_failed_jobs(house, page)
    page.get_by_role("button", name="Retry those ticked").click()
    page.get_by_text("3 jobs were put back").wait_for()
    assert len(stored()) == 3


def test_failed_jobs_are_ticked_and_discarded(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    tick_failed_jobs(house, page)
    page.get_by_role("button", name="Discard those ticked").click()
    be_sure(page)
    page.get_by_text("3 jobs were deleted").wait_for()
    assert not FailedJob.objects.exists()


def test_all_failed_jobs_that_a_search_finds_are_retried_step_by_step(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    fail(501)
    HopelessJob.dispatch()
    drain()
    console = Console(page)
    # Without its script the page waits for its button, and can be looked at.
    page.route("**/dashboard*.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    page.goto(f"{house}/admin/jobs/list/failed/?queue=many")
    page.get_by_role("link", name="Retry all that are found").click()
    page.get_by_text("501 failed jobs will be put back into their queues").wait_for()
    page.get_by_role("button", name="Retry them").click()
    page.get_by_role("progressbar").wait_for()
    assert_sound(page, console)
    while page.get_by_role("button", name="Go on").is_visible():
        with page.expect_navigation():
            page.get_by_role("button", name="Go on").click()
    page.get_by_text("501 jobs were put back").wait_for()
    assert set(FailedJob.objects.filter(retried_at=None).values_list("queue", flat=True)) == {"default"}


def test_all_failed_jobs_are_discarded_after_a_question_with_a_bar(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    fail(1_200)
    page.goto(f"{house}/admin/jobs/list/failed/?queue=many")
    page.get_by_role("link", name="Discard all that are found").click()
    page.get_by_text("1,200 failed jobs will be deleted for good.").wait_for()
    page.get_by_role("button", name="Discard them").click()
    page.get_by_role("progressbar").wait_for()
    page.get_by_text("1,200 jobs were deleted.").wait_for()
    assert not FailedJob.objects.exists()


def test_a_worker_is_told_to_rest_to_go_on_and_to_stop(house: str, page: Page, sign_in: SignIn) -> None:
    def tell(verb: str, said: str) -> str:
        page.goto(f"{house}/admin/jobs/workers/")
        page.get_by_role("button", name=verb).click()
        if verb == "Stop":
            be_sure(page)
        page.get_by_text(f"The worker here:1:ff is told to {said}").wait_for()
        return WorkerHeartbeat.objects.get().wish

    sign_in(OPERATOR)
    make_worker()
    assert tell("Rest", "rest") == "rest"
    make_worker(is_resting=True)
    assert tell("Go on", "go on") == "go_on"
    assert tell("Stop", "stop") == "stop"


def test_a_batch_is_retried_and_cancelled(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    found = batch([StepJob("broken")]).allow_failures().dispatch()
    drain()
    page.goto(f"{house}/admin/jobs/batches/{found.id}/")
    page.get_by_role("button", name="Retry what failed").click()
    be_sure(page)
    page.get_by_text("1 job was put back").wait_for()
    assert len(stored()) == 1
    page.goto(f"{house}/admin/jobs/batches/{found.id}/")
    page.get_by_role("button", name="Cancel the batch").click()
    be_sure(page)
    page.get_by_text("The batch was cancelled").wait_for()
    assert Batch.objects.get().cancelled_at is not None


def test_an_entry_of_the_schedule_is_run_and_switched_off_and_on(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(OPERATOR)
    plan_often()
    page.goto(f"{house}/admin/jobs/schedules/")
    page.get_by_role("button", name="Run now").click()
    page.get_by_text("was dispatched.").wait_for()
    assert [job.job_class for job in stored()] == ["tests.HopelessJob"]
    page.get_by_role("button", name="Switch off").click()
    page.get_by_text("often rests.").wait_for()
    assert not Schedule.objects.get().is_enabled
    page.get_by_role("button", name="Switch on").click()
    page.get_by_text("often is due again.").wait_for()
    assert Schedule.objects.get().is_enabled
