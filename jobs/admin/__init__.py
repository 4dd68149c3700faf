"""Jobs in the admin: all to read; failed jobs, batches and queues that rest also to act on."""

import json
from typing import Any, Final, override
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from jobs.admin.outbox import OutboxJobAdmin  # noqa: F401 - registers itself
from jobs.admin.pauses import QueuePauseAdmin  # noqa: F401 - as above
from jobs.admin.queued import QueuedJobAdmin  # noqa: F401 - as above
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.batch import to_batch
from jobs.exceptions import BatchNotFoundError
from jobs.models import Batch, FailedJob, JobResult, WorkerHeartbeat
from jobs.payload import get_argument_names
from jobs.schedule_admin import ScheduleAdmin  # noqa: F401 - as above
from jobs.security import describe_arguments
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer, cancel_whole_batch, plan_steering, steer_each, steer_some
from permissions import audit

#: Failed jobs that the page of a batch names.
_SHOWN_FAILURES: Final = 100


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
        count = steer_each(job_ids=_ids(queryset), steer=Steer.RETRY)
        self.message_user(request, f"{_to_words(count)} put back; a worker runs them.", messages.SUCCESS)

    @admin.action(permissions=["forget"], description="Forget the selected failed jobs")
    def forget_failed_jobs(self, request: HttpRequest, queryset: QuerySet[FailedJob]) -> None:
        """Delete them for good."""
        count = steer_each(job_ids=_ids(queryset), steer=Steer.DISCARD)
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
                count += cancel_whole_batch(batch_id=batch.id)
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
            plan = plan_steering(JobQuery(status=JobStatus.FAILED, batch_id=batch.id), Steer.RETRY)
            while not plan.is_complete:
                plan = steer_some(plan)
            count += plan.done
        self.message_user(request, f"{_to_words(count)} put back; a worker runs them.", messages.SUCCESS)

    @admin.display(description="progress")
    def progress(self, batch: Batch) -> str:
        """Return how much of it has succeeded."""
        return f"{to_batch(batch).progress} %"

    @admin.display(description="state")
    def state(self, batch: Batch) -> str:
        """Return how it stands, in a word."""
        return to_batch(batch).state.replace("_", " ")

    @admin.display(description="failed jobs")
    def failed_members(self, batch: Batch) -> str:
        """Return the first failed jobs, each with what went wrong and a link to its page."""
        ids = to_batch(batch).list_failed_ids()
        rows = FailedJob.objects.filter(job_id__in=ids[:_SHOWN_FAILURES]).order_by("id")
        lines = ((reverse("admin:jobs_failedjob_change", args=[row.pk]), row, row.summary) for row in rows)
        return format_html_join("", '<div><a href="{}">{}</a> {}</div>', lines) or "none"


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
