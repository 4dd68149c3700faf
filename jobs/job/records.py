"""Jobs as they travel, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable
from uuid import uuid4, uuid5

from jobs.backoff import Backoff
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.encryption import seal, unseal
from jobs.exceptions import JobDefinitionError, PayloadError
from jobs.job.definition import check_attributes
from jobs.job.fluent import Fluent
from jobs.job.registry import get_job_class, require_registered
from jobs.job.running import JobRun
from jobs.options import Delay, JobOptions
from jobs.payload import Record
from jobs.queues import QueueDefinition, check_queue_is_known, get_queue
from project.crypto import keyed_digest

if TYPE_CHECKING:
    from jobs.job.base import Job
    from jobs.job.fluent import PendingDispatch


_NOTHING_SAID: Final = JobOptions()


@runtime_checkable
class PlannedBatch(Protocol):
    """A batch in the making, as a link of a chain or a part of a batch (``jobs.batch``)."""

    def list_jobs(self) -> "list[Job]":
        """Return all jobs that it holds, those of its chains and batches too."""

    def make_link(self, *, queue: str, connection: str) -> dict[str, Any]:  # Any: JSON
        """Return it as JSON values."""


#: What can follow a job.
type Link = "Job | PendingDispatch | PlannedBatch"


@dataclass(slots=True, kw_only=True)
class Resolved:
    """What holds for a job when job, class, queue and settings have been asked. A value, which nobody changes."""

    queue: str
    connection: str
    tries: int
    max_crashes: int
    backoff: Backoff
    timeout: int | float
    priority: int
    delay: Delay | None
    max_exceptions: int | None
    retry_until: timedelta | datetime | None
    is_failed_on_timeout: bool


def resolve_options(
    job_class: "type[Job]", options: JobOptions | None, *, worker_options: JobOptions | None = None
) -> Resolved:
    """Return what holds: what was said for the job, else for its class, else for its queue, else in the settings.

    ``options``: None where nothing was said for the job.
    ``worker_options``: tries, back-off and timeout that hold in place of those of the settings.
    """
    settings = get_job_settings()
    options, said = options or _NOTHING_SAID, worker_options or _NOTHING_SAID
    queue = options.queue or job_class.queue
    definition = get_queue(queue)
    return Resolved(
        queue=queue,
        connection=_first(options.connection, job_class.connection, definition.connection, settings.connection),
        tries=_first(options.tries, job_class.tries, definition.tries, said.tries, settings.tries),
        max_crashes=_first(job_class.max_crashes, settings.max_crashes),
        backoff=_first(options.backoff, job_class.backoff, definition.backoff, said.backoff, settings.backoff),
        timeout=_first(options.timeout, job_class.timeout, definition.timeout, said.timeout, settings.timeout),
        priority=_first(options.priority, job_class.priority),
        delay=_first(options.delay, job_class.delay, None),
        max_exceptions=_first(options.max_exceptions, job_class.max_exceptions, None),
        retry_until=_first(options.retry_until, job_class.retry_until, None),
        is_failed_on_timeout=_first(options.is_failed_on_timeout, job_class.fail_on_timeout),
    )


def waits_for_commit(job: "Job") -> bool:
    """Say whether the dispatch of a job waits for the end of the transaction."""
    options: JobOptions = job.__dict__.get("_options", _NOTHING_SAID)
    return options.is_after_commit if options.is_after_commit is not None else get_job_settings().is_after_commit


def make_record(job: "Job", *, queue: str = "", connection: str = "") -> Record:
    """Return the job as it travels; ``queue`` and ``connection`` hold where the job itself says nothing.

    Whatever sends jobs makes their records here, alone, in a chain, in a batch or as a callback; so this is where a
    job may refuse to be sent.

    Raises:
        JobArgumentError: An argument is missing, of the wrong type or can't be stored.
        JobDefinitionError: The class isn't a registered job, its constructor can't be stored, or an attribute of the
            job hides what the class needs.
        JobOptionError: An option is out of range, or there is no such queue or connection.
        JobRefusedError: The acting user may not send it.
    """
    job_class = type(job)
    name = require_registered(job_class)
    check_attributes(job)
    options: JobOptions = job.__dict__.get("_options", _NOTHING_SAID)
    if options is not _NOTHING_SAID:
        options.check(about=job_class.__name__)
    settings = get_job_settings()
    own_queue = options.queue or queue or job_class.queue
    definition = get_queue(own_queue)
    own_connection = (
        options.connection or job_class.connection or connection or definition.connection or settings.connection
    )
    check_queue_is_known(own_queue)
    get_driver(own_connection)
    # Bound once for all that asks for them, which may be the payload, tags and keys.
    job.__dict__["_bound"] = job.get_arguments()
    try:
        return _make_record(job, name, options, definition, own_connection)
    finally:
        del job.__dict__["_bound"]


def _make_record(job: "Job", name: str, options: JobOptions, queue: QueueDefinition, connection: str) -> Record:
    job_class = type(job)
    arguments: Mapping[str, object] = job.serialize()
    job.authorize_dispatch()
    if job_class.encrypted:
        arguments = seal(arguments, about=f"{job.job_id}")
    encoded = {} if options is _NOTHING_SAID else options.encode()
    max_exceptions = _first(options.max_exceptions, job_class.max_exceptions)
    if max_exceptions is not None:  # what is counted for it is dropped when the job ends
        encoded["max_exceptions"] = max_exceptions
    if options.tags:
        encoded["tags"] = [hide_key(job, tag) for tag in options.tags]
    delay = _first(options.delay, job_class.delay)
    return Record(
        job_id=job.job_id,
        job_class=name,
        queue=queue.name,
        connection=connection,
        arguments=arguments,
        options=encoded,
        priority=_first(options.priority, job_class.priority),
        delay_seconds=_to_seconds(delay),
        delay_until=delay if isinstance(delay, datetime) else None,
        timeout_seconds=_first(options.timeout, job_class.timeout, queue.timeout, get_job_settings().timeout),
        tags=tuple(dict.fromkeys(hide_key(job, tag) for tag in [*_get_tags(job), *options.tags])),
        unique=_make_unique(job, name),
        debounce=_make_debounce(job, name),
        actor_id=job.actor_id,
        actor_scope=job.actor_scope,
        attempts=0 if job_class.signs_attempts else None,
    )


def list_jobs(links: Iterable[Link]) -> "list[Job]":
    """Return jobs with all that follow them, those of batches too."""
    found: list[Job] = []
    for link in links:
        if isinstance(link, Fluent):
            job = link.get_job()
            found += [job, *list_jobs(job.get_links())]
        else:
            found += link.list_jobs()
    return found


def renew_ids(links: Iterable[Link]) -> "list[Job]":
    """Give jobs that were sent before, or run now, ids of their own for another dispatch; return what is sent."""
    jobs = list_jobs(links)
    for job in jobs:
        if job.was_sent or job.running is not None:
            job.__dict__["_job_id"] = uuid4()
        if job.running is None and job.was_sent:
            job.__dict__["actor_scope"] = None  # that of the new dispatch counts
    return jobs


def note_sent(jobs: Iterable["Job"], *, is_sent: bool = True) -> None:
    """Take note that jobs were sent, or refused; each that was sent gets another id if it is sent once more."""
    for job in jobs:
        job.__dict__["was_sent"] = is_sent


def add_ids(links: Iterable[Link], run: JobRun) -> list[Link]:
    """Give what a job adds to its chain ids that are the same in each try, where it has none yet; return it.

    A worker that dies at the end of the job may have stored some of it.
    """
    added = list(links)
    for job in list_jobs(added):
        run.added += 1
        job.__dict__.setdefault("_job_id", uuid5(run.job_id, f"added:{run.added}"))
    return added


def encode_links(links: Iterable[Link], *, queue: str, connection: str) -> list[dict[str, Any]]:  # Any: JSON
    """Return what follows a job as JSON values; queue and connection hold where a link says nothing itself."""
    encoded: list[dict[str, Any]] = []  # Any: JSON
    for link in links:
        if isinstance(link, PlannedBatch):
            encoded.append({"batch": link.make_link(queue=queue, connection=connection)})
            continue
        job = link.get_job()
        encoded.append({"record": make_record(job, queue=queue, connection=connection).as_json()})
        encoded += encode_links(job.get_links(), queue=queue, connection=connection)
    return encoded


def wrap_chain(record: Record, links: Sequence[Mapping[str, Any]], **more: Any) -> Record:  # Any: JSON
    """Return a record that carries what follows it."""
    chain = {"links": list(links), **{name: value for name, value in more.items() if value}}
    return replace(record, chain=chain) if any(chain.values()) else record


def find_class(record: Record) -> "type[Job]":
    """Return the class of a record.

    Raises:
        PayloadError: It isn't registered.
    """
    job_class = get_job_class(record.job_class)
    if job_class is None:
        message = f"No registered job class is called {record.job_class}; see JOBS['MODULES']."
        raise PayloadError(message)
    return job_class


def build_job(job_class: "type[Job]", record: Record) -> "Job":
    """Return the job of a record.

    Raises:
        PayloadError: What was sealed was changed.
        JobArgumentError: The arguments don't fit the constructor (any more).
        ModelMissingError: A row that the job was given is gone.
    """
    arguments = record.arguments
    if job_class.encrypted:
        opened = unseal(dict(arguments), about=f"{record.job_id}")
        if not isinstance(opened, dict):
            raise PayloadError("The record holds no arguments.")
        arguments = opened
    job = job_class.deserialize(arguments)
    job.__dict__.update(_job_id=record.job_id, actor_id=record.actor_id, actor_scope=record.actor_scope)
    return job


def _get_tags(job: "Job") -> Sequence[str]:
    """Return those that a job gives itself.

    Raises:
        JobDefinitionError: One is no text.
    """
    tags = job.get_tags()
    if not all(isinstance(tag, str) for tag in tags):
        message = f"get_tags of {type(job).__qualname__} returns something else than texts."
        raise JobDefinitionError(message)
    return tags


def hide_key(job: "Job", key: str) -> str:
    """Return a key under which something about a job is stored: a digest where it holds what must not be stored."""
    return key if job.redact(key) == key else _digest(key)


def _hide_subject(job: "Job", key: str) -> str:
    """Return the key of what a job is about; where its arguments are encrypted what is made of them is hidden, too."""
    return _digest(key) if key and type(job).encrypted else hide_key(job, key)


def _digest(key: str) -> str:
    return f"hidden:{keyed_digest('job-key', key)[:32]}"


def _make_unique(job: "Job", name: str) -> dict[str, Any] | None:  # Any: JSON
    if job.unique_for is None:
        return None
    key = f"{name}:{_hide_subject(job, job.unique_key())}"
    return {"key": key, "seconds": job.unique_for, "until": job.unique_until}


def _make_debounce(job: "Job", name: str) -> dict[str, Any] | None:  # Any: JSON
    if job.debounce_for is None:
        return None
    key = f"{name}:{_hide_subject(job, job.debounce_key())}"
    return {"key": key, "seconds": job.debounce_for, "max_wait": job.debounce_max_wait}


def _to_seconds(delay: Delay | None) -> float:
    if isinstance(delay, timedelta):
        return delay.total_seconds()
    return delay if isinstance(delay, int | float) else 0


def _first(*values: Any) -> Any:  # Any: options of several types
    """Return the first that was said; the last one where none was."""
    for value in values:
        if value is not None:
            return value
    return None
