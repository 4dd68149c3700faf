"""Jobs by the clock, said in code: ``schedule(PruneJob, days=30).cron("0 3 * * *").named("prune")``.

An entry is written down in the database when a worker or ``queue_schedule`` starts, and can be changed in the admin
from then on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, Self

from django.conf import settings

from jobs.arguments import bind_arguments, encode_arguments
from jobs.cron import Timing
from jobs.exceptions import JobDefinitionError, JobOptionError, ScheduleTimingError
from jobs.job import Job, get_job_name
from jobs.options import JobOptions

MAX_NAME_LENGTH: Final = 100
MAX_MISSED: Final = 1_000

type MissedRunsPolicy = Literal["skip", "once", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is dispatched, and when."""

    name: str
    #: Registered name of the class.
    job_class: str
    #: Constructor arguments as ``jobs.arguments`` writes them.
    arguments: Mapping[str, object] = field(default_factory=dict)
    timing: Timing
    queue: str = ""
    priority: int | None = None
    #: Key of the user on whose behalf the job runs.
    actor_id: str = ""
    is_enabled: bool = True
    missed_runs: MissedRunsPolicy = "once"
    max_missed: int = 10


class PlannedSchedule:
    """An entry of the schedule in the making; each word returns it again."""

    def __init__(self, job_class: str, arguments: Mapping[str, object]) -> None:
        """Take what is dispatched."""
        self._job_class = job_class
        self._arguments = arguments
        self._name = ""
        self._timing = Timing()
        self._queue = ""
        self._priority: int | None = None
        self._actor_id = ""
        self._missed_runs: MissedRunsPolicy = "once"
        self._max_missed = 10

    def cron(self, expression: str, *, timezone: str | None = None) -> Self:
        """Let it be due by five fields, or ``@daily`` and its like, in a time zone; that of the settings by default.

        Raises:
            ScheduleTimingError: The expression or the zone can't be read, or never comes.
        """
        self._timing = Timing(cron=expression, timezone=timezone or settings.TIME_ZONE)
        self._timing.check()
        return self

    def every(self, interval: float | timedelta) -> Self:
        """Let it be due again and again after so many seconds, whatever clocks on walls show.

        Raises:
            ScheduleTimingError: It isn't a whole number of seconds of 1 s to ten years.
        """
        duration = interval if isinstance(interval, timedelta) else timedelta(seconds=interval)
        self._timing = Timing(interval=duration)
        self._timing.check()
        return self

    def named(self, name: str) -> Self:
        """Call it so; without a name it is called as the class of its job.

        Raises:
            JobDefinitionError: The name is too long, or another entry has it.
        """
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            message = f"The name of a schedule has 1 to {MAX_NAME_LENGTH} printable characters."
            raise JobDefinitionError(message)
        if any(other is not self and other.get_name() == name for other in _planned):
            message = f"There are two schedules called {name!r}; give one of them another name."
            raise JobDefinitionError(message)
        self._name = name
        return self

    def on_queue(self, queue: str) -> Self:
        """Let its jobs wait in another queue than their class says."""
        JobOptions(queue=queue).check(about=self.get_name())
        self._queue = queue
        return self

    def with_priority(self, priority: int) -> Self:
        """Give its jobs a priority of 0 to 255."""
        JobOptions(priority=priority).check(about=self.get_name())
        self._priority = priority
        return self

    def on_behalf_of(self, user_key: object) -> Self:
        """Name the key of the user for whom its jobs run, and whose rights secure jobs need."""
        self._actor_id = str(user_key)
        return self

    def when_missed(self, policy: MissedRunsPolicy, *, at_most: int = 10) -> Self:
        """Say what becomes of runs whose time passed while nobody looked.

        Args:
            policy: ``skip`` leaves them out, ``once`` runs once for all of them, ``all`` runs each …
            at_most: … up to so many, the last ones.

        Raises:
            JobOptionError: The policy or the bound makes no sense.
        """
        if policy not in {"skip", "once", "all"} or not 1 <= at_most <= MAX_MISSED:
            message = f"Missed runs: 'skip', 'once' or 'all', and 1 to {MAX_MISSED} of them."
            raise JobOptionError(message)
        self._missed_runs, self._max_missed = policy, at_most
        return self

    def get_name(self) -> str:
        """Return what it is called."""
        return self._name or self._job_class

    def get_entry(self) -> Entry:
        """Return what was said.

        Raises:
            ScheduleTimingError: It wasn't said when.
        """
        if not self._timing.cron and self._timing.interval is None:
            message = f"The schedule {self.get_name()!r} doesn't say when: add .cron(…) or .every(…)."
            raise ScheduleTimingError(message, field="cron")
        return Entry(
            name=self.get_name(),
            job_class=self._job_class,
            arguments=self._arguments,
            timing=self._timing,
            queue=self._queue,
            priority=self._priority,
            actor_id=self._actor_id,
            missed_runs=self._missed_runs,
            max_missed=self._max_missed,
        )


_planned: Final[list[PlannedSchedule]] = []


def schedule[**P](job_class: Callable[P, Job], *args: P.args, **kwargs: P.kwargs) -> PlannedSchedule:
    """Plan a job; the arguments are the constructor's. Say it in a module of ``JOBS["MODULES"]``.

    Raises:
        JobArgumentError: An argument is missing, of the wrong type or can't be stored.
        JobDefinitionError: It isn't the class of a job, or its constructor can't be stored.
    """
    if not (isinstance(job_class, type) and issubclass(job_class, Job)):
        message = f"{job_class!r} isn't the class of a job."
        raise JobDefinitionError(message)
    arguments = encode_arguments(bind_arguments(job_class, args, kwargs))
    planned = PlannedSchedule(get_job_name(job_class), arguments)
    _planned.append(planned)
    return planned


def list_entries() -> list[Entry]:
    """Return the entries that code has, by name.

    Raises:
        JobDefinitionError: Two have the same name.
        ScheduleTimingError: One doesn't say when.
    """
    entries = {planned.get_name(): planned.get_entry() for planned in _planned}
    if len(entries) < len(_planned):
        message = "Two schedules have the same name; give one of them another with .named(…)."
        raise JobDefinitionError(message)
    return [entries[name] for name in sorted(entries)]


def forget_schedule(name: str) -> None:
    """Take an entry of code back; tests and shells need that."""
    _planned[:] = [planned for planned in _planned if planned.get_name() != name]
