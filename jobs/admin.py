"""Jobs in the admin: all to read; failed jobs, batches and queues that rest also to act on."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, override
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.forms import CharField, ChoiceField, ModelForm, SplitDateTimeField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from jobs.batch import to_batch
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.drivers.database import DatabaseDriver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import BatchNotFoundError
from jobs.models import Batch, FailedJob, JobResult, QueuedJob, QueuePause, WorkerHeartbeat
from jobs.models.queued import EVERY_QUEUE
from jobs.options import is_queue_name
from jobs.payload import get_argument_names
from jobs.queues import pause_queue, resume_queue
from jobs.schedule_admin import ScheduleAdmin  # noqa: F401 - registers itself
from jobs.security import describe_arguments
from jobs.services import cancel_batch, forget_failed_jobs, retry_batch, retry_failed_jobs
from permissions import audit

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
    PauseModelForm = ModelForm[Model]
else:  # generic in the stubs only
    ModelAdmin = admin.ModelAdmin
    PauseModelForm = ModelForm

#: Failed jobs that the page of a batch names.
_SHOWN_FAILURES: Final = 100


class ReadOnlyAdmin(ModelAdmin):
    """Rows that workers write and people only look at."""

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """Find nothing under an id with a NUL, which PostgreSQL can't look for."""
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(FailedJob)
class FailedJobAdmin(ReadOnlyAdmin):
    """Failed jobs: to retry needs the right to change them, to forget the right to delete them."""

    list_display = ["job_class", "queue", "attempts", "summary", "state", "failed_at"]
    list_filter = ["queue", "job_class", "failed_at", "is_quarantined"]
    search_fields = ["job_id", "exception"]
    search_help_text = "Id of the job, or a part of the exception"
    fields = [
        "job_id", "job_class", "connection", "queue", "priority", "attempts", "failed_at", "arguments", "summary",
        "formatted_traceback", "context", "is_quarantined", "state", "retry_count", "retried_at", "recovered_at",
    ]  # fmt: skip
    readonly_fields = ["arguments", "argument_names", "summary", "formatted_traceback", "state"]
    actions = ["retry_failed_jobs", "forget_failed_jobs"]

    @override
    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:  # Any: Django's
        """Return the fields; the values of arguments are for people with a permission of their own."""
        if request.user.has_perm("jobs.view_payload"):
            return list(self.fields)
        return ["argument_names" if name == "arguments" else name for name in self.fields]

    @override
    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],  # Any: Django's, as the next two
        *args: Any,
        **more: Any,
    ) -> HttpResponse:
        """Show the job, and record who sees its arguments."""
        if request.user.has_perm("jobs.view_payload"):
            job = context["original"]
            subject = audit.Reference("jobs.job", job.job_id, job.job_class)
            audit.record("job.payload_viewed", actor=request.user, subject=subject)
        return super().render_change_form(request, context, *args, **more)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may put failed jobs back."""
        return request.user.has_perm("jobs.change_failedjob")

    def has_forget_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may delete failed jobs."""
        return request.user.has_perm("jobs.delete_failedjob")

    @admin.action(permissions=["retry"], description="Retry the selected failed jobs")
    def retry_failed_jobs(self, request: HttpRequest, queryset: QuerySet[FailedJob]) -> None:
        """Put back those that nobody has put back yet."""
        count = len(retry_failed_jobs(job_ids=_ids(queryset)))
        self.message_user(request, f"{_to_words(count)} put back; a worker runs them.", messages.SUCCESS)

    @admin.action(permissions=["forget"], description="Forget the selected failed jobs")
    def forget_failed_jobs(self, request: HttpRequest, queryset: QuerySet[FailedJob]) -> None:
        """Delete them for good."""
        count = forget_failed_jobs(job_ids=_ids(queryset))
        self.message_user(request, f"{_to_words(count)} forgotten.", messages.SUCCESS)

    @admin.display(description="arguments")
    def arguments(self, job: FailedJob) -> str:
        """Return what the job was given, without what is secret."""
        described = describe_arguments(job.payload, job_class=job.job_class)
        return format_html_join("", "<div>{} = {}</div>", described.items()) or "none that can be read"

    @admin.display(description="arguments (names only)")
    def argument_names(self, job: FailedJob) -> str:
        """Return what the job was given, without the values, which may be secret."""
        return ", ".join(get_argument_names(job.payload)) or "none"

    @admin.display(description="traceback")
    def formatted_traceback(self, job: FailedJob) -> str:
        """Return the traceback with its lines kept."""
        return format_html("<pre>{}</pre>", job.traceback)


