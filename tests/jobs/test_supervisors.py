"""Supervisors: what the settings may say, what is measured, and pools of real processes that balance."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.checks import check_supervisors
from jobs.drivers.base import QueueDriver
from jobs.exceptions import JobOptionError
from jobs.models import QueuedJob, WorkerHeartbeat
from jobs.queues import pause_queue, resume_queue
from jobs.services import MetricKey, TryFigures, add_metrics, request_restart
from jobs.worker.balancing import Load
from jobs.worker.gauge import measure
from jobs.worker.supervisors import Supervisor, SupervisorOptions, find_supervisor
from tests.jobs.messages import make, push
from tests.jobs.sample_jobs import NoteJob, PatientWaitJob, read_lines
from tests.jobs.test_pool import _is_alive, _list_children
from tests.processes import child_environment, manage
from tests.waiting import wait_until


def _supervisor(**options: Any) -> Supervisor:  # Any: of SupervisorOptions
    return Supervisor(SupervisorOptions(**{"name": "s", "queues": ["a", "b"], "max_processes": 4, **options}))


# --- Settings


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"balance": "fair"}, "balance must be off, simple or auto"),
        ({"strategy": "luck"}, "strategy must be time or size"),
        ({"queues": ["a", "a"]}, "each once"),
        ({"queues": ["a b"]}, "queues must be"),
        ({"queues": []}, "Without queues nothing can be balanced"),
        ({"min_processes": 0}, "min_processes must be"),
        ({"min_processes": 3}, "max_processes must be 6 at least"),
        ({"max_processes": 1001}, "max_processes must be"),
        ({"shift": True}, "shift must be"),
        ({"cooldown": 0}, "cooldown must be"),
        ({"memory": "1 GB"}, "memory must be"),
        ({"tries": -1}, "tries must be"),
        ({"threads": -1}, "threads must be"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"workers": 3}, "workers"),
        ({"connection": "nowhere"}, "nowhere"),
    ],
)
def test_what_a_supervisor_can_not_do_is_told_at_the_start(
    settings: Settings, options: dict[str, object], problem: str
) -> None:
    sound = {"queues": ["a", "b"], "max_processes": 4}
    settings.JOBS = {**settings.JOBS, "SUPERVISORS": {"sound": sound, "broken": {**sound, **options}}}
    (error,) = check_supervisors(None)
    assert error.id == "jobs.E006"
    assert error.msg.startswith("JOBS['SUPERVISORS']['broken']")
    assert problem in error.msg
    with pytest.raises(CommandError, match="broken|" + problem):
        call_command("queue_supervise", "broken", skip_checks=True)


def test_a_supervisor_says_how_many_jobs_each_process_runs_at_a_time() -> None:
    group = _supervisor(threads=8, concurrency=5).groups["a"]
    assert (group.options.threads, group.options.get_concurrency()) == (8, 5)


def test_the_supervisors_of_the_house_are_sound() -> None:
    assert check_supervisors(None) == []
    assert find_supervisor("house").balance == "auto"


def test_only_supervisors_that_there_are_can_be_started() -> None:
    with pytest.raises(CommandError, match="no supervisor 'nobody'"):
        call_command("queue_supervise", "nobody", skip_checks=True)


def test_processes_serve_all_queues_or_one_each() -> None:
    assert [group.options.queues for group in _supervisor(balance="off").groups.values()] == [("a", "b")]
    groups = _supervisor(balance="auto", max_processes=5).groups
    assert [(group.options.queues, group.count()) for group in groups.values()] == [(("a",), 2), (("b",), 2)]


# --- What is measured


def _note_runs(queue: str, *, seconds: float, count: int, connection_name: str) -> None:
    minute = timezone.now().replace(second=0, microsecond=0)
    key = MetricKey(minute=minute, connection=connection_name, queue=queue, job_class="c")
    add_metrics(gathered={key: TryFigures(processed=count, run_seconds=seconds * count)})


def test_a_load_is_what_waits_and_how_long_that_takes_by_the_run_times_of_late(driver: QueueDriver) -> None:
    for queue, count in (("a", 3), ("b-1", 2), ("b-2", 1), ("elsewhere", 5)):
        for _ in range(count):
            push(queue=queue)
    push(queue="a", at=driver.get_now() + timedelta(hours=1))
    _note_runs("a", seconds=2, count=10, connection_name=driver.name)
    _note_runs("b-1", seconds=0.5, count=4, connection_name=driver.name)
    supervisor = _supervisor(queues=["a", "b-*"])
    assert measure([supervisor]) == {"s": {"a": Load(size=3, seconds=6), "b-*": Load(size=3, seconds=1)}}


def test_what_rests_counts_for_nothing(driver: QueueDriver) -> None:
    for queue in ("a", "b"):
        push(queue=queue)
    pause_queue("a")
    found = measure([_supervisor()])["s"]
    assert (found["a"].size, found["a"].is_resting) == (0, True)
    assert (found["b"].size, found["b"].is_resting) == (1, False)
    resume_queue("a")
    pause_queue()
    assert all(load.is_resting and not load.size for load in measure([_supervisor()])["s"].values())


def test_many_queues_and_supervisors_cost_four_questions(driver: QueueDriver) -> None:
    if driver.name != "database":
        pytest.skip("statements are counted")
    driver.push([make(queue=f"q{number}") for number in range(50)])
    with CaptureQueriesContext(connection) as questions:
        measure([_supervisor(name=f"s{n}", queues=[f"q{m}" for m in range(50)], max_processes=50) for n in range(9)])
    assert len(questions) <= 4  # queues, pauses, run times and, now and then, the clock


# --- Real processes


@contextmanager
def _supervised(*arguments: str) -> Iterator[Popen[str]]:
    environment = child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.supervisor_settings", LOG_LEVEL="WARNING")
    with manage("queue_supervise", *arguments, environment=environment) as process:
        yield process


def _list_workers(queues: str) -> set[int]:
    """Return the ids of the worker processes that serve these queues."""
    names = WorkerHeartbeat.objects.filter(queues=queues).values_list("name", flat=True)
    return {int(name.rsplit(":", 2)[1]) for name in names}


def _find_gauge(parent: int) -> int | None:
    """Return the one child that is no worker."""
    others = set(_list_children(parent)) - _list_workers("default") - _list_workers("notes")
    return others.pop() if len(others) == 1 else None


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_processes_move_to_where_work_waits_and_finish_their_jobs_when_they_leave(tmp_path: Path) -> None:
    with _supervised("moving") as parent:
        wait_until(lambda: _list_workers("default") and _list_workers("notes"), seconds=60)
        gauge = wait_until(lambda: _find_gauge(parent.pid), seconds=60)
        assert gauge is not None
        os.kill(gauge, signal.SIGKILL)  # another one takes its place
        for _ in range(9):
            PatientWaitJob.dispatch(str(tmp_path))
        # One process of four stays with the queue where nothing waits.
        wait_until(lambda: len(read_lines(tmp_path / "started")) == 3, seconds=60)
        assert len(_list_workers("notes")) == 1
        QueuedJob.objects.filter(lease_id=None).delete()
        wait_until(lambda: len(_list_children(parent.pid)) <= 5)
        (tmp_path / "go").touch()
        wait_until(lambda: len(read_lines(tmp_path / "done")) == 3, seconds=60)
        wait_until(lambda: (len(_list_workers("default")), len(_list_workers("notes"))) == (1, 1), seconds=60)
        parent.terminate()
        assert parent.wait(timeout=60) == 0
        assert parent.stdout is not None
        assert "worker_died" not in parent.stdout.read()
    assert not QueuedJob.objects.exists()


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_a_supervisor_that_is_to_restart_becomes_a_new_program_after_the_jobs_in_hand(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _supervised("plain", "--json") as parent:
        (worker,) = wait_until(lambda: read_lines(tmp_path / "started"), seconds=60)
        request_restart()
        (tmp_path / "go").touch()
        wait_until(lambda: not _is_alive(int(worker)), seconds=60)
        NoteJob.dispatch(str(tmp_path / "notes"), "after")
        wait_until(lambda: read_lines(tmp_path / "notes"), seconds=60)
        parent.terminate()
        assert parent.wait(timeout=60) == 0
        assert parent.stdout is not None
        lines = [json.loads(line) for line in parent.stdout.read().splitlines() if line.startswith("{")]
    stops = [line["reason"] for line in lines if line["event"] == "stopped"]
    assert stops == ["restart", "signal"]
    assert [line["queues"] for line in lines if line["event"] == "started"] == [["default", "notes"]] * 2
    assert "/plain:" in lines[0]["worker"]


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_all_supervisors_run_under_one_parent_and_end_with_it(tmp_path: Path) -> None:
    with _supervised() as parent:
        served = ("default,notes", "default", "notes")
        wait_until(lambda: all(_list_workers(queues) for queues in served), seconds=60)
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
        wait_until(lambda: read_lines(tmp_path / "notes"), seconds=60)
        children = _list_children(parent.pid)
        parent.terminate()
        assert parent.wait(timeout=60) == 0
        assert not any(_is_alive(pid) for pid in children)
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"max_time": 0},
        {"max_time": 0.5},
        {"rest": None},
        {"cooldown": None},
        {"shift": None},
        {"threads": None},
        {"queues": None},
    ],
    ids=str,
)
def test_what_would_end_or_break_each_process_is_refused(options: dict[str, Any]) -> None:  # Any: as above
    with pytest.raises(JobOptionError, match=f"{next(iter(options))} must be"):
        SupervisorOptions(**{"name": "s", "queues": ["a"], **options}).check()


def test_what_a_supervisor_leaves_open_is_decided_elsewhere() -> None:
    SupervisorOptions(name="s", queues=["a"], max_time=None, memory=None, sleep=None, concurrency=None).check()
