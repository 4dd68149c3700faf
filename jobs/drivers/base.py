"""What a driver must do: store, claim, lease, finish and count. Everything else about jobs lives above it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.utils.module_loading import import_string

from jobs.conf import get_job_settings

#: Longest name of a queue.
MAX_QUEUE_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A job as it is handed to a driver."""

    #: The job's own id, kept across tries.
    job_id: UUID
    queue: str
    #: Registered name of the class.
    job_class: str
    #: The signed record (``jobs.payload``).
    payload: str
    #: 0 to 255; higher runs first.
    priority: int
    #: Not claimed before this instant.
    available_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job in the hands of one worker, until the lease ends."""

    job_id: UUID
    queue: str
    job_class: str
    payload: str
    priority: int
    #: This try included.
    attempts: int
    #: Fence: finishing, releasing and burying work only while the store knows the job under this id.
    lease_id: UUID
    #: From here on another worker may claim the job.
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """What one queue holds. A job whose lease has lapsed counts as waiting since then."""

    #: Due and in nobody's hands.
    waiting: int
    #: Not due yet.
    delayed: int
    #: In a worker's hands.
    running: int
    #: When the job that waits longest became due.
    oldest_due_at: datetime | None


class QueueDriver(ABC):
    """A store of jobs, safe for any number of workers."""

    #: What the store raises when it can't be reached or doesn't answer in time; workers wait and try again.
    outage_errors: ClassVar[tuple[type[Exception], ...]]

    @abstractmethod
    def push(self, message: Message) -> None:
        """Store a job; within a transaction of the caller's where the store takes part in it."""

    @abstractmethod
    def claim(
        self, *, queues: Sequence[str], worker: str, now: datetime, get_lease: Callable[[str], timedelta]
    ) -> Claim | None:
        """Take the next due job, in one atomic step that also counts the try.

        Order: the queues as given, then priority (highest first), due time, arrival. A job whose lease has lapsed is
        due again.

        Args:
            queues: Names in order; empty means every queue, as if they were one.
            worker: Name of the worker, for people.
            now: The present.
            get_lease: Returns how long a job of a class may be held.
        """

    @abstractmethod
    def finish(self, claim: Claim) -> bool:
        """Remove a job that is done; False if the lease was lost, and nothing changed."""

    @abstractmethod
    def release(self, claim: Claim, *, available_at: datetime) -> bool:
        """Put a job back for another try; False if the lease was lost, and nothing changed."""

    @abstractmethod
    def bury(self, claim: Claim, *, attempts: int, exception: str, traceback: str, now: datetime) -> bool:
        """Move a job to the failed jobs in one step; False if the lease was lost, and nothing changed."""

    @abstractmethod
    def clear(self, *, queue: str | None, now: datetime) -> int:
        """Delete the jobs of one queue, or of all, that are in nobody's hands; return how many."""

    @abstractmethod
    def measure(self, *, now: datetime) -> Mapping[str, QueueFigures]:
        """Return the figures of every queue that holds a job, by name."""


def get_driver() -> QueueDriver:
    """Return the driver that ``JOBS["DRIVER"]`` names."""
    driver_class: type[QueueDriver] = import_string(get_job_settings().driver)
    return driver_class()