@admin.register(QueuedJob)
class QueuedJobAdmin(ReadOnlyAdmin):
    """Jobs that wait or run."""

    list_display = ["job_class", "queue", "priority", "attempts", "available_at", "worker", "created_at"]
    list_filter = ["queue", "job_class"]
    search_fields = ["job_id"]
    fields = [
        "job_id", "job_class", "queue", "priority", "attempts", "available_at", "worker", "lease_expires_at",
        "created_at", "argument_names",
    ]  # fmt: skip
    readonly_fields = ["argument_names"]
    ordering = ["-priority", "available_at", "id"]

    @admin.display(description="arguments (names only)")
    def argument_names(self, job: QueuedJob) -> str:
        """Return what the job was given, without the values, which may be secret."""
        return ", ".join(get_argument_names(job.payload)) or "none"


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches: to cancel needs the right to change them, to retry what failed the right to change failed jobs."""

    list_display = ["__str__", "total_jobs", "pending_jobs", "failed_jobs", "progress", "state", "created_at"]
    list_filter = [
        "created_at",
        ("cancelled_at", admin.EmptyFieldListFilter),
        ("finished_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["id", "name"]
    fields = [
        "id", "name", "total_jobs", "pending_jobs", "failed_jobs", "allowed_failures", "progress", "state",
        "failed_members", "created_at", "cancelled_at", "finished_at",
    ]  # fmt: skip
    readonly_fields = ["progress", "state", "failed_members"]
    actions = ["cancel_batches", "retry_failed"]

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may cancel batches."""
        return request.user.has_perm("jobs.change_batch")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may put failed jobs back."""
        return request.user.has_perm("jobs.change_failedjob")

    @admin.action(permissions=["cancel"], description="Cancel the selected batches")
    def cancel_batches(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        """Mark as cancelled those that nobody has cancelled yet."""
        count = 0
        for batch in queryset:
            try:
                count += cancel_batch(batch_id=batch.id)
            except BatchNotFoundError:  # just deleted
                continue
        self.message_user(
            request, f"{count} {'batch was' if count == 1 else 'batches were'} cancelled.", messages.SUCCESS
        )

    @admin.action(permissions=["retry"], description="Retry the failed jobs of the selected batches")
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        """Put back those jobs that nobody has put back yet."""
        count = 0
        for batch in queryset:
            try:
                count += len(retry_batch(batch_id=batch.id))
            except BatchNotFoundError:
                continue
        self.message_user(request, f"{_to_words(count)} put back; a worker runs them.", messages.SUCCESS)

    @admin.display(description="progress")
    def progress(self, batch: Batch) -> str:
        """Return how much of it has succeeded."""
        return f"{to_batch(batch).progress} %"

    @admin.display(description="state")
    def state(self, batch: Batch) -> str:
        """Return how it stands, in a word."""
        found = to_batch(batch)
        if found.is_cancelled:
            return "cancelled"
        if found.is_finished:
            return "finished"
        return "ended with failures" if found.has_ended and found.has_failures else "open"

    @admin.display(description="failed jobs")
    def failed_members(self, batch: Batch) -> str:
        """Return the first failed jobs, each with what went wrong and a link to its page."""
        ids = to_batch(batch).list_failed_ids()
        rows = FailedJob.objects.filter(job_id__in=ids[:_SHOWN_FAILURES]).order_by("id")
        lines = ((reverse("admin:jobs_failedjob_change", args=[row.pk]), row, row.summary) for row in rows)
        return format_html_join("", '<div><a href="{}">{}</a> {}</div>', lines) or "none"


class PauseForm(PauseModelForm):
    """Which queue of which connection rests, and until when."""

    connection = ChoiceField(required=False, choices=lambda: [(name, name) for name in _list_connections()])
    queue = CharField(max_length=100, help_text="Name of the queue; * stands for all")
    until = SplitDateTimeField(required=False, widget=AdminSplitDateTime(), help_text="Empty: until it is resumed")

    def clean_queue(self) -> str:
        """Return the name.

        Raises:
            ValidationError: No queue can be called so.
        """
        name: str = self.cleaned_data["queue"]
        if name != EVERY_QUEUE and not is_queue_name(name):
            raise ValidationError("No queue can be called so.")
        return name


@admin.register(QueuePause)
class QueuePauseAdmin(ReadOnlyAdmin):
    """Queues that rest: to add one pauses it, and needs the right to add; to resume, that to delete.

    The list is that of the database; what rests in other connections stands above it.
    """

    form = PauseForm
    list_display = ["queue", "until", "is_resting"]
    fields = ["connection", "queue", "until"]
    actions = ["resume"]

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.add_queuepause")

    def has_resume_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may let queues go on."""
        return request.user.has_perm("jobs.delete_queuepause")

    @override
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # Any: as Django has it
        """Let the queue rest."""
        connection = form.cleaned_data["connection"] or _find_connection()
        try:
            pause_queue(obj.queue, connection=connection, until=obj.until)
        except get_driver(connection).outage_errors:
            self.message_user(request, f"{connection} does not answer; nothing was paused.", messages.ERROR)
        else:
            resting = "All queues rest." if obj.queue == EVERY_QUEUE else f"The queue {obj.queue} rests."
            self.message_user(request, resting, messages.SUCCESS)

    @override
    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Go back to the list; a pause of another connection has no page."""
        return self.response_post_save_add(request, obj)

    @override
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:  # Any: as Django has it
        """Write nothing: a pause of another connection is no row."""

    @override
    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: as Django has it
    ) -> HttpResponse:
        """Show what rests in other connections too, and end such a pause."""
        if "resume_connection" in request.POST:
            return self._resume_elsewhere(request)
        pauses = [(name, _list_pauses(name)) for name in _list_connections() if not _is_database(name)]
        context = {"pauses": pauses, "may_resume": self.has_resume_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def _resume_elsewhere(self, request: HttpRequest) -> HttpResponse:
        name, queue = request.POST["resume_connection"], request.POST.get("resume_queue", "")
        if not self.has_resume_permission(request) or name not in _list_connections():
            raise PermissionDenied
        try:
            count = int(resume_queue(queue, connection=name))
        except get_driver(name).outage_errors:
            count = 0
        self.message_user(request, f"{count} {'queue goes' if count == 1 else 'queues go'} on.", messages.SUCCESS)
        return HttpResponseRedirect(request.get_full_path())

    @admin.action(permissions=["resume"], description="Resume the selected queues")
    def resume(self, request: HttpRequest, queryset: QuerySet[QueuePause]) -> None:
        """Let workers take their jobs again."""
        count = sum(resume_queue(pause.queue, connection=_find_connection()) for pause in queryset)
        self.message_user(request, f"{count} {'queue goes' if count == 1 else 'queues go'} on.", messages.SUCCESS)

    @admin.display(description="rests now", boolean=True)
    def is_resting(self, pause: QueuePause) -> bool:
        """Say whether the pause hasn't run out."""
        return pause.until is None or pause.until > timezone.now()


