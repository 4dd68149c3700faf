"""Jobs that are on their way to a store."""

from django.contrib import admin

from jobs.admin.read_only import ReadOnlyAdmin
from jobs.models import OutboxJob
from jobs.payload import get_argument_names


@admin.register(OutboxJob)
class OutboxJobAdmin(ReadOnlyAdmin):
    """Jobs in the outbox, in the order in which they are relayed."""

    list_display = ["job_class", "queue", "connection", "available_at", "held_until", "created_at"]
    list_filter = ["connection", "queue", "job_class"]
    search_fields = ["job_id"]
    fields = [
        "job_id", "job_class", "connection", "queue", "priority", "available_at", "created_at", "held_until",
        "needs_locks", "argument_names",
    ]  # fmt: skip
    readonly_fields = ["argument_names"]
    ordering = ["id"]

    @admin.display(description="arguments (names only)")
    def argument_names(self, job: OutboxJob) -> str:
        """Return what the job was given, without the values, which may be secret."""
        return ", ".join(get_argument_names(job.payload)) or "none"
