"""Schedules in the admin: what runs when, what ran, and what is wrong."""

from typing import TYPE_CHECKING, Any, override
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.exceptions import JobArgumentError, QueueFull, ScheduleBrokenError, ScheduleTimingError
from jobs.forms import ScheduleForm
from jobs.job import get_job_class
from jobs.models import Schedule, ScheduleRun
from jobs.scheduler import (
    disable_schedules,
    enable_schedules,
    is_secret,
    reset_schedules,
    run_schedule_now,
    save_entry,
)
from project.exceptions import DomainError

if TYPE_CHECKING:
    ScheduleModelAdmin = admin.ModelAdmin[Schedule]
    ScheduleModelForm = ModelForm[Schedule]
    RunTabularInline = admin.TabularInline[ScheduleRun, Schedule]
else:  # generic in the stubs only
    ScheduleModelAdmin = admin.ModelAdmin
    ScheduleModelForm = ModelForm
    RunTabularInline = admin.TabularInline

_SHOWN_RUNS = 10


class ScheduleRunInline(RunTabularInline):
    """The last runs of an entry."""

    model = ScheduleRun
    fields = ["run_at", "state", "job_id", "detail"]
    readonly_fields = ["run_at", "state", "job_id", "detail"]
    verbose_name_plural = "last runs"
    extra = 0
    can_delete = False

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduleRun]:
        """Return the last few: the page of an entry that runs each second must open too."""
        runs = super().get_queryset(request)
        match = request.resolver_match
        key = match.kwargs.get("object_id", "") if match else ""
        if not (key.isascii() and key.isdigit()):
            return runs.none()
        last = ScheduleRun.objects.filter(schedule_id=int(key)).order_by("-run_at").values("pk")[:_SHOWN_RUNS]
        return runs.filter(pk__in=[row["pk"] for row in last])

    @override
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: as Django has it
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: as above
        return False


@admin.register(Schedule)
class ScheduleAdmin(ScheduleModelAdmin):
    """Entries of the schedule: whoever may change them decides what the house's workers run."""

    form = ScheduleForm
    list_display = ["name", "job_class", "when", "is_enabled", "next_run_at", "last_run_at", "origin", "problem"]
    list_filter = ["is_enabled", "origin", "is_edited", "job_class"]
    search_fields = ["name", "job_class"]
    readonly_fields = [
        "when", "next_runs", "last_run_at", "origin", "is_edited", "is_gone", "problem", "shown_arguments",
    ]  # fmt: skip
    fields = [
        "name", "job_class", "arguments", "cron", "interval_seconds", "timezone", "queue", "priority", "is_enabled",
        "missed_runs", "max_missed", "when", "next_runs", "last_run_at", "origin", "is_edited", "is_gone", "problem",
    ]  # fmt: skip
    inlines = [ScheduleRunInline]
    actions = ["enable", "disable", "run_now", "reset"]

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Schedule | None:
        """Find nothing under an id with a NUL, which PostgreSQL can't look for."""
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)

    @override
    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[Any]:  # Any: as Django has it
        """Let those who only look see no arguments that are secret."""
        fields = [str(name) for name in self.fields or []]
        if self.has_change_permission(request, obj):
            return fields if obj is not None else [name for name in fields if name not in self.readonly_fields]
        return ["shown_arguments" if name == "arguments" else name for name in fields]

    @override
    def get_form(
        self,
        request: HttpRequest,
        obj: Schedule | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> type[ScheduleModelForm]:
        """Tell the form who fills it in."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"actor_id": str(request.user.pk)})

    @override
    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Write it down as an entry; its jobs run on behalf of who saved it last."""
        stored = Schedule.objects.get(pk=obj.pk) if change else None
        saved = save_entry(entry=form.get_entry(), schedule=stored)
        obj.pk = saved.pk

    def has_switch_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may let entries run or rest."""
        return request.user.has_perm("jobs.change_schedule")

    @admin.action(permissions=["switch"], description="Enable the selected schedules")
    def enable(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them be due again, from now on."""
        count = enable_schedules(ids=_ids(queryset))
        self.message_user(request, f"{_to_words(count)} enabled.", messages.SUCCESS)

    @admin.action(permissions=["switch"], description="Disable the selected schedules")
    def disable(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them be due no more."""
        count = disable_schedules(ids=_ids(queryset))
        self.message_user(request, f"{_to_words(count)} disabled.", messages.SUCCESS)

    @admin.action(permissions=["switch"], description="Run the selected schedules now")
    def run_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Dispatch their jobs, besides the runs that they are due for."""
        for row in queryset:
            try:
                run = run_schedule_now(schedule_id=row.pk)
            except (ScheduleBrokenError, JobArgumentError, QueueFull, DomainError) as error:
                self.message_user(request, f"Schedule {row.name}: {error}", messages.ERROR)
            else:
                words = f"job {run.job_id} was dispatched." if run.job_id else run.detail
                level = messages.SUCCESS if run.job_id else messages.WARNING
                self.message_user(request, f"Schedule {row.name}: {words}", level)

    @admin.action(permissions=["switch"], description="Reset the selected schedules to what the code says")
    def reset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Forget what people have changed in entries of the code."""
        count = reset_schedules(ids=_ids(queryset))
        self.message_user(request, f"{_to_words(count)} reset.", messages.SUCCESS)

    @admin.display(description="when")
    def when(self, row: Schedule) -> str:
        """Return when it is due, in words."""
        return row.timing.describe()

    @admin.display(description="arguments")
    def shown_arguments(self, row: Schedule) -> str:
        """Return the arguments, unless they are secret."""
        return "secret" if is_secret(get_job_class(row.job_class)) else row.arguments

    @admin.display(description="next runs")
    def next_runs(self, row: Schedule) -> SafeString | str:
        """Return the next five moments, as the clocks of its zone show them."""
        if row.next_run_at is None:
            return "none"
        try:
            moments = [row.next_run_at, *row.timing.list_next(max(row.next_run_at, timezone.now()), count=4)]
            zone = ZoneInfo(row.timezone)
        except (ScheduleTimingError, OSError, ValueError):
            return "none that could be found"
        lines = ((f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}",) for moment in moments)
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", lines))


def _ids(queryset: QuerySet[Schedule]) -> list[int]:
    return list(queryset.values_list("pk", flat=True))


def _to_words(count: int) -> str:
    return f"{count} schedule{' was' if count == 1 else 's were'}"
