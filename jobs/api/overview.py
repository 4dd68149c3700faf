"""The house at a glance, over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import AWAY, SEE, JobsView, SecondsField
from jobs.api.queues import QueueOut
from jobs.api.workers import WorkerOut
from jobs.selectors import Overview, get_overview
from permissions.drf import HasPermission, HasReadWriteScopes


class LongestOut(serializers.Serializer[None]):
    """The longest duration, and whose it is."""

    name = serializers.CharField()
    connection = serializers.CharField(help_text="That of the queue; empty for a class.")
    seconds = SecondsField(source="value")


class FastestOut(serializers.Serializer[None]):
    """The highest throughput, and whose it is."""

    name = serializers.CharField()
    connection = serializers.CharField(help_text="That of the queue.")
    per_minute = serializers.FloatField(source="value")


class OutboxOut(serializers.Serializer[None]):
    """What waits in the database for a connection."""

    connection = serializers.CharField()
    count = serializers.IntegerField()
    oldest_wait_seconds = SecondsField(source="oldest_wait")


class StatsOut(serializers.Serializer[Overview]):
    """The house at a glance."""

    at = serializers.DateTimeField()
    status = serializers.CharField(help_text="`running`, `paused`, or `inactive` where no worker is alive.")
    per_minute = serializers.FloatField(help_text="Jobs done per minute of the last five.")
    processed_count = serializers.IntegerField(help_text="Jobs done in the last hour.")
    failed_count = serializers.IntegerField(help_text="Jobs that failed in the last hour.")
    open_failed_count = serializers.IntegerField(help_text="Failed jobs that nobody has put back.")
    waiting_count = serializers.IntegerField()
    delayed_count = serializers.IntegerField()
    running_count = serializers.IntegerField()
    longest_wait = LongestOut(allow_null=True, help_text="The queue whose oldest due job has waited longest.")
    longest_run = LongestOut(allow_null=True, help_text="The class whose job ran longest, of the last hour.")
    fastest = FastestOut(allow_null=True, help_text="The queue that was fastest, of the last five minutes.")
    queues = QueueOut(many=True)
    workers = WorkerOut(many=True)
    outbox = OutboxOut(many=True, help_text="What waits in the database until its connection has it.")
    away = serializers.ListField(child=serializers.CharField(), help_text=AWAY)


class StatsView(JobsView):
    """The house at a glance."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="get_job_stats",
        summary="Show the jobs at a glance",
        description="Counts, throughput, queues, workers and the outbox, as the dashboard shows them first.",
        responses={200: StatsOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """Show all at a glance."""
        return Response(StatsOut(get_overview()).data)
