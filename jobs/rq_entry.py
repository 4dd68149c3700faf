"""What RQ's own workers call for a job of ours: it runs with all that our workers do.

The job's try is counted and its lease taken when it starts here. At its end we write down what became of it in our own
way, in one step; what RQ does afterwards finds nothing more to do:

- a job that is done has left Redis (RQ keeps no result of it, because its hash says so),
- one that failed is in the failed jobs, and raises ``RQJobError``, so that RQ counts it as failed too,
- one that is to be tried again is put back by RQ, which we tell when.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import django
from django.apps import apps
from rq import Retry, get_current_job
from rq.queue import Queue
from rq.worker import Worker

if not apps.ready:  # in `rq worker`, which knows nothing of Django
    django.setup()

from jobs.conf import get_job_settings
from jobs.drivers.base import Claim, get_driver
from jobs.drivers.redis import RedisDriver
from jobs.options import get_due_time
from jobs.redis_scripts import OURS
from jobs.worker.hand import Hand
from jobs.worker.keeper import Keeper
from jobs.worker.metering import Meter
from jobs.worker.outcomes import summarize
from jobs.worker.runner import Failed, Outcome, Quarantined, Released, attempt, settle

_WITHOUT_END: Final = 1_000_000_000
_LONGEST_WAIT: Final = 5


class RQJobError(Exception):
    """A job failed; the failed jobs say why. RQ shows this text, which therefore holds nothing of the job."""


class RQWorker(Worker):
    """RQ's worker with what our jobs need, for ``settings.RQ``.

    It reads them with their serializer, whatever the command line says, and serves the lists of the single priorities
    before the queue that they belong to.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # Any: whatever RQ's worker takes
        """Take what RQ's worker takes."""
        super().__init__(*arguments, **{**options, "serializer": "json"})

    @property
    def dequeue_timeout(self) -> int:
        """How long to wait before it looks again which priorities there are, in seconds."""
        return min(super().dequeue_timeout, _LONGEST_WAIT)

    @property
    def _ordered_queues(self) -> list[Queue]:
        """The lists that RQ takes the next job from."""
        return [line for queue in self.queues for line in self._list_lines(queue)]

    @_ordered_queues.setter
    def _ordered_queues(self, _queues: list[Queue]) -> None:
        """Leave the order as it is; RQ's other strategies of taking turns don't know priorities."""

    def _list_lines(self, queue: Queue) -> list[Queue]:
        found: Any = self.connection.zrevrange(
            f"{OURS}lines:{queue.name}", 0, -1
        )  # Any: names, as no scores were asked
        names = [f"{queue.name}:p{int(one)}" for one in found if one.isdigit() and int(one) > 0]
        options: dict[str, Any] = {"job_class": self.job_class, "serializer": self.serializer}  # Any: of several types
        return [*(self.queue_class(name, connection=self.connection, **options) for name in names), queue]


def perform(_job_class: str) -> Retry | None:
    """Run the job that this worker of RQ has taken; its record is read where it is stored.

    Args:
        _job_class: For people who look at RQ's pages.

    Raises:
        RQJobError: It failed, and won't be tried again; or somebody else holds it.
    """
    current = get_current_job()
    if current is None:
        message = "Only a worker of RQ may call this."
        raise RQJobError(message)
    claim = _adopt(UUID(current.id), worker=current.worker_name or "rq")
    if claim is None:
        return None
    with _kept(claim):
        outcome = attempt(claim)
    now = get_driver(claim.connection).get_now()
    end = summarize(outcome)
    if settle(claim, outcome, now=now) and end is not None:
        # This process lives for one job, so there is nothing to gather.
        meter = Meter()
        meter.note(claim, end, ended_at=now)
        meter.write(at_once=True)
    return _tell(claim, outcome)


@contextmanager
def _kept(claim: Claim) -> Iterator[None]:
    """Renew the lease within the block, however long that takes."""
    hand = Hand()
    hand.take([claim], until=math.inf)
    hand.begin()
    with Keeper(hand, get_driver(claim.connection), beat=lambda: None).keeping():
        yield


def _adopt(job_id: UUID, *, worker: str) -> Claim | None:
    """Hold the job, whichever connection has it; None where it was done or deleted meanwhile.

    Raises:
        RQJobError: Somebody else holds it.
    """
    drivers = [get_driver(name) for name in get_job_settings().connections]
    for driver in drivers:
        if isinstance(driver, RedisDriver):
            try:
                claim = driver.adopt(job_id, worker=worker)
            except LookupError as error:
                raise RQJobError(str(error)) from None
            if claim is not None:
                return claim
    return None


def _tell(claim: Claim, outcome: Outcome) -> Retry | None:
    """Say in RQ's words what became of the job.

    Raises:
        RQJobError: It failed.
    """
    match outcome:
        case Released(delay=delay):
            now = get_driver(claim.connection).get_now()
            wait = get_due_time(delay, now=now) - now
            return Retry(max=_WITHOUT_END, interval=max(math.ceil(wait.total_seconds()), 0))
        case Failed(error=error) | Quarantined(error=error):
            message = f"{claim.job_class} failed: {type(error).__name__}. See the failed jobs."
            raise RQJobError(message)
        case _:
            return None
