"""A job whose middleware, and whose luck, a test chooses; and two words on what became of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import ClassVar, override

from jobs.job import Job
from jobs.middleware import Middleware
from jobs.worker.runner import Outcome, Released


class LayeredJob(Job):
    """Note that it ran, then raise what is next."""

    queue = "layered"
    tries = 5
    backoff = 0
    layers: ClassVar[Sequence[Middleware]] = ()
    #: Raised one after another; None lets a try end well.
    errors: ClassVar[list[Exception | None]] = []
    ran: ClassVar[list[str]] = []
    seen: ClassVar[list[Exception]] = []

    def __init__(self, text: str = "") -> None:
        self.text = text

    @override
    def middleware(self) -> Sequence[Middleware]:
        return self.layers

    @override
    def handle(self) -> None:
        self.ran.append(self.text)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    @override
    def failed(self, error: Exception) -> None:
        self.seen.append(error)


class OtherLayeredJob(LayeredJob):
    """The same under another name."""


@contextmanager
def layers(*middleware: Middleware, errors: Sequence[Exception | None] = ()) -> Iterator[list[str]]:
    """Let the jobs pass middleware, and raise, within the block; yield what has run."""
    LayeredJob.layers, LayeredJob.errors, LayeredJob.ran, LayeredJob.seen = middleware, list(errors), [], []
    try:
        yield LayeredJob.ran
    finally:
        LayeredJob.layers, LayeredJob.errors = (), []


def get_wait(outcome: Outcome) -> float:
    """Return for how many seconds a job was put back without having gone wrong."""
    assert isinstance(outcome, Released)
    assert outcome.error is None
    assert isinstance(outcome.delay, timedelta)
    return outcome.delay.total_seconds()


def ago(now: datetime, seconds: float) -> datetime:
    """Return an earlier moment."""
    return now - timedelta(seconds=seconds)
