"""Settings of pools that the suite starts: no lease ends within a test, so only a parent frees
what a dead process held.
"""

from tests.jobs.worker_settings import *  # noqa: F403 - a settings module is its names
from tests.jobs.worker_settings import JOBS

JOBS = {
    **JOBS,
    "LEASE_SECONDS": 3600,
    "QUEUES": {"apart": {"isolate": True}},
    "CONNECTIONS": {
        **JOBS["CONNECTIONS"],
        "failover": {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["database"]},
    },
}
