"""Sending many jobs at once."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from jobs.exceptions import JobOptionError, PartlySentError
from jobs.job.base import Job
from jobs.job.fluent import Fluent
from jobs.job.records import note_sent, renew_ids, waits_for_commit
from jobs.outlet import Current
from jobs.payload import Record
from jobs.services import send


def dispatch_many(jobs: Iterable[Fluent]) -> list[UUID]:
    """Send jobs that were made before, and return their ids in the same order.

    Each is sent as ``dispatch`` sends it, with its locks, its chain and its signals, and ``was_sent`` says which were;
    but they reach their store 500 at a time. Locks, of unique and debounced jobs, are taken one by one.

    What can't be sent is heard before anything is stored. On the database connection it is all or none. Where another
    store fails in the middle, what it has taken stays: send the others again. Of those that were on their way some may
    have been taken, too, as when ``dispatch`` raises.

    Raises:
        PartlySentError: A store failed when it, or another one, had taken some; ``sent`` holds their ids.
        JobArgumentError: An argument of a job can't be stored.
        JobDefinitionError: A class isn't a registered job, or its constructor can't be stored.
        JobOptionError: An option is out of range, or a job is among them twice.
        QueueFull: A queue has no room for them.
        JobRefusedError: The acting user lacks a permission that a job requires.
    """
    made = [job.get_job() for job in jobs]
    if len({id(job) for job in made}) < len(made):
        message = "A job is sent once in one dispatch_many; make another one of the same class for each run."
        raise JobOptionError(message)
    others = {id(job): job for job in renew_ids(made)}
    for job in made:
        del others[id(job)]
    ready = [(job, job.make_record()) for job in made]
    ready = [(job, record) for job, record in ready if job.prepare_for_dispatch() is not False]
    if Current.outlet is not None:
        for job, _ in ready:
            Current.outlet.note_job(job)
    try:
        sent = _send_all(ready)
    except PartlySentError as error:
        _note(ready, error.sent)
        raise
    _note(ready, sent)
    note_sent(others.values())
    return [job.job_id for job in made]


def _note(ready: Iterable[tuple[Job, Record]], sent: Collection[UUID]) -> None:
    for job, record in ready:
        job.__dict__["was_sent"] = record.job_id in sent


def _send_all(ready: Sequence[tuple[Job, Record]]) -> set[UUID]:
    """Send jobs, those first that wait for the commit; return the ids of those that were sent."""
    sent: set[UUID] = set()
    parts: dict[bool, dict[UUID, tuple[Job, Record]]] = {True: {}, False: {}}
    for job, record in ready:
        parts[waits_for_commit(job)][record.job_id] = job, record
    for is_after_commit, part in parts.items():
        sent.update(_send_part(part, is_after_commit=is_after_commit, before=sent))
    return sent


def _send_part(
    part: dict[UUID, tuple[Job, Record]], *, is_after_commit: bool, before: Collection[UUID]
) -> Iterable[UUID]:
    def undo(lost: Collection[UUID]) -> None:
        for job_id in lost:
            part[job_id][0].undo_dispatch()

    records = [record for _, record in part.values()]
    try:
        sent = send(records, is_after_commit=is_after_commit, on_failure=undo, keeps_part=True)
    except PartlySentError as error:
        raise PartlySentError([*before, *error.sent]) from error.__cause__
    except Exception as error:
        if before:
            raise PartlySentError(before) from error
        raise
    return [record.job_id for record in sent]
