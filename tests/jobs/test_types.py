"""The types of dispatch, as mypy sees them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

SNIPPET = """
from uuid import UUID
from jobs.batch import BatchableJob, batch
from jobs.chain import chain
from jobs.job import Job, PendingDispatch
from jobs.schedules import schedule
from jobs.signals import JobFact, JobFailed, JobQueued, job_failed, job_queued, worker_looping
from jobs.testing import fake_jobs

class SendJob(Job):
    queue = "emails"; tries = 5; backoff = (10, 60, 300); timeout = 30
    def __init__(self, to: str, copies: int = 1) -> None:
        self.to = to
    def handle(self) -> None: ...

class PlainJob(Job):
    backoff = 5
    def handle(self) -> None: ...

job_id: UUID = SendJob.dispatch("a@example.com", copies=2)  # right
PlainJob.dispatch()  # right
SendJob.dispatch(1, 2)  # wrong: arg-type
SendJob.dispatch("a", "b")  # wrong: arg-type
SendJob.dispatch()  # wrong: call-arg
SendJob.dispatch("a", to_email="b")  # wrong: call-arg
PlainJob.dispatch("a")  # wrong: call-arg

maybe_id: UUID | None = SendJob.dispatch_if(lambda: True, "a@example.com")  # right
SendJob.dispatch_unless(False, "a@example.com", copies=2)  # right
SendJob.dispatch_now("a@example.com")  # right
SendJob.dispatch_if(True, 1)  # wrong: arg-type
SendJob.dispatch_if("a@example.com")  # wrong: call-arg
SendJob.dispatch_unless(True, "a", "b")  # wrong: arg-type
SendJob.dispatch_now()  # wrong: call-arg
must_id: UUID = SendJob.dispatch_if(True, "a")  # wrong: assignment

pending: PendingDispatch = SendJob("a").on_queue("high").delay_until(60).with_priority(10)  # right
job_id = pending.when(job_id, lambda job: job.with_tries(3)).with_tags("a").dispatch()  # right
SendJob("a").dispatch()  # right
SendJob("a").on_queue(5)  # wrong: arg-type
SendJob("a").with_priority("high")  # wrong: arg-type
SendJob("a").delay_until("soon")  # wrong: arg-type
SendJob(1).on_queue("high")  # wrong: arg-type

class ResizeJob(BatchableJob):
    def __init__(self, image_id: int) -> None: ...
    def handle(self) -> None: ...

batch([ResizeJob(1), [ResizeJob(2), ResizeJob(3).on_queue("high")]]).allow_failures(1).dispatch()  # right
chain([SendJob("a"), batch([ResizeJob(1)]), SendJob("b").on_queue("high"), None]).dispatch()  # right
batch([ResizeJob("1")])  # wrong: arg-type
batch([ResizeJob])  # wrong: list-item
batch([5])  # wrong: list-item
chain([SendJob])  # wrong: list-item
chain([SendJob("a"), 5])  # wrong: list-item

fake = fake_jobs()
fake.assert_dispatched(SendJob, where=lambda job: job.to == "a@example.com")  # right
fake.assert_dispatched(SendJob, where=lambda job: job.nothing)  # wrong: attr-defined
found: list[SendJob] = fake.dispatched(SendJob)  # right
others: list[PlainJob] = fake.dispatched(SendJob)  # wrong: arg-type

schedule(SendJob, "a@example.com", copies=2).cron("@daily").named("nightly")  # right
schedule(PlainJob).every(60)  # right
schedule(SendJob, 1)  # wrong: arg-type
schedule(SendJob)  # wrong: call-arg
schedule(PlainJob).when_missed("twice")  # wrong: arg-type

@job_failed.listen
def note_failure(fact: JobFailed) -> None:  # right
    print(fact.job_id, fact.error, fact.attempts)
    fact.queue = "other"  # wrong: misc
    print(fact.available_at)  # wrong: attr-defined

def note_any(fact: JobFact) -> str:
    return fact.job_class

job_queued.listen(note_any)  # right
job_failed.listen(note_any)  # right
worker_looping.listen(lambda looping: "high" in looping.queues)  # right
note_failure(5)  # wrong: arg-type
job_queued.listen(note_failure)  # wrong: arg-type
worker_looping.listen(note_any)  # wrong: arg-type
job_failed.listen(lambda fact: fact.nothing)  # wrong: attr-defined
job_queued.listen(lambda: None)  # wrong: arg-type
job_failed.unlisten(note_failure)  # right
job_queued.unlisten(note_failure)  # wrong: arg-type

def announce(failed: JobFailed, queued: JobQueued) -> None:
    job_failed.announce(failed)  # right
    job_failed.announce(queued)  # wrong: arg-type
    job_failed.announce(job_id=failed.job_id)  # wrong: call-arg
    JobFailed(job_id=failed.job_id, job_class="x", queue="q", connection="c", attempts=1)  # wrong: call-arg
    JobFailed(job_id=1, job_class="x", queue="q", connection="c", attempts=1, error=failed.error)  # wrong: arg-type
    calm: str = job_queued.allows(queued)  # wrong: attr-defined
    may: bool = worker_looping.allows(queued)  # wrong: arg-type

class WrongJob(Job):
    tries = "5"  # wrong: assignment
    def handle(self) -> None: ...
"""


@pytest.mark.process
@pytest.mark.timeout(180)
def test_mypy_accepts_fitting_arguments_and_refuses_all_others(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", "--no-error-summary"]
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'snippets'}"
    result = subprocess.run([*command, cache, str(snippet)], cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in errors}
    expected = {
        number: line.partition("# wrong: ")[2]
        for number, line in enumerate(SNIPPET.splitlines(), start=1)
        if "# wrong: " in line
    }
    assert found == expected, result.stdout + result.stderr
