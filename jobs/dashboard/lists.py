"""Lists of jobs, and what is done to those that were ticked, or to all that a search finds."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from jobs.dashboard.forms import SearchForm
from jobs.dashboard.frame import RIGHTS, VIEW, action, go_back, page, render_page
from jobs.exceptions import InvalidCursorError
from jobs.selectors import PAGE_SIZE, JobPage, JobStatus, list_jobs
from jobs.services import Steer, SteeringPlan, open_plan, plan_steering, seal_plan, steer_each, steer_some

_EMPTY = JobPage(rows=[], cursor="")


@page
def list_of_jobs(request: HttpRequest, status: str) -> HttpResponse:
    """Show jobs by where they are, and by what is looked for."""
    wanted = _to_status(status)
    form = SearchForm(wanted, request.GET)
    query, found, is_stale = form.get_query(), _EMPTY, False
    if query is not None:
        try:
            found = list_jobs(query, cursor=request.GET.get("cursor", ""))
        except InvalidCursorError:
            is_stale = True
            found = list_jobs(query)
    said = {name: request.GET[name] for name, value in getattr(form, "cleaned_data", {}).items() if value}
    return render_page(
        request,
        "list.html",
        title=f"{status.capitalize()} jobs",
        tab="jobs",
        jobs_status=wanted,
        statuses=list(JobStatus),
        form=form,
        found=found,
        is_stale=is_stale,
        is_searching=bool(said),
        search=urlencode(said),
        next_page=urlencode({**said, "cursor": found.cursor}) if found.cursor else "",
        is_first=not request.GET.get("cursor"),
        steers=_list_steers(request, wanted),
        is_live=True,
    )


def _list_steers(request: HttpRequest, status: JobStatus) -> list[Steer]:
    """Return what this person may do to all that is found."""
    found = []
    if status is JobStatus.FAILED and request.user.has_perm(RIGHTS["retry"]):
        found.append(Steer.RETRY)
    if _may_discard(request, status):
        found.append(Steer.DISCARD)
    return found


def _may_discard(request: HttpRequest, status: JobStatus) -> bool:
    if status is JobStatus.FAILED:
        return request.user.has_perm(RIGHTS["discard"])
    return status in {JobStatus.WAITING, JobStatus.DELAYED} and request.user.has_perm(RIGHTS["cancel"])


@page
def confirm(request: HttpRequest, status: str, steer: str) -> HttpResponse:
    """Say what would be done to how many, and ask."""
    form = SearchForm(_to_status(status), request.GET)
    query = form.get_query()
    if query is None or steer not in Steer:
        raise Http404
    _check_right(request, query.status, Steer(steer))
    plan = plan_steering(query, Steer(steer))
    return _show_plan(request, plan, is_asking=True)


@action(None)
def proceed(request: HttpRequest) -> HttpResponse:
    """Do a part of a plan, and show how far it has come."""
    plan = open_plan(request.POST.get("plan", ""))
    _check_right(request, plan.query.status, plan.steer)
    return carry_on(request, plan)


def carry_on(request: HttpRequest, plan: SteeringPlan) -> HttpResponse:
    """Do a part of a plan for which the right was asked, and show how far it has come."""
    plan = steer_some(plan)
    if not plan.is_complete:
        return _show_plan(request, plan, is_asking=False)
    messages.success(request, _conclude(plan))
    return HttpResponseRedirect(reverse("dashboard:list", args=[plan.query.status]))


def _check_right(request: HttpRequest, status: JobStatus, steer: Steer) -> None:
    if status not in {JobStatus.FAILED, JobStatus.WAITING, JobStatus.DELAYED}:
        raise Http404
    if steer is Steer.RETRY:
        if status is not JobStatus.FAILED:
            raise Http404
        is_allowed = request.user.has_perm(RIGHTS["retry"])
    else:
        is_allowed = _may_discard(request, status)
    if not (is_allowed and request.user.has_perm(VIEW)):
        raise PermissionDenied


def _show_plan(request: HttpRequest, plan: SteeringPlan, *, is_asking: bool) -> HttpResponse:
    told = plan.query.as_filter()
    # A search for failed jobs always says what became of them; of others that says nothing.
    hidden = {"status"} if plan.query.status is JobStatus.FAILED else {"status", "outcome"}
    gone = plan.done + plan.skipped
    return render_page(
        request,
        "steer.html",
        title="Retry failed jobs" if plan.steer is Steer.RETRY else "Discard jobs",
        tab="jobs",
        plan=plan,
        sealed=seal_plan(plan),
        is_asking=is_asking,
        gone=gone,
        percent=min(round(gone / plan.total * 100), 100) if plan.total else None,
        said=[(name.replace("_", " "), value) for name, value in told.items() if name not in hidden],
        is_filtered=bool(told.keys() - {"status", "outcome"}),
        back=reverse("dashboard:list", args=[plan.query.status]),
    )


def _conclude(plan: SteeringPlan) -> str:
    verb = "put back; workers run them" if plan.steer is Steer.RETRY else "deleted"
    words = f"{plan.done:,} {'job was' if plan.done == 1 else 'jobs were'} {verb}."
    return words + (f" {plan.skipped:,} were left as they are." if plan.skipped else "")


def _to_status(status: str) -> JobStatus:
    if status not in JobStatus:
        raise Http404
    return JobStatus(status)


@action("retry")
def retry_selected(request: HttpRequest) -> HttpResponse:
    """Put back the failed jobs that were ticked."""
    return _do_selected(request, Steer.RETRY, "put back; workers run them")


def _ask_to_discard(request: HttpRequest) -> str:
    count = len(request.POST.getlist("job")[:PAGE_SIZE])
    return f"Delete {count} failed {'job' if count == 1 else 'jobs'} for good?" if count else ""


@action("discard", ask=_ask_to_discard)
def discard_selected(request: HttpRequest) -> HttpResponse:
    """Forget the failed jobs that were ticked."""
    return _do_selected(request, Steer.DISCARD, "deleted")


def _do_selected(request: HttpRequest, steer: Steer, verb: str) -> HttpResponse:
    said = request.POST.getlist("job")[:PAGE_SIZE]
    ids = [job_id for text in said if (job_id := _to_id(text)) is not None]
    if not said:
        messages.warning(request, "Tick the jobs first.")
        return go_back(request)
    done = steer_each(job_ids=ids, steer=steer)
    if done:
        messages.success(request, f"{done} {'job was' if done == 1 else 'jobs were'} {verb}.")
    if left := len(said) - done:
        messages.warning(request, f"{left} {'was' if left == 1 else 'were'} left: gone, or another of the key waits.")
    return go_back(request)


def _to_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


@page
def find(request: HttpRequest) -> HttpResponse:
    """Go to the page of the job whose id was typed in."""
    job_id = _to_id(request.GET.get("id", "")[:100])
    if job_id is None:
        messages.warning(request, "That is not the id of a job.")
        return HttpResponseRedirect(reverse("dashboard:overview"))
    return HttpResponseRedirect(reverse("dashboard:job", args=[job_id]))
