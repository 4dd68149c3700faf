"""One job: its life, what it was given, what follows it; and what is done to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs.dashboard.frame import RIGHTS, action, go_back, page, render_page
from jobs.exceptions import JobNotFoundError
from jobs.payload import get_argument_names
from jobs.security import describe_arguments
from jobs.selectors import MAX_TRIES, JobLife, get_job_life
from jobs.services import cancel_job, forget_one, retry_one
from permissions import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something in the life of a job."""

    at: datetime
    #: ``dispatched``, ``done``, ``released``, ``failed``, ``quarantined``, ``cut short``, ``retried`` …
    name: str
    detail: str = ""
    worker: str = ""
    wait: timedelta | None = None
    run: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A job, or a batch, of a chain."""

    name: str
    #: ``done``, ``now`` or ``to come``.
    state: str
    job_id: str = ""


@page
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show all that is known of a job; what it was given only where that is asked for, which is recorded."""
    try:
        life = get_job_life(job_id)
    except JobNotFoundError as error:
        return render_page(
            request, "missing.html", title="No such job", tab="jobs", status=error.status, reason=error.message
        )
    wants_arguments = request.GET.get("arguments") == "1"
    return render_page(
        request,
        "job.html",
        title=life.job_class or "A job",
        tab="jobs",
        life=life,
        events=sorted(_list_events(life), key=lambda event: event.at),
        links=_list_links(life),
        names=get_argument_names(life.payload),
        arguments=_describe_arguments(request, life) if wants_arguments else None,
        can_retry=life.failed is not None and life.state in {"failed", "quarantined"},
        can_cancel=life.state in {"waiting", "delayed"},
        is_live=not wants_arguments and life.state not in {"done", "recovered"},
    )


def _describe_arguments(request: HttpRequest, life: JobLife) -> Mapping[str, str]:
    if not request.user.has_perm(RIGHTS["see_arguments"]):
        raise PermissionDenied
    if not life.payload:
        raise Http404
    subject = audit.Reference("jobs.job", life.job_id, life.job_class)
    audit.record("job.payload_viewed", actor=request.user, subject=subject)
    return describe_arguments(life.payload, job_class=life.job_class)


def _list_events(life: JobLife) -> Iterator[Event]:
    if (dispatched_at := _find_dispatch(life)) is not None:
        yield Event(at=dispatched_at, name="dispatched", detail=f"to {life.queue}")
    yield from _list_tries(life)
    yield from _list_failures(life)
    if life.stored is not None:
        worker = life.stored.worker if life.stored.state == "running" else ""
        yield Event(at=life.stored.available_at, name=life.stored.state, detail=life.stored.fault, worker=worker)


def _list_tries(life: JobLife) -> Iterator[Event]:
    known = {one.attempt for one in life.tries}
    if len(life.tries) == MAX_TRIES:
        known.add(life.tries[0].attempt - 1)  # which may just not be told any more
    for one in life.tries:
        if one.attempt > 1 and one.attempt - 1 not in known:
            yield Event(at=one.started_at, name="cut short", detail=f"Try {one.attempt - 1}: no end was written down.")
        yield Event(
            at=one.ended_at,
            name=one.state,
            detail=f"Try {one.attempt}" + (f": {one.error}" if one.error else ""),
            worker=one.worker,
            wait=timedelta(seconds=one.wait_seconds),
            run=timedelta(seconds=one.run_seconds),
        )


def _list_failures(life: JobLife) -> Iterator[Event]:
    failed = life.failed
    if failed is None:
        return
    if not any(one.state in {"failed", "quarantined"} for one in life.tries):
        yield Event(at=failed.failed_at, name="failed", detail=f"After {failed.attempts} tries")
    if failed.retried_at is not None:
        yield Event(at=failed.retried_at, name="retried", detail=f"Retry {failed.retry_count}")
    if failed.recovered_at is not None:
        yield Event(at=failed.recovered_at, name="recovered", detail="The retry ran to its end.")


def _find_dispatch(life: JobLife) -> datetime | None:
    if life.stored is not None:
        return life.stored.created_at
    if life.record is not None and life.record.created_at is not None:
        return life.record.created_at
    return next((one.dispatched_at for one in life.tries if one.dispatched_at is not None), None)


def _list_links(life: JobLife) -> list[Link]:
    """Return the chain from this job on, as far as its record tells."""
    if life.record is None or not life.record.chain:
        return []
    links = [Link(name=life.job_class, state="now", job_id=str(life.job_id))]
    return links + [_to_link(link) for link in life.record.chain.get("links", [])]


def _to_link(link: Mapping[str, Any]) -> Link:  # Any: JSON
    if "batch" in link:
        return Link(name=f"Batch {link['batch'].get('name', '')}".strip(), state="to come")
    record = link.get("record", {})
    return Link(name=str(record.get("job_class", "?")), state="to come", job_id=str(record.get("job_id", "")))


@action("retry")
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Put a failed job back."""
    retry_one(job_id=job_id)
    messages.success(request, "The job was put back; a worker runs it.")
    return go_back(request)


@action("discard")
def discard(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Forget a failed job."""
    forget_one(job_id=job_id)
    messages.success(request, "The failed job was deleted.")
    return HttpResponseRedirect(reverse("dashboard:list", args=["failed"]))


@action("cancel")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Delete a job that waits."""
    cancel_job(job_id=job_id)
    messages.success(request, "The job was cancelled.")
    return HttpResponseRedirect(reverse("dashboard:list", args=["waiting"]))
