"""The numbers that the jobs, the producer and the invariants share."""

import os
from typing import Final

#: Seconds after a try that went wrong, and how often a job is tried.
BACKOFF: Final = 1.0
TRIES: Final = 3
#: Events of one rate key within a window, the window in seconds, and how many at the same time.
RATE: Final = 5
WINDOW: Final = 3.0
PLACES: Final = 2
BATCH_JOBS: Final = 50
CHAIN_JOBS: Final = 10
#: Between two runs of the schedule, in seconds.
TICK_SECONDS: Final = int(os.environ.get("FAULTS_TICK", "10"))
