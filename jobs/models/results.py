"""What became of tasks of ``django.tasks``."""

from django.db import models


class JobResult(models.Model):
    """A task that was enqueued, and what it returned. It stays for a while after its end."""

    id = models.BigAutoField(primary_key=True)
    #: The id of the task's job.
    job_id = models.UUIDField(unique=True)
    #: Module path of the task.
    task = models.CharField(max_length=500)
    #: Name of the back end in ``settings.TASKS``.
    backend = models.CharField(max_length=100)
    queue = models.CharField(max_length=100)
    #: As ``django.tasks`` counts: -100 to 100.
    priority = models.SmallIntegerField(default=0)
    #: The earliest moment of its first try; empty: at once.
    run_after = models.DateTimeField(null=True)
    #: ``READY``, ``RUNNING``, ``FAILED`` or ``SUCCESSFUL``.
    status = models.CharField(max_length=10)
    # JSON is kept as ASCII text: PostgreSQL's own type has no NUL and no lone surrogates, which Python's texts have.
    #: Positional and named arguments, JSON.
    arguments = models.TextField()
    #: What the function returned, JSON.
    return_value = models.TextField(default="null")
    #: What it raised, the last one last: pairs of class and traceback, JSON.
    errors = models.TextField(default="[]")
    #: Which workers ran it, in order, JSON.
    worker_ids = models.TextField(default="[]")
    #: Number of the try that wrote last; an earlier one, whose lease was lost, writes nothing more.
    attempts = models.PositiveIntegerField(default=0)
    enqueued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    last_attempted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    #: May be deleted from then on.
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "job_results"
        verbose_name = "result of a task"
        verbose_name_plural = "results of tasks"

    def __str__(self) -> str:
        return f"{self.task} {self.job_id}"
