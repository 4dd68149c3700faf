"""Failed jobs, results of tasks and entries of the schedule, as their tables have them."""

from uuid import UUID

from django.db.models import Count, Q, QuerySet

from jobs.models import FailedJob, JobResult, Schedule
from jobs.selectors.places import PAGE_SIZE, cut_page

#: Failed jobs that nobody has put back.
IS_OPEN = Q(retried_at=None, recovered_at=None)


def list_failed_jobs(*, queue: str | None = None, connection: str | None = None) -> QuerySet[FailedJob]:
    """Return the failed jobs that nobody has put back, newest first; of one queue, and of one connection, if named."""
    failed = FailedJob.objects.filter(IS_OPEN).order_by("-failed_at", "-id")
    if queue is not None:
        failed = failed.filter(queue=queue)
    return failed if connection is None else failed.filter(connection=connection)


def count_open_failures() -> dict[tuple[str, str], int]:
    """Return how many failed jobs nobody has put back, by connection and queue."""
    rows = FailedJob.objects.filter(IS_OPEN).order_by("connection", "queue").values_list("connection", "queue")
    return {(connection, queue): count for connection, queue, count in rows.annotate(Count("id"))}


def find_result(job_id: UUID) -> JobResult | None:
    """Return the result of a task; None where there is none (any more)."""
    return JobResult.objects.filter(job_id=job_id).first()


def list_schedules() -> QuerySet[Schedule]:
    """Return the entries of the schedule by name."""
    return Schedule.objects.order_by("name")


def list_some_schedules(*, cursor: str = "", limit: int = PAGE_SIZE) -> tuple[list[Schedule], str]:
    """Return a page of the schedule by name, and the cursor of the next page, or nothing.

    Raises:
        InvalidCursorError: The cursor isn't one that a page was given.
    """
    return cut_page(Schedule.objects.all(), order="name", search={"list": "schedules"}, cursor=cursor, limit=limit)
