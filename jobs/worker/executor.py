"""One claimed job after another, in one thread: each is tried, and the store told how that ended."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from jobs.clock import StoreClock
from jobs.drivers.base import Claim, get_driver
from jobs.options import JobOptions
from jobs.worker.metering import Meter
from jobs.worker.outcomes import find_plainer_end, summarize
from jobs.worker.patience import Patience
from jobs.worker.reporting import Reporter
from jobs.worker.runner import Outcome, RunCoroutine, attempt, settle
from jobs.worker.transactions import Connections
from project.logging import Description, Event

#: Wait of a job that couldn't be begun.
_NEXT_BEGIN: Final = timedelta(seconds=10)


class Executor:
    """What jobs share that run in one thread: its connections, and what their worker lends it."""

    def __init__(
        self,
        *,
        clock: StoreClock,
        meter: Meter,
        reporter: Reporter,
        job_options: JobOptions | None,
        finish: Callable[[Claim], bool] | None,
        pause: Callable[[timedelta], object],
        is_stopping: Callable[[], bool],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Take the worker's things.

        ``finish``: removes a job that is done and that nothing follows, in place of the driver. ``pause``: how this
        thread waits for a store that is away.
        """
        self._clock = clock
        self._meter = meter
        self._reporter = reporter
        self._job_options = job_options
        self._finish = finish
        self._log = log
        self.connections = Connections()
        self.patience = Patience(pause, is_stopping, self.connections.renew, log)

    def run(self, claim: Claim, run_coroutine: RunCoroutine = asyncio.run) -> None:
        """Try a job, and write down how that ended."""
        with Description(partial(_describe, claim)):
            try:
                outcome = attempt(
                    claim, now=self._clock.get(), worker_options=self._job_options, run_coroutine=run_coroutine
                )
            except Exception as error:  # noqa: BLE001 - one job that can't be begun must not stop all others
                self._log.error("job_not_begun", error=type(error).__qualname__)
                self.connections.renew()
                self._put_back(claim)
            else:
                self.connections.renew()
                self._settle(claim, outcome)
                del outcome  # as in ``attempt``

    def _put_back(self, claim: Claim) -> None:
        """Let a job be tried again soon; where the store can't be told, when the lease has run out.

        This was no try, so the record goes back, too, as it was: it may have counted this one already.
        """
        driver = get_driver(claim.connection)
        try:
            due = driver.get_now() + _NEXT_BEGIN
            driver.release(claim, available_at=due, payload=claim.payload, is_unbegun=True)
        except Exception as error:  # noqa: BLE001 - as above
            self._log.warning("job_not_put_back", error=type(error).__qualname__)

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        """Write down how a try ended; where that can't be written, that it failed for this reason.

        A lease that was left to lapse would have the job run again, to the same end.
        """

        def end() -> datetime | None:
            now = self._clock.get()
            return now if settle(claim, outcome, now=now, finish=self._finish) else None

        try:
            ended_at = self.patience.call(end, insists=True)
        except Exception as error:  # noqa: BLE001 - one record that can't be written must not stop all others
            self._log.error("job_not_settled", error=type(error).__qualname__)
            if (instead := find_plainer_end(claim, outcome, error)) is not None:
                self._settle(claim, instead)
        else:
            if ended_at is not None and (end_of_try := summarize(outcome)) is not None:
                self._meter.note(claim, end_of_try, ended_at=ended_at)
                self._reporter.note(claim, end_of_try, ended_at=ended_at)


def _describe(claim: Claim) -> Event:
    """Return what each entry of the log tells that is made while a job runs."""
    return {
        "job_id": str(claim.job_id), "job_class": claim.job_class, "queue": claim.queue, "attempt": claim.attempts,
    }  # fmt: skip
