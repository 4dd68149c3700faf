"""How tries of jobs ended, and how long they took."""

from django.db import models


class JobMetric(models.Model):
    """The tries of one class of jobs, from one queue, that ended within one minute."""

    id = models.BigAutoField(primary_key=True)
    #: Begin of the minute.
    minute = models.DateTimeField()
    connection = models.CharField(max_length=100)
    queue = models.CharField(max_length=100)
    #: Registered name of the class; empty for records that can't be trusted.
    job_class = models.CharField(max_length=200, blank=True)
    #: Tries by their end; each counts in one of these three.
    processed = models.PositiveBigIntegerField(default=0)
    released = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    #: Those among the last two that took too long.
    timed_out = models.PositiveBigIntegerField(default=0)
    #: Run time of all tries, and of the longest one.
    run_seconds = models.FloatField(default=0)
    max_run_seconds = models.FloatField(default=0)
    #: Time from due until claim, of all tries, and of the one that waited longest.
    wait_seconds = models.FloatField(default=0)
    max_wait_seconds = models.FloatField(default=0)

    class Meta:
        db_table = "job_metrics"
        verbose_name = "metric"
        constraints = [
            models.UniqueConstraint(fields=["minute", "connection", "queue", "job_class"], name="job_metrics_once")
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.queue} {self.job_class}"
