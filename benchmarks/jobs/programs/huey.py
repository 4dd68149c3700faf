"""Huey without results, with blocking reads, and without the scheduler of periodic tasks."""

import os

from huey import RedisHuey

from benchmarks.jobs import work
from benchmarks.jobs.producer import repeat, serve

huey = RedisHuey("bench", url=os.environ[work.STORE], results=False)
tasks = {kind: huey.task(name=kind)(function) for kind, function in work.KINDS.items()}
stamp = huey.task(name="stamp")(work.stamp)

if __name__ == "__main__":
    serve("huey", single=repeat(lambda kind: tasks[kind]()), bulk=None, stamp=stamp)
