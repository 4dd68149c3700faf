"""What RQ's own programs do with our jobs."""

import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from django.conf import settings as django_settings
from redis import Redis
from rq.registry import FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from jobs.drivers.base import Claim
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import claim_one, drain, worker_environment
from tests.processes import ROOT

STOCK_WORKERS = {
    "rqworker": [sys.executable, "manage.py", "rqworker", "--burst"],
    "rq worker": [
        sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", django_settings.REDIS_URL,
        "--worker-class", "rq.SimpleWorker", "--serializer", "json",
    ],
}  # fmt: skip


def note(path: Path, text: str = "done") -> NoteJob:
    return NoteJob(str(path), text)


def dispatch(path: Path, text: str = "done", *, delay: float = 0, priority: int = 0) -> UUID:
    return note(path, text).on_queue("default").delay_until(delay).with_priority(priority).dispatch()


def run(*command: str) -> str:
    """Run a program of RQ's to its end; return what it says."""
    environment = {**worker_environment(), "JOB_CONNECTION": "redis"}  # as the test's own process has it
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def work_off(*queues: str, by: str = "rqworker") -> str:
    """Let a worker of RQ's run what is due."""
    return run(*STOCK_WORKERS[by], *(queues or ("default",)))


def fill(path: Path) -> Claim:
    """Put one job into each state: two waiting, one delayed, one running, one failed. Return the running one."""
    HopelessJob().on_queue("default").dispatch()
    drain("default")
    dispatch(path, "running")
    claim = claim_one("default")
    dispatch(path)
    dispatch(path)
    dispatch(path, delay=3600)
    return claim


def clean_all(server: Redis) -> None:
    """Let RQ clean its registries, as its workers and pages do, at a time when everything has expired."""
    for kind in (StartedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry):
        registry = kind("default", connection=server, serializer=JSONSerializer)
        registry.cleanup(timestamp=time.time() + 10 * 24 * 3600)
        assert len(registry) >= 0
