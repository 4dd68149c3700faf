"""Worker processes."""

from django.db import models


class WorkerHeartbeat(models.Model):
    """A worker process that is alive, or was until ``alive_until``."""

    #: ``host:pid:random``, unique for each start; ``--name`` takes the place of the host.
    name = models.CharField(max_length=200, primary_key=True)
    #: Where it runs.
    host = models.CharField(max_length=150, default="")
    pid = models.PositiveIntegerField(default=0)
    #: Connection that it serves.
    connection = models.CharField(max_length=100, default="")
    #: Queues it serves, comma-separated, in order.
    queues = models.TextField()
    started_at = models.DateTimeField()
    #: When it last reported.
    beat_at = models.DateTimeField()
    #: Written between jobs and at each claim; past it the worker counts as dead.
    alive_until = models.DateTimeField(db_index=True)
    #: Job in hand, if any.
    current_job_id = models.UUIDField(null=True)
    current_job_class = models.CharField(max_length=200, default="")
    #: When that was claimed.
    current_job_since = models.DateTimeField(null=True)
    #: How many jobs it runs at this moment, and how many tries it has begun.
    running_count = models.PositiveIntegerField(default=0)
    try_count = models.PositiveBigIntegerField(default=0)
    #: Memory that it has now, in MB, and processor time since the last report, in percent of one core.
    memory_mb = models.FloatField(null=True)
    cpu_percent = models.FloatField(null=True)
    #: Whether it takes no jobs until it is told to go on.
    is_resting = models.BooleanField(default=False)
    #: What somebody wants of it that it hasn't heard yet: ``rest``, ``go_on``, ``stop``, or nothing.
    wish = models.CharField(max_length=10, default="")

    class Meta:
        db_table = "job_workers"
        verbose_name = "worker"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
