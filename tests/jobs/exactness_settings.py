"""Settings of worker processes that the exactness test starts."""

from project.logging import configure_logging
from tests.jobs.worker_settings import *  # noqa: F403 - a settings module is its names
from tests.jobs.worker_settings import JOBS

JOBS = {**JOBS, "MODULES": [*JOBS["MODULES"], "tests.jobs.exactness_jobs"], "LEASE_SECONDS": 20}
# Nobody reads what the workers say, and they would wait for somebody who does.
configure_logging(level="CRITICAL", style="text")
