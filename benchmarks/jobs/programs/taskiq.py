"""Taskiq on lists of Redis, the faster of its brokers; its jobs are coroutines, so up to a hundred run at once."""

import asyncio
import os

from redis.asyncio import Redis
from taskiq_redis import ListQueueBroker

from benchmarks.jobs import work
from benchmarks.jobs.producer import serve

_counter = Redis.from_url(os.environ[work.COUNTER])


async def noop() -> None:
    """Do nothing."""
    work.note()


async def incr() -> None:
    """Count in Redis."""
    await _counter.incr(work.KEY)
    work.note()


async def nap() -> None:
    """Wait for a millisecond."""
    await asyncio.sleep(work.NAP)
    work.note()


async def stamp(sent_at: float) -> None:
    """Note how long ago the job was sent."""
    work.stamp(sent_at)


broker = ListQueueBroker(os.environ[work.STORE])
tasks = {function.__name__: broker.task(task_name=function.__name__)(function) for function in (noop, incr, nap, stamp)}


async def _send(kind: str, count: int) -> None:
    for _ in range(count):
        await tasks[kind].kiq()


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(broker.startup())
    serve(
        "taskiq",
        single=lambda kind, count: loop.run_until_complete(_send(kind, count)),
        bulk=None,
        stamp=lambda sent_at: loop.run_until_complete(tasks["stamp"].kiq(sent_at)),
    )
