"""The base class of every job."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self
from uuid import UUID, uuid4

from jobs.arguments import bind_arguments, decode_arguments, encode_arguments, list_references
from jobs.backoff import Backoff
from jobs.job.controls import Controls
from jobs.job.definition import check_class, refuse_attribute
from jobs.job.fluent import Fluent, PendingDispatch
from jobs.job.forms import Form
from jobs.job.records import (
    Link,
    encode_links,
    make_record,
    note_sent,
    renew_ids,
    waits_for_commit,
    wrap_chain,
)
from jobs.job.registry import register
from jobs.job.running import JobEnd
from jobs.options import Delay, JobOptions
from jobs.outlet import Current
from jobs.payload import Record
from jobs.queues import mention_queue
from jobs.services import send

if TYPE_CHECKING:
    from jobs.middleware import Middleware
    from jobs.testing import FakeQueue


class Job(Fluent, Controls, ABC):
    """Work that a worker does later, or elsewhere.

    A subclass names what it needs in its constructor and does the work in ``handle``::

        class SendEmailJob(Job):
            queue = "emails"
            tries = 5
            backoff = (10, 60, 300)

            def __init__(self, to_email: str, subject: str) -> None: ...

            def handle(self) -> None: ...

        job_id = SendEmailJob.dispatch("user@example.com", "Welcome")
        job_id = SendEmailJob("user@example.com", "Welcome").on_queue("high").delay_until(60).dispatch()

    The constructor's arguments are the payload: JSON types, UUID, dates, Decimal, enums and rows of models, checked
    against the annotations at dispatch and again at the worker, which builds the job anew for each try. The
    constructor should therefore only keep them, or set ``self.options``. A job may run more than once (a worker can
    die after the work and before the note of it), so ``handle`` must bear that.

    Every subclass that has a ``handle`` is registered as ``<app_label>.<ClassName>``; nothing else is ever run.
    What a class leaves at None its queue decides (``jobs.queues.define_queue``), and then the settings.
    """

    #: Queue that it waits in; 1 to 100 characters without comma, space, ``*`` or ``:p``.
    queue: ClassVar[str] = "default"
    #: Connection that it takes (``JOBS["CONNECTIONS"]``).
    connection: ClassVar[str | None] = None
    #: How often it is tried in all; 0 means without end. A try whose worker died doesn't count.
    tries: ClassVar[int | None] = None
    #: How often its worker may die, or lose its lease; once more and it fails. 0: it is begun once, whatever comes.
    max_crashes: ClassVar[int | None] = None
    #: Wait after a try that went wrong: seconds, some for each try, a function, or ``Exponential``.
    backoff: ClassVar[Backoff | None] = None
    #: A try that runs longer is stopped and counts as gone wrong, in seconds; 0 means no limit.
    timeout: ClassVar[int | float | None] = None
    #: Whether a try that was stopped so is the last one.
    fail_on_timeout: ClassVar[bool] = False
    #: 0 to 255; of the due jobs of one queue the highest runs first.
    priority: ClassVar[int] = 0
    #: Wait before the first try.
    delay: ClassVar[Delay | None] = None
    #: Fails when it has raised so often, however many tries are left; releases don't count.
    max_exceptions: ClassVar[int | None] = None
    #: Tried until then, a moment or a duration from dispatch, however often; ``tries`` is not asked.
    retry_until: ClassVar[timedelta | datetime | None] = None
    #: For so many seconds at most, only one job of a key (``unique_key``) waits or runs; a second one is not sent.
    unique_for: ClassVar[int | None] = None
    #: Whether another may be sent when this one has ended for good, or as soon as it starts.
    unique_until: ClassVar[Literal["end", "start"]] = "end"
    #: Only the last job of a key (``debounce_key``) that was sent within so many seconds runs.
    debounce_for: ClassVar[int | None] = None
    #: But the first one is not put off longer than so many seconds in all.
    debounce_max_wait: ClassVar[int | None] = None
    #: Whether a job whose row is gone ends in silence; it fails otherwise.
    delete_when_missing_models: ClassVar[bool] = False
    #: Whether its jobs are listed apart when they are done, because there are so many or nobody asks.
    silenced: ClassVar[bool] = False
    #: Whether it is part of how jobs work, and passes its own middleware alone: no limit of a queue may hold it up.
    is_internal: ClassVar[bool] = False
    #: Whether the arguments are stored encrypted.
    encrypted: ClassVar[bool] = False
    #: Whether the store's count of tries is signed too.
    signs_attempts: ClassVar[bool] = False

    #: Key of the user on whose behalf it runs; "" where nobody was named.
    actor_id: str = ""
    #: Team and guard in which that user's rights count.
    actor_scope: Mapping[str, Any] | None = None  # Any: JSON
    #: Whether the last dispatch sent it; not where one of its unique key waited or ran.
    was_sent: bool = False

    if TYPE_CHECKING:

        @classmethod
        def dispatch[**P](cls: Callable[P, "Job"], *args: P.args, **kwargs: P.kwargs) -> UUID:
            """Queue the job and return its id; the arguments are the constructor's.

            Within a transaction the job becomes visible to workers with the commit, and never if it is rolled back.

            Raises:
                JobArgumentError: An argument is missing, of the wrong type or can't be stored.
                JobDefinitionError: The class isn't a registered job, or its constructor can't be stored.
                JobOptionError: An option is out of range, or there is no such queue or connection.
                QueueFull: The queue holds as many jobs as it may.
                JobRefusedError: The acting user lacks a permission that the job requires.
            """

        @classmethod
        def dispatch_if[**P](
            cls: Callable[P, "Job"], condition: object, /, *args: P.args, **kwargs: P.kwargs
        ) -> UUID | None:
            """Queue the job where the condition (or what it returns, if it can be called) is true; see ``dispatch``."""

        @classmethod
        def dispatch_unless[**P](
            cls: Callable[P, "Job"], condition: object, /, *args: P.args, **kwargs: P.kwargs
        ) -> UUID | None:
            """Queue the job where the condition is false; see ``dispatch_if``."""

        @classmethod
        def dispatch_now[**P](cls: Callable[P, "Job"], *args: P.args, **kwargs: P.kwargs) -> object:
            """Run the job here and now, with its middleware, without a queue.

            Returns:
                What ``handle`` returned.

            Raises:
                Exception: Whatever the job raised; ``failed`` was called before.
            """

    else:
        dispatch = Form(lambda job: job.send())
        dispatch_if = Form(lambda job: job.send(), with_condition=True)
        dispatch_unless = Form(lambda job: job.send(), with_condition=False)
        dispatch_now = Form(lambda job: job.run_now())

        def __new__(cls, *args: object, **kwargs: object) -> Self:
            """Keep the arguments, which are the payload."""
            job = super().__new__(cls)
            job.__dict__["_arguments"] = (args, kwargs)  # a frozen dataclass takes no assignment, here and elsewhere
            return job

    def __init__(self) -> None:
        """Take no arguments unless a subclass says so."""

    def __init_subclass__(cls, *, is_base: bool = False, **kwargs: object) -> None:
        """Check the options and register the class, unless it is a base: one that has no ``handle``, or says so.

        Raises:
            JobDefinitionError: An option is out of range, or another class has the same name.
        """
        super().__init_subclass__(**kwargs)
        check_class(cls)
        if not is_base and (cls.handle not in _UNDONE or getattr(cls, "_handle", Job.handle) not in _UNDONE):
            register(cls)
            mention_queue(cls.queue)

    # --- What a class may say of its jobs

    @abstractmethod
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: what a coroutine exchanges with its loop
        """Do the work. An exception means that it went wrong and is tried again while tries are left."""

    def failed(self, error: Exception) -> None:
        """React, once, when the job has gone to the failed jobs; what this raises is logged and changes nothing."""

    def middleware(self) -> "Sequence[Middleware]":
        """Return what the job passes before it is handled, the outermost first."""
        return ()

    def get_tags(self) -> Sequence[str]:
        """Return words by which the job is found: the rows that it was given, such as ``accounts.user:5``.

        There are none where the arguments are encrypted, for these words are not.
        """
        return () if type(self).encrypted else list_references(self.get_arguments())

    def unique_key(self) -> str:
        """Return what only one job of the class may be about at a time."""
        return ""

    def debounce_key(self) -> str:
        """Return what only the last job of the class is about."""
        return ""

    def prepare_for_dispatch(self) -> bool | None:
        """Do what is to be done before the job is sent; False sends nothing."""
        return None

    def interrupted(self, signal_number: int) -> None:
        """React, in the middle of ``handle``, to the worker being told to end; called in a signal handler."""

    def serialize(self) -> dict[str, object]:
        """Return the payload as JSON values: the constructor's arguments.

        Raises:
            JobArgumentError: One is missing, of the wrong type or can't be stored.
        """
        return encode_arguments(self.get_arguments())

    @classmethod
    def deserialize(cls, payload: Mapping[str, object]) -> Self:
        """Return the job whose ``serialize`` returned this.

        Raises:
            JobArgumentError: It doesn't fit the constructor (any more).
            ModelMissingError: A row that it was given is gone.
        """
        arguments = bind_arguments(cls, (), decode_arguments(payload))
        constructor: Callable[..., Self] = cls
        return constructor(**arguments)

    def authorize_dispatch(self) -> None:
        """Refuse to be sent. Called before the job is stored."""

    def authorize_run(self) -> None:
        """Refuse to run. Called at the worker before middleware."""

    def undo_dispatch(self) -> None:
        """Undo what was stored along with the job, which its store didn't take after the commit."""

    def record_end(self, end: JobEnd) -> None:
        """Write down how a try ended, in the step in which the store is told; may be repeated, and must bear that."""

    def redact(self, text: str) -> str:
        """Return a text, of an exception or a traceback, without what must not be stored or shown."""
        return text

    # --- Before it is sent

    @property
    def options(self) -> JobOptions:
        """What holds for this job alone; ``self.options.queue = …`` works in a constructor, too."""
        options: JobOptions | None = self.__dict__.get("_options")
        if options is None:
            options = self.__dict__["_options"] = JobOptions()
        return options

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        job_id: UUID | None = self.__dict__.get("_job_id")
        if job_id is None:
            job_id = self.__dict__["_job_id"] = uuid4()
        return job_id

    def get_job(self) -> "Job":
        """Return the job itself."""
        return self

    def get_arguments(self) -> dict[str, object]:
        """Return the constructor's arguments by name, checked against its annotations.

        Raises:
            JobArgumentError: One is missing or of the wrong type.
        """
        bound: dict[str, object] | None = self.__dict__.get("_bound")
        if bound is not None:
            return bound.copy()
        args, kwargs = self.__dict__["_arguments"]
        return bind_arguments(type(self), args, kwargs, job=self)

    def chain(self, jobs: Sequence[Link | None]) -> PendingDispatch:
        """Let other jobs follow this one, each when the one before has ended well; what is empty is left out."""
        self.__dict__["_links"] = [*self.__dict__.get("_links", ()), *(job for job in jobs if job)]
        return PendingDispatch(self)

    def get_links(self) -> list[Link]:
        """Return what was chained to the job before it was sent."""
        return list(self.__dict__.get("_links", ()))

    # --- Sending

    def send(self) -> UUID:
        """Send this job and return its id; see ``dispatch``. One that was sent before, or runs, gets a new id."""
        jobs = renew_ids([self])
        record = self.make_record()
        if self.prepare_for_dispatch() is False:
            return self.job_id
        if Current.outlet is not None:
            Current.outlet.note_job(self)
        sent = send([record], is_after_commit=waits_for_commit(self), on_failure=lambda _lost: self.undo_dispatch())
        note_sent(jobs, is_sent=bool(sent))
        return self.job_id

    def make_record(self) -> Record:
        """Return the job as it will travel, with what was chained to it. Raises as ``dispatch`` does."""
        record = make_record(self)
        if "_links" not in self.__dict__ and "_options" not in self.__dict__:
            return record
        words = {"queue": self.options.chain_queue or "", "connection": self.options.chain_connection or ""}
        return wrap_chain(record, encode_links(self.get_links(), **words), **words)

    def run_now(self) -> object:
        """Run this job here and now; see ``dispatch_now``."""
        if Current.outlet is not None and Current.outlet.take_now(self):
            return None
        runner = import_module("jobs.worker.runner")  # it stands above this module
        result: object = runner.run_now(self)
        return result

    def with_fake_queue(self, *, attempts: int = 1) -> "FakeQueue[Self]":
        """Return what stands for the job's queue in a test of this job alone; see ``jobs.testing.FakeQueue``."""
        testing = import_module("jobs.testing")  # it stands above this module, and needs pytest
        queue: FakeQueue[Self] = testing.fake_queue(self, attempts=attempts)
        return queue


# A constructor that sets one of these is told to choose another name.
for _name in ("attempts", "batch", "job_id", "options"):
    setattr(Job, _name, getattr(Job, _name).setter(refuse_attribute(_name)))


#: Handles that do nothing themselves; a class that has no other is a base.
_UNDONE: Final[set[Callable[..., object]]] = {Job.handle}


class InnerHandle(Job, is_base=True):
    """A base whose jobs may do their work in ``_handle`` as well as in ``handle``."""

    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: what a coroutine exchanges with its loop
        """Do the work, in ``_handle``."""
        return self._handle()

    def _handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as above
        raise NotImplementedError


_UNDONE.update({InnerHandle.handle, InnerHandle._handle})  # noqa: SLF001 - the class stands above


def dispatch(job: Job | PendingDispatch) -> UUID:
    """Send a job that was made before, and return its id; see ``Job.dispatch``."""
    return job.get_job().send()
