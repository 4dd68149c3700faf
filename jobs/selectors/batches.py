"""Batches, as their tables have them."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db.models import Count, QuerySet

from jobs.models import Batch, BatchMember

_STATES: Final = ("pending", "processed", "failed", "retrying", "skipped")


def list_batches() -> QuerySet[Batch]:
    """Return the batches, newest first, without what follows them."""
    return Batch.objects.defer("options").order_by("-created_at", "-pk")


def count_members(batch_id: UUID) -> Mapping[str, int]:
    """Return how many jobs of a batch are in each state."""
    rows = BatchMember.objects.filter(batch=batch_id).order_by("state").values_list("state")
    return {**dict.fromkeys(_STATES, 0), **dict(rows.annotate(Count("id")))}
