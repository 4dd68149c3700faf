"""Batches of jobs, of every connection."""

from uuid import uuid4

from django.db import models


class Batch(models.Model):
    """Jobs that are counted together, and what follows when they are done."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    #: For people; may be empty.
    name = models.CharField(max_length=200, blank=True)
    #: All jobs that were added, without those that left.
    total_jobs = models.PositiveIntegerField(default=0)
    #: Those that have not succeeded yet; those that failed are among them.
    pending_jobs = models.PositiveIntegerField(default=0)
    #: Those that have failed and were not retried with success.
    failed_jobs = models.PositiveIntegerField(default=0)
    #: How many may fail before the rest is cancelled; empty: any number.
    allowed_failures = models.PositiveIntegerField(null=True, default=0)
    #: Signed JSON (``jobs.services.batches.plans.BatchOptions``): callbacks, the rest of a chain, what was called.
    options = models.TextField()
    created_at = models.DateTimeField(db_index=True)
    cancelled_at = models.DateTimeField(null=True)
    #: When all had succeeded, or it was cancelled; empty again when jobs are added.
    finished_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        db_table = "job_batches"
        verbose_name = "batch"
        verbose_name_plural = "batches"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or str(self.id)


class BatchMember(models.Model):
    """One job of a batch, and how it ended; so that each counts once, however often a worker says so."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="members")
    job_id = models.UUIDField(unique=True)
    #: ``pending``, ``processed``, ``failed``, ``retrying`` (still among the failed) or ``skipped`` (it left).
    state = models.CharField(max_length=10, default="pending")
    #: What its end meant for the batch, as names of callbacks separated by commas.
    events = models.CharField(max_length=100, blank=True)

    class Meta:
        db_table = "job_batch_members"
        verbose_name = "job of a batch"
        indexes = [models.Index(fields=["batch", "state"], name="job_batch_members_state")]

    def __str__(self) -> str:
        return str(self.job_id)
