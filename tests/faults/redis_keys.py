"""What is left in Redis when all jobs have ended."""

import time
from typing import Final

import django_rq
from redis import Redis
from rq.defaults import RQ_KEY_PREFIX

#: Keys that stay, or are forgotten by Redis itself: names of queues, counts of limits, the last ends of workers, what
#: was dispatched and what came through the outbox within the last hour.
_KEPT: Final = ("queues", "sequence", "ended:", "hits:", "number:", "lines:", "paused", "places:", "pushed:", "relayed")


def list_left(ours: str) -> list[str]:
    """Return keys that belong to a job, a lease or a place that lasts."""
    client: Redis = django_rq.get_connection("default")
    found = []
    for raw in client.scan_iter(f"{RQ_KEY_PREFIX}:*"):
        key = raw.decode()
        name = key.removeprefix(ours)
        if name == "places:sweep":  # nobody gives it back
            continue
        if name.startswith("places:"):
            now = time.time() * 1_000_000
            found += [key] * client.zcount(key, now, "+inf")
        elif key.startswith(ours) and name.startswith(_KEPT):
            continue
        elif key != f"{RQ_KEY_PREFIX}:queues" and not key.startswith(f"{RQ_KEY_PREFIX}:failed:"):
            found.append(key)
    return found
