"""The page of ``queue_dashboard``: what it shows, and what each key does."""

import asyncio
import json
import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from textual.pilot import Pilot

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, OutboxJob
from jobs.queues import is_paused, pause_queue
from jobs.terminal.dashboard import Dashboard
from jobs.terminal.house import House
from permissions import audit
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import NOON, push_record, stored
from tests.jobs.terminal import story
from tests.jobs.terminal.story import check, get_lines, make_dashboard, meanwhile, play, settle

pytestmark = pytest.mark.django_db(transaction=True)
SIZES = [(80, 24), (120, 40)]
TO_FAILURES = ("tab", "tab")


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_the_page_shows_tiles_queues_workers_and_failures(job_connection: str, size: tuple[int, int]) -> None:
    story.tell()
    check(f"dashboard-{size[0]}x{size[1]}", play(make_dashboard(), size=size))


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_an_empty_house_is_told_as_such(job_connection: str, size: tuple[int, int]) -> None:
    check(f"dashboard-empty-{size[0]}x{size[1]}", play(make_dashboard(), size=size))


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_names_of_strangers_command_nothing(job_connection: str, size: tuple[int, int]) -> None:
    hostile = ["\x1b[31mred\x1b[0m", "[red]markup[/red]", "two\nlines\rand\ttabs", "\u202eturned", "宽" * 40, "[/]"]
    for number, name in enumerate(hostile):
        story.fail(number, queue=name, job_class=name, exception=name + "x" * 1_000_000)
    lines = play(make_dashboard(), *TO_FAILURES, "r", size=size)
    check(f"dashboard-hostile-{size[0]}x{size[1]}", lines)
    assert all(line.isprintable() for line in lines)


def test_q_leaves(job_connection: str) -> None:
    page = make_dashboard()
    play(page, "q")
    assert not page.is_running
    assert page.return_code == 0


def test_p_pauses_the_selected_queue_when_it_is_confirmed_and_lets_it_go_on(job_connection: str) -> None:
    story.tell()
    lines = play(make_dashboard(), "p")
    check(f"dashboard-pause-{job_connection}", lines)
    assert not is_paused("emails")
    play(make_dashboard(), "p", "n")
    assert not is_paused("emails")
    lines = play(make_dashboard(), "p", "y", _until_told("emails rests"))
    assert is_paused("emails")
    assert "emails rests until it is told to go on." in lines
    lines = play(make_dashboard(), "p", "y", _until_told("emails goes on"))
    assert not is_paused("emails")
    assert [one.event for one in audit.list_events().order_by("-pk")[:2]] == ["queue.resumed", "queue.paused"]


def test_p_takes_the_queue_that_is_selected(job_connection: str) -> None:
    story.tell()
    play(make_dashboard(), "down", "p", "y", _until_told("reports goes on"))
    assert not is_paused("reports")


def test_p_says_that_a_queue_rests_with_all_others(job_connection: str) -> None:
    story.tell()
    pause_queue()
    play(make_dashboard(), "p", "y", _until_told("emails rests because all queues"))


def test_r_reads_anew(job_connection: str) -> None:
    assert not _holds(play(make_dashboard(), meanwhile(lambda: push_record(queue="late", created_at=NOON))), "late")
    new = meanwhile(lambda: push_record(queue="new", created_at=NOON))
    assert _holds(play(make_dashboard(), new, "r"), "  new ")


def test_r_retries_the_selected_failed_job_when_it_is_confirmed(job_connection: str) -> None:
    story.tell()
    waiting = len(stored())
    lines = play(make_dashboard(), *TO_FAILURES, "down", "r")
    check("dashboard-retry", lines)
    play(make_dashboard(), *TO_FAILURES, "down", "r", "n")
    assert len(stored()) == waiting
    play(make_dashboard(), *TO_FAILURES, "down", "r", "y", _until_told("was put back"))
    assert len(stored()) == waiting + 1
    assert [job.state for job in FailedJob.objects.order_by("-failed_at")] == ["failed", "retrying", *["failed"] * 2]
    assert audit.list_events().filter(event="job.retry_by_hand").count() == 1


def test_what_somebody_else_was_quicker_to_retry_is_told(job_connection: str) -> None:
    story.fail(1)

    forget = meanwhile(FailedJob.objects.all().delete)
    play(make_dashboard(), *TO_FAILURES, "r", forget, "y", _until_told("No failed job has this id."))


def test_the_slash_filters_and_escape_shows_all_again(job_connection: str) -> None:
    story.tell()
    check("dashboard-filter", play(make_dashboard(), "slash", *"REPORT"))
    kept = play(make_dashboard(), "slash", *"report", "enter", "r")
    assert not _holds(kept, "SendEmailJob")
    assert "lines with report" in kept[0]
    assert _holds(play(make_dashboard(), "slash", *"report", "escape"), "accounts.SendEmailJob")


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_the_question_mark_tells_the_keys(job_connection: str, size: tuple[int, int]) -> None:
    check(f"dashboard-help-{size[0]}x{size[1]}", play(make_dashboard(), "question_mark", size=size))
    assert _holds(play(make_dashboard(), "question_mark", "escape"), "No queue holds a job.")


def test_a_selected_line_stays_so_wherever_it_is_read_anew(job_connection: str) -> None:
    story.tell()
    fill = meanwhile(lambda: push_record(queue="alarms", created_at=NOON))
    lines = play(make_dashboard(), "down", fill, "r")
    assert _holds(lines, "  alarms")
    assert _holds(lines, "> reports")


