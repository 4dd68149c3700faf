"""Settings of supervisors that the suite starts; they move quickly."""

from tests.jobs.pool_settings import *  # noqa: F403 - a settings module is its names
from tests.jobs.pool_settings import JOBS

QUICK = {"cooldown": 0.1, "shift": 4, "min_processes": 1, "max_processes": 4}
JOBS = {
    **JOBS,
    "SUPERVISORS": {
        "moving": {"queues": ["default", "notes"], "balance": "auto", "strategy": "size", **QUICK},
        "even": {"queues": ["default", "notes"], "balance": "simple", **QUICK},
        "plain": {"queues": ["default", "notes"], "balance": "off", "cooldown": 0.1},
    },
}
