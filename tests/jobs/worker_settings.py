"""Settings of worker processes that the suite starts: they know the sample jobs, and leases are short."""

from project.settings.dev import *  # noqa: F403 - a settings module is its names
from project.settings.dev import JOBS

JOBS = {
    **JOBS,
    "MODULES": [*JOBS["MODULES"], "tests.jobs.sample_jobs", "tests.jobs.lane_jobs"],
    "LEASE_SECONDS": 2,
    "SLEEP_SECONDS": 0.05,
}
