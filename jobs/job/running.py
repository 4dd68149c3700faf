"""What a job knows and decides while it runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID


@dataclass(slots=True, kw_only=True)
class JobRun:
    """One try of a job: where it came from, and how it is to end."""

    job_id: UUID
    queue: str
    connection: str
    #: This try included.
    attempts: int
    #: Name of the worker; empty where there is none.
    worker: str = ""
    #: How long it may take, in seconds; 0 means no limit.
    timeout: float = 0
    batch_id: UUID | None = None
    #: What follows, as JSON values (``jobs.payload.Record.chain``); the job may change it.
    chain: dict[str, Any] | None = None  # Any: JSON
    #: How many jobs it has added to that.
    added: int = 0
    #: Set by ``release``: the wait before the next try.
    released: timedelta | datetime | None = None
    #: Set by ``delete``.
    is_deleted: bool = False
    #: Set by middleware that lets an exception through which is the last one, whatever tries are left.
    is_final: bool = False
    #: Set by ``fail``: what the job fails with, even if it catches it.
    failure: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a try ended, for a job that keeps a record of it."""

    state: Literal["done", "released", "failed"]
    #: The number of the try.
    attempts: int
    error: Exception | None
    now: datetime
