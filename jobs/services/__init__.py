"""Everything that changes jobs, batches, failed jobs and the workers' heartbeats."""

from datetime import datetime

from jobs.drivers.base import get_driver
from jobs.services.batches import (
    CALLBACK_JOB,
    BatchPlan,
    add_jobs,
    allows,
    cancel_batch,
    delete_batch,
    get_callbacks,
    prune_batches,
    read_options,
    send_batch,
    start_link,
)
from jobs.services.dispatching import DEBOUNCE, UNIQUE, announce_queued, make_messages, send
from jobs.services.failed import (
    forget_failed_job,
    forget_failed_jobs,
    prune_failed_jobs,
    retry_batch,
    retry_failed_job,
    retry_failed_jobs,
)
from jobs.services.results import (
    ResultStatus,
    create_result,
    dump,
    end_result,
    forget_result,
    prune_results,
    reopen_result,
    start_result,
)
from jobs.services.settlement import (
    MAX_EXCEPTION_LENGTH,
    MAX_TRACEBACK_LENGTH,
    count_exception,
    describe_failure,
    fail_job,
    finish_job,
    get_facts,
    is_superseded,
    quarantine_job,
    release_job,
    release_locks,
    release_unique,
)
from jobs.services.workers import (
    get_restart_count,
    record_heartbeat,
    remove_dead_heartbeats,
    remove_heartbeat,
    request_restart,
)


def clear_queue(*, queue: str | None = None, connection: str | None = None, now: datetime | None = None) -> int:
    """Delete the jobs of one queue, or of all, that wait or are delayed; return how many. Running ones are left."""
    return get_driver(connection).clear(queue=queue, now=now)


__all__ = [
    "CALLBACK_JOB",
    "DEBOUNCE",
    "MAX_EXCEPTION_LENGTH",
    "MAX_TRACEBACK_LENGTH",
    "UNIQUE",
    "BatchPlan",
    "ResultStatus",
    "add_jobs",
    "allows",
    "announce_queued",
    "cancel_batch",
    "clear_queue",
    "count_exception",
    "create_result",
    "delete_batch",
    "describe_failure",
    "dump",
    "end_result",
    "fail_job",
    "finish_job",
    "forget_failed_job",
    "forget_failed_jobs",
    "forget_result",
    "get_callbacks",
    "get_facts",
    "get_restart_count",
    "is_superseded",
    "make_messages",
    "prune_batches",
    "prune_failed_jobs",
    "prune_results",
    "quarantine_job",
    "read_options",
    "record_heartbeat",
    "release_job",
    "release_locks",
    "release_unique",
    "remove_dead_heartbeats",
    "remove_heartbeat",
    "reopen_result",
    "request_restart",
    "retry_batch",
    "retry_failed_job",
    "retry_failed_jobs",
    "send",
    "send_batch",
    "start_link",
    "start_result",
]
