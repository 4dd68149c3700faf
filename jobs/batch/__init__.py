"""Batches: jobs that are counted together, with callbacks when they get on, fail and end.

::

    batch([ImportJob(1), ImportJob(2), [ResizeJob(3), PublishJob(3)]]).name("Import").then(report).dispatch()

A list within the list is a chain. Callbacks are functions on the top level of a module, because they travel by name,
or jobs; each is called once, by a job of its own, with the batch as it stands then. A batch within the list counts as
one job, which is done when that batch was sent.
"""

from jobs.batch.members import Callback, Members, encode_callback
from jobs.batch.pending import PendingBatch, batch
from jobs.batch.stored import Batch, BatchableJob, Failure, OpenBatchJob, find_batch, to_batch

__all__ = [
    "Batch",
    "BatchableJob",
    "Callback",
    "Failure",
    "Members",
    "OpenBatchJob",
    "PendingBatch",
    "batch",
    "encode_callback",
    "find_batch",
    "to_batch",
]
