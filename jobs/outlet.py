"""Who looks on, and takes dispatched jobs instead of their queues: the fakes of ``jobs.testing``."""

from collections.abc import Sequence
from typing import Protocol

from jobs.payload import Record


class Outlet(Protocol):
    """What takes jobs instead of drivers. Called in any thread."""

    def note_job(self, job: object) -> None:
        """Take note that a job is about to be sent, with what was chained to it."""

    def note_chain(self, links: Sequence[object]) -> None:
        """Take note that a chain is about to be sent."""

    def note_batch(self, batch: object) -> None:
        """Take note that a batch was sent."""

    def take_now(self, job: object) -> bool:
        """Take a job that was to run at once; False lets it run."""

    def pick(self, records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
        """Return the jobs that go to ``get_driver()``, and those that go their way."""

    def get_driver(self) -> object:
        """Return the driver that stands for all others; its name is a connection's."""

    def get_coordinator(self) -> object:
        """Return the coordinator that stands for that of the settings."""


class Current:
    """The outlet of this process; None outside of such tests."""

    outlet: Outlet | None = None
