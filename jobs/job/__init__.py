"""Jobs: the base class, how one is dispatched, and the registry of those that may run."""

from jobs.job.base import InnerHandle, Job, dispatch
from jobs.job.bulk import dispatch_many
from jobs.job.fluent import PendingDispatch
from jobs.job.records import (
    Resolved,
    build_job,
    find_class,
    hide_key,
    make_record,
    resolve_options,
)
from jobs.job.registry import get_job_class, get_job_name, list_job_classes
from jobs.job.running import JobEnd, JobRun

__all__ = [
    "InnerHandle",
    "Job",
    "JobEnd",
    "JobRun",
    "PendingDispatch",
    "Resolved",
    "build_job",
    "dispatch",
    "dispatch_many",
    "find_class",
    "get_job_class",
    "get_job_name",
    "hide_key",
    "list_job_classes",
    "make_record",
    "resolve_options",
]
