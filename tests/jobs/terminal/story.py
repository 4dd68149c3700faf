"""A house in the middle of its work, at noon, and what a page of the terminal shows of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from textual.app import App
from textual.pilot import Pilot

from jobs.drivers.base import get_driver
from jobs.models import FailedJob
from jobs.queues import pause_queue
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, record_heartbeat
from jobs.terminal.dashboard import Dashboard
from jobs.terminal.house import House, read_house
from jobs.terminal.page import Page
from jobs.terminal.processes import Sort, read_processes
from jobs.terminal.top import Top
from tests.jobs.steps import NOON, claim_one, push_record

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
_SCREENS = Path(__file__).parent / "screens"

type Probe = Callable[[], bool]
type Script = Callable[[Pilot[None]], Awaitable[None]]


def fail(number: int, **values: object) -> UUID:
    """Store a failed job."""
    job_id = UUID(int=0xFA11 << 64 | number)
    fields = {
        "connection": get_driver().name, "queue": "emails", "job_class": "accounts.SendEmailJob", "payload": "",
        "attempts": 3, "exception": "SMTPServerDisconnected: Connection unexpectedly closed",
        "failed_at": NOON - number * MINUTE, "context": {},
    }  # fmt: skip
    FailedJob.objects.create(job_id=job_id, **{**fields, **values})
    return job_id


def beat(number: int, *, job: UUID | None = None, age: timedelta = SECOND, life: timedelta = MINUTE) -> None:
    """Store a worker."""
    record_heartbeat(
        name=f"app{number}:{1000 + number}:abc", queues=(), started_at=NOON - 60 * MINUTE, now=NOON - age,
        alive_until=NOON - age + life, current_job_id=job,
        report=WorkerReport(
            host=f"app{number}", pid=1000 + number, connection=get_driver().name, running_count=int(job is not None),
            current_job_class="shop.MakeReportJob" if job else "", try_count=100 * number, memory_mb=80.0 + number,
            current_job_since=NOON - 75 * SECOND if job else None, cpu_percent=12.5 * number, is_resting=number == 3,
        ),
    )  # fmt: skip


def tell() -> None:
    """Store the story."""
    for number in range(12):
        push_record(queue="emails", job_class="accounts.SendEmailJob", created_at=NOON - number * SECOND)
    push_record(queue="emails", created_at=NOON, delay_until=NOON + MINUTE)
    push_record(queue="reports", job_class="shop.MakeReportJob", created_at=NOON - 3 * MINUTE)
    claimed = claim_one("reports", now=NOON - SECOND)
    push_record(queue="reports", job_class="shop.MakeReportJob", created_at=NOON - 75 * MINUTE)
    pause_queue("reports")
    _count("emails", "accounts.SendEmailJob", processed=600, failed=3, run=0.2)
    _count("reports", "shop.MakeReportJob", processed=4, failed=0, run=95.0)
    beat(1, job=claimed.job_id)
    beat(2)
    beat(3)
    beat(4, age=10 * MINUTE)
    for number in range(1, 4):
        fail(number)
    fail(4, queue="reports", job_class="shop.MakeReportJob", exception="ValueError: no such month: 13")


def _count(queue: str, job_class: str, *, processed: int, failed: int, run: float) -> None:
    key = MetricKey(minute=NOON - 2 * MINUTE, connection=get_driver().name, queue=queue, job_class=job_class)
    figures = TryFigures(processed=processed, failed=failed)
    for _ in range(processed + failed):
        figures.note_times(run=run, wait=0.01)
    add_metrics(gathered={key: figures})


def read() -> House:
    """Read the house at noon."""
    return read_house(now=NOON)


def make_dashboard() -> Dashboard:
    """Return the page, which never reads by itself for a second time within a test."""
    return Dashboard(source=read, refresh=timedelta(hours=1))


def make_top(sort: Sort = Sort.CPU) -> Top:
    """Return the page of processes; see ``make_dashboard``."""
    return Top(source=lambda: read_processes(now=NOON), refresh=timedelta(hours=1), sort=sort)


def play(app: App[None], *script: Script | str, size: tuple[int, int] = (80, 24)) -> list[str]:
    """Open a page, press keys or do else, each when all before is done, and return the lines of its screen then."""

    async def run() -> list[str]:
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            for step in script:
                await (pilot.press(step) if isinstance(step, str) else step(pilot))
                await settle(pilot)
            return get_lines(app)

    return asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Wait until what the page does in the background is done, but for questions that wait for a key."""
    await pilot.pause()
    app = pilot.app
    while any(worker.name == "_read" for worker in app.workers if not worker.is_finished):
        await asyncio.sleep(0.01)
    await pilot.pause()


def meanwhile(change: Callable[[], object]) -> Script:
    """Return a step that does something in the thread of the page, which gives its connections back."""

    async def act(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, Page)
        await pilot.app.stores.do(change)

    return act


def get_lines(app: App[None]) -> list[str]:
    """Return the text of the screen."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def check(name: str, lines: list[str]) -> None:
    """Compare a screen with the committed one; ``RENEW_SCREENS=1`` writes it anew."""
    file = _SCREENS / f"{name}.txt"
    text = "\n".join(lines) + "\n"
    if os.environ.get("RENEW_SCREENS"):
        file.write_text(text)
    assert text == file.read_text(), f"{file.name} differs; make terminal-screens writes it anew"
