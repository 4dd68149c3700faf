"""Facts about entries of the schedule."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFact:
    """What every fact about an entry of the schedule tells."""

    #: Its name.
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDispatched(ScheduleFact):
    """An entry was due, and its job was dispatched; told after the commit."""

    run_at: datetime
    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleBroken(ScheduleFact):
    """An entry could not be dispatched, for a reason that it didn't have before."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanged(ScheduleFact):
    """Somebody changed an entry by hand, or dispatched it besides the runs that it is due for."""

    #: ``enabled``, ``disabled``, ``reset``, ``saved`` or ``run``.
    change: str


schedule_changed = FactSignal[ScheduleChanged]()
schedule_dispatched = FactSignal[ScheduleDispatched]()
schedule_broken = FactSignal[ScheduleBroken]()
