"""Several worker processes under one parent: started, replaced, killed, ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import Popen

import pytest

from jobs.drivers.base import UNKNOWN, Claim, get_driver
from jobs.models import FailedJob, QueuedJob, WorkerHeartbeat
from jobs.queues import define_queue, forget_queue
from jobs.services import request_restart
from jobs.worker.groups import Exit, Place
from jobs.worker.ledger import ROWS, Ledger, Stage
from jobs.worker.loop import WorkerOptions
from jobs.worker.restarts import Restarts
from tests.jobs.messages import make
from tests.jobs.sample_jobs import DeadlyJob, ExitingJob, FailingJob, NoteJob, PatientWaitJob, read_lines
from tests.processes import ROOT, child_environment, manage
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


@contextmanager
def _worker(*arguments: str) -> Iterator[Popen[str]]:
    environment = child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.pool_settings", LOG_LEVEL="WARNING")
    with manage("queue_work", *arguments, environment=environment) as process:
        yield process


@contextmanager
def _pool(*arguments: str, size: int = 2) -> Iterator[Popen[str]]:
    with _worker("--processes", str(size), *arguments) as process:
        yield process


@pytest.fixture
def apart() -> Iterator[str]:
    """The isolated queue of the pools' settings, as this process must know it too."""
    yield define_queue("apart", isolate=True).name
    forget_queue("apart")


def _list_children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(120)
def test_a_pool_runs_each_of_many_jobs_once_and_ends_when_there_is_none(tmp_path: Path) -> None:
    for number in range(300):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    with _pool("--stop-when-empty") as pool:
        wait_until(lambda: pool.poll() is not None, seconds=100)
        assert pool.returncode == 0
        assert pool.stdout is not None
        assert "All worker processes have ended; 0 died" in pool.stdout.read()
    assert sorted(read_lines(tmp_path / "notes"), key=int) == [str(number) for number in range(300)]
    assert not QueuedJob.objects.exists()
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.timeout(120)
def test_a_killed_process_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    for number in range(400):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
        if number == 250:
            DeadlyJob.dispatch(str(tmp_path))
    with _pool("--stop-when-empty", size=1) as pool:
        wait_until(lambda: pool.poll() is not None, seconds=100)
        assert pool.returncode == 0
        assert pool.stdout is not None
        assert "1 died" in pool.stdout.read()
    # Neither what was done just before and not told yet, nor what waited behind it in the same hand.
    assert sorted(read_lines(tmp_path / "notes"), key=int) == [str(number) for number in range(400)]
    assert len(set(read_lines(tmp_path / "deaths"))) == 2  # though it may be tried once only
    assert not FailedJob.objects.exists()
    assert not QueuedJob.objects.exists()


@pytest.mark.parametrize("connection_name", ["database", "failover"])
def test_a_process_that_was_killed_is_replaced_and_its_job_is_free_at_once(
    tmp_path: Path, connection_name: str
) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _pool("--connection", connection_name) as pool:
        (first,) = wait_until(lambda: read_lines(tmp_path / "started"))
        os.kill(int(first), signal.SIGKILL)
        second = wait_until(lambda: read_lines(tmp_path / "started")[1:])
        (tmp_path / "go").touch()
        assert wait_until(lambda: read_lines(tmp_path / "done")) == second
        wait_until(lambda: len(_list_children(pool.pid)) == 2)


@pytest.mark.parametrize("code", [Exit.STOPPED, Exit.EMPTY, Exit.RESTART, Exit.ISOLATED], ids=lambda code: code.name)
def test_a_job_that_ends_its_process_is_no_orderly_end_whatever_the_exit_code(tmp_path: Path, code: Exit) -> None:
    ExitingJob.dispatch(str(tmp_path), code.value)
    with _pool("--stop-when-empty", size=1) as pool:
        wait_until(lambda: pool.poll() is not None, seconds=40)
        assert pool.returncode == 0
        assert pool.stdout is not None
        assert "1 died" in pool.stdout.read()
    assert len(set(read_lines(tmp_path / "exits"))) == 2
    assert not QueuedJob.objects.exists()


