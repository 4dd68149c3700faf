"""Worker processes."""

from django.db import models


class WorkerHeartbeat(models.Model):
    """A worker process that is alive, or was until ``alive_until``."""

    #: ``host:pid:random``, unique for each start; ``--name`` takes the place of the host.
    name = models.CharField(max_length=200, primary_key=True)
    #: Queues it serves, comma-separated, in order.
    queues = models.TextField()
    started_at = models.DateTimeField()
    #: When it last reported.
    beat_at = models.DateTimeField()
    #: Written between jobs and at each claim; past it the worker counts as dead.
    alive_until = models.DateTimeField(db_index=True)
    #: Job in hand, if any.
    current_job_id = models.UUIDField(null=True)

    class Meta:
        db_table = "job_workers"
        verbose_name = "worker"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
