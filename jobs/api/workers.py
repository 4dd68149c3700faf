"""Workers over HTTP: how they are, and what they are told."""

from http import HTTPStatus
from typing import Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import SEE, JobsView
from jobs.selectors import WorkerStatus, list_workers
from jobs.services import Wish, tell_worker
from permissions.drf import HasPermission, HasReadWriteScopes

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Name of the worker.")
_WISHES: Final = (Wish.REST, Wish.GO_ON, Wish.STOP)


class WorkerOut(serializers.Serializer[WorkerStatus]):
    """A worker process."""

    name = serializers.CharField()
    state = serializers.CharField(help_text="`busy`, `idle`, `resting`, `stopping` or `dead`.")
    wish = serializers.CharField(help_text="What it was told and has not heard yet; else empty.")
    connection = serializers.CharField()
    queues = serializers.ListField(
        child=serializers.CharField(), help_text="Those that it serves, in order; empty is every queue."
    )
    host = serializers.CharField()
    pid = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    beat_at = serializers.DateTimeField(help_text="When it last reported.")
    current_job_id = serializers.UUIDField(allow_null=True)
    current_job_class = serializers.CharField()
    current_job_since = serializers.DateTimeField(
        allow_null=True, help_text="When that was taken, by the clock of its store."
    )
    running_count = serializers.IntegerField(help_text="Jobs that it runs now.")
    try_count = serializers.IntegerField(help_text="Tries that it has begun since its start.")
    memory_mb = serializers.FloatField(allow_null=True)
    cpu_percent = serializers.FloatField(allow_null=True, help_text="Of one core.")


class WorkersOut(serializers.Serializer[None]):
    """All workers."""

    results = WorkerOut(many=True, help_text="By name; dead ones stay for an hour.")


class WishBody(serializers.Serializer[None]):
    """Body that tells a worker something."""

    wish = serializers.ChoiceField(
        [str(one) for one in _WISHES],
        help_text="`rest`: take no job; `go_on`: take jobs again; `stop`: end after the jobs in hand.",
    )


class WorkerListView(JobsView):
    """All workers."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(operation_id="list_workers", summary="List the workers", responses={200: WorkersOut}, tags=["jobs"])
    def get(self, request: Request) -> Response:
        """List the workers by name."""
        return Response({"results": [WorkerOut(one).data for one in list_workers(now=timezone.now())]})


class WorkerWishView(JobsView):
    """What one worker is told."""

    permission_classes = [
        HasPermission(SEE),
        HasPermission(POST="jobs.change_workerheartbeat"),
        HasReadWriteScopes("jobs"),
    ]

    @extend_schema(
        operation_id="tell_worker",
        summary="Tell a worker to rest, to go on or to stop",
        description="It hears that within seconds, between two jobs; until then it stands in `wish` of the worker.",
        parameters=[_NAME],
        request=WishBody,
        responses={204: None},
        tags=["jobs"],
    )
    def post(self, request: Request, name: str) -> Response:
        """Tell it."""
        body = WishBody(data=request.data)
        body.is_valid(raise_exception=True)
        tell_worker(name=name, wish=Wish(body.validated_data["wish"]))
        return Response(status=HTTPStatus.NO_CONTENT)
