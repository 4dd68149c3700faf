"""Jobs that wait or run in the database, in which somebody else may have written nonsense."""

from typing import Any, Final, override

from django.contrib import admin, messages
from django.contrib.admin.filters import AllValuesFieldListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest

from jobs.admin.read_only import ReadOnlyAdmin
from jobs.models import QueuedJob
from jobs.payload import get_argument_names

#: What Django raises where a column holds something else than it may. SQLite keeps any value in any column.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, OverflowError, DatabaseError)


class ReadableValuesFilter(AllValuesFieldListFilter):
    """A filter by the values of a column; without any where one of them can't be read."""

    @override
    def __init__(self, *arguments: Any, **more: Any) -> None:  # Any: as Django has it
        super().__init__(*arguments, **more)
        try:
            len(self.lookup_choices)  # reads them
        except _UNREADABLE:
            self.lookup_choices = self.lookup_choices.none()


class ReadableChangeList(ChangeList):
    """A list that leaves out what can't be read, and says so."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = self.result_list
        try:
            found: list[QueuedJob | None] = list(rows)
        except _UNREADABLE:
            found = [_read(key) for key in rows.values_list("pk", flat=True)]
        self.result_list = [row for row in found if row is not None and _is_sound(row)]
        if left_out := len(found) - len(self.result_list):
            told = f"Left out, for want of sense in their rows: {left_out}. Workers put them among the failed jobs."
            messages.warning(request, told)


def _read(key: int) -> QueuedJob | None:
    try:
        return QueuedJob.objects.filter(pk=key).first()
    except _UNREADABLE:
        return None


def _is_sound(row: Model) -> bool:
    """Say whether each column holds what it may."""
    try:
        for field in row._meta.concrete_fields:  # noqa: SLF001 - public, in spite of its name
            field.to_python(getattr(row, field.attname))
    except ValidationError:
        return False
    return True


@admin.register(QueuedJob)
class QueuedJobAdmin(ReadOnlyAdmin):
    """Jobs that wait or run. What can't be read is left out: a worker that takes it sets it apart."""

    list_display = ["job_class", "queue", "priority", "attempts", "available_at", "worker", "created_at"]
    list_filter = [("queue", ReadableValuesFilter), ("job_class", ReadableValuesFilter)]
    search_fields = ["job_id"]
    fields = [
        "job_id", "job_class", "queue", "priority", "attempts", "available_at", "worker", "lease_expires_at",
        "created_at", "argument_names",
    ]  # fmt: skip
    readonly_fields = ["argument_names"]
    ordering = ["-priority", "available_at", "id"]

    @override
    def get_changelist(self, request: HttpRequest, **more: Any) -> type[ChangeList]:  # Any: as Django has it
        return ReadableChangeList

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """Find nothing where the row can't be read."""
        try:
            found = super().get_object(request, object_id, from_field)
        except _UNREADABLE:
            return None
        return found if found is not None and _is_sound(found) else None

    @admin.display(description="arguments (names only)")
    def argument_names(self, job: QueuedJob) -> str:
        """Return what the job was given, without the values, which may be secret."""
        return ", ".join(get_argument_names(job.payload)) or "none"
