"""One job: its life, what it was given, what follows it; and what is done to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs.dashboard.frame import RIGHTS, action, go_back, page, render_page
from jobs.exceptions import JobNotFoundError
from jobs.models import Batch, JobTry
from jobs.payload import get_argument_names
from jobs.security import describe_arguments
from jobs.selectors import MAX_TRIES, JobLife, get_job_life
from jobs.services import cancel_job, forget_one, retry_one
from permissions import audit

#: Of these one is enough to see tracebacks, as in the admin.
_SEE_TRACEBACKS: Final = ("jobs.view_failedjob", "jobs.change_failedjob")


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
    #: Whose page there is; nothing where there is none (yet).
    job_id: str = ""
    batch_id: str = ""


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
        may_see_traceback=any(request.user.has_perm(right) for right in _SEE_TRACEBACKS),
        arguments=_describe_arguments(request, life) if wants_arguments else None,
        can_retry=life.failed is not None and life.state in {"failed", "quarantined"},
        can_cancel=life.state in {"waiting", "delayed"},
        is_live=not wants_arguments and life.state not in {"done", "recovered", "gone"},
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
    if life.dispatched_at is not None:
        yield Event(at=life.dispatched_at, name="dispatched", detail=f"to {life.queue}")
    yield from _list_tries(life)
    yield from _list_failures(life)
    if life.stored is not None:
        detail = life.stored.fault or {"running": "It runs.", "waiting": "It waits."}.get(life.stored.state, "")
        worker = life.stored.worker if life.stored.state == "running" else ""
        yield Event(at=life.stored.available_at, name="due", detail=detail, worker=worker)


def _list_tries(life: JobLife) -> Iterator[Event]:
    # Those before may just not be told any more.
    last = life.tries[0].attempt - 1 if len(life.tries) == MAX_TRIES else 0
    for one in life.tries:
        if one.attempt <= last:  # counted anew
            at = one.dispatched_at or one.started_at
            yield Event(at=min(at, one.started_at), name="retried", detail="Put back with all its tries.")
            last = 0
        if (missing := one.attempt - last - 1) > 0:
            which = f"Try {last + 1}" if missing == 1 else f"Tries {last + 1} to {one.attempt - 1}"
            yield Event(at=one.started_at, name="cut short", detail=f"{which}: no end was written down.")
        last = one.attempt
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
    # A retry that has had a try is seen by that.
    if failed.retried_at is not None and not any(one.started_at >= failed.retried_at for one in life.tries):
        yield Event(at=failed.retried_at, name="retried", detail=f"Retry {failed.retry_count}")
    if failed.recovered_at is not None:
        yield Event(at=failed.recovered_at, name="recovered", detail="The retry ran to its end.")


def _list_links(life: JobLife) -> list[Link]:
    """Return the chain: what is known of the links before this job, itself, and what follows."""
    if life.record is None or not life.record.chain:
        return []
    links = [*_list_passed(life.record.chain), Link(name=life.job_class, state="now", job_id=str(life.job_id))]
    return links + [_to_link(link) for link in life.record.chain.get("links", [])]


def _list_passed(chain: Mapping[str, Any]) -> list[Link]:  # Any: JSON
    ids = [str(one) for one in chain.get("passed", [])]
    names = {str(key): name for key, name in JobTry.objects.filter(job_id__in=ids).values_list("job_id", "job_class")}
    batches = {str(row.pk): str(row) for row in Batch.objects.filter(pk__in=ids)} if ids else {}
    return [
        Link(name=f"Batch {batches[one]}", state="done", batch_id=one)
        if one in batches
        else Link(name=names.get(one, "A job"), state="done", job_id=one if one in names else "")
        for one in ids
    ]


def _to_link(link: Mapping[str, Any]) -> Link:  # Any: JSON
    if "batch" in link:
        return Link(name=f"Batch {link['batch'].get('name', '')}".strip(), state="to come")
    record = link.get("record", {})
    return Link(name=str(record.get("job_class", "?")), state="to come")


@action("retry")
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Put a failed job back."""
    retry_one(job_id=job_id)
    messages.success(request, "The job was put back; a worker runs it.")
    return go_back(request)


@action("discard", ask=lambda _request: "Delete this failed job for good?")
def discard(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Forget a failed job."""
    forget_one(job_id=job_id)
    messages.success(request, "The failed job was deleted.")
    return HttpResponseRedirect(reverse("dashboard:list", args=["failed"]))


@action("cancel", ask=lambda _request: "Delete this job, which has not run yet, for good?")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Delete a job that waits."""
    cancel_job(job_id=job_id)
    messages.success(request, "The job was cancelled.")
    return HttpResponseRedirect(reverse("dashboard:list", args=["waiting"]))
