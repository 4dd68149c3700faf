"""Errors of jobs.

What a client of the API can meet is a ``DomainError``. Mistakes in the code of a job are ``TypeError``: a client can't
mend them, so they must not look like its fault.
"""

from http import HTTPStatus

from project.exceptions import DomainError


class FailedJobNotFoundError(DomainError):
    """No failed job has this id. It may have been retried or forgotten already."""

    code = "failed_job_not_found"
    status = HTTPStatus.NOT_FOUND


class JobDefinitionError(TypeError):
    """A job class can't be used as it is written: an option out of range, or a parameter that can't be stored."""


class JobArgumentError(TypeError):
    """An argument of a job has the wrong type, or can't be stored. The text names it and never shows its value."""


class PayloadError(Exception):
    """A stored record must not run: unreadable, not signed by this house, or of an unknown job class."""


class PermanentJobError(Exception):
    """Raised in ``handle``: trying again won't help, so the job goes to the failed jobs at once."""


class JobTimeoutError(Exception):
    """The job ran longer than its class allows."""


class JobInterruptedError(Exception):
    """The job tried to end the worker itself, for example by ``sys.exit()``."""


class WorkerDiedError(Exception):
    """Every try was used up by workers that never came back."""
