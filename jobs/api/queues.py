"""Queues over HTTP: what they hold, and letting one rest."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import AWAY, MAX_QUEUE, SEE, JobsView, SecondsField
from jobs.api.metrics import TriesOut
from jobs.exceptions import ConnectionsAwayError
from jobs.forms import list_pausable_connections
from jobs.models.queued import EVERY_QUEUE
from jobs.options import is_queue_name
from jobs.queues import pause_queue, resume_queue
from jobs.selectors import Overview, QueueOverview, get_overview
from permissions.drf import HasPermission, HasReadWriteScopes
from project.api import StringField


class QueueOut(serializers.Serializer[QueueOverview]):
    """A queue of a connection."""

    connection = serializers.CharField()
    queue = serializers.CharField()
    waiting_count = serializers.IntegerField(help_text="Jobs that are due.")
    delayed_count = serializers.IntegerField(help_text="Jobs that are not due yet.")
    running_count = serializers.IntegerField()
    failed_count = serializers.IntegerField(help_text="Failed jobs that nobody has put back.")
    oldest_wait_seconds = SecondsField(
        source="oldest_wait", allow_null=True, help_text="How long the oldest due job has waited."
    )
    is_paused = serializers.BooleanField()
    paused_until = serializers.DateTimeField(
        allow_null=True, help_text="When the pause ends by itself; null where somebody has to end it, or there is none."
    )
    worker_count = serializers.IntegerField(help_text="Workers that are alive and take its jobs.")
    last_five_minutes = TriesOut(source="lately")
    last_hour = TriesOut(source="hourly")


class QueuesOut(serializers.Serializer[Overview]):
    """All queues."""

    results = QueueOut(many=True, source="queues")
    away = serializers.ListField(child=serializers.CharField(), help_text=AWAY)


class QueueName(serializers.Serializer[None]):
    """Body that names a queue."""

    connection = StringField(
        required=False,
        max_length=MAX_QUEUE,
        help_text='Connection of the queue; that of `JOBS["CONNECTION"]` if missing.',
    )
    queue = StringField(max_length=MAX_QUEUE, help_text="Name of the queue; `*` stands for all.")

    def validate_connection(self, value: str) -> str:
        """Refuse what is no connection."""
        if value not in list_pausable_connections():
            raise serializers.ValidationError("There is no connection of this name whose queues can rest.")
        return value


class Pause(QueueName):
    """Body that lets a queue rest."""

    until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="When it goes on by itself; null: when it is resumed."
    )

    def validate_queue(self, value: str) -> str:
        """Refuse what no queue can be called."""
        if value != EVERY_QUEUE and not is_queue_name(value):
            raise serializers.ValidationError("No queue can be called so.")
        return value

    def validate_until(self, value: datetime | None) -> datetime | None:
        """Refuse what is over."""
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This is over already.")
        return value


class QueueListView(JobsView):
    """All queues."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="list_queues",
        summary="List the queues",
        description="Those that hold a job, a failed job or a pause, or were worked on in the last hour.",
        responses={200: QueuesOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """List the queues by connection and name."""
        return Response(QueuesOut(get_overview()).data)


class PauseView(JobsView):
    """Letting a queue rest."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.add_queuepause"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="pause_queue",
        summary="Let a queue rest",
        description="No worker takes a job from it; jobs in hand are finished, and dispatch goes on. A pause takes the "
        "place of the one before. 503 `connection_away` where the connection does not answer.",
        request=Pause,
        responses={204: None},
        tags=["jobs"],
    )
    def post(self, request: Request) -> Response:
        """Pause it."""
        body = Pause(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        return _switch(lambda: pause_queue(said["queue"], connection=said.get("connection"), until=said["until"]))


class ResumeView(JobsView):
    """Letting a queue go on."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.delete_queuepause"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="resume_queue",
        summary="Let a queue go on",
        description="Harmless where it doesn't rest. `*` ends the pause of all, not those of single queues. 503 "
        "`connection_away` where the connection does not answer.",
        request=QueueName,
        responses={204: None},
        tags=["jobs"],
    )
    def post(self, request: Request) -> Response:
        """Resume it."""
        body = QueueName(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        return _switch(lambda: resume_queue(said["queue"], connection=said.get("connection")))


def _switch(change: Callable[[], object]) -> Response:
    """Let a change of a pause, and what the audit log says of it, stand or fall together.

    Raises:
        ConnectionsAwayError: One of a failover didn't answer; what the others did stays.
    """
    away: ConnectionsAwayError | None = None
    with transaction.atomic():
        try:
            change()
        except ConnectionsAwayError as error:
            away = error
    if away is not None:
        raise away
    return Response(status=HTTPStatus.NO_CONTENT)
