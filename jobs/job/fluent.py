"""Saying how jobs run, word after word: ``SendEmailJob(…).on_queue("high").delay_until(60).dispatch()``."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, override
from uuid import UUID

from jobs.backoff import Backoff
from jobs.conditions import is_true
from jobs.exceptions import JobOptionError
from jobs.options import Delay, JobOptions

if TYPE_CHECKING:
    from jobs.job.base import Job

_MAX_NAME_LENGTH: Final = 200


class Fluent:
    """Words that jobs and dispatches in the making have in common; each returns a dispatch in the making."""

    @abstractmethod
    def get_job(self) -> "Job":
        """Return the job that is spoken of."""

    def on_queue(self, queue: str) -> "PendingDispatch":
        """Let it wait in another queue than its class says."""
        return self._say(queue=queue)

    def on_connection(self, connection: str) -> "PendingDispatch":
        """Send it to another connection than its queue, its class or the settings say."""
        return self._say(connection=connection)

    def all_on_queue(self, queue: str) -> "PendingDispatch":
        """Let it, and what is chained to it and says nothing itself, wait in another queue."""
        return self._say(queue=queue, chain_queue=queue)

    def all_on_connection(self, connection: str) -> "PendingDispatch":
        """Send it, and what is chained to it and says nothing itself, to another connection."""
        return self._say(connection=connection, chain_connection=connection)

    def delay_until(self, delay: Delay) -> "PendingDispatch":
        """Let it wait so many seconds, or a duration, or until a moment (with a time zone)."""
        return self._say(delay=delay)

    def without_delay(self) -> "PendingDispatch":
        """Let it run as soon as it can, whatever its class says."""
        return self._say(delay=0)

    def with_priority(self, priority: int) -> "PendingDispatch":
        """Give it a priority of 0 to 255; of the due jobs of one queue the highest runs first."""
        return self._say(priority=priority)

    def with_tries(self, tries: int) -> "PendingDispatch":
        """Let it be tried so often in all; 0 means without end."""
        return self._say(tries=tries)

    def with_backoff(self, backoff: Backoff) -> "PendingDispatch":
        """Let it wait so long between two tries; see ``jobs.backoff.Backoff``."""
        return self._say(backoff=backoff)

    def with_timeout(self, seconds: float) -> "PendingDispatch":
        """Stop a try that runs longer; 0 means no limit."""
        return self._say(timeout=seconds)

    def with_max_exceptions(self, count: int) -> "PendingDispatch":
        """Let it fail when it has raised so often, however many tries are left."""
        return self._say(max_exceptions=count)

    def with_retry_until(self, end: timedelta | datetime) -> "PendingDispatch":
        """Try it until a moment, or so long from dispatch, however often."""
        return self._say(retry_until=end)

    def with_tags(self, *tags: str) -> "PendingDispatch":
        """Add words by which it is found."""
        return self._say(tags=(*self.get_job().options.tags, *tags))

    def after_commit(self) -> "PendingDispatch":
        """Send it when the transaction commits, and never if it is rolled back."""
        return self._say(is_after_commit=True)

    def before_commit(self) -> "PendingDispatch":
        """Send it at once, whatever becomes of the transaction; what the database keeps waits all the same."""
        return self._say(is_after_commit=False)

    def on_behalf_of(self, user: Any) -> "PendingDispatch":  # Any: the user model is a setting
        """Name the user for whom it runs, and whose rights a secure job needs."""
        self.get_job().__dict__["actor_id"] = "" if user.pk is None else str(user.pk)
        return PendingDispatch(self.get_job())

    def when(self, condition: object, then: "Callable[[Job], object]") -> "PendingDispatch":
        """Call ``then`` with the job where the condition (or what it returns, if it can be called) is true."""
        if is_true(condition):
            then(self.get_job())
        return PendingDispatch(self.get_job())

    def unless(self, condition: object, then: "Callable[[Job], object]") -> "PendingDispatch":
        """Call ``then`` with the job where the condition is false; see ``when``."""
        return self.when(not is_true(condition), then)

    def _say(self, **options: object) -> "PendingDispatch":
        job = self.get_job()
        for name, value in options.items():
            setattr(job.options, name, value)
        job.options.check(about=type(job).__name__)
        return PendingDispatch(job)


class Sendable[T](ABC):
    """What can be sent, also on a condition."""

    @abstractmethod
    def dispatch(self) -> T:
        """Send it."""

    def dispatch_if(self, condition: object) -> T | None:
        """Send it where the condition (or what it returns, if it can be called) is true."""
        return self.dispatch() if is_true(condition) else None

    def dispatch_unless(self, condition: object) -> T | None:
        """Send it where the condition is false."""
        return None if is_true(condition) else self.dispatch()


class PendingGroup[T](Sendable[T]):
    """Several jobs, of which more can be said before they are sent together: a batch or a chain."""

    #: What errors call it.
    kind: ClassVar[str]

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._name = ""
        self._queue = ""
        self._connection = ""

    def name(self, name: str) -> Self:
        """Say what people call it, in at most 200 characters.

        Raises:
            JobOptionError: It is longer, or can't be printed.
        """
        if not _is_name(name):
            message = (
                f"{self.kind}: name must be a text of at most {_MAX_NAME_LENGTH} characters that can be printed, "
                f"not {name!r:.50}."
            )
            raise JobOptionError(message)
        self._name = name
        return self

    def get_name(self) -> str:
        """Return its name, empty where it has none."""
        return self._name

    def on_queue(self, queue: str) -> Self:
        """Let those of its jobs that say nothing themselves, and its callbacks, wait in this queue."""
        JobOptions(queue=queue or None).check(about=self.kind)
        self._queue = queue
        return self

    def on_connection(self, connection: str) -> Self:
        """Send those of its jobs that say nothing themselves, and its callbacks, to this connection."""
        JobOptions(connection=connection or None).check(about=self.kind)
        self._connection = connection
        return self

    def when(self, condition: object, then: Callable[[Self], object]) -> Self:
        """Call ``then`` with it where the condition (or what it returns, if it can be called) is true."""
        if is_true(condition):
            then(self)
        return self

    def unless(self, condition: object, then: Callable[[Self], object]) -> Self:
        """Call ``then`` with it where the condition is false; see ``when``."""
        return self.when(not is_true(condition), then)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= _MAX_NAME_LENGTH and name.isprintable()


class PendingDispatch(Fluent, Sendable[UUID]):
    """A job of which more can be said before it is sent. Whatever takes jobs takes these too."""

    def __init__(self, job: "Job") -> None:
        """Take the job."""
        self._job = job

    def get_job(self) -> "Job":
        """Return the job that is spoken of."""
        return self._job

    @override
    def dispatch(self) -> UUID:
        """Send the job and return its id. Raises as ``Job.dispatch`` does."""
        return self._job.send()

    def dispatch_now(self) -> object:
        """Run the job here and now, with its middleware, without a queue; see ``Job.dispatch_now``."""
        return self._job.run_now()

    def chain(self, jobs: Any) -> Self:  # Any: of jobs.chain, which needs this module
        """Let other jobs follow this one, each when the one before has ended well."""
        self._job.chain(jobs)
        return self
