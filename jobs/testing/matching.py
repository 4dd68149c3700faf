"""What a test expects of jobs, chains and batches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.batch import PendingBatch
from jobs.job import Job, PendingDispatch


@dataclass(frozen=True, slots=True)
class Like[J: Job]:
    """A job of a class of which something is true."""

    job_class: type[J]
    where: Callable[[J], object]


@dataclass(frozen=True, slots=True)
class LikeBatch:
    """A batch of which something is true."""

    where: Callable[[PendingBatch], object]


#: A class; a job, which is met by one of its class with the same arguments; ``like(…)``, ``like_batch(…)``; in a batch
#: also a list, which is met by a chain.
type Expected = type[Job] | Job | Like[Any] | LikeBatch | Sequence[Expected]  # Any: of whatever class


def like[J: Job](job_class: type[J], where: Callable[[J], object]) -> Like[J]:
    """Return what is met by a job of the class for which ``where`` is true."""
    return Like(job_class, where)


def like_batch(where: Callable[[PendingBatch], object]) -> LikeBatch:
    """Return what is met, in a chain, by a batch for which ``where`` is true."""
    return LikeBatch(where)


def has_jobs(batch: PendingBatch, expected: Sequence[Expected]) -> bool:
    """Say whether a batch holds just these jobs, in this order."""
    return matches_all(batch.jobs, expected)


def assert_has_chain(job: Job, expected: Sequence[Expected]) -> None:
    """Require that just these jobs were chained to a job."""
    __tracebackhide__ = True
    if not expected:
        raise AssertionError("The expected chain can not be empty; use assert_has_no_chain.")
    if not matches_all(flatten(job.get_links()), expected):
        raise AssertionError("The job does not have the expected chain.")


def assert_has_no_chain(job: Job) -> None:
    """Require that nothing was chained to a job."""
    __tracebackhide__ = True
    if job.get_links():
        raise AssertionError("The job has chained jobs.")


def matches_all(found: Sequence[object], expected: Sequence[Expected]) -> bool:
    """Say whether things are as expected, one by one."""
    return len(found) == len(expected) and all(
        matches(one, wanted) for one, wanted in zip(found, expected, strict=True)
    )


def matches(found: object, expected: Expected) -> bool:
    """Say whether one link of a chain, or one member of a batch, is as expected."""
    if isinstance(found, PendingDispatch):
        found = found.get_job()
    match expected:
        case LikeBatch(where):
            return isinstance(found, PendingBatch) and bool(where(found))
        case Like(job_class, where):
            return type(found) is job_class and bool(where(found))
        case type():
            return type(found) is expected
        case Job():
            return are_equal(found, expected)
        case _:
            return isinstance(found, list | tuple) and matches_all(found, expected)


def are_equal(found: object, expected: Job) -> bool:
    """Say whether something is a job of the same class with the same arguments."""
    return (
        isinstance(found, Job) and type(found) is type(expected) and found.get_arguments() == expected.get_arguments()
    )


def flatten(links: Iterable[object]) -> list[object]:
    """Return links of a chain with those that were chained to a link itself behind it."""
    flat: list[object] = []
    for link in links:
        if isinstance(link, Job | PendingDispatch):
            job = link.get_job()
            flat += [job, *flatten(job.get_links())]
        else:
            flat.append(link)
    return flat