def test_a_pool_told_to_end_finishes_the_jobs_in_hand_and_leaves_the_next(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    NoteJob.dispatch(str(tmp_path / "notes"), "for another worker")
    with _pool("--queue", "default", size=1) as pool:
        wait_until(lambda: read_lines(tmp_path / "started"))
        pool.terminate()
        (tmp_path / "go").touch()
        assert pool.wait(timeout=30) == 0
    assert read_lines(tmp_path / "done")
    assert [(row.job_class, row.attempts) for row in QueuedJob.objects.all()] == [("tests.NoteJob", 0)]


def test_a_process_of_a_pool_that_is_told_to_end_once_more_finishes_the_job_in_hand(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _pool(size=1) as pool:
        wait_until(lambda: read_lines(tmp_path / "started"))
        (pid,) = _list_children(pool.pid)
        os.kill(pid, signal.SIGTERM)  # as a balancer does
        first = time.monotonic()
        wait_until(lambda: time.monotonic() - first > 1.5)
        pool.terminate()
        wait_until(lambda: time.monotonic() - first > 2.5)
        (tmp_path / "go").touch()
        assert pool.wait(timeout=30) == 0
        assert pool.stdout is not None
        assert "; 0 died" in pool.stdout.read()
    assert read_lines(tmp_path / "done")


@pytest.mark.parametrize("how", ["second signal", "grace"])
def test_a_pool_that_must_end_at_once_leaves_the_job_in_hand_to_others(tmp_path: Path, how: str) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _pool(*(("--grace", "0.2") if how == "grace" else ())) as pool:
        wait_until(lambda: read_lines(tmp_path / "started"))
        pool.terminate()
        if how == "second signal":
            wait_until(lambda: len(_list_children(pool.pid)) == 1)  # the idle one has ended
            pool.terminate()
        assert pool.wait(timeout=30) == 0
    (claim,) = get_driver().claim(queues=[], worker="other")
    assert (claim.attempts, claim.crashes) == (2, 1)


def test_a_process_that_comes_to_a_limit_is_replaced(tmp_path: Path) -> None:
    for number in range(6):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    with _pool("--max-jobs", "2", size=1) as pool:
        wait_until(lambda: len(read_lines(tmp_path / "notes")) == 6, seconds=40)
        pool.terminate()
        assert pool.wait(timeout=30) == 0
    assert not QueuedJob.objects.exists()


def test_processes_that_come_to_a_limit_before_they_have_done_anything_do_not_follow_on_one_another(
    tmp_path: Path,
) -> None:
    with _pool("--memory", "1", size=1) as pool:
        seen_at: dict[int, float] = {}

        def look() -> bool:
            for pid in _list_children(pool.pid):
                seen_at.setdefault(pid, time.monotonic())
            return len(seen_at) == 4

        wait_until(look, seconds=50)
        pool.terminate()
        assert pool.wait(timeout=30) == 0
    first, *_others, last = seen_at.values()
    assert last - first > 2  # pauses of 0.5, 1 and 2 s


def test_a_process_that_can_not_be_started_is_started_a_while_later(monkeypatch: pytest.MonkeyPatch) -> None:
    place, fork = Place(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)), os.fork

    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    place.start(Restarts())
    assert (place.process, place.is_due()) == (None, False)
    monkeypatch.setattr(os, "fork", fork)
    wait_until(place.is_due)
    place.start(Restarts())
    assert place.process is not None
    os.waitpid(place.process.pid, 0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("arguments", [(), ("--processes", "2"), ("--threads", "3"), ("--queue", "apart,notes")])
def test_each_job_of_an_isolated_queue_has_a_process_to_itself(
    tmp_path: Path, apart: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "go").touch()
    for number in range(4):
        PatientWaitJob(str(tmp_path)).on_queue(apart).dispatch()
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    with _worker(*arguments, "--stop-when-empty") as worker:
        wait_until(lambda: worker.poll() is not None, seconds=100)
        assert worker.returncode == 0
        assert worker.stdout is not None
        assert "0 died" in worker.stdout.read()
    assert len(set(read_lines(tmp_path / "done"))) == 4
    assert sorted(read_lines(tmp_path / "notes")) == list("0123")
    assert not QueuedJob.objects.exists()


def test_a_worker_of_isolated_jobs_ends_after_as_many_tries_as_it_may_make_in_all(tmp_path: Path, apart: str) -> None:
    (tmp_path / "go").touch()
    for _ in range(4):
        PatientWaitJob(str(tmp_path)).on_queue(apart).dispatch()
    DeadlyJob(str(tmp_path)).on_queue(apart).with_priority(1).dispatch()
    with _worker("--queue", apart, "--max-jobs", "3") as worker:
        assert worker.wait(timeout=40) == 0
    assert len(read_lines(tmp_path / "deaths") + read_lines(tmp_path / "done")) == 3
    assert QueuedJob.objects.count() == 3


def test_a_worker_of_isolated_jobs_ends_after_as_long_as_it_may_run_in_all(tmp_path: Path, apart: str) -> None:
    (tmp_path / "go").touch()
    PatientWaitJob(str(tmp_path)).on_queue(apart).dispatch()
    with _worker("--queue", apart, "--max-time", "3") as worker:
        assert worker.wait(timeout=40) == 0
    assert read_lines(tmp_path / "done")


@pytest.mark.parametrize("arguments", [("--once",), ("--queue", "default")])
def test_a_worker_that_isolates_no_job_needs_no_parent(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _worker(*arguments) as worker:
        assert wait_until(lambda: read_lines(tmp_path / "started")) == [str(worker.pid)]
        (tmp_path / "go").touch()
        worker.terminate()
        assert worker.wait(timeout=30) == 0


def test_a_job_of_an_isolated_queue_takes_nobody_along(tmp_path: Path, apart: str) -> None:
    for number in range(3):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    DeadlyJob(str(tmp_path)).on_queue(apart).dispatch()
    with _worker("--stop-when-empty") as worker:
        wait_until(lambda: worker.poll() is not None, seconds=40)
        assert worker.returncode == 0
        assert worker.stdout is not None
        assert "1 died" in worker.stdout.read()
    assert len(set(read_lines(tmp_path / "deaths"))) == 2
    assert sorted(read_lines(tmp_path / "notes")) == list("012")


def test_a_pool_ends_when_a_restart_is_asked_for(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _pool(size=1) as pool:
        wait_until(lambda: read_lines(tmp_path / "started"))
        request_restart()
        (tmp_path / "go").touch()
        assert pool.wait(timeout=30) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("arguments", [("--queue", "apart"), ("--queue", "default", "--max-jobs", "1")])
def test_a_pool_hears_of_a_restart_though_its_processes_live_for_one_job_only(
    tmp_path: Path, apart: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "go").touch()
    for _ in range(300):
        PatientWaitJob(str(tmp_path)).on_queue(arguments[1]).dispatch()
    with _pool(*arguments, size=1) as pool:
        wait_until(lambda: read_lines(tmp_path / "done"))
        request_restart()
        assert pool.wait(timeout=60) == 0
    assert QueuedJob.objects.exists()


def test_the_processes_of_a_killed_parent_end_after_the_job_in_hand(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _pool() as pool:
        wait_until(lambda: read_lines(tmp_path / "started"))
        children = _list_children(pool.pid)
        pool.kill()
        (tmp_path / "go").touch()
        wait_until(lambda: not any(_is_alive(pid) for pid in children))
    assert read_lines(tmp_path / "done")
    assert not QueuedJob.objects.exists()


def test_a_pool_tells_a_program_what_happens_in_lines_of_json(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    DeadlyJob.dispatch(str(tmp_path))
    FailingJob("", "secret text").with_tries(1).dispatch()
    FailingJob().with_tries(2).with_backoff(600).dispatch()
    environment = child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.pool_settings", LOG_LEVEL="INFO")
    command = [sys.executable, str(ROOT / "manage.py"), "queue_work", "--processes", "1", "--stop-when-empty", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=50)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "secret text" not in done.stdout
    assert all(datetime.fromisoformat(line["at"]).utcoffset() == timedelta(0) for line in lines)
    assert [line["event"] for line in lines].count("started") == 2  # the first process died
    died = next(line for line in lines if line["event"] == "died")
    assert died["exit_code"] == -signal.SIGKILL
    ends = {(line["event"], line["job_class"], line.get("error")): line for line in lines if "job_id" in line}
    assert set(ends) == {
        ("done", "tests.NoteJob", None),
        ("done", "tests.DeadlyJob", None),
        ("failed", "tests.FailingJob", "ValueError"),
        ("released", "tests.FailingJob", "ValueError"),
    }
    assert ends["done", "tests.DeadlyJob", None]["attempt"] == 2
    assert all(line["duration"] >= 0 and line["queue"] and line["connection"] == "database" for line in ends.values())
    assert (lines[-1]["event"], lines[-1]["reason"]) == ("stopped", "empty")


def _claim(queue: str = "notes") -> Claim:
    message = make(queue=queue)
    return Claim(
        job_id=message.job_id,
        queue=queue,
        job_class="",
        payload="",
        priority=0,
        attempts=0,
        lease_id=message.job_id,
        lease_expires_at=UNKNOWN,
        connection="c",
        worker="",
    )


def test_a_ledger_tells_how_far_each_job_is() -> None:
    ledger = Ledger()
    unbegun, running, done, gone = (_claim("q" * 100), _claim("\N{SNOWMAN}" * 100), _claim(), _claim())
    ledger.add([unbegun, running, done, gone])
    ledger.note(running, Stage.RUNNING)
    ledger.note(done, Stage.DONE)
    ledger.drop([gone])
    rows = ledger.read()
    assert (rows.unbegun, rows.running, rows.done) == ([unbegun], [running], [done])
    assert ledger.count_begun() == 1


def test_a_ledger_that_is_full_leaves_the_rest_to_the_leases() -> None:
    ledger = Ledger()
    claims = [_claim() for _ in range(ROWS + 1)]
    ledger.add(claims)
    assert len(ledger.read().unbegun) == ROWS
    ledger.note(claims[-1], Stage.RUNNING)
    ledger.drop(claims[-2:])
    ledger.add([_claim()])
    assert len(ledger.read().unbegun) == ROWS
