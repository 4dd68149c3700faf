"""What is dispatched by the clock, and what has been."""

from datetime import timedelta

from django.db import models

from jobs.cron import Timing


class MissedRuns(models.TextChoices):
    """What becomes of runs whose time passed while nobody looked."""

    SKIP = "skip", "leave them out"
    ONCE = "once", "run once for all of them"
    ALL = "all", "run each of them, up to the bound"


class RunState(models.TextChoices):
    """What became of a run."""

    #: Its record is kept here until the store of the queue has it.
    PENDING = "pending", "on its way"
    SENT = "sent", "dispatched"
    SKIPPED = "skipped", "left out"
    FAILED = "failed", "could not be dispatched"


class Schedule(models.Model):
    """A job that is dispatched again and again, by cron expression or by interval."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    #: Registered name of the class.
    job_class = models.CharField(max_length=200)
    #: Constructor arguments as ``jobs.arguments`` writes them, JSON text; one sealed value where they are secret.
    arguments = models.TextField(default="{}", blank=True)
    cron = models.CharField("cron expression", max_length=100, blank=True)
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    #: In which the expression is read.
    timezone = models.CharField("time zone", max_length=64, default="UTC")
    #: Queue in place of that of the class.
    queue = models.CharField(max_length=100, blank=True)
    #: Priority in place of that of the class.
    priority = models.PositiveSmallIntegerField(null=True, blank=True)
    #: Key of the user on whose behalf the job runs: who saved the entry last.
    actor_id = models.CharField(max_length=100, blank=True, editable=False)
    is_enabled = models.BooleanField("enabled", default=True)
    missed_runs = models.CharField(max_length=10, choices=MissedRuns, default=MissedRuns.ONCE)
    #: How many missed runs are made up for at most, the last ones, where each is.
    max_missed = models.PositiveSmallIntegerField("bound of missed runs", default=10)
    #: Empty while it isn't enabled, or where its timing can't be read.
    next_run_at = models.DateTimeField("next run", null=True, editable=False, db_index=True)
    last_run_at = models.DateTimeField("last run", null=True, editable=False)
    #: ``code`` or ``admin``.
    origin = models.CharField(max_length=10, default="admin", editable=False)
    #: Whether somebody has changed an entry from code; then code changes it no more.
    is_edited = models.BooleanField("edited", default=False, editable=False)
    #: Whether it was disabled because code has no such entry any more.
    is_gone = models.BooleanField("gone from the code", default=False, editable=False)
    #: Why its last run could not be dispatched; empty where it was.
    problem = models.TextField(blank=True, editable=False)
    #: Signed JSON of what is run, so that who can write the table can't have other jobs signed.
    signature = models.TextField(editable=False)

    class Meta:
        db_table = "job_schedules"
        verbose_name = "schedule"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def timing(self) -> Timing:
        """When it is due."""
        interval = None if self.interval_seconds is None else timedelta(seconds=self.interval_seconds)
        return Timing(cron=self.cron, interval=interval, timezone=self.timezone)


class ScheduleRun(models.Model):
    """One moment at which an entry was due, and what became of it; there is one for each, whoever looks."""

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs")
    run_at = models.DateTimeField()
    job_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=RunState)
    #: Why it was left out or failed.
    detail = models.TextField(blank=True)
    #: The signed record while the store of the queue may not have it.
    payload = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "job_schedule_runs"
        verbose_name = "run of a schedule"
        verbose_name_plural = "runs of schedules"
        ordering = ["-run_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "run_at"], name="job_schedule_runs_once")]
        indexes = [
            models.Index(fields=["created_at"], name="job_schedule_runs_age"),
            models.Index(fields=["created_at"], name="job_schedule_runs_open", condition=models.Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.run_at:%Y-%m-%d %H:%M:%S}"
