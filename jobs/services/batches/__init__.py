"""Batches: what they hold, how their jobs are counted, and what follows."""

from jobs.services.batches.changes import add_jobs, cancel_batch, delete_batch, prune_batches, send_batch
from jobs.services.batches.counting import (
    abandon,
    abandon_links,
    break_chain,
    close_member,
    leave_batch,
    record_failure,
    record_success,
    reopen_member,
    skip_cancelled,
)
from jobs.services.batches.following import CALLBACK_JOB, call_catch, start_link
from jobs.services.batches.plans import BatchOptions, BatchPlan, allows, get_callbacks, read_options

__all__ = [
    "CALLBACK_JOB",
    "BatchOptions",
    "BatchPlan",
    "abandon",
    "abandon_links",
    "add_jobs",
    "allows",
    "break_chain",
    "call_catch",
    "cancel_batch",
    "close_member",
    "delete_batch",
    "get_callbacks",
    "leave_batch",
    "prune_batches",
    "read_options",
    "record_failure",
    "record_success",
    "reopen_member",
    "send_batch",
    "skip_cancelled",
    "start_link",
]
