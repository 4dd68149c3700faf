"""What a job knows and decides while it runs."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID


@dataclass(slots=True, kw_only=True)
class JobRun:
    """One try of a job: where it came from, and how it is to end."""

    job_id: UUID
    queue: str
    connection: str
    #: This try included.
    attempts: int
    batch_id: UUID | None = None
    #: What follows, as JSON values (``jobs.payload.Record.chain``); the job may change it.
    chain: dict[str, Any] | None = None  # Any: JSON
    #: Set by ``release``: the wait before the next try.
    released: timedelta | datetime | None = None
    #: Set by ``delete``.
    is_deleted: bool = False
    #: Set by ``fail`` where it doesn't raise.
    error: Exception | None = None
    #: What runs when this try is over, whatever became of it; set by middleware.
    finalizers: list[Any] = field(default_factory=list)  # Any: callables

    @property
    def is_decided(self) -> bool:
        """Whether the job has said how it ends."""
        return self.is_deleted or self.released is not None or self.error is not None