@admin.register(JobResult)
class JobResultAdmin(ReadOnlyAdmin):
    """What became of tasks; who may view them sees what they returned and what they raised, but not their arguments."""

    list_display = ["task", "status", "queue", "attempts", "enqueued_at", "finished_at"]
    list_filter = ["status", "queue", "backend", "enqueued_at"]
    search_fields = ["job_id", "task"]
    fields = [
        "job_id", "task", "backend", "queue", "priority", "run_after", "status", "return_value", "raised", "worker_ids",
        "attempts", "enqueued_at", "started_at", "last_attempted_at", "finished_at", "expires_at",
    ]  # fmt: skip
    readonly_fields = ["raised"]

    @admin.display(description="raised")
    def raised(self, result: JobResult) -> str:
        """Return the tracebacks, the last one last."""
        try:
            errors = [(str(text),) for _path, text in json.loads(result.errors)]
        except (ValueError, TypeError):  # the row isn't signed
            return "can't be read"
        return format_html_join("", "<pre>{}</pre>", errors) or "nothing"


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    """Workers that are alive, or died not long ago."""

    list_display = ["name", "queues", "started_at", "beat_at", "alive_until", "current_job_id"]


def _ids(queryset: QuerySet[FailedJob]) -> list[UUID]:
    return list(queryset.values_list("job_id", flat=True))


def _to_words(count: int) -> str:
    return f"{count} failed {'job was' if count == 1 else 'jobs were'}"


def _list_connections() -> list[str]:
    """Return the connections whose queues can rest."""
    return [name for name in get_job_settings().connections if not isinstance(get_driver(name), SyncDriver)]


def _is_database(name: str) -> bool:
    return isinstance(get_driver(name), DatabaseDriver)


def _list_pauses(name: str) -> Mapping[str, datetime | None] | None:
    """Return what rests in a connection, and until when; None where it doesn't answer."""
    driver = get_driver(name)
    try:
        return driver.list_pauses()
    except driver.outage_errors:
        return None


def _find_connection() -> str | None:
    """Return a connection that keeps jobs, and so its pauses, in the database."""
    return next(filter(_is_database, get_job_settings().connections), None)
