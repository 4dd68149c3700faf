"""Everything that reads jobs without changing them."""

from jobs.selectors.batches import BatchState, count_members, list_batches
from jobs.selectors.browsing import (
    FailedState,
    JobPage,
    JobQuery,
    JobRow,
    JobStatus,
    find_failed_jobs,
    list_jobs,
)
from jobs.selectors.connections import ConnectionState, QueueState, list_connection_states
from jobs.selectors.failed import (
    IS_OPEN,
    count_open_failures,
    find_result,
    list_failed_jobs,
    list_schedules,
    list_some_schedules,
)
from jobs.selectors.health import Health, Problem, list_problems
from jobs.selectors.life import MAX_TRIES, JobLife, find_stored_job, get_job_life
from jobs.selectors.overview import Overview, QueueOverview, get_overview
from jobs.selectors.places import PAGE_SIZE
from jobs.selectors.queues import (
    OutboxFigures,
    QueueHealth,
    QueueStatistics,
    get_queue_health,
    get_queue_statistics,
    list_outbox_figures,
)
from jobs.selectors.stores import list_stores
from jobs.selectors.tries import (
    SHARES,
    Point,
    Total,
    TryStatistics,
    find_percentile,
    get_tables,
    get_try_statistics,
    list_points,
    list_totals,
)
from jobs.selectors.waits import describe_long_wait, list_long_waits
from jobs.selectors.workers import WORKER_STATES, WorkerStatus, list_workers

__all__ = [
    "IS_OPEN",
    "MAX_TRIES",
    "PAGE_SIZE",
    "SHARES",
    "WORKER_STATES",
    "BatchState",
    "ConnectionState",
    "FailedState",
    "Health",
    "JobLife",
    "JobPage",
    "JobQuery",
    "JobRow",
    "JobStatus",
    "OutboxFigures",
    "Overview",
    "Point",
    "Problem",
    "QueueHealth",
    "QueueOverview",
    "QueueState",
    "QueueStatistics",
    "Total",
    "TryStatistics",
    "WorkerStatus",
    "count_members",
    "count_open_failures",
    "describe_long_wait",
    "find_failed_jobs",
    "find_percentile",
    "find_result",
    "find_stored_job",
    "get_job_life",
    "get_overview",
    "get_queue_health",
    "get_queue_statistics",
    "get_tables",
    "get_try_statistics",
    "list_batches",
    "list_connection_states",
    "list_failed_jobs",
    "list_jobs",
    "list_long_waits",
    "list_outbox_figures",
    "list_points",
    "list_problems",
    "list_schedules",
    "list_some_schedules",
    "list_stores",
    "list_totals",
    "list_workers",
]
