"""What a driver tells of the jobs that it holds, for people and tests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

#: How many jobs are looked at in one step where some are looked for.
MAX_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """What one queue holds. A job whose lease has lapsed counts as waiting since then.

    Somebody else may have written the store. A job whose due time, or the end of whose lease, can't be read counts as
    waiting and due: the worker that takes it sets it apart.
    """

    #: Due and in nobody's hands.
    waiting: int
    #: Not due yet.
    delayed: int
    #: In a worker's hands.
    running: int
    #: When the job that waits longest became due, as far as that can be read.
    oldest_due_at: datetime | None
    #: Those of ``waiting`` whose due time, or the end of whose lease, can't be read.
    unreadable: int = 0

    def add(self, other: "QueueFigures") -> "QueueFigures":
        """Return the figures of both together."""
        moments = [moment for moment in (self.oldest_due_at, other.oldest_due_at) if moment is not None]
        return QueueFigures(
            waiting=self.waiting + other.waiting,
            delayed=self.delayed + other.delayed,
            running=self.running + other.running,
            oldest_due_at=min(moments, default=None),
            unreadable=self.unreadable + other.unreadable,
        )


type JobState = Literal["waiting", "delayed", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job that a driver holds, for people and tests."""

    job_id: UUID
    queue: str
    job_class: str
    payload: str
    priority: int
    attempts: int
    state: JobState
    available_at: datetime
    created_at: datetime
    worker: str
    #: What can't be read of it, in words; in place of that stands what does no harm.
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSearch:
    """Which of the jobs that a driver holds are looked for; what is empty doesn't matter."""

    state: JobState
    queue: str | None = None
    job_class: str | None = None
    #: What its record holds, letter by letter.
    text: str = ""
    #: Due from that moment on, and before that one.
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, job: StoredJob) -> bool:
        """Say whether it is one of them."""
        return (
            job.state == self.state
            and self.queue in {None, job.queue}
            and self.job_class in {None, job.job_class}
            and self.text in job.payload
            and (self.since is None or job.available_at >= self.since)
            and (self.until is None or job.available_at < self.until)
        )
