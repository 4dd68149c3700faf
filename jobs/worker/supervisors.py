"""Supervisors: pools of worker processes by name, as ``JOBS["SUPERVISORS"]`` describes them."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Final, Literal

from jobs.backoff import MAX_SECONDS, Backoff
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.exceptions import JobOptionError
from jobs.options import JobOptions, is_queue_name, is_queue_pattern, serves_queue
from jobs.worker.balancing import Load, Rules, balance, share_at_first
from jobs.worker.groups import Group
from jobs.worker.loop import WorkerOptions
from project.processors import list_processors

_MOST_PROCESSES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """What one supervisor runs; times are in seconds."""

    name: str
    connection: str = ""
    #: Names and patterns, in order; none for every queue, which only ``off`` can serve.
    queues: Sequence[str] = field(default=())
    #: See ``jobs.worker.balancing.Rules``.
    balance: Literal["off", "simple", "auto"] = "auto"
    strategy: Literal["time", "size"] = "time"
    #: Processes of each queue, at least, and of all, at most.
    min_processes: int = 1
    max_processes: int = 1
    #: Processes that a queue may win or lose at a time, and the pause until the next time.
    shift: int = 1
    cooldown: float = 3.0
    #: What each worker is told; see the options of ``queue_work``.
    tries: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    max_jobs: int | None = None
    max_time: float | None = None
    memory: int | None = None
    sleep: float | None = None
    rest: float = 0.0
    threads: int = 0
    concurrency: int | None = None
    cpu_affinity: bool = False

    def check(self) -> None:
        """Make sure that all that was said can be done.

        Raises:
            JobOptionError: Something can't; the text says what, and what may be.
            UnknownConnectionError: There is no such connection.
        """
        get_driver(self.connection or None)
        JobOptions(tries=self.tries, backoff=self.backoff, timeout=self.timeout).check()
        for name, (wanted, accepts) in _WORDS.items():
            value = getattr(self, name)
            if not (value is None and name in _LEFT_OPEN) and not accepts(value):
                message = f"{name} must be {wanted}, not {value!r:.50}."
                raise JobOptionError(message)
        if not self.queues and self.balance != "off":
            raise JobOptionError("Without queues nothing can be balanced; say balance: off, or name queues.")
        if self.min_processes * self.count_groups() > self.max_processes:
            least = self.min_processes * self.count_groups()
            message = f"max_processes must be {least} at least, so that each queue has min_processes."
            raise JobOptionError(message)

    def count_groups(self) -> int:
        """Return how many groups of processes there are."""
        return 1 if self.balance == "off" else len(self.queues)

    @property
    def rules(self) -> Rules:
        """How to balance."""
        return Rules(
            balance=self.balance,
            strategy=self.strategy,
            min_processes=self.min_processes,
            max_processes=self.max_processes,
            shift=self.shift,
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000_000


def _is_process_count(value: object) -> bool:
    return _is_count(value) and isinstance(value, int) and value <= _MOST_PROCESSES


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _is_affinity(value: object) -> bool:
    return value is False or (value is True and bool(list_processors()))


def _are_queues(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_queue_pattern, value)) and len(set(value)) == len(value)


#: What need not be said, for something else decides it then.
_LEFT_OPEN: Final = {one.name for one in fields(SupervisorOptions) if one.default is None}
_WORDS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "name": ("1 to 100 characters without comma, space or '*'", is_queue_name),
    "queues": ("a list of names or patterns of queues, each once", _are_queues),
    "balance": ("off, simple or auto", lambda value: value in {"off", "simple", "auto"}),
    "strategy": ("time or size", lambda value: value in {"time", "size"}),
    "min_processes": ("a whole number from 1 to 1,000", _is_process_count),
    "max_processes": ("a whole number from 1 to 1,000", _is_process_count),
    "shift": ("a whole number from 1 to 1,000", _is_process_count),
    "cooldown": ("0.1 to 3,600 seconds", lambda value: _is_seconds(value) and 0.1 <= float(str(value)) <= 3600),
    "max_jobs": ("a whole number from 1", _is_count),
    "max_time": ("1 to 31,536,000 seconds", lambda value: _is_seconds(value) and float(str(value)) >= 1),
    "memory": ("a whole number of MB from 1", _is_count),
    "sleep": ("0 to 31,536,000 seconds", _is_seconds),
    "rest": ("0 to 31,536,000 seconds", _is_seconds),
    "threads": ("a whole number from 0 to 1,000", lambda value: value == 0 or _is_process_count(value)),
    "concurrency": ("a whole number from 1", _is_count),
    "cpu_affinity": ("true or false; true on Linux only", _is_affinity),
}


def list_supervisor_names() -> list[str]:
    """Return the names of all supervisors of the settings, in their order."""
    return list(get_job_settings().supervisors)


def find_supervisor(name: str) -> SupervisorOptions:
    """Return a supervisor of the settings.

    Raises:
        KeyError: There is none of that name.
        TypeError: It says something that there is not.
        JobOptionError: It says something that can't be done.
    """
    arguments: Mapping[str, Any] = get_job_settings().supervisors[name]  # Any: those of the dataclass
    options = SupervisorOptions(name=name, **arguments)
    options.check()
    return options


class Supervisor:
    """The groups of processes of one supervisor."""

    def __init__(self, options: SupervisorOptions, *, report: Callable[[str], object] | None = None) -> None:
        """Take what it runs, and what is told of it; no process is started yet."""
        self.options = options
        self.report = report
        patterns = [tuple(options.queues)] if options.balance == "off" else [(one,) for one in options.queues]
        size = share_at_first(len(patterns), options.rules)
        #: By the queues that each serves, comma-separated.
        self.groups = {
            ",".join(queues): Group(_make_worker_options(options, queues, report), size=size) for queues in patterns
        }

    @property
    def is_fixed(self) -> bool:
        """Whether nothing that waits could change the number of processes."""
        rules = self.options.rules
        return len(self.groups) == 1 and rules.min_processes == rules.max_processes

    def find_group(self, queue: str) -> str | None:
        """Return the name of the first group that serves a queue; None where none does."""
        for name, group in self.groups.items():
            if serves_queue(group.options.queues, queue):
                return name
        return None

    def move(self, loads: Mapping[str, Load]) -> None:
        """Bring the processes nearer to what the loads of the groups ask for, by one step."""
        counts = {name: group.count() for name, group in self.groups.items()}
        for name, count in balance(counts, loads, self.options.rules).items():
            self.groups[name].resize(count, room=self.options.max_processes - self._count())

    def _count(self) -> int:
        return sum(group.count() for group in self.groups.values())


def _make_worker_options(
    options: SupervisorOptions, queues: Sequence[str], report: Callable[[str], object] | None
) -> WorkerOptions:
    return WorkerOptions(
        queues=queues,
        connection=options.connection,
        name=f"{socket.gethostname()}/{options.name}",
        sleep=get_job_settings().sleep if options.sleep is None else timedelta(seconds=options.sleep),
        rest=timedelta(seconds=options.rest),
        max_jobs=options.max_jobs,
        max_time=None if options.max_time is None else timedelta(seconds=options.max_time),
        memory_mb=options.memory,
        has_keeper=True,
        job_options=JobOptions(tries=options.tries, backoff=options.backoff, timeout=options.timeout),
        report=report,
        threads=options.threads,
        cpu_affinity=options.cpu_affinity,
        concurrency=options.concurrency,
    )
