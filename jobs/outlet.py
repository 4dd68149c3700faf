"""Where dispatched jobs go instead of their queues while a test looks on (``jobs.testing``)."""

from collections.abc import Sequence
from typing import Protocol

from jobs.payload import Record


class Outlet(Protocol):
    """What takes jobs instead of drivers."""

    def take_job(self, job: object, record: Record) -> bool:
        """Take a job; False lets it go its way."""

    def take_now(self, job: object) -> bool:
        """Take a job that was to run at once; False lets it run."""

    def take_chain(self, chain: object, jobs: Sequence[object], record: Record | None) -> bool:
        """Take a chain; False lets it go its way."""

    def take_batch(self, batch: object) -> object | None:
        """Take a batch, and return what stands for it; None lets it go its way."""


class Current:
    """The outlet of this process; None outside of such tests."""

    outlet: Outlet | None = None
