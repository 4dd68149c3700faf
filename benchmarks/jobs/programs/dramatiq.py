"""Dramatiq with its defaults: no results, two processes of eight threads."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.jobs import work
from benchmarks.jobs.producer import repeat, serve

broker = RedisBroker(url=os.environ[work.STORE])
dramatiq.set_broker(broker)
actors = {kind: dramatiq.actor(function, actor_name=kind) for kind, function in work.KINDS.items()}
stamp = dramatiq.actor(work.stamp, actor_name="stamp")

if __name__ == "__main__":
    serve("dramatiq", single=repeat(lambda kind: actors[kind].send()), bulk=None, stamp=stamp.send)
