"""How tries went over time, over HTTP."""

from datetime import timedelta
from typing import Any, Final, override

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import MAX_CLASS, MAX_QUEUE, SEE, JobsView
from jobs.models.metrics import HOUR, MINUTE
from jobs.selectors import Point, TryStatistics, list_points
from permissions.drf import HasPermission, HasReadWriteScopes
from project.api import StringField

_MAX_POINTS: Final = 1500
_MAX_STEP: Final = 31 * 24 * HOUR


class TimesOut(serializers.Serializer[None]):
    """Durations of tries in seconds."""

    average = serializers.FloatField(allow_null=True)
    p50 = serializers.FloatField(allow_null=True, help_text="Half of them took no longer.")
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)
    longest = serializers.FloatField()


class TriesOut(serializers.Serializer[TryStatistics]):
    """How the tries of a while ended, and how long they took."""

    processed_count = serializers.IntegerField(help_text="Tries that were done.")
    released_count = serializers.IntegerField(help_text="Tries after which another one follows.")
    failed_count = serializers.IntegerField(help_text="Tries that were the last one.")
    timed_out_count = serializers.IntegerField(help_text="Those among the last two that took too long.")
    processed_per_minute = serializers.FloatField()
    failure_rate = serializers.FloatField(
        allow_null=True, help_text="Share of what failed in all that came to its end, 0 to 1; null without any."
    )
    run_seconds = TimesOut(help_text="How long they ran.")
    wait_seconds = TimesOut(help_text="How long they were due before a worker took them.")

    @override
    def to_representation(self, instance: TryStatistics) -> dict[str, Any]:  # Any: JSON
        """Return it as commands tell it too."""
        return instance.as_json()


class MetricsFilter(serializers.Serializer[None]):
    """Which figures are wanted."""

    since = serializers.DateTimeField(required=False, help_text="Begin; an hour ago if missing.")
    until = serializers.DateTimeField(required=False, help_text="End; now if missing.")
    step = serializers.IntegerField(
        min_value=MINUTE, max_value=_MAX_STEP, default=MINUTE, help_text="Seconds: whole minutes, or whole hours."
    )
    connection = StringField(required=False, max_length=MAX_QUEUE)
    queue = StringField(required=False, max_length=MAX_QUEUE)

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:  # Any: DRF's own
        """Add what is a keyword of Python."""
        about_class = StringField(
            source="job_class", required=False, max_length=MAX_CLASS, help_text="Class of the jobs."
        )
        return {**super().get_fields(), "class": about_class}

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:  # Any (twice): DRF's own
        """Refuse what would be too much, or nothing."""
        now = timezone.now()
        since, until = attrs.setdefault("since", now - timedelta(hours=1)), attrs.setdefault("until", now)
        step = attrs["step"]
        if step % (HOUR if step >= HOUR else MINUTE):
            raise serializers.ValidationError({"step": "Ask for whole minutes, or whole hours."})
        if since >= until:
            raise serializers.ValidationError({"since": "The begin must lie before the end."})
        if (until - since) / timedelta(seconds=step) > _MAX_POINTS:
            raise serializers.ValidationError({"step": f"That would be more than {_MAX_POINTS} points."})
        return attrs


class PointOut(serializers.Serializer[Point]):
    """The tries of a while."""

    at = serializers.DateTimeField(help_text="Begin of the while.")
    tries = TriesOut()


class MetricsOut(serializers.Serializer[None]):
    """How tries went over time."""

    step_seconds = serializers.IntegerField()
    points = PointOut(many=True, help_text="Oldest first, one for each step, also where there was no try.")


class MetricsView(JobsView):
    """How tries went over time."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="get_job_metrics",
        summary="Show how tries went over time",
        description=f"At most {_MAX_POINTS} points. Steps of minutes tell of the last day, steps of hours of the last "
        "month. Figures come some seconds late.",
        parameters=[MetricsFilter],
        responses={200: MetricsOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """Show throughput, failures and percentiles, step by step."""
        asked = MetricsFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        points = list_points(**{**said, "step": timedelta(seconds=said["step"])})
        return Response({"step_seconds": said["step"], "points": [PointOut(one).data for one in points]})
