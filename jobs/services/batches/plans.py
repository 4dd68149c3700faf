"""What a batch is: before it is stored, and in the signed document of its row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from jobs.models import Batch
from jobs.payload import Record, read_document, sign_document


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A batch before it is stored, as JSON values and records; it can travel in a chain."""

    name: str
    #: How many jobs may fail before the rest is cancelled; None: any number.
    allowed_failures: int | None
    #: Event to callbacks, each ``{"function": …}`` or ``{"job": …}``.
    callbacks: Mapping[str, Sequence[Mapping[str, Any]]]  # Any: JSON
    #: Records; the links of a chain within the batch come in the record before them.
    records: Sequence[Record]
    queue: str
    connection: str
    #: Whatever else its maker wants to keep with it.
    extra: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it as a link of a chain."""
        return {
            "name": self.name,
            "allowed_failures": self.allowed_failures,
            "callbacks": {event: list(calls) for event, calls in self.callbacks.items()},
            "records": [record.as_json() for record in self.records],
            "queue": self.queue,
            "connection": self.connection,
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:  # Any: JSON
        """Return what ``as_json`` was called on."""
        return cls(**{**values, "records": [Record.from_json(one) for one in values["records"]]})


@dataclass(slots=True, kw_only=True)
class BatchOptions:
    """What the row of a batch keeps signed: what is called, what follows, and what was called already."""

    callbacks: Mapping[str, Sequence[Mapping[str, Any]]]  # Any: JSON
    #: What follows when it has ended; None where it isn't a link of a chain.
    chain: Mapping[str, Any] | None  # Any: JSON
    #: Of its callbacks, and of jobs that say nothing themselves; without a connection, that of their queue holds.
    queue: str
    connection: str
    extra: Mapping[str, Any]  # Any: JSON
    #: Events that happen once, and have.
    past: list[str] = field(default_factory=list)

    def save(self, batch: Batch) -> None:
        """Write it into the row's fields; the caller saves the row."""
        body = {name: getattr(self, name) for name in ("callbacks", "chain", "queue", "connection", "extra", "past")}
        batch.options = sign_document(body, about=f"batch:{batch.id}")

    def is_first(self, event: str) -> bool:
        """Say whether something happens for the first time, and take note of it."""
        if event in self.past:
            return False
        self.past.append(event)
        return True


def read_options(batch: Batch) -> BatchOptions:
    """Return what was stored with a batch.

    Raises:
        PayloadError: The row was changed behind our back.
    """
    return BatchOptions(**read_document(batch.options, about=f"batch:{batch.id}"))


def get_callbacks(batch: Batch) -> Mapping[str, Sequence[Mapping[str, Any]]]:  # Any: JSON
    """Return the callbacks of a batch by event. Raises as ``read_options`` does."""
    return read_options(batch).callbacks


def allows(batch: Batch) -> bool:
    """Say whether a batch goes on after the failures that it has."""
    return batch.allowed_failures is None or batch.failed_jobs <= batch.allowed_failures


def list_ids(record: Record) -> list[UUID]:
    """Return the ids of a job and of the links that follow it."""
    return [record.job_id, *list_link_ids(record.chain)]


def list_link_ids(chain: Mapping[str, Any] | None, *, batch_id: UUID | None = None) -> list[UUID]:  # Any: JSON
    """Return the ids of the jobs in a chain, or of those that are in a batch."""
    records = [link["record"] for link in (chain or {}).get("links", []) if "record" in link]
    wanted = None if batch_id is None else str(batch_id)
    return [UUID(one["job_id"]) for one in records if wanted is None or one.get("batch_id") == wanted]
