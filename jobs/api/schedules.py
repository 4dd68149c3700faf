"""The schedule over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import SEE, JobsView, PageFilter, PageOut, make_next
from jobs.models import Schedule
from jobs.selectors import list_some_schedules
from permissions.drf import HasPermission, HasReadWriteScopes


class ScheduleOut(serializers.ModelSerializer[Schedule]):
    """A job that is dispatched by the clock."""

    when = serializers.SerializerMethodField(help_text="When it is due, in words.")
    queue = serializers.CharField(help_text="In place of that of the class; else empty.")
    priority = serializers.IntegerField(allow_null=True, help_text="In place of that of the class.")
    next_run_at = serializers.DateTimeField(allow_null=True, help_text="Null while it isn't due any more.")
    last_run_at = serializers.DateTimeField(allow_null=True)
    missed_runs = serializers.CharField(help_text="What becomes of runs that were missed: `skip`, `once` or `all`.")
    origin = serializers.CharField(help_text="`code` or `admin`.")
    is_edited = serializers.BooleanField(help_text="Whether somebody has changed an entry of the code.")
    is_gone = serializers.BooleanField(help_text="Whether the code has no such entry any more.")
    problem = serializers.CharField(help_text="Why its last run could not be dispatched; else empty.")

    class Meta:
        model = Schedule
        fields = [
            "name", "job_class", "when", "timezone", "queue", "priority", "is_enabled", "next_run_at", "last_run_at",
            "missed_runs", "origin", "is_edited", "is_gone", "problem",
        ]  # fmt: skip
        read_only_fields = fields

    def get_when(self, schedule: Schedule) -> str:
        """Return it in words."""
        return schedule.timing.describe()


class SchedulePageOut(PageOut):
    """A page of the schedule."""

    results = ScheduleOut(many=True)


class ScheduleListView(JobsView):
    """All entries of the schedule."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="list_schedules",
        summary="List the schedule",
        parameters=[PageFilter],
        responses={200: SchedulePageOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """List what runs when, by name."""
        cursor, limit = PageFilter.read(request)
        rows, cursor = list_some_schedules(cursor=cursor, limit=limit)
        return Response({"results": ScheduleOut(rows, many=True).data, "next": make_next(request, cursor)})
