"""The page of ``queue_top``: what it shows, and what each key does."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.selectors import WorkerStatus, list_workers
from jobs.services import WorkerReport, record_heartbeat
from jobs.signals import JobProcessing, job_processing
from jobs.terminal.processes import Sort
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import NOON
from tests.jobs.terminal import story
from tests.jobs.terminal.story import SECOND, check, make_top, play

pytestmark = pytest.mark.django_db(transaction=True)
SIZES = [(80, 24), (120, 40)]


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_the_page_shows_all_processes(job_connection: str, size: tuple[int, int]) -> None:
    story.tell()
    check(f"top-{size[0]}x{size[1]}", play(make_top(), size=size))


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_the_question_mark_tells_the_keys(db: None, size: tuple[int, int]) -> None:
    check(f"top-help-{size[0]}x{size[1]}", play(make_top(), "question_mark", size=size))


def test_names_of_strangers_command_nothing(db: None) -> None:
    for number, name in enumerate(["\x1b[31mred", "[bold]x[/bold]", "a\nb", "\u202e", "宽" * 40]):
        beat(name, memory_mb=float(number), current_job_class=name)
    lines = play(make_top(Sort.MEMORY))
    check("top-hostile", lines)
    assert all(line.isprintable() for line in lines)


def beat(host: str, *, since: timedelta | None = None, life: float = 60, **values: object) -> None:
    now = timezone.now() if "live" in host else NOON
    report = WorkerReport(host=host, current_job_since=now - since if since else None, **values)  # type: ignore[arg-type] # fields of it
    record_heartbeat(
        name=host, queues=(), started_at=now, now=now, alive_until=now + timedelta(seconds=life), report=report,
        current_job_id=None,
    )  # fmt: skip


def tell_orders() -> None:
    beat("a", cpu_percent=1.0, memory_mb=30.0, try_count=5, since=SECOND)
    beat("b", cpu_percent=30.0, memory_mb=2.0, try_count=7)
    beat("c", cpu_percent=2.0, memory_mb=1.0, try_count=9, since=60 * SECOND, is_resting=True)
    beat("dead", cpu_percent=99.0, memory_mb=99.0, try_count=99, life=-1)


ORDERS = [("c", "bcad"), ("m", "abcd"), ("t", "cabd"), ("a", "cbad"), ("s", "abcd"), ("n", "abcd")]


@pytest.mark.parametrize(("key", "order"), ORDERS)
def test_keys_sort_and_the_dead_come_last(db: None, key: str, order: str) -> None:
    tell_orders()
    first = Sort.MEMORY if key == "c" else Sort.CPU
    lines = play(make_top(first), key)
    assert [line[2] for line in lines[3:7]] == list(order)


def test_q_leaves_and_r_reads_anew_and_the_slash_filters(db: None) -> None:
    tell_orders()
    page = make_top()
    play(page, "q")
    assert not page.is_running
    lines = play(make_top(), story.meanwhile(lambda: beat("late")), "r", "slash", *"LATE", "enter")
    assert lines[3].startswith("> late")
    assert lines[4] == ""
    assert play(make_top(), "slash", *"late", "escape")[4] != ""


@pytest.mark.parametrize("order", list(Sort))
def test_text_and_json_are_sorted_alike(db: None, order: Sort) -> None:
    tell_orders()
    beat("live", cpu_percent=5.0)
    out, told = StringIO(), StringIO()
    call_command("queue_top", "--sort", order, stdout=out)
    call_command("queue_top", "--sort", order, "--json", stdout=told)
    names = [worker["name"] for worker in json.loads(told.getvalue())["workers"]]
    assert names[0] == "live"
    assert [line.split()[0] for line in out.getvalue().splitlines()[3:]] == names


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("queue_top", "--sort", "size")


def test_a_worker_says_since_when_its_job_runs(job_connection: str) -> None:
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True))
    seen: list[WorkerStatus] = []

    def look(_fact: JobProcessing) -> None:
        worker._heart.beat()
        seen.extend(list_workers(now=timezone.now()))

    HopelessJob.dispatch()
    begin = timezone.now()
    job_processing.listen(look)
    try:
        worker.run()
    finally:
        job_processing.unlisten(look)
    (found,) = seen
    assert found.current_job_since is not None
    assert begin <= found.current_job_since <= timezone.now()
