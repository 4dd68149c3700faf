"""How tries of jobs ended, and how long they took."""

from typing import Final

from django.db import models

#: Upper bounds of the classes by which run times and waits are told apart, in seconds; what is longer is in one more.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
#: Lengths of the periods whose figures are kept, in seconds. That of 0 has no end: all since the first try.
MINUTE, HOUR, EVER = 60, 3600, 0


class JobMetric(models.Model):
    """The tries of one class of jobs, from one queue, that ended within one period."""

    id = models.BigAutoField(primary_key=True)
    #: How long the period is: a minute, an hour, or 0 for all time.
    period_seconds = models.PositiveIntegerField(default=MINUTE)
    #: Begin of the period; of all time, that of 1970.
    begins_at = models.DateTimeField()
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
    #: Tries that took, and tries that waited, no longer than each of ``BOUNDS`` and longer than the one before:
    #: columns, which can be added up in every database.
    run_bucket_0 = models.PositiveBigIntegerField(default=0)
    run_bucket_1 = models.PositiveBigIntegerField(default=0)
    run_bucket_2 = models.PositiveBigIntegerField(default=0)
    run_bucket_3 = models.PositiveBigIntegerField(default=0)
    run_bucket_4 = models.PositiveBigIntegerField(default=0)
    run_bucket_5 = models.PositiveBigIntegerField(default=0)
    run_bucket_6 = models.PositiveBigIntegerField(default=0)
    run_bucket_7 = models.PositiveBigIntegerField(default=0)
    run_bucket_8 = models.PositiveBigIntegerField(default=0)
    run_bucket_9 = models.PositiveBigIntegerField(default=0)
    run_bucket_10 = models.PositiveBigIntegerField(default=0)
    run_bucket_11 = models.PositiveBigIntegerField(default=0)
    run_bucket_12 = models.PositiveBigIntegerField(default=0)
    run_bucket_13 = models.PositiveBigIntegerField(default=0)
    run_bucket_14 = models.PositiveBigIntegerField(default=0)
    run_bucket_15 = models.PositiveBigIntegerField(default=0)
    run_bucket_16 = models.PositiveBigIntegerField(default=0)
    wait_bucket_0 = models.PositiveBigIntegerField(default=0)
    wait_bucket_1 = models.PositiveBigIntegerField(default=0)
    wait_bucket_2 = models.PositiveBigIntegerField(default=0)
    wait_bucket_3 = models.PositiveBigIntegerField(default=0)
    wait_bucket_4 = models.PositiveBigIntegerField(default=0)
    wait_bucket_5 = models.PositiveBigIntegerField(default=0)
    wait_bucket_6 = models.PositiveBigIntegerField(default=0)
    wait_bucket_7 = models.PositiveBigIntegerField(default=0)
    wait_bucket_8 = models.PositiveBigIntegerField(default=0)
    wait_bucket_9 = models.PositiveBigIntegerField(default=0)
    wait_bucket_10 = models.PositiveBigIntegerField(default=0)
    wait_bucket_11 = models.PositiveBigIntegerField(default=0)
    wait_bucket_12 = models.PositiveBigIntegerField(default=0)
    wait_bucket_13 = models.PositiveBigIntegerField(default=0)
    wait_bucket_14 = models.PositiveBigIntegerField(default=0)
    wait_bucket_15 = models.PositiveBigIntegerField(default=0)
    wait_bucket_16 = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "job_metrics"
        verbose_name = "metric"
        permissions = [("view_dashboard", "Can view the dashboard of jobs")]
        constraints = [
            models.UniqueConstraint(
                fields=["period_seconds", "begins_at", "connection", "queue", "job_class"], name="job_metrics_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H:%M} {self.queue} {self.job_class}"
