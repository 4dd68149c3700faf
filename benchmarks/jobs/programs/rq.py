"""Stock RQ. Its workers need no module but that of the jobs."""

import os

from redis import Redis
from rq import Queue

from benchmarks.jobs import work
from benchmarks.jobs.producer import repeat, serve

if __name__ == "__main__":
    queue = Queue("default", connection=Redis.from_url(os.environ[work.STORE]))
    serve(
        "rq",
        single=repeat(lambda kind: queue.enqueue(work.KINDS[kind])),
        bulk=lambda kind, count: queue.enqueue_many([Queue.prepare_data(work.KINDS[kind]) for _ in range(count)]),
        stamp=lambda sent_at: queue.enqueue(work.stamp, sent_at),
    )
