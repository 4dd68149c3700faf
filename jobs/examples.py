"""Jobs of two stories, a small one and a large one, so that queues, workers and pages have something to show.

``manage.py queue_example`` and ``queue_advanced_example`` dispatch them. They touch nothing but the log.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import override
from uuid import UUID

import structlog

from jobs.backoff import Exponential
from jobs.batch import Batch, BatchableJob, Failure, batch
from jobs.chain import chain
from jobs.job import Job
from jobs.limits import ConcurrencyLimit
from jobs.middleware import LimitConcurrency, LoggingMiddleware, Middleware, SkipIfBatchCancelled, ThrottleMiddleware
from jobs.security import SecureJob

_log = structlog.get_logger("gatehouse.examples")


class GreetingJob(Job):
    """Pretend to send a greeting."""

    queue = "emails"

    def __init__(self, name: str) -> None:
        """Take who is greeted."""
        self.name = name

    @override
    def handle(self) -> None:
        """Take the time that a mail takes."""
        time.sleep(0.02)
        _log.info("greeted", name=self.name)


class FlakyJob(Job):
    """Go wrong in two of three tries, as something behind a bad line does."""

    tries = 4
    backoff = Exponential(first=1, factor=2, cap=5)

    @override
    def handle(self) -> None:
        """Have luck, or not.

        Raises:
            ConnectionError: No luck.
        """
        if random.random() < 2 / 3:  # noqa: S311 - no secret
            raise ConnectionError("The line is dead. It is meant to be: this is an example.")


class HopelessJob(Job):
    """Go wrong always, so that there is a failed job to look at."""

    tries = 1

    @override
    def handle(self) -> None:
        """Go wrong.

        Raises:
            LookupError: Always.
        """
        raise LookupError("This job fails on purpose. Retry it, or forget it.")


class ExtractJob(Job):
    """The first step of the story's import."""

    @override
    def handle(self) -> None:
        """Read what there is."""
        _log.info("extracted")


class TransformJob(BatchableJob):
    """One part of the story's import."""

    def __init__(self, part: int) -> None:
        """Take the number of the part."""
        self.part = part

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [SkipIfBatchCancelled(), LimitConcurrency(ConcurrencyLimit(4), release_after=1)]

    @override
    def handle(self) -> None:
        """Do the part; every thirteenth is broken.

        Raises:
            ValueError: The part is broken.
        """
        time.sleep(0.01)
        if self.part % 13 == 0:
            message = f"Part {self.part} is broken. It is meant to be: this is an example."
            self.fail(ValueError(message))


class LoadJob(Job):
    """The last step of the story's import."""

    priority = 100

    @override
    def handle(self) -> None:
        """Store what was made."""
        _log.info("loaded")


class NewsJob(Job):
    """Something of which only so much may be sent in a while."""

    queue = "notifications"
    retry_until = timedelta(minutes=10)

    def __init__(self, number: int) -> None:
        """Take the number of the piece."""
        self.number = number

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [LoggingMiddleware(), ThrottleMiddleware(10, 5)]

    @override
    def handle(self) -> None:
        """Send it."""


class PayslipJob(SecureJob):
    """Something about a secret, which nobody sees: stored sealed, and taken out of what goes wrong."""

    tries = 1

    def __init__(self, month: int, account: str) -> None:
        """Take which payslip it is, and where the money goes."""
        self.month = month
        self.account = account
        self.set_sensitive_fields(["account"])

    @override
    def handle(self) -> None:
        """Pay; in December no bank can be found.

        Raises:
            LookupError: It is December.
        """
        if self.month == 12:
            message = f"No bank has the account {self.account}. It is meant to be: this is an example."
            raise LookupError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was dispatched."""

    #: How many jobs wait now; more follow from chains and batches.
    job_count: int
    batch_ids: tuple[UUID, ...] = ()


def tell_progress(found: Batch) -> None:
    """Log how far a batch is."""
    _log.info("batch_progress", batch=found.name, percent=found.progress)


def tell_failure(found: Batch, failure: Failure) -> None:
    """Log that a job of a batch failed."""
    _log.info("batch_failure", batch=found.name, exception=failure.exception)


def tell_end(found: Batch) -> None:
    """Log that a batch has ended."""
    _log.info("batch_ended", batch=found.name, failed=found.failed_jobs)


def tell_small_story() -> Story:
    """Dispatch a few mails, one of them later, something that needs luck, and something without hope."""
    for name in ("Ada", "Barbara", "Grace", "Radia", "Margaret"):
        GreetingJob.dispatch(name)
    GreetingJob("Frances").delay_until(20).dispatch()
    FlakyJob.dispatch()
    HopelessJob.dispatch()
    return Story(job_count=8)


def tell_large_story() -> Story:
    """Dispatch an import as a chain with a batch in it, limited news, urgent mails, secrets, and several failures."""
    parts = batch([TransformJob(part) for part in range(1, 41)]).name("Transform").allow_failures(5)
    parts.progress(tell_progress).catch(tell_failure).finally_(tell_end)
    chain([ExtractJob(), parts, LoadJob()]).name("Import").dispatch()
    strict = batch([TransformJob(part) for part in range(10, 30)]).name("Strict").finally_(tell_end).dispatch()
    for number in range(30):
        NewsJob.dispatch(number)
    for priority in (0, 100, 255):
        GreetingJob(f"priority {priority}").with_priority(priority).on_queue("high").dispatch()
    for _ in range(5):
        FlakyJob.dispatch()
    for month in (11, 12):
        PayslipJob.dispatch(month, "DE02 1203 0000 0000 2020 51")
    HopelessJob.dispatch()
    return Story(job_count=1 + strict.total_jobs + 30 + 3 + 5 + 2 + 1, batch_ids=(strict.id,))
