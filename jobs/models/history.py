"""What became of tries of jobs, for people who look for one."""

from django.db import models


class JobTry(models.Model):
    """One try of a job that has ended.

    It is written some seconds after its end, by the worker, together with others. A process lists only so many of the
    jobs that are done in a second (``JOBS["HISTORY_PER_SECOND"]``); all are counted in ``JobMetric``.
    """

    id = models.BigAutoField(primary_key=True)
    job_id = models.UUIDField(db_index=True)
    connection = models.CharField(max_length=100)
    queue = models.CharField(max_length=100)
    #: Registered name of the class; of a record that can't be trusted, what that says.
    job_class = models.CharField(max_length=200)
    #: ``done``, ``released`` (another try follows), ``failed`` or ``quarantined``.
    state = models.CharField(max_length=11)
    #: Which try it was, those included that were cut short.
    attempt = models.PositiveIntegerField()
    #: Name of the worker.
    worker = models.CharField(max_length=200)
    #: When it was claimed, how long it was due before that, and how long it ran.
    started_at = models.DateTimeField()
    wait_seconds = models.FloatField()
    run_seconds = models.FloatField()
    ended_at = models.DateTimeField(db_index=True)
    #: Name of what it raised; the text, which may tell an argument, stands with the failed job alone.
    error = models.CharField(max_length=200, blank=True)
    #: When the job was dispatched, and what it is part of, where its record says so.
    dispatched_at = models.DateTimeField(null=True)
    batch_id = models.UUIDField(null=True)
    #: Whether its class or one of its tags is silenced, so that it stands in a list apart.
    is_silenced = models.BooleanField(default=False)

    class Meta:
        db_table = "job_tries"
        verbose_name = "try"
        verbose_name_plural = "tries"
        indexes = [
            models.Index(fields=["state", "is_silenced", "-ended_at", "-id"], name="job_tries_by_state"),
            models.Index(fields=["queue", "-ended_at", "-id"], name="job_tries_by_queue"),
            models.Index(fields=["job_class", "-ended_at", "-id"], name="job_tries_by_class"),
        ]

    def __str__(self) -> str:
        return f"{self.job_class} {self.job_id} {self.attempt}"


class JobTag(models.Model):
    """A word by which a job that was tried is found."""

    id = models.BigAutoField(primary_key=True)
    one_try = models.ForeignKey(JobTry, on_delete=models.CASCADE, related_name="tags")
    tag = models.CharField(max_length=200)

    class Meta:
        db_table = "job_tags"
        verbose_name = "tag"
        indexes = [models.Index(fields=["tag", "-one_try"], name="job_tags_by_tag")]

    def __str__(self) -> str:
        return self.tag
