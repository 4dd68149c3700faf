"""The first page: tiles, queues, workers and the last failures; and what is done to queues and workers."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from jobs.dashboard.charts import draw_throughput, draw_times
from jobs.dashboard.forms import MetricsForm, PauseForm
from jobs.dashboard.frame import action, go_back, list_tables, page, render_page
from jobs.drivers.base import get_driver
from jobs.exceptions import ConnectionsAwayError, JobOptionError, UnknownConnectionError
from jobs.queues import pause_queue, resume_queue
from jobs.selectors import (
    JobQuery,
    JobStatus,
    TryStatistics,
    get_overview,
    get_tables,
    list_jobs,
    list_points,
    list_workers,
)
from jobs.services import Wish, tell_worker
from project.printable import to_printable

_SHOWN_FAILURES: Final = 10
_SAID: Final = {Wish.REST: "is told to rest", Wish.GO_ON: "is told to go on", Wish.STOP: "is told to stop"}


@partial(page, otherwise=list_tables)
def overview(request: HttpRequest) -> HttpResponse:
    """Show all at a glance."""
    now = timezone.now()
    minute = timedelta(minutes=1)
    points = list_points(since=now - 59 * minute, until=now, step=minute, has_percentiles=False)
    return render_page(
        request,
        "overview.html",
        title="Jobs",
        tab="overview",
        house=get_overview(),
        chart=draw_throughput(points, step=minute, by_day=False),
        failures=list_jobs(JobQuery(status=JobStatus.FAILED), limit=_SHOWN_FAILURES).rows,
        pause_form=PauseForm(),
        is_live=True,
    )


@page
def workers(request: HttpRequest) -> HttpResponse:
    """Show who works."""
    found = list_workers(now=timezone.now())
    return render_page(request, "workers.html", title="Workers", tab="workers", workers=found, is_live=True)


@page
def metrics(request: HttpRequest) -> HttpResponse:
    """Show how it went over time, of all jobs, of a queue or of a class."""
    form = MetricsForm(request.GET)
    now, said = timezone.now(), form.get_said()
    span, step = form.get_span()
    points = list_points(
        since=now - span, until=now, step=step, queue=said.get("queue"), job_class=said.get("job_class")
    )
    by_queue, by_class = get_tables(
        since=now - span, until=now, queue=said.get("queue"), job_class=said.get("job_class")
    )
    by_day = span > timedelta(days=1)
    return render_page(
        request,
        "metrics.html",
        title="Metrics",
        tab="metrics",
        form=form,
        charts=[
            draw_throughput(points, step=step, by_day=by_day),
            draw_times(points, kind="run", step=step, by_day=by_day),
            draw_times(points, kind="wait", step=step, by_day=by_day),
        ],
        queues=_sort(by_queue),
        classes=_sort(by_class),
        is_live=True,
    )


def _sort(statistics: dict[str, TryStatistics]) -> list[tuple[str, TryStatistics, list[timedelta | None]]]:
    """Return the busiest first, with the percentiles of run times and waits."""
    rows = sorted(statistics.items(), key=lambda one: -one[1].try_count)
    return [
        (
            name,
            one,
            [
                *(one.get_run_percentile(share) for share in (0.5, 0.95, 0.99)),
                *(one.get_wait_percentile(share) for share in (0.5, 0.95, 0.99)),
            ],
        )
        for name, one in rows
    ]


@action("pause")
def pause(request: HttpRequest) -> HttpResponse:
    """Let a queue rest, for some minutes or until it is told to go on."""
    form = PauseForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return go_back(request)
    minutes = form.cleaned_data["minutes"]
    until = timezone.now() + timedelta(minutes=minutes) if minutes else None
    _change(request, form.cleaned_data["connection"], form.cleaned_data["queue"], until=until, is_pause=True)
    return go_back(request)


@action("resume")
def resume(request: HttpRequest) -> HttpResponse:
    """Let a queue go on."""
    _change(request, request.POST.get("connection", ""), request.POST.get("queue", ""), until=None, is_pause=False)
    return go_back(request)


def _change(request: HttpRequest, connection: str, queue: str, *, until: datetime | None, is_pause: bool) -> None:
    subject = "All queues" if queue == "*" else f"The queue {queue}"
    try:
        outages = get_driver(connection).outage_errors
    except UnknownConnectionError as error:
        messages.error(request, str(error))
        return
    try:
        if is_pause:
            pause_queue(queue, connection=connection, until=until)
            messages.success(request, f"{subject} of {connection}: paused.")
        elif resume_queue(queue, connection=connection):
            messages.success(request, f"{subject} of {connection}: resumed.")
        else:
            messages.warning(request, f"{subject} of {connection} was not paused.")
    except (JobOptionError, ConnectionsAwayError) as error:
        messages.error(request, str(error))
    except outages:
        messages.error(request, f"The connection {connection} does not answer; nothing was changed.")


def _ask_to_stop(request: HttpRequest) -> str:
    if request.POST.get("wish") != Wish.STOP:
        return ""
    return f"Stop the worker {to_printable(request.POST.get('worker', '')[:200])} after its jobs in hand?"


@action("tell", ask=_ask_to_stop)
def tell(request: HttpRequest) -> HttpResponse:
    """Tell a worker to rest, to go on or to stop."""
    name, wish = request.POST.get("worker", "").replace("\x00", ""), request.POST.get("wish", "")
    if wish not in _SAID:
        messages.error(request, "A worker can be told to rest, to go on or to stop.")
        return go_back(request, default="dashboard:workers")
    tell_worker(name=name, wish=Wish(wish))
    messages.success(request, f"The worker {name} {_SAID[Wish(wish)]}; it hears that within five seconds.")
    return go_back(request, default="dashboard:workers")
