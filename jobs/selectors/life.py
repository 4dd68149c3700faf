"""One job: where it is, what it was given, and all that has become of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from jobs.drivers.base import UNKNOWN, get_driver
from jobs.drivers.inventory import StoredJob
from jobs.drivers.reading import read_moment
from jobs.exceptions import JobNotFoundError, JobOutOfReachError, PayloadError
from jobs.models import BatchMember, FailedJob, JobTry
from jobs.payload import Record, decode_payload
from jobs.selectors.stores import list_stores

#: How many tries of one job are told; it may be put back for days, and be tried each second.
MAX_TRIES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLife:
    """What is known of a job. One that was done long ago is known no more."""

    job_id: UUID
    connection: str
    queue: str
    job_class: str
    #: ``waiting``, ``delayed``, ``running``, ``done``, ``failed``, ``retrying``, ``recovered`` or ``quarantined``;
    #: ``released`` where a connection that doesn't answer may hold it for another try, ``gone`` where none does: it was
    #: cancelled or cleared, or is done and wasn't listed.
    state: str
    #: The signed record; empty where the job is done.
    payload: str
    #: What that says; None where it is gone, or can't be trusted.
    record: Record | None
    #: As its connection holds it; None where it has ended.
    stored: StoredJob | None
    #: As it failed last; None where it never did, or was forgotten.
    failed: FailedJob | None
    #: Those that are listed, the last 200 of them, the first one first.
    tries: Sequence[JobTry]
    batch_id: UUID | None
    #: Connections that didn't answer, where it may be.
    away: Sequence[str] = ()

    @property
    def attempts(self) -> int:
        """How many tries it has had, as far as that is known."""
        known = [one.attempt for one in self.tries]
        if self.stored is not None:
            known.append(self.stored.attempts)
        if self.failed is not None:
            known.append(self.failed.attempts)
        return max(known, default=0)

    @property
    def dispatched_at(self) -> datetime | None:
        """When it was dispatched first, as far as that is known: one that was put back is dispatched anew."""
        known = [one.dispatched_at for one in self.tries]
        if self.failed is not None:
            known.append(read_moment(str(self.failed.context.get("dispatched_at", "")).encode(errors="replace")))
        if self.record is not None:
            known.append(self.record.created_at)
        if self.stored is not None:
            known.append(self.stored.created_at)
        return min((moment for moment in known if moment is not None and moment != UNKNOWN), default=None)

    @property
    def tags(self) -> Sequence[str]:
        """The words by which it is found."""
        if self.record is not None:
            return self.record.tags
        return list(dict.fromkeys(tag.tag for one in self.tries for tag in one.tags.all()))


def get_job_life(job_id: UUID, *, now: datetime | None = None) -> JobLife:
    """Return what is known of a job.

    Raises:
        JobNotFoundError: Nothing is known of it; ``JobOutOfReachError`` where somebody who may know doesn't answer.
    """
    stored, connection, away = find_stored_job(job_id, now=now)
    failed = FailedJob.objects.filter(job_id=job_id).first()
    tries = list(JobTry.objects.filter(job_id=job_id).order_by("-ended_at", "-id").prefetch_related("tags")[:MAX_TRIES])
    tries.reverse()
    known: StoredJob | FailedJob | JobTry | None = stored or failed or (tries[-1] if tries else None)
    if known is None:
        raise JobOutOfReachError if away else JobNotFoundError
    payload = stored.payload if stored is not None else failed.payload if failed is not None else ""
    record = _read(payload, known)
    return JobLife(
        job_id=job_id,
        connection=known.connection if isinstance(known, FailedJob | JobTry) else connection,
        queue=known.queue,
        job_class=known.job_class,
        state=_get_state(stored, failed, tries, away),
        payload=payload,
        record=record,
        stored=stored,
        failed=failed,
        tries=tries,
        batch_id=record.batch_id if record else _find_batch(job_id),
        away=away,
    )


def find_stored_job(job_id: UUID, *, now: datetime | None = None) -> tuple[StoredJob | None, str, list[str]]:
    """Return a job that waits or runs, the connection that holds it, and those that didn't answer before it did."""
    away: list[str] = []
    for name in list_stores():
        driver = get_driver(name)
        try:
            if (found := driver.find_job(job_id, now=now)) is not None:
                return found, name, away
        except driver.outage_errors:
            away.append(name)
    return None, "", away


def _get_state(stored: StoredJob | None, failed: FailedJob | None, tries: Sequence[JobTry], away: Sequence[str]) -> str:
    if stored is not None:
        return stored.state
    if failed is not None:
        return "quarantined" if failed.is_quarantined and failed.state == "failed" else failed.state
    state = tries[-1].state
    return "gone" if state == "released" and not away else state


def _read(payload: str, known: StoredJob | FailedJob | JobTry) -> Record | None:
    try:
        return decode_payload(payload, job_id=known.job_id, queue=known.queue, job_class=known.job_class)
    except PayloadError:
        return None


def _find_batch(job_id: UUID) -> UUID | None:
    return BatchMember.objects.filter(job_id=job_id).values_list("batch_id", flat=True).first()
