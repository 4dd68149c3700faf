"""What a driver must do: store, claim, lease, finish and count. Everything else about jobs lives above it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

from django.utils.module_loading import import_string

from jobs.conf import get_job_settings
from jobs.drivers.inventory import MAX_LOOKED_AT, JobSearch, JobState, QueueFigures, StoredJob
from jobs.drivers.listening import Listener
from jobs.exceptions import PartlySentError, UnknownConnectionError
from jobs.outlet import Current

#: Name of the connection that keeps nothing; it is there whether the settings name it or not.
SYNC: Final = "sync"
#: So many jobs are stored in one step where there are many.
STEP: Final = 500
#: Stands for a moment that nobody knows.
UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SYNC_OPTIONS: Final = {"DRIVER": "jobs.drivers.sync.SyncDriver"}


@dataclass(slots=True, kw_only=True)
class Message:
    """A job as it is handed to a driver. A value, of which only the key changes; a frozen one takes longer to make."""

    #: The job's own id, kept across tries.
    job_id: UUID
    queue: str
    #: Registered name of the class.
    job_class: str
    #: The signed record (``jobs.payload``).
    payload: str
    #: 0 to 255; higher runs first.
    priority: int
    #: Not claimed before this instant.
    available_at: datetime
    created_at: datetime
    #: Whether there is nothing to wait for: it is due when it is stored, by the clock of the store itself, of which
    #: ``available_at`` is what is believed.
    is_at_once: bool = False
    #: How long a try may take, in seconds; 0 means no limit. For workers of RQ, which read it of the store.
    timeout_seconds: float = 60
    #: Where a push went wrong and the store may have done it all the same: ``push_once`` under this key finds that out.
    key: UUID | None = None


class Claim(NamedTuple):
    """A job in the hands of one worker, until the lease ends."""

    # A frozen dataclass takes three times as long to make, which is done for each job.

    job_id: UUID
    queue: str
    job_class: str
    payload: str
    priority: int
    #: This try included, and those that were cut short.
    attempts: int
    #: Fence: finishing, releasing and burying work only while the store knows the job under this id.
    lease_id: UUID
    #: From here on another worker may claim the job.
    lease_expires_at: datetime
    #: Connection that it came from.
    connection: str
    #: Name of the worker that holds it.
    worker: str
    #: Why the job can't run, where the store holds nonsense about it; such a job is set apart.
    fault: str = ""
    #: How long it was due before this claim; a try that was cut short before it counts as waiting.
    waited: timedelta = timedelta(0)
    #: How many of the tries before were cut short: the lease lapsed, because the worker died or was away.
    crashes: int = 0
    #: When it was claimed, by the clock of the store.
    claimed_at: datetime = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """What is kept of a job that failed."""

    attempts: int
    #: Type and text of the exception.
    exception: str
    traceback: str
    failed_at: datetime
    context: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON
    is_quarantined: bool = False


class QueueDriver(ABC):
    """A store of jobs, safe for any number of workers. ``now`` is the present; None takes the clock of the store."""

    #: What the store raises when it can't be reached or doesn't answer in time; workers wait and try again.
    outage_errors: ClassVar[tuple[type[Exception], ...]] = ()
    #: Whether what it stores is part of the transaction of the default database.
    is_transactional: ClassVar[bool] = False
    #: Whether jobs may come to it through the outbox.
    takes_outbox: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:  # Any: each driver has options of its own
        """Take the name of the connection and what the settings say of it; nothing is opened yet."""
        self.name = name
        self.options = options

    @abstractmethod
    def get_now(self) -> datetime:
        """Return the time of the store."""

    @abstractmethod
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        """Store jobs, all or none; within a transaction of the caller's where the store takes part in it.

        One whose id is stored already is left as it is.

        Args:
            messages: The jobs.
            limits: How many jobs, waiting, delayed and running ones together, a queue may hold.

        Raises:
            QueueFull: A queue would hold more.
        """

    def push_once(self, messages: Mapping[UUID, Message], *, forget: Collection[UUID] = ()) -> None:
        """Store jobs that come through the outbox, all or none.

        A store that can remembers for an hour what it has stored under a key, and doesn't again, though the job may
        have ended.

        Args:
            messages: The jobs by the keys of their rows.
            forget: Keys that nobody will use again.
        """
        self.push(list(messages.values()))

    def push_many(self, messages: Sequence[Message]) -> None:
        """Store jobs of queues without limits in steps, each all or none, so that no step takes long.

        Raises:
            PartlySentError: A step failed after others; what follows it wasn't tried.
        """
        stored: list[UUID] = []
        for step in batched(messages, STEP, strict=False):
            try:
                self.push(step)
            except Exception as error:
                if stored:
                    raise PartlySentError(stored) from error
                raise
            stored += [message.job_id for message in step]

    @abstractmethod
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        """Take the next due jobs, in one atomic step that also counts their tries.

        Order: the queues as given, then priority (highest first), due time, arrival. A job whose lease has lapsed is
        due again, and its crash is counted. Queues that are paused are passed over. The lease is that of the settings.

        Args:
            queues: Names in order; empty means every queue, as if they were one.
            worker: Name of the worker, for people.
            count: How many at most; those of one claim come from one queue.
            now: The present.
        """

    def listen(self, queues: Sequence[str]) -> Sequence[Listener]:
        """Return what hears of jobs in these queues; nothing where workers can only look.

        ``queues``: names or patterns; none for every queue.
        """
        return []

    @abstractmethod
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        """Remove a job that is done, and store what follows it, in one step.

        Returns:
            False if the lease was lost, and nothing changed. Where the store knows that this very claim has done it
            before, True: somebody asks again who didn't hear the answer.
        """

    def exchange(
        self, done: Sequence[Claim], *, queues: Sequence[str], worker: str, count: int, now: datetime | None = None
    ) -> tuple[int, Sequence[Claim]]:
        """Remove jobs that are done and that nothing follows, and claim others: what a busy worker does all day.

        Returns:
            How many of those done were lost to others before, and what was claimed.
        """
        lost = self.finish_all(done)
        return lost, self.claim(queues=queues, worker=worker, count=count, now=now)

    def finish_all(self, claims: Sequence[Claim]) -> int:
        """Remove jobs that are done and that nothing follows; return how many of them were lost to others before."""
        return sum(not self.finish(claim) for claim in claims)

    @abstractmethod
    def give_back(self, claims: Sequence[Claim]) -> None:
        """Let go of jobs that were never begun, as if they had not been claimed: place and count of tries as before."""

    @abstractmethod
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        """Hold jobs for the lease of the settings, counted from now; return how many were lost to others before."""

    @abstractmethod
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        """Put a job back for another try, with another record where one is given; False as ``finish`` says.

        ``is_unbegun``: the try was never begun and doesn't count.
        """

    @abstractmethod
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        """Hold a job until another moment, with another record where one is given; False as ``finish`` says."""

    @abstractmethod
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        """Move a job to the failed jobs, and store what follows it, in one step; False as ``finish`` says."""

    def forget_failed(self, job_ids: Collection[UUID]) -> None:  # noqa: B027 - most keep nothing
        """Drop what the store itself keeps of failed jobs, beside their rows."""

    @abstractmethod
    def remove(self, job_ids: Collection[UUID]) -> int:
        """Delete jobs that are in nobody's hands; return how many there were."""

    @abstractmethod
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        """Delete the jobs of one queue, or of all, that are in nobody's hands; return how many."""

    @abstractmethod
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        """Return the figures of every queue that holds a job, by name. Nonsense in the store doesn't stop it."""

    def list_queues(self) -> Sequence[str]:
        """Return the names of the queues that hold a job, in one cheap step however many jobs there are."""
        return list(self.measure())

    @abstractmethod
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        """Return jobs in the order in which they would be claimed. Nonsense in the store doesn't stop it."""

    def browse(
        self, search: JobSearch, *, place: int = 0, limit: int = 50, now: datetime | None = None
    ) -> tuple[Sequence[StoredJob], int | None]:
        """Return some of the jobs that are looked for, and the place at which to look on; None at the end.

        So much is looked at in one step and no more, so there may be none though there are others further on. Jobs
        come and go meanwhile: then one may be met twice, or missed.
        """
        seen = self.list_jobs(queue=search.queue, state=search.state, limit=place + MAX_LOOKED_AT, now=now)
        found: list[StoredJob] = []
        for number, job in enumerate(seen[place:], start=place):
            if len(found) == limit:
                return found, number
            if search.fits(job):
                found.append(job)
        return found, len(seen) if len(seen) == place + MAX_LOOKED_AT else None

    def find_job(self, job_id: UUID, *, now: datetime | None = None) -> StoredJob | None:
        """Return a job that waits or runs."""
        return next((job for job in self.list_jobs(limit=MAX_LOOKED_AT, now=now) if job.job_id == job_id), None)

    def is_held(self, job_id: UUID) -> bool:
        """Say whether a worker holds a job whose failure is written down; False where the store doesn't answer.

        That can only be where the failure is in another store than the job.
        """
        return False

    def list_set_apart(self, *, limit: int = 100) -> Sequence[str]:
        """Return what the store holds of which not even a failed job can be made, as text of ASCII characters."""
        return []

    @abstractmethod
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        """Let nobody claim from a queue (``*``: from any), until a moment or until ``resume``."""

    @abstractmethod
    def resume(self, queue: str) -> bool:
        """End a pause; False where there was none. One queue that rests while all do (``*``) is a pause of its own."""

    @abstractmethod
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        """Return the queues that rest, and until when."""


