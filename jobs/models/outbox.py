"""Jobs that wait in the database until their own store has them."""

from uuid import uuid4

from django.db import models


class OutboxJob(models.Model):
    """A job on its way to a store that takes no part in transactions. The row is deleted when that has the job."""

    #: Order in which rows are relayed.
    id = models.BigAutoField(primary_key=True)
    #: Names the row to the store, which takes it once.
    key = models.UUIDField(default=uuid4, editable=False)
    #: Connection whose store is to have it.
    connection = models.CharField(max_length=100)
    job_id = models.UUIDField()
    queue = models.CharField(max_length=100)
    job_class = models.CharField(max_length=200)
    #: The signed record, JSON text (``jobs.payload``); sealed where the job is.
    payload = models.TextField()
    priority = models.PositiveSmallIntegerField(default=0)
    available_at = models.DateTimeField()
    created_at = models.DateTimeField()
    #: How long a try may take, in seconds; for workers of RQ.
    timeout_seconds = models.FloatField()
    #: Until then whoever set it sends the row, and nobody else. Empty: nobody has tried yet.
    held_until = models.DateTimeField(null=True)
    #: Whether its locks are still to be taken: they were away as well when it was sent.
    needs_locks = models.BooleanField(default=False)

    class Meta:
        db_table = "jobs_outbox"
        verbose_name = "job in the outbox"
        verbose_name_plural = "jobs in the outbox"
        indexes = [models.Index(fields=["connection", "id"], name="jobs_outbox_order")]

    def __str__(self) -> str:
        return f"{self.job_class} {self.job_id}"
