"""Errors of jobs.

What a client of the API can meet is a ``DomainError``. Mistakes in the code of a job are ``TypeError`` or
``ValueError``: a client can't mend them, so they must not look like its fault.
"""

from collections.abc import Iterable
from http import HTTPStatus
from uuid import UUID

from project.exceptions import DomainError


class FailedJobNotFoundError(DomainError):
    """No failed job has this id. It may have been retried or forgotten already."""

    code = "failed_job_not_found"
    status = HTTPStatus.NOT_FOUND


class BatchNotFoundError(DomainError):
    """No batch has this id. It may have been pruned."""

    code = "batch_not_found"
    status = HTTPStatus.NOT_FOUND


class JobNotFoundError(DomainError):
    """No job has this id. It may have ended, and not be listed any more."""

    code = "job_not_found"
    status = HTTPStatus.NOT_FOUND


class JobOutOfReachError(JobNotFoundError):
    """Nobody who answers knows the job, and a connection that may hold it does not answer. Try again in a moment."""

    code = "job_out_of_reach"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class JobNotWaitingError(DomainError):
    """The job runs, or has ended; only one that waits can be cancelled."""

    code = "job_not_waiting"
    status = HTTPStatus.CONFLICT


class InvalidCursorError(DomainError):
    """The cursor is not one that a page of this list was given. Begin at the first page."""

    code = "invalid_cursor"
    status = HTTPStatus.BAD_REQUEST


class ConnectionGoneError(DomainError):
    """The connection that the job came from is not in the settings any more, so nothing can take it back."""

    code = "connection_gone"
    status = HTTPStatus.CONFLICT


class ConnectionAwayError(DomainError):
    """A connection that keeps jobs does not answer. Try again in a moment."""

    code = "connection_away"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class WorkerNotFoundError(DomainError):
    """No worker of this name is alive. It may have ended already."""

    code = "worker_not_found"
    status = HTTPStatus.NOT_FOUND


class QueueFull(DomainError):
    """The queue holds as many jobs as it may. Try again later."""

    code = "queue_full"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    @classmethod
    def named(cls, queue: str, *, count: int, max_jobs: int) -> "QueueFull":
        """Tell which queue it is, and the figures."""
        return cls(f"The queue {queue} holds {count} jobs, and may hold {max_jobs}. Try again later.")


class UniqueJobError(DomainError):
    """Another job with the same key waits or runs. Try again when it has ended."""

    code = "job_is_unique"
    status = HTTPStatus.CONFLICT


class JobRefusedError(DomainError):
    """The user may not have this job run: a permission that it requires is lacking."""

    code = "job_refused"
    status = HTTPStatus.FORBIDDEN

    @classmethod
    def because(cls, job_class: str, reason: str, permissions: Iterable[str] = ()) -> "JobRefusedError":
        """Tell which job it is, and why; which permissions are lacking is for the log."""
        message = f"{job_class} was refused: {reason}."
        return cls(message, detail=f"{message} Lacking: {', '.join(sorted(permissions)) or 'nothing'}.")


class JobDefinitionError(TypeError):
    """A job class can't be used as it is written: an option out of range, or a parameter that can't be stored."""


class JobArgumentError(TypeError):
    """An argument of a job has the wrong type, or can't be stored. The text names it and never shows its value."""


class JobOptionError(ValueError):
    """An option that was set for one job is out of range: its queue, priority, delay, tries and so on."""


class UnknownQueueError(JobOptionError):
    """No queue is called so: it was neither defined nor is it the queue of a job class."""


class UnknownConnectionError(JobOptionError):
    """``JOBS["CONNECTIONS"]`` has no connection of that name."""


class ConnectionsAwayError(Exception):
    """Some connections of a failover didn't answer; the others have done what was asked."""

    def __init__(self, connection: str, *, away: Iterable[str], has_changed: bool) -> None:
        """Take the name of the failover, who of it is away, and whether the others found something to do."""
        self.connection = connection
        self.away = tuple(away)
        self.has_changed = has_changed
        names = ", ".join(self.away)
        super().__init__(
            f"Of the connection {connection}, {names} did not answer; the rest of it has done what was asked. "
            "Ask again when all answer."
        )


class PartlySentError(Exception):
    """A store failed when it had taken some of many jobs already; these stay. What it raised is the cause."""

    def __init__(self, sent: Iterable[UUID]) -> None:
        """Take the ids of those that it has taken."""
        self.sent = frozenset(sent)
        super().__init__(f"{len(self.sent)} of the jobs were sent, then their store failed. Send the others again.")


class NotBatchableError(TypeError):
    """A job without ``BatchableJob`` among its bases can't be in a batch."""


class PayloadError(Exception):
    """A stored record must not run: unreadable, not signed by this house, or of an unknown job class."""


class ModelMissingError(Exception):
    """A row that the job was given as an argument is gone."""


class PermanentJobError(Exception):
    """Raised in ``handle``: trying again won't help, so the job goes to the failed jobs at once."""


class UnwrittenEndError(Exception):
    """A job ran, and how it ended can't be written down: what is to follow it is too large, perhaps."""


class JobTimeoutError(Exception):
    """The job ran longer than it may."""


class JobInterruptedError(Exception):
    """The job tried to end the worker itself, for example by ``sys.exit()``."""


class MaxAttemptsExceededError(Exception):
    """Every try was used up by releases."""


class PoisonPillError(Exception):
    """Too many workers died, or lost their lease, while they had the job."""


class RetryDeadlineError(Exception):
    """The moment until which the job may be tried has passed."""


class ScheduleTimingError(ValueError):
    """An entry of the schedule says nothing that could be due: its expression, interval or time zone is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep which field of the entry is wrong."""
        super().__init__(message)
        self.field = field


class ScheduleBrokenError(ValueError):
    """An entry of the schedule can't be dispatched as it stands; the text says why and what to do."""


def get_text(error: Exception) -> str:
    """Return the text of an exception, whatever its class makes of that."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the class is somebody's own, and may do anything
        return "The exception can't be shown as a text."
