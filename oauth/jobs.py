"""What is done by the clock, as jobs."""

from datetime import timedelta
from typing import Final, override

from django.utils import timezone

from jobs.job import Job
from jobs.schedules import schedule
from oauth.services import sweep

_PERIOD: Final = timedelta(hours=1)


class SweepOAuthJob(Job):
    """Delete what is over: codes, devices, requests, opaque and personal tokens, secrets, consents."""

    queue = "low"
    tries = 1
    timeout = 120
    #: One at a time waits; a second would do no harm.
    unique_for = 3600
    unique_until = "start"

    @override
    def handle(self) -> None:
        """Sweep for a while, and go on in another job if that wasn't enough."""
        if not sweep(now=timezone.now()).is_complete:
            SweepOAuthJob.dispatch()


schedule(SweepOAuthJob).every(_PERIOD).named("oauth: sweep")