def test_long_tables_are_walked_through(job_connection: str) -> None:
    for number in range(40):
        story.fail(number, queue=f"q{number:02}")
    assert _holds(play(make_dashboard(), "end"), "> q39")
    assert _holds(play(make_dashboard(), "end", "home"), "> q00")
    assert _holds(play(make_dashboard(), "pagedown", "pagedown", "up"), "> q09")


def test_a_database_that_is_away_is_told_and_comes_back_by_itself(job_connection: str) -> None:
    story.tell()
    is_away = threading.Event()

    def read() -> House:
        if is_away.is_set():
            raise OperationalError("connection refused")
        return story.read()

    async def go(pilot: Pilot[None]) -> None:
        is_away.set()
        await _wait_for(lambda: _holds(get_lines(pilot.app), "does not answer"), pilot)
        check("dashboard-away", get_lines(pilot.app))
        is_away.clear()
        await _wait_for(lambda: not _holds(get_lines(pilot.app), "does not answer"), pilot)

    lines = play(Dashboard(source=read, refresh=timedelta(seconds=0.05)), go)
    assert not _holds(lines, "does not answer")


def test_a_redis_that_is_away_is_told_and_all_else_is_shown_and_it_comes_back_by_itself(server: Server) -> None:
    story.tell()
    away = "The connection outbox does not answer; its queues are not shown."

    async def go(pilot: Pilot[None]) -> None:
        assert _holds(get_lines(pilot.app), "> emails             12")
        server.kill()
        await _wait_for(lambda: _holds(get_lines(pilot.app), away), pilot)
        assert _holds(get_lines(pilot.app), "shop.MakeReportJob")
        server.start()
        await _wait_for(lambda: not _holds(get_lines(pilot.app), away), pilot)
        await _wait_for(lambda: _holds(get_lines(pilot.app), "> emails             12"), pilot)

    play(Dashboard(source=story.read, refresh=timedelta(seconds=0.05)), go)


def test_what_does_not_leave_the_outbox_is_told(server: Server) -> None:
    server.kill()
    NoteJob.dispatch("path", "text")
    words = "1 jobs wait in the outbox for the connection outbox"
    assert not _holds(play(make_dashboard()), words)
    OutboxJob.objects.update(created_at=NOON - timedelta(seconds=6))
    assert _holds(play(make_dashboard()), words)


def test_an_action_while_a_store_is_away_says_so(server: Server) -> None:
    story.tell()

    async def kill(_pilot: Pilot[None]) -> None:
        server.kill()

    play(make_dashboard(), kill, "p", "y", _until_told("That failed, for a store does not answer"))


def test_a_page_reads_while_a_store_stands_still_and_keys_work_nevertheless(job_connection: str) -> None:
    goes_on = threading.Event()

    def read() -> House:
        goes_on.wait(20)
        return story.read()

    async def look(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert _holds(get_lines(pilot.app), "this help")
        await pilot.press("escape")
        goes_on.set()

    async def run() -> list[str]:
        page = Dashboard(source=read, refresh=timedelta(hours=1))
        async with page.run_test() as pilot:
            await look(pilot)
            await settle(pilot)
            return get_lines(page)

    assert _holds(asyncio.run(run()), "No queue holds a job.")


# --- The command


def _call(*words: str) -> str:
    out = StringIO()
    call_command("queue_dashboard", *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("words", [("--once",), ()], ids=["once", "no terminal"])
def test_text_is_printed_once(job_connection: str, words: tuple[str, ...]) -> None:
    story.tell()
    job_id = FailedJob.objects.order_by("failed_at").values_list("job_id", flat=True)[0]
    text = _call(*words)
    assert str(job_id) in text
    assert "shop.MakeReportJob" in text
    assert "\x1b" not in text


def test_json_tells_all_that_the_page_shows(job_connection: str) -> None:
    story.tell()
    push_record(queue="\x1b[31m", created_at=timezone.now())
    told = json.loads(_call("--json"))
    assert told["status"] == "inactive"
    queues = {queue["queue"]: queue for queue in told["queues"]}
    assert queues["reports"]["is_paused"]
    assert queues["emails"]["failed_count"] == 3
    assert queues["emails"]["connection"] == get_driver().name
    assert [one["job_class"] for one in told["failures"]] == ["accounts.SendEmailJob"] * 3 + ["shop.MakeReportJob"]
    assert {worker["host"] for worker in told["workers"]} == {"app1", "app2", "app3", "app4"}


@pytest.mark.parametrize("seconds", ["0", "nan", "x", "1e9"])
def test_a_pause_out_of_range_is_refused(seconds: str) -> None:
    with pytest.raises(CommandError, match="is not a pause"):
        _call("--refresh", seconds)


def _holds(lines: list[str], text: str) -> bool:
    return any(text in line for line in lines)


def _until_told(words: str) -> story.Script:
    async def wait(pilot: Pilot[None]) -> None:
        await _wait_for(lambda: _holds(get_lines(pilot.app), words), pilot)
        await settle(pilot)

    return wait


async def _wait_for(probe: story.Probe, pilot: Pilot[None]) -> None:
    async with asyncio.timeout(20):
        while not probe():
            await pilot.pause(0.01)
