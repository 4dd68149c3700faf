"""The tables of jobs: what waits, what failed, batches, what workers agree on, schedules, figures."""

from jobs.models.batches import Batch, BatchMember
from jobs.models.coordination import Counter, Hit, Slot
from jobs.models.failed import FailedJob
from jobs.models.metrics import JobMetric
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
    "MissedRuns",
    "QueuePause",
    "QueuedJob",
    "RunState",
    "Schedule",
    "ScheduleRun",
    "Slot",
    "WorkerHeartbeat",
]
