"""Everything that reads jobs without changing them."""

from jobs.selectors.failed import IS_OPEN, find_result, list_failed_jobs, list_schedules
from jobs.selectors.queues import (
    OutboxFigures,
    QueueHealth,
    QueueStatistics,
    get_queue_health,
    get_queue_statistics,
    list_outbox_figures,
)
from jobs.selectors.tries import (
    SHARES,
    Point,
    Total,
    TryStatistics,
    find_percentile,
    get_try_statistics,
    list_points,
    list_totals,
)
from jobs.selectors.workers import WorkerStatus, list_workers

__all__ = [
    "IS_OPEN",
    "SHARES",
    "OutboxFigures",
    "Point",
    "QueueHealth",
    "QueueStatistics",
    "Total",
    "TryStatistics",
    "WorkerStatus",
    "find_percentile",
    "find_result",
    "get_queue_health",
    "get_queue_statistics",
    "get_try_statistics",
    "list_failed_jobs",
    "list_outbox_figures",
    "list_points",
    "list_schedules",
    "list_totals",
    "list_workers",
]
