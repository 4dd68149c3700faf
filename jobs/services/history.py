"""The history of jobs: tries that have ended, listed for people, and deleted again soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.models import JobTag, JobTry
from project.printable import to_storable

#: Tries that didn't end well are kept longer than others: as long as failed jobs are by default looked at.
TROUBLE_KEPT: Final = timedelta(days=7)
#: Tries that one step deletes at most, so that nobody waits for it; they come, and go, by the thousand.
MAX_TRIES_DELETED: Final = 10_000
_IN_A_STATEMENT: Final = 1_000
#: Tags that are kept of one job, and of each so many characters.
_MAX_TAGS: Final = 50
_MAX_TAG_LENGTH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTry:
    """What is kept of a try: the columns of ``JobTry``, and the tags of its job."""

    job_id: UUID
    connection: str
    queue: str
    job_class: str
    state: str
    attempt: int
    worker: str
    started_at: datetime
    wait: timedelta
    run: timedelta
    ended_at: datetime
    error: str = ""
    dispatched_at: datetime | None = None
    batch_id: UUID | None = None
    tags: Sequence[str] = ()
    is_silenced: bool = False


def add_tries(ended: Sequence[EndedTry]) -> None:
    """List tries, all or none; of what they are told, as much as the tables hold."""
    rows = [
        JobTry(
            job_id=one.job_id,
            connection=one.connection,
            queue=to_storable(one.queue)[:100],
            job_class=to_storable(one.job_class)[:200],
            state=one.state,
            attempt=one.attempt,
            worker=to_storable(one.worker)[:200],
            started_at=one.started_at,
            wait_seconds=one.wait.total_seconds(),
            run_seconds=one.run.total_seconds(),
            ended_at=one.ended_at,
            error=to_storable(one.error)[:200],
            dispatched_at=one.dispatched_at,
            batch_id=one.batch_id,
            is_silenced=one.is_silenced,
        )
        for one in ended
    ]
    with transaction.atomic():
        stored = JobTry.objects.bulk_create(rows)
        tags = [
            JobTag(one_try=row, tag=tag)
            for row, one in zip(stored, ended, strict=True)
            for tag in dict.fromkeys(to_storable(text)[:_MAX_TAG_LENGTH] for text in one.tags[:_MAX_TAGS])
        ]
        if tags:
            JobTag.objects.bulk_create(tags)


def list_old_tries(*, now: datetime) -> QuerySet[JobTry]:
    """Return the tries whose time is over: ``JOBS["HISTORY_MINUTES"]``, or a week where something went wrong."""
    kept = get_job_settings().history_kept
    went_well = Q(state="done", ended_at__lt=now - kept)
    return JobTry.objects.filter(went_well | Q(ended_at__lt=now - max(TROUBLE_KEPT, kept)))


def prune_tries(*, older_than: timedelta | None = None, now: datetime | None = None) -> int:
    """Delete tries that ended long ago, by default those whose time is over, step by step; return how many."""
    now = now or get_database_now()
    old = list_old_tries(now=now) if older_than is None else JobTry.objects.filter(ended_at__lt=now - older_than)
    deleted = 0
    while count := delete_tries(old):
        deleted += count
    return deleted


def delete_tries(old: QuerySet[JobTry]) -> int:
    """Delete those of these tries that ended first, with their tags, ``MAX_TRIES_DELETED`` at most; return how many."""
    keys = list(old.order_by("ended_at").values_list("pk", flat=True)[:MAX_TRIES_DELETED])
    # By hand, because Django would read the tags of each first.
    for table, column in ((JobTag, "one_try_id__in"), (JobTry, "pk__in")):
        for some in batched(keys, _IN_A_STATEMENT, strict=False):
            rows = table._default_manager.filter(**{column: some})  # noqa: SLF001 - public, in spite of its name
            rows._raw_delete(rows.db)  # noqa: SLF001 - Django has it for this
    return len(keys)
