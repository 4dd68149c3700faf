"""What a worker tells a program that reads along: one line of JSON for each event.

Each line is an object with ``event``, ``at`` (UTC, ISO 8601) and ``worker``; ``docs/jobs.md`` lists the others. None
holds arguments of jobs, or texts of exceptions.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from django.utils import timezone

from jobs.drivers.base import Claim
from jobs.worker.outcomes import TryEnd


class Reporter:
    """Writes lines for one worker, or for the parent of several; none where nobody reads along."""

    def __init__(self, write: Callable[[str], object] | None, *, worker: str) -> None:
        """Take what writes a line, and who speaks."""
        self._write = write
        self._worker = worker

    def start(self, *, connection: str, queues: Sequence[str]) -> None:
        """Tell that work begins; no queues means all."""
        self._tell("started", timezone.now(), connection=connection, queues=list(queues))

    def note(self, claim: Claim, end: TryEnd, *, ended_at: datetime) -> None:
        """Tell that a try was written down as done, released, failed or quarantined."""
        if self._write is None:
            return
        error = {} if end.error is None else {"error": end.error}
        self._tell_of_job(end.state, claim, ended_at, duration=round(end.duration.total_seconds(), 6), **error)

    def note_death(self, *, pid: int, exit_code: int) -> None:
        """Tell that a worker process died and is to be replaced."""
        self._tell("died", timezone.now(), pid=pid, exit_code=exit_code)

    def stop(self, *, tries: int, reason: str) -> None:
        """Tell that work has ended, after so many tries and why."""
        self._tell("stopped", timezone.now(), tries=tries, reason=reason)

    def _tell_of_job(self, event: str, claim: Claim, at: datetime, **facts: object) -> None:
        job = {
            "job_id": str(claim.job_id),
            "job_class": claim.job_class,
            "queue": claim.queue,
            "connection": claim.connection,
            "attempt": claim.attempts,
        }
        self._tell(event, at, **job, **facts)

    def _tell(self, event: str, at: datetime, **facts: object) -> None:
        if self._write is not None:
            moment = at.astimezone(UTC).isoformat(timespec="milliseconds")
            self._write(json.dumps({"event": event, "at": moment, "worker": self._worker, **facts}))
