"""The pages of jobs in real Chromium: sound in each look, live while somebody looks, and usable by keyboard."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone
from playwright.sync_api import Page

from jobs.batch import batch
from jobs.models import FailedJob
from jobs.queues import is_paused
from jobs.selectors import JobStatus
from jobs.services import MetricKey, TryFigures, add_metrics, record_heartbeat
from tests.browser.looks import Console, assert_sound
from tests.jobs.batch_jobs import StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import drain, push_record, stored
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]

type SignIn = Callable[..., AbstractBaseUser]


def tell_a_story() -> tuple[UUID, UUID]:
    """Let there be something of each kind; return a failed job and a batch."""
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
    record_heartbeat(
        name="here:1:ff", queues=["emails"], started_at=now, now=now, alive_until=now + timedelta(minutes=9),
        current_job_id=job_id,
    )  # fmt: skip
    return job_id, found.id


@pytest.mark.parametrize("page_name", ["", "workers/", "metrics/", "batches/", "schedules/", "job", "batch", "confirm"])
def test_each_page_is_sound(page_name: str, house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    job_id, batch_id = tell_a_story()
    addresses = {
        "job": f"job/{job_id}/?arguments=1", "batch": f"batches/{batch_id}/", "confirm": "list/failed/retry/",
    }  # fmt: skip
    console = Console(page)
    page.goto(f"{house}/admin/jobs/{addresses.get(page_name, page_name)}")
    for one in page.locator("details > summary").all():
        if one.is_visible():
            one.click()
    assert_sound(page, console)


@pytest.mark.parametrize("status", list(JobStatus))
def test_each_list_is_sound(status: JobStatus, house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    tell_a_story()
    console = Console(page)
    page.goto(f"{house}/admin/jobs/list/{status}/")
    assert_sound(page, console)


def test_pages_that_nobody_may_see_or_that_are_not_there_are_sound(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    console = Console(page)
    page.goto(f"{house}/admin/jobs/job/00000000-0000-4000-8000-000000000000/")
    assert page.get_by_text("No job has this id").is_visible()
    assert_sound(page, console)


def test_the_overview_is_live_while_somebody_looks_and_keeps_the_focus(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
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
    sign_in(is_staff=True, is_superuser=True)
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


def test_a_queue_is_paused_and_resumed_by_keyboard(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
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


def test_failed_jobs_are_ticked_and_retried(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    for _ in range(3):
        HopelessJob.dispatch()
    drain()
    page.goto(f"{house}/admin/jobs/list/failed/")
    page.get_by_role("button", name="Tick all on this page").click()
    page.get_by_role("button", name="Retry those ticked").click()
    page.get_by_text("3 jobs were put back").wait_for()
    assert len(stored()) == 3


def test_all_failed_jobs_are_discarded_after_a_question_with_a_bar(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    now = timezone.now()
    FailedJob.objects.bulk_create(
        FailedJob(
            job_id=UUID(int=number + 1), queue="many", job_class="c", payload="", attempts=1, exception="E",
            failed_at=now, connection="database",
        )
        for number in range(1_200)
    )  # fmt: skip
    page.goto(f"{house}/admin/jobs/list/failed/?queue=many")
    page.get_by_role("link", name="Discard all that are found").click()
    page.get_by_text("1,200 failed jobs will be deleted for good.").wait_for()
    page.get_by_role("button", name="Discard them").click()
    page.get_by_role("progressbar").wait_for()
    page.get_by_text("1,200 jobs were deleted.").wait_for()
    assert not FailedJob.objects.exists()
