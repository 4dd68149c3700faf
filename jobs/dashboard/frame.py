"""What all pages have in common: who may see them, what they may do there, and the frame of the admin around them."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from jobs.worker.outages import list_outage_errors
from project.exceptions import DomainError
from project.printable import to_printable

#: What it takes to see the pages.
VIEW: Final = "jobs.view_dashboard"
#: What it takes to act, by the names that templates ask for.
RIGHTS: Final = {
    "retry": "jobs.change_failedjob",
    "discard": "jobs.delete_failedjob",
    "cancel": "jobs.delete_queuedjob",
    "pause": "jobs.add_queuepause",
    "resume": "jobs.delete_queuepause",
    "tell": "jobs.change_workerheartbeat",
    "change_batch": "jobs.change_batch",
    "schedule": "jobs.change_schedule",
    "see_arguments": "jobs.view_payload",
}

_MAX_TITLE: Final = 200
#: The field by which somebody says that they are.
SURE: Final = "sure"
_log = structlog.get_logger("gatehouse.jobs")
type _View = Callable[..., HttpResponse]


def page(view: _View, *, otherwise: _View | None = None) -> _View:
    """Let people with the right see a page; the unknown are sent to sign in.

    ``otherwise``: what other staff see in its place.
    """

    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if otherwise is not None and not request.user.has_perm(VIEW):
            return otherwise(request)
        _require(request, VIEW)
        return view(request, *args, **kwargs)

    return _guard(view, answer)


def list_tables(request: HttpRequest) -> HttpResponse:
    """Show what the admin has of jobs, as it does for every app."""
    return admin.site.app_index(request, "jobs")


def action(right: str | None, *, ask: Callable[[HttpRequest], str] | None = None) -> Callable[[_View], _View]:
    """Let people with a right of ``RIGHTS`` act, by POST alone; what is refused is told on the page they came from.

    Args:
        right: Its name; None where the view itself asks for what it takes.
        ask: Returns what to ask before it is done; nothing where it needs no question.
    """

    def decorate(view: _View) -> _View:
        def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            _require(request, VIEW)
            if right is not None:
                _require(request, RIGHTS[right])
            if ask is not None and SURE not in request.POST and (question := ask(request)):
                return _ask(request, question)
            try:
                return view(request, *args, **kwargs)
            except DomainError as error:
                messages.error(request, str(error.message))
            except list_outage_errors() as error:
                _log.warning("store_unavailable", error=type(error).__qualname__)
                messages.error(request, "A store did not answer. What was done before that stays done; try again.")
            return go_back(request)

        return _guard(view, answer)

    return decorate


def _ask(request: HttpRequest, question: str) -> HttpResponse:
    """Ask before something is done; the answer sends the same once more."""
    fields = [
        (name, value) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken" for value in values
    ]
    return render_page(request, "sure.html", title="Are you sure?", tab="", question=question, fields=fields, sure=SURE)


def render_page(
    request: HttpRequest,
    template: str,
    *,
    title: str,
    tab: str,
    status: int = 200,
    **context: Any,  # Any: whatever the template shows
) -> HttpResponse:
    """Return a page in the frame of the admin."""
    shared = {
        **admin.site.each_context(request),
        "title": to_printable(title[:_MAX_TITLE]),
        "tab": tab,
        "rights": {name: request.user.has_perm(right) for name, right in RIGHTS.items()},
        "here": request.get_full_path(),
    }
    return render(request, f"jobs/{template}", {**shared, **context}, status=status)


def go_back(request: HttpRequest, *, default: str = "dashboard:overview") -> HttpResponse:
    """Send somebody who has acted to the page that the form names, where it is one of these."""
    back, base = request.POST.get("back", ""), reverse("dashboard:overview")
    is_here = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and urlsplit(back).path.startswith(base)
    return HttpResponseRedirect(back if is_here and ".." not in back else reverse(default))


def _guard(view: _View, answer: _View) -> _View:
    """Return a view behind the admin's sign-in, which the site makes when it is first asked."""

    def ask(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return admin.site.admin_view(answer)(request, *args, **kwargs)

    return update_wrapper(ask, view)


def _require(request: HttpRequest, right: str) -> None:
    if not request.user.has_perm(right):
        raise PermissionDenied
