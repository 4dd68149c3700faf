"""The tables of jobs: what waits, what is on its way, what failed, batches, locks, schedules, figures."""

from jobs.models.batches import Batch, BatchMember
from jobs.models.coordination import Counter, Hit, Slot
from jobs.models.failed import FailedJob
from jobs.models.history import JobTag, JobTry
from jobs.models.metrics import JobMetric
from jobs.models.outbox import OutboxJob
from jobs.models.queued import QueuedJob, QueuePause
from jobs.models.results import JobResult
from jobs.models.schedules import MissedRuns, RunState, Schedule, ScheduleRun
from jobs.models.workers import WorkerHeartbeat

__all__ = [
    "Batch",
    "BatchMember",
    "Counter",
    "FailedJob",
    "Hit",
    "JobMetric",
    "JobResult",
    "JobTag",
    "JobTry",
    "MissedRuns",
    "OutboxJob",
    "QueuePause",
    "QueuedJob",
    "RunState",
    "Schedule",
    "ScheduleRun",
    "Slot",
    "WorkerHeartbeat",
]
