"""What the database driver keeps: jobs that wait or run, and which queues rest."""

from uuid import uuid4

from django.db import models

#: Stands for all queues where one may be named; no queue can be called so.
EVERY_QUEUE = "*"


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
    #: How many of those were cut short: the worker died, or lost its lease.
    crashes = models.PositiveSmallIntegerField(default=0)
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


class QueuePause(models.Model):
    """A queue of the database driver from which nothing is claimed."""

    #: Name of the queue; ``*`` stands for all.
    queue = models.CharField(max_length=100, primary_key=True)
    #: When it ends by itself; empty: when somebody resumes the queue.
    until = models.DateTimeField(null=True)

    class Meta:
        db_table = "job_queue_pauses"
        verbose_name = "paused queue"

    def __str__(self) -> str:
        return self.queue
