"""Batches as bars and as pictures of their jobs; and entries of the schedule."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from jobs.batch import Batch, find_batch, to_batch
from jobs.dashboard.frame import action, go_back, page, render_page
from jobs.dashboard.lists import carry_on
from jobs.exceptions import InvalidCursorError, JobArgumentError, QueueFull, ScheduleBrokenError
from jobs.models import BatchMember, FailedJob, Schedule
from jobs.scheduler import disable_schedules, enable_schedules, run_schedule_now
from jobs.selectors import BatchState, JobQuery, JobStatus, list_batches, list_schedules
from jobs.services import Steer, cancel_whole_batch, plan_steering
from project.exceptions import DomainError

#: Members that one picture draws; of a larger batch it draws the first, and failed ones first of all.
_DRAWN: Final = 1_000
_ORDER: Final = ("failed", "retrying", "pending", "processed", "skipped")
_COLUMNS: Final = 50
_SIDE: Final = 14
_SHOWN_FAILURES: Final = 50
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One job in the picture of a batch."""

    job_id: UUID
    state: str
    x: int
    y: int


@page
def batches(request: HttpRequest) -> HttpResponse:
    """Show batches, newest first."""
    said, name = request.GET.get("state", ""), request.GET.get("name", "")[:_MAX_NAME]
    state, is_stale = BatchState(said) if said in BatchState else None, False
    try:
        rows, cursor = list_batches(state=state, name=name, cursor=request.GET.get("cursor", ""))
    except InvalidCursorError:
        is_stale = True
        rows, cursor = list_batches(state=state, name=name)
    shown = [to_batch(row) for row in rows]
    return render_page(
        request,
        "batches.html",
        title="Batches",
        tab="batches",
        batches=[(one, get_batch_state(one)) for one in shown],
        state=state or "",
        name=name,
        cursor=cursor,
        is_stale=is_stale,
        is_live=True,
    )


def get_batch_state(found: Batch) -> str:
    """Return how a batch stands, in a word or three."""
    return found.state.replace("_", " ")


@page
def batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """Show one batch, with a picture of its jobs."""
    found = find_batch(batch_id)
    if found is None:
        reason = "There is no such batch (any more)."
        return render_page(request, "missing.html", title="No such batch", tab="batches", status=404, reason=reason)
    members = BatchMember.objects.filter(batch=batch_id)
    counts = dict(members.order_by("state").values_list("state").annotate(Count("id")))
    cells = _draw([row for state in _ORDER for row in _list_members(batch_id, state, counts)][:_DRAWN])
    failed = members.filter(state="failed").values("job_id")
    return render_page(
        request,
        "batch.html",
        title=found.name or f"Batch {found.id}",
        tab="batches",
        batch=found,
        state=get_batch_state(found),
        counts=[(state, counts[state]) for state in _ORDER if state in counts],
        cells=cells,
        width=min(len(cells), _COLUMNS) * _SIDE,
        height=-(-len(cells) // _COLUMNS) * _SIDE,
        drawn=len(cells),
        total=sum(counts.values()),
        failures=FailedJob.objects.filter(job_id__in=failed).defer("payload", "traceback")[:_SHOWN_FAILURES],
        is_live=not found.is_finished,
    )


def _list_members(batch_id: UUID, state: str, counts: dict[str, int]) -> list[tuple[UUID, str]]:
    if not counts.get(state):
        return []
    rows = BatchMember.objects.filter(batch=batch_id, state=state).order_by("id")
    return list(rows.values_list("job_id", "state")[:_DRAWN])


def _draw(members: list[tuple[UUID, str]]) -> list[Cell]:
    return [
        Cell(job_id=job_id, state=state, x=number % _COLUMNS * _SIDE, y=number // _COLUMNS * _SIDE)
        for number, (job_id, state) in enumerate(members)
    ]


@action("change_batch", ask=lambda _request: "Cancel this batch? Its jobs that look at that skip themselves.")
def cancel(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """Cancel a batch."""
    if cancel_whole_batch(batch_id=batch_id):
        messages.success(request, "The batch was cancelled: jobs that look at that skip themselves.")
    else:
        messages.warning(request, "The batch was cancelled before.")
    return go_back(request, default="dashboard:batches")


@action("retry", ask=lambda _request: "Put all failed jobs of this batch back, with all their tries?")
def retry(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """Put the failed jobs of a batch back, step by step."""
    query = JobQuery(status=JobStatus.FAILED, batch_id=batch_id)
    return carry_on(request, plan_steering(query, Steer.RETRY))


@page
def schedules(request: HttpRequest) -> HttpResponse:
    """Show what is due when, in words; the admin's own pages of it only to those whom that lets in."""
    own_pages = admin.site.get_model_admin(Schedule)
    return render_page(
        request,
        "schedules.html",
        title="Schedules",
        tab="schedules",
        schedules=list_schedules(),
        may_open=own_pages.has_view_permission(request),
        may_add=own_pages.has_add_permission(request),
        now=timezone.now(),
        is_live=True,
    )


@action("schedule")
def change_schedule(request: HttpRequest, schedule_id: int, change: str) -> HttpResponse:
    """Let an entry be due or rest, or dispatch its job now."""
    row = Schedule.objects.filter(pk=schedule_id).first()
    if row is None:
        raise Http404
    match change:
        case "enable":
            enable_schedules(ids=[row.pk])
            messages.success(request, f"{row.name} is due again.")
        case "disable":
            disable_schedules(ids=[row.pk])
            messages.success(request, f"{row.name} rests.")
        case "run":
            _run(request, row)
        case _:
            raise Http404
    return go_back(request, default="dashboard:schedules")


def _run(request: HttpRequest, row: Schedule) -> None:
    try:
        run = run_schedule_now(schedule_id=row.pk)
    except (ScheduleBrokenError, JobArgumentError, QueueFull, DomainError) as error:
        messages.error(request, f"{row.name}: {error}")
    else:
        words = f"job {run.job_id} was dispatched." if run.job_id else run.detail
        messages.success(request, f"{row.name}: {words}")
