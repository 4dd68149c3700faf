"""What a job does, in the log."""

import time

import structlog

from jobs.job import Job, get_job_name
from jobs.middleware.base import Middleware, Proceed

_log = structlog.get_logger("gatehouse.jobs")


class LoggingMiddleware(Middleware):
    """Log the start and the end of a job, how it ended and how long it took; never its arguments."""

    def __init__(self, *, level: str = "info") -> None:
        """Take the level of the log entries: ``debug``, ``info`` or ``warning``."""
        if level not in {"debug", "info", "warning"}:
            message = f"level must be debug, info or warning, not {level!r}."
            raise ValueError(message)
        self.level = level

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Log around the job."""
        write = getattr(_log, self.level)
        facts = {"job_class": get_job_name(type(job)), "job_id": str(job.job_id), "attempt": job.attempts}
        write("job_started", **facts)
        started = time.perf_counter()
        try:
            result = proceed()
        except BaseException as error:
            # What an exception says may hold an argument.
            _log.warning("job_raised", **facts, error=type(error).__qualname__, duration_ms=_since(started))
            raise
        write("job_ended", **facts, outcome=_get_outcome(job), duration_ms=_since(started))
        return result


def _get_outcome(job: Job) -> str:
    run = job.running
    if run is not None and run.is_deleted:
        return "deleted"
    return "released" if run is not None and run.released is not None else "done"


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
