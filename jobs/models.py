"""The tables of the database driver, and failed jobs of every driver."""

from uuid import uuid4

from django.db import models


class QueuedJob(models.Model):
    """A job that waits or runs. The row is deleted when the job is done, or moved to ``FailedJob``."""

    #: Order of arrival; ties of priority and due time are broken by it.
    id = models.BigAutoField(primary_key=True)
    #: The job's own id, kept across retries; what ``dispatch`` returns.
    job_id = models.UUIDField(unique=True, default=uuid4, editable=False)
    #: Queue that it waits in.
    queue = models.CharField(max_length=100)
    #: Registered name of the job class, such as ``accounts.SendEmailJob``.
    job_class = models.CharField(max_length=200)
    #: The signed record, JSON text (``jobs.payload``).
    payload = models.TextField()
    #: 0 to 255; higher runs first.
    priority = models.PositiveSmallIntegerField(default=0)
    #: How often a worker has claimed it; counted at the claim, so that a crash counts.
    attempts = models.PositiveIntegerField(default=0)
    #: Not claimed before this instant; moved forward by delay and back-off.
    available_at = models.DateTimeField()
    #: While a worker holds it: when the hold lapses and another may take it. Empty while it waits.
    lease_expires_at = models.DateTimeField(null=True)
    #: While a worker holds it: that hold's own id. Finishing with another one changes nothing.
    lease_id = models.UUIDField(null=True)
    #: While a worker holds it: the worker's name.
    worker = models.CharField(max_length=200, blank=True)
    #: Set once, at dispatch.
    created_at = models.DateTimeField()

    class Meta:
        db_table = "jobs"
        verbose_name = "queued job"
        indexes = [
            models.Index(fields=["queue", "-priority", "available_at", "id"], name="jobs_claim_order"),
            # A worker that serves every queue walks this one.
            models.Index(fields=["-priority", "available_at", "id"], name="jobs_claim_order_all"),
            models.Index(fields=["lease_expires_at"], name="jobs_leases", condition=models.Q(lease_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.job_class} {self.job_id}"


class FailedJob(models.Model):
    """A job that used up its tries, failed for good, or could not be read. It stays until retried or forgotten."""

    id = models.BigAutoField(primary_key=True)
    #: The job's own id; a retry runs under the same one.
    job_id = models.UUIDField(unique=True)
    queue = models.CharField(max_length=100)
    job_class = models.CharField(max_length=200)
    #: The signed record as it stood in the queue; a retry pushes it again.
    payload = models.TextField()
    priority = models.PositiveSmallIntegerField(default=0)
    #: Attempts used when it failed.
    attempts = models.PositiveIntegerField()
    #: Type and text of the last exception, without arguments.
    exception = models.TextField()
    #: Traceback of the last exception.
    traceback = models.TextField(blank=True)
    failed_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "failed_jobs"
        verbose_name = "failed job"
        ordering = ["-failed_at", "-id"]

    def __str__(self) -> str:
        return f"{self.job_class} {self.job_id}"

    @property
    def summary(self) -> str:
        """The first line of the exception, of at most 200 characters."""
        return (self.exception.splitlines() or [""])[0][:200]


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
