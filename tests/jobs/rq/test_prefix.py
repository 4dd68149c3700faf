"""Two houses on one server of Redis, each with keys of its own."""

import subprocess
import sys

import pytest
from redis import Redis

from tests.jobs.steps import worker_environment
from tests.processes import ROOT

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

_USE_EVERYTHING = """
from datetime import timedelta
from jobs.coordination import get_coordinator
from jobs.drivers.base import get_driver
from tests.jobs.messages import make, push
from tests.jobs.steps import claim_one
driver, coordinator, minute = get_driver("redis"), get_coordinator(), timedelta(minutes=1)
driver.push([make("held", priority=3), make("waiting")])
(claim,) = driver.claim(queues=["default"], worker="w")
driver.pause("default")
assert driver.list_pauses()
assert coordinator.acquire("lock", owner="me", lifetime=minute)
coordinator.hit("hits", limit=1, window=minute)
coordinator.increment("number", lifetime=minute)
"""


def test_every_key_begins_with_the_prefix_of_rq(server: Redis) -> None:
    environment = {**worker_environment(), "RQ_KEY_PREFIX": "other", "JOB_CONNECTION": "redis"}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.jobs.exactness_settings"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", _USE_EVERYTHING]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    keys = {key.decode() for key in server.scan_iter() if isinstance(key, bytes)}
    assert {"other:jobs:leases:default", "other:jobs:paused", "other:jobs:places:lock"} <= keys
    assert {key.partition(":")[0] for key in keys} == {"other"}
