"""Celery, as its page on optimizing has it for many short tasks: no results, a large prefetch."""

import os

from celery import Celery

from benchmarks.jobs import work
from benchmarks.jobs.producer import repeat, serve

app = Celery("bench", broker=os.environ[work.STORE])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
tasks = {kind: app.task(name=kind)(function) for kind, function in work.KINDS.items()}
stamp = app.task(name="stamp")(work.stamp)

if __name__ == "__main__":
    serve("celery", single=repeat(lambda kind: tasks[kind].delay()), bulk=None, stamp=stamp.delay)
