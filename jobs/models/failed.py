"""Failed jobs of every connection."""

from django.db import models


class FailedJob(models.Model):
    """A job that used up its tries, failed for good, or could not be read. It stays until forgotten or pruned."""

    id = models.BigAutoField(primary_key=True)
    #: The job's own id; a retry runs under the same one.
    job_id = models.UUIDField(unique=True)
    #: Connection that it came from, where a retry sends it again.
    connection = models.CharField(max_length=100, default="database")
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
    #: Where and as part of what it ran: worker, batch, tags.
    context = models.JSONField(default=dict)
    #: Whether the record itself could not be trusted or read, so that nothing was run.
    is_quarantined = models.BooleanField(default=False)
    failed_at = models.DateTimeField(db_index=True)
    #: How often it was put back into its queue.
    retry_count = models.PositiveIntegerField(default=0)
    #: When it was put back last; empty again when it fails once more.
    retried_at = models.DateTimeField(null=True)
    #: When a retry ran to its end.
    recovered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "failed_jobs"
        verbose_name = "failed job"
        ordering = ["-failed_at", "-id"]
        permissions = [("view_payload", "Can view the arguments of failed jobs")]

    def __str__(self) -> str:
        return f"{self.job_class} {self.job_id}"

    @property
    def summary(self) -> str:
        """The first line of the exception, of at most 200 characters."""
        return (self.exception.splitlines() or [""])[0][:200]

    @property
    def state(self) -> str:
        """What became of it: ``failed``, ``retrying`` or ``recovered``."""
        if self.recovered_at is not None:
            return "recovered"
        return "failed" if self.retried_at is None else "retrying"
