"""The back end of ``django.tasks``: every ``@task`` function runs here, as a job.

::

    TASKS = {"default": {"BACKEND": "jobs.tasks.JobsBackend"}}


    @task(tries=5, backoff=(10, 60), timeout=30, rate_limit=RateLimit(100, 60))
    def send_report(user_id: int) -> int: ...


    result = send_report.enqueue(7)
    batch([task_job(send_report, 7), task_job(send_report, 8)]).dispatch()

The decorator is Django's, or ``jobs.tasks.task``, which is the same with types.

``OPTIONS`` of the back end: ``CONNECTION``, of ``JOBS["CONNECTIONS"]``, and ``RESULT_SECONDS``, for which a result is
kept after the end of its task.
"""

from jobs.tasks.backend import JobsBackend
from jobs.tasks.definition import JobsTask, task
from jobs.tasks.job import TaskJob, task_job

__all__ = ["JobsBackend", "JobsTask", "TaskJob", "task", "task_job"]
