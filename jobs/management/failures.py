"""What the commands about failed jobs have in common: saying which ones are meant, and doing something to many."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.exceptions import FailedJobNotFoundError
from jobs.management.arguments import moment, queue_name
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer, plan_steering, steer_some
from project.exceptions import DomainError
from project.terminal import show_progress


def add_filters(parser: ArgumentParser) -> None:
    """Add the options by which failed jobs are chosen; those that are said hold together."""
    parser.add_argument("--queue", type=queue_name, metavar="NAME", help="Only those of this queue.")
    parser.add_argument("--class", dest="job_class", metavar="NAME", help="Only those of this class of jobs.")
    parser.add_argument(
        "--since",
        type=moment,
        metavar="1h|2026-05-31",
        help="Only those that failed since then: so long ago, in minutes (30m), hours, days (2d), weeks; or a moment.",
    )
    parser.add_argument(
        "--exception", metavar="TEXT", help="Only those that raised something with this in its text, in any case."
    )


def make_query(
    *, queue: str | None, job_class: str | None, since: datetime | None, exception: str | None, **more: Any
) -> JobQuery:  # Any: other fields of the query
    """Return which failed jobs are meant."""
    return JobQuery(
        status=JobStatus.FAILED,
        queue=queue or "",
        job_class=job_class or "",
        since=since,
        exception=exception or "",
        **more,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What became of it."""

    done_count: int
    #: Left as they were: another one of their key waits, their connection is gone, or somebody else was quicker.
    skipped_count: int = 0
    #: Of those that were named, with the reason: no failed jobs, or such that were left as they were.
    refused: Sequence[tuple[UUID, str]] = ()

    def as_json(self, word: str) -> dict[str, Any]:  # Any: JSON
        """Return it as commands print it."""
        missing = [str(job_id) for job_id, _reason in self.refused]
        return {f"{word}_count": self.done_count, "skipped_count": self.skipped_count, "missing": missing}

    def describe_refusals(self) -> str:
        """Return in words what became of those that were named, but not done."""
        refusals = "\n".join(f"{job_id}: {reason}" for job_id, reason in self.refused)
        return f"{refusals}\nSee the failed jobs with: queue_failed"


def steer_found(query: JobQuery, steer: Steer, *, words: str) -> Steered:
    """Do it to all that the search finds, step by step; a terminal shows how far that has come."""
    plan = plan_steering(query, steer)
    with show_progress(words, total=plan.total) as show:
        while not plan.is_complete:
            plan = steer_some(plan)
            show(plan.done + plan.skipped)
    return Steered(done_count=plan.done, skipped_count=plan.skipped)


def steer_named(job_ids: Sequence[UUID], act: Callable[[UUID], None]) -> Steered:
    """Do it to each of those that are named, though some of them can't be."""
    wanted = list(dict.fromkeys(job_ids))
    refused = []
    for job_id in wanted:
        try:
            act(job_id)
        except FailedJobNotFoundError:
            refused.append((job_id, "Not among the failed jobs."))
        except DomainError as error:
            refused.append((job_id, error.message))
    return Steered(done_count=len(wanted) - len(refused), refused=refused)
