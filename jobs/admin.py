"""Jobs in the admin: all to read, failed jobs also to retry or to forget. Arguments are never shown."""

from typing import TYPE_CHECKING, override
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from jobs.models import FailedJob, QueuedJob, WorkerHeartbeat
from jobs.payload import get_argument_names
from jobs.schedule_admin import ScheduleAdmin  # noqa: F401 - registers itself
from jobs.services import forget_failed_jobs, retry_failed_jobs

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
else:  # generic in the stubs only
    ModelAdmin = admin.ModelAdmin


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
        "job_id", "job_class", "connection", "queue", "priority", "attempts", "failed_at", "argument_names", "summary",
        "formatted_traceback", "context", "is_quarantined", "state", "retry_count", "retried_at", "recovered_at",
    ]  # fmt: skip
    readonly_fields = ["argument_names", "summary", "formatted_traceback", "state"]
    actions = ["retry_failed_jobs", "forget_failed_jobs"]

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


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    """Workers that are alive, or died not long ago."""

    list_display = ["name", "queues", "started_at", "beat_at", "alive_until", "current_job_id"]


def _ids(queryset: QuerySet[FailedJob]) -> list[UUID]:
    return list(queryset.values_list("job_id", flat=True))


def _to_words(count: int) -> str:
    return f"{count} failed {'job was' if count == 1 else 'jobs were'}"