def get_driver(connection: str | None = None) -> QueueDriver:
    """Return the driver of a connection, that of ``JOBS["CONNECTION"]`` by default.

    Raises:
        UnknownConnectionError: ``JOBS["CONNECTIONS"]`` has none of that name.
    """
    other = Current.outlet.get_driver() if Current.outlet is not None else None
    if isinstance(other, QueueDriver) and other.name == connection:
        return other
    settings = get_job_settings()
    name = connection or settings.connection
    made = _made.get(name)
    if made is None or made[0] is not settings.connections:
        made = _made[name] = settings.connections, _make_driver(name, settings.connections)
    return made[1]


#: The driver of each connection, with the settings that it was made of: they are asked for many times for each job.
_made: Final[dict[str, tuple[object, QueueDriver]]] = {}


def _make_driver(name: str, connections: Mapping[str, Mapping[str, Any]]) -> QueueDriver:  # Any: as in the settings
    options = connections.get(name, _SYNC_OPTIONS if name == SYNC else None)
    if options is None:
        known = ", ".join(sorted(connections))
        message = f"There is no connection {name!r}; JOBS['CONNECTIONS'] has {known}."
        raise UnknownConnectionError(message)
    driver_class: type[QueueDriver] = import_string(options["DRIVER"])
    return driver_class(name, options)
