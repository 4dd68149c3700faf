"""Exactness under concurrency: eight worker processes on many batches, of whose jobs every tenth fails.

Every run does a few batches; ``make exactness`` does 100 batches of 50 jobs (``EXACTNESS_BATCHES``).
"""

from collections import Counter
from contextlib import ExitStack
from os import environ
from pathlib import Path
from subprocess import Popen

import pytest

from jobs.batch import batch
from jobs.drivers.base import get_driver
from jobs.models import Batch, BatchMember, FailedJob
from tests.jobs.exactness_jobs import (
    FOLDER,
    CountedJob,
    on_catch,
    on_failure,
    on_finally,
    on_progress,
    on_then,
)
from tests.jobs.sample_jobs import read_lines
from tests.jobs.steps import worker_environment
from tests.processes import manage
from tests.waiting import wait_until

_BATCHES = int(environ.get("EXACTNESS_BATCHES", "4"))
_JOBS = 50
_WORKERS = 8
_SECONDS = 1_800

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True), pytest.mark.timeout(_SECONDS)]


def test_every_counter_is_exact_and_every_callback_comes_once(job_connection: str, tmp_path: Path) -> None:
    for number in range(_BATCHES):
        _send(number)
    _work(job_connection, tmp_path)
    _check_counts(_BATCHES)
    _check_notes(_BATCHES, tmp_path)


def _is_broken(batch_number: int, number: int) -> bool:
    """Let every tenth job fail, but none in every fifth batch."""
    return batch_number % 5 != 0 and number % 10 == batch_number % 10


def _send(batch_number: int) -> None:
    jobs = [CountedJob(batch_number, number, _is_broken(batch_number, number)) for number in range(_JOBS)]
    # Chains of two, so that the count of members and the links that never run are part of it.
    lines = [jobs[start : start + 2] for start in range(0, _JOBS, 2)]
    pending = batch(lines if batch_number % 2 else jobs).name(str(batch_number)).progress(on_progress)
    pending.then(on_then).catch(on_catch).finally_(on_finally).allow_failures(on_failure).dispatch()


def _work(connection: str, folder: Path) -> None:
    environment = {**worker_environment(), FOLDER: str(folder), "JOB_CONNECTION": connection}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.jobs.exactness_settings"
    while any(_count_waiting()):  # a worker that finds nothing ends, though another may still bring more
        with ExitStack() as stack:
            command = ("queue_work", "--stop-when-empty")
            workers = [stack.enter_context(manage(*command, environment=environment)) for _ in range(_WORKERS)]
            assert _wait_for(workers) == [0] * _WORKERS


def _wait_for(workers: list[Popen[str]]) -> list[int | None]:
    """Return with what the workers ended, when all have."""
    wait_until(lambda: all(worker.poll() is not None for worker in workers), seconds=_SECONDS)
    return [worker.returncode for worker in workers]


def _count_waiting() -> list[int]:
    return [held.waiting + held.delayed + held.running for held in get_driver().measure().values()]


def _expect(batch_number: int) -> tuple[list[int], list[int]]:
    """Return the jobs of a batch that run, and those of them that fail."""
    is_chained = batch_number % 2 == 1
    run = [
        number for number in range(_JOBS) if not (is_chained and number % 2 and _is_broken(batch_number, number - 1))
    ]
    return run, [number for number in run if _is_broken(batch_number, number)]


def _check_counts(batches: int) -> None:
    for number in range(batches):
        found = Batch.objects.get(name=str(number))
        run, failed = _expect(number)
        assert (found.total_jobs, found.pending_jobs, found.failed_jobs) == (len(run), len(failed), len(failed))
        assert (found.finished_at is None) is bool(failed)
        states = Counter(BatchMember.objects.filter(batch=found).values_list("state", flat=True))
        expected = {"processed": len(run) - len(failed), "failed": len(failed), "skipped": _JOBS - len(run)}
        assert states == Counter({state: count for state, count in expected.items() if count})
    assert FailedJob.objects.count() == sum(len(_expect(number)[1]) for number in range(batches))


def _check_notes(batches: int, folder: Path) -> None:
    expected: dict[str, list[str]] = {name: [] for name in ("runs", "progress", "then", "catch", "failure", "finally")}
    for number in range(batches):
        run, failed = _expect(number)
        expected["runs"] += [f"{number} {one}" for one in run]
        expected["progress"] += [str(number)] * len(run)
        expected["then"] += [] if failed else [str(number)]
        expected["catch"] += [str(number)] if failed else []
        expected["failure"] += [f"{number} {number} {one}" for one in failed]
        expected["finally"].append(f"{number} {len(run)} {len(failed)} {len(failed)}")
    for name, lines in expected.items():
        assert Counter(read_lines(folder / name)) == Counter(lines), name
    print({name: len(lines) for name, lines in expected.items()})  # noqa: T201 - what the whole run is asked for
