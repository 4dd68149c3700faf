"""Queues that rest, in the admin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, override

from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminErrorList, AdminForm
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from jobs.admin.read_only import ReadOnlyAdmin
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.drivers.database import DatabaseDriver
from jobs.drivers.failover import FailoverDriver
from jobs.exceptions import ConnectionsAwayError, JobOptionError
from jobs.forms import PauseForm, list_pausable_connections
from jobs.models import QueuePause
from jobs.models.queued import EVERY_QUEUE
from jobs.queues import pause_queue, resume_queue


@admin.register(QueuePause)
class QueuePauseAdmin(ReadOnlyAdmin):
    """Queues that rest: to add one pauses it, and needs the right to add; to resume, that to delete.

    The list is that of the database; what rests in other connections stands above it. The audit log hears of each from
    its signal; Django's own log hears of those that have a row.
    """

    list_display = ["queue", "until", "is_resting"]
    fields = ["queue", "until"]
    actions = ["resume"]

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.add_queuepause")

    def has_resume_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may let queues go on."""
        return request.user.has_perm("jobs.delete_queuepause")

    @override
    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,  # Any: as Django has it
    ) -> HttpResponse:
        """Ask which queue is to rest: no form of the table, for most pauses have no row in it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PauseForm(request.POST or None)
        if form.is_valid() and self._pause(request, form):
            return HttpResponseRedirect(reverse("admin:jobs_queuepause_changelist"))
        # It reads nothing of a form that only one of a model has.
        page = AdminForm(form, [(None, {"fields": list(form.fields)})], {}, model_admin=self)  # type: ignore[arg-type]
        context = {
            **self.admin_site.each_context(request),
            "title": "Let a queue rest",
            "adminform": page,
            "errors": AdminErrorList(form, []),  # type: ignore[arg-type]  # as above
            "media": self.media + page.media,
            "inline_admin_formsets": [],
            "is_popup": False,
            "original": None,
            "object_id": None,
            "preserved_filters": self.get_preserved_filters(request),
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        return self.render_change_form(request, context, add=True, form_url=form_url)

    def _pause(self, request: HttpRequest, form: PauseForm) -> bool:
        """Let the queue rest; False where the form says what is wrong."""
        connection, queue, until = (form.cleaned_data[name] for name in ("connection", "queue", "until"))
        try:
            with transaction.atomic():
                try:
                    pause_queue(queue, connection=connection, until=until)
                except ConnectionsAwayError as error:
                    self.message_user(request, str(error), messages.WARNING)
                if (row := _find_row(connection, queue)) is not None:
                    self.log_addition(request, row, f"Rests until {until}." if until else "Rests.")
        except JobOptionError as error:
            form.add_error(None, str(error))
            return False
        except get_driver(connection).outage_errors:
            self.message_user(request, f"The connection {connection} does not answer; nothing rests.", messages.ERROR)
        else:
            subject = "All queues" if queue == EVERY_QUEUE else f"The queue {queue}"
            what = f"{subject} of {connection} rest{'' if queue == EVERY_QUEUE else 's'}."
            self.message_user(request, what, messages.SUCCESS)
        return True

    @override
    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: as Django has it
    ) -> HttpResponse:
        """Show what rests in other connections too, and end such a pause."""
        if "resume_connection" in request.POST:
            return self._resume_elsewhere(request)
        pauses = [(name, _list_pauses(name)) for name in list_pausable_connections() if not _is_database(name)]
        context = {"pauses": pauses, "may_resume": self.has_resume_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def _resume_elsewhere(self, request: HttpRequest) -> HttpResponse:
        name, queue = request.POST["resume_connection"], request.POST.get("resume_queue", "")
        if not self.has_resume_permission(request) or name not in list_pausable_connections():
            raise PermissionDenied
        self._resume_each(request, name, [queue])
        return HttpResponseRedirect(request.get_full_path())

    @admin.action(permissions=["resume"], description="Resume the selected queues")
    def resume(self, request: HttpRequest, queryset: QuerySet[QueuePause]) -> None:
        """Let workers take their jobs again."""
        connection = next(filter(_is_database, get_job_settings().connections), None)
        if connection is None:
            self.message_user(request, "No connection keeps its jobs in the database.", messages.ERROR)
        else:
            self._resume_each(request, connection, [pause.queue for pause in queryset])

    def _resume_each(self, request: HttpRequest, connection: str, queues: Sequence[str]) -> None:
        count = 0
        try:
            for queue in queues:
                count += self._resume(request, connection, queue)
        except get_driver(connection).outage_errors:
            self.message_user(request, f"The connection {connection} does not answer.", messages.ERROR)
        words = "1 queue goes on" if count == 1 else f"{count} queues go on"
        self.message_user(request, f"{words} in {connection}.", messages.SUCCESS if count else messages.WARNING)

    def _resume(self, request: HttpRequest, connection: str, queue: str) -> bool:
        row = _find_row(connection, queue)
        with transaction.atomic():
            try:
                has_rested = resume_queue(queue, connection=connection)
            except ConnectionsAwayError as error:
                self.message_user(request, str(error), messages.WARNING)
                has_rested = error.has_changed
            if has_rested and row is not None and request.user.pk is not None:
                LogEntry.objects.log_actions(request.user.pk, [row], DELETION, "Resumed.")
        return has_rested

    @admin.display(description="rests now", boolean=True)
    def is_resting(self, pause: QueuePause) -> bool:
        """Say whether the pause hasn't run out."""
        return pause.until is None or pause.until > timezone.now()


def _is_database(name: str) -> bool:
    return isinstance(get_driver(name), DatabaseDriver)


def _find_row(connection: str, queue: str) -> QueuePause | None:
    """Return the row of a pause; None where the connection keeps none."""
    driver = get_driver(connection)
    drivers = driver.drivers if isinstance(driver, FailoverDriver) else [driver]
    if "\x00" in queue or not any(isinstance(one, DatabaseDriver) for one in drivers):
        return None
    return QueuePause.objects.filter(queue=queue).first()


def _list_pauses(name: str) -> list[tuple[str, datetime | None]] | None:
    """Return what rests in a connection, and until when; None where it doesn't answer."""
    driver = get_driver(name)
    try:
        return list(driver.list_pauses().items())
    except driver.outage_errors:
        return None
