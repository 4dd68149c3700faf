"""Batches, as their tables have them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import Count, QuerySet

from jobs.models import Batch, BatchMember
from jobs.selectors.places import PAGE_SIZE, cut_page
from project.printable import to_storable

_STATES: Final = ("pending", "processed", "failed", "retrying", "skipped")


class BatchState(StrEnum):
    """How a batch that is looked for stands."""

    OPEN = "open"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    #: With failures, whatever else it is.
    FAILED = "failed"


def list_batches(
    *, state: BatchState | None = None, name: str = "", cursor: str = "", limit: int = PAGE_SIZE
) -> tuple[list[Batch], str]:
    """Return a page of batches, newest first, without what follows them; and the cursor of the next page, or nothing.

    A name is a part of theirs, in letters of either case.

    Raises:
        InvalidCursorError: The cursor isn't one that a page of this very search was given.
    """
    rows = _find_batches(state).defer("options")
    if name:
        rows = rows.filter(name__icontains=to_storable(name))
    search = {"list": "batches", "state": state or "", "name": name}
    return cut_page(rows, order="-created_at", search=search, cursor=cursor, limit=limit)


def _find_batches(state: BatchState | None) -> QuerySet[Batch]:
    match state:
        case BatchState.OPEN:
            return Batch.objects.filter(finished_at=None)
        case BatchState.FINISHED:
            return Batch.objects.filter(finished_at__isnull=False, cancelled_at=None)
        case BatchState.CANCELLED:
            return Batch.objects.filter(cancelled_at__isnull=False)
        case BatchState.FAILED:
            return Batch.objects.filter(failed_jobs__gt=0)
        case None:
            return Batch.objects.all()


def count_members(batch_id: UUID) -> Mapping[str, int]:
    """Return how many jobs of a batch are in each state."""
    rows = BatchMember.objects.filter(batch=batch_id).order_by("state").values_list("state")
    return {**dict.fromkeys(_STATES, 0), **dict(rows.annotate(Count("id")))}
