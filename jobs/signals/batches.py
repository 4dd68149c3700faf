"""Facts about batches."""

from dataclasses import dataclass
from uuid import UUID

from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFact:
    """What every fact about a batch tells."""

    batch_id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDispatched(BatchFact):
    """A batch and its jobs were stored; told after the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStarted(BatchFact):
    """The first job of a batch has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinished(BatchFact):
    """All jobs of a batch have ended well; told again where a finished one was added to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCancelled(BatchFact):
    """A batch was cancelled, by somebody or by a failure."""


batch_dispatched = FactSignal[BatchDispatched]()
batch_started = FactSignal[BatchStarted]()
batch_finished = FactSignal[BatchFinished]()
batch_cancelled = FactSignal[BatchCancelled]()
