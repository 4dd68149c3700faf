"""Finding what was done to the log behind the house's back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from permissions.audit.signing import BROKEN, is_genuine, is_genuine_head, is_unchanged
from permissions.models.audit import AuditEvent, AuditHead

type Kind = Literal["edited", "deleted", "reordered", "truncated", "forged"]

_CHUNK_SIZE = 1000
_MEANINGS: dict[Kind, str] = {
    "edited": "The event is not as it was sealed.",
    "deleted": "The event that stood here is gone.",
    "reordered": "The event that stood here stands elsewhere.",
    "truncated": "The end of the log is gone.",
    "forged": "This was not written by the house.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong."""

    kind: Kind
    #: Place in the chain; None where the event isn't sealed yet.
    position: int | None
    #: Key of the row, if there is one.
    event_id: int | None

    def __str__(self) -> str:
        place = "among the events not yet sealed" if self.position is None else f"at position {self.position}"
        row = "" if self.event_id is None else f" (id {self.event_id})"
        return f"{self.kind} {place}{row}: {_MEANINGS[self.kind]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What there is to say about the whole log."""

    #: None where all is well.
    fault: Fault | None
    #: Events that were looked at in the chain, up to the fault if there is one.
    sealed_count: int
    #: Events that are recorded and not in the chain yet.
    unsealed_count: int
    #: When the oldest of these was recorded.
    oldest_unsealed_at: datetime | None
    #: Position and hash of the last event that was looked at. Kept elsewhere, they show later that the log still
    #: goes on from here.
    head_position: int
    head_hash: str


def verify(*, after: int = 0) -> Verification:
    """Look at every event, in constant memory, while the house goes on writing.

    Args:
        after: Start behind this position, such as that of a fault that is known and explained.

    Raises:
        LookupError: The log ends before that.
    """
    if after > (last := _find_last_position()):
        message = f"The log ends at position {last}; nothing stands behind {after}."
        raise LookupError(message)
    walk = _Walk(after)
    fault = walk.find_fault() or _find_unsealed_fault()
    unsealed = AuditEvent.objects.filter(position=None)
    return Verification(
        fault=fault,
        sealed_count=walk.count,
        unsealed_count=unsealed.count(),
        oldest_unsealed_at=unsealed.order_by("pk").values_list("created_at", flat=True).first(),
        head_position=walk.position,
        head_hash=walk.hash or "",
    )


class _Walk:
    """A walk along the chain. It knows the last event that was good."""

    def __init__(self, after: int) -> None:
        self.count = 0
        self.position = after
        #: None where nobody knows it: of a start at what is gone, as is what followed.
        self.hash = _find_hash(after)
        self._after = after

    def find_fault(self) -> Fault | None:
        """Walk to the end, which may move meanwhile."""
        while True:
            head = AuditHead.objects.first()
            for event in self._read(head):
                if kind := self._find_kind(event):
                    position = event.position if kind in {"edited", "forged"} else self.position + 1
                    return Fault(kind=kind, position=position, event_id=event.pk)
                self.count, self.position, self.hash = self.count + 1, self.position + 1, event.hash
            beyond = AuditEvent.objects.filter(position__gt=self.position).order_by("position").first()
            # An end that is read later than the rows covers them all, if it is honest.
            if AuditHead.objects.first() == head:
                return self._check_end(head, beyond)

    def _read(self, head: AuditHead | None) -> Iterator[AuditEvent]:
        """Yield the sealed events up to the end, in order, a piece at a time."""
        sealed = AuditEvent.objects.exclude(position=None).order_by("position")
        if head is not None:
            sealed = sealed.filter(position__lte=head.position)
        # Nothing stands before the first position, but what does is to be found.
        rest = sealed.filter(position__gt=self.position) if self.position else sealed
        while chunk := list(rest[:_CHUNK_SIZE]):
            yield from chunk
            rest = sealed.filter(position__gt=chunk[-1].position)

    def _find_kind(self, event: AuditEvent) -> Kind | None:
        """Return what is wrong with the event that stands next, or None."""
        follows = event.position == self.position + 1 and event.previous_hash == self.hash
        if follows and is_unchanged(event):
            return None if is_genuine(event) else "forged"
        if event.previous_hash == BROKEN and is_unchanged(event):
            return "truncated"
        sealed = AuditEvent.objects.exclude(position=None)
        successors = sealed.none() if self.hash is None else sealed.filter(previous_hash=self.hash)
        if not is_unchanged(event):
            return "forged" if any(is_unchanged(other) for other in successors.exclude(pk=event.pk)) else "edited"
        return "reordered" if successors.exists() else "deleted"

    def _check_end(self, head: AuditHead | None, beyond: AuditEvent | None) -> Fault | None:
        """Compare what was found with what the sealer wrote down."""
        if head is None:
            is_empty = self.position == 0
            return None if is_empty else Fault(kind="truncated", position=self.position + 1, event_id=None)
        if is_genuine_head(head) and head.position > self.position:
            return Fault(kind="truncated", position=self.position + 1, event_id=None)
        if beyond is not None:
            return Fault(kind="forged", position=beyond.position, event_id=beyond.pk)
        if not is_genuine_head(head) or head.hash != self.hash:
            return Fault(kind="forged", position=head.position, event_id=None)
        return None


def _find_hash(position: int) -> str | None:
    """Return the hash of the event at a position; of one that is gone or not as it was, what came next says it."""
    if not position:
        return ""
    event, following = (AuditEvent.objects.filter(position=one).first() for one in (position, position + 1))
    if event is not None and is_unchanged(event):
        return event.hash
    if following is not None:
        return following.previous_hash
    head = AuditHead.objects.first()
    return head.hash if head is not None and head.position == position else None


def _find_last_position() -> int:
    """Return where the log ends, by its events and by what the sealer wrote down."""
    head, event = AuditHead.objects.first(), AuditEvent.objects.exclude(position=None).order_by("-position").first()
    return max(head.position if head else 0, (event.position if event else 0) or 0)


def _find_unsealed_fault() -> Fault | None:
    unsealed = AuditEvent.objects.filter(position=None).order_by("pk")
    rest = unsealed
    while chunk := list(rest[:_CHUNK_SIZE]):
        for event in chunk:
            if not is_genuine(event):
                return Fault(kind="forged", position=None, event_id=event.pk)
        rest = unsealed.filter(pk__gt=chunk[-1].pk)
    return None
