"""One job over HTTP: what is known of it, and what can be done to it."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import SEE, JobsView
from jobs.models import FailedJob, JobTry
from jobs.payload import get_argument_names, to_shown
from jobs.security import describe_arguments
from jobs.selectors import JobLife, get_job_life
from jobs.services import cancel_job, forget_one, retry_one
from permissions import audit
from permissions.drf import HasPermission, HasReadWriteScopes, get_actor
from permissions.mixins import HasRoles

_ID = OpenApiParameter("job_id", UUID, OpenApiParameter.PATH, description="Id of the job.")
_MAX_TAG: Final = 200
#: Each of them opens the page of a failed job in the admin.
_SEE_TRACEBACKS: Final = ("jobs.view_failedjob", "jobs.change_failedjob")


class TryOut(serializers.ModelSerializer[JobTry]):
    """A try that has ended."""

    state = serializers.CharField(help_text="`done`, `released` (another one follows), `failed` or `quarantined`.")
    error = serializers.CharField(help_text="Name of what it raised.")

    class Meta:
        model = JobTry
        fields = ["attempt", "state", "worker", "started_at", "ended_at", "wait_seconds", "run_seconds", "error"]
        read_only_fields = fields


class FailureOut(serializers.ModelSerializer[FailedJob]):
    """How a job failed last, and what became of it since."""

    state = serializers.CharField(help_text="`failed`, `retrying` or `recovered`.")
    traceback = serializers.SerializerMethodField(
        help_text="Null for who has neither `jobs.view_failedjob` nor `jobs.change_failedjob`."
    )

    class Meta:
        model = FailedJob
        fields = [
            "state", "failed_at", "exception", "traceback", "attempts", "is_quarantined", "retry_count", "retried_at",
            "recovered_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_traceback(self, failed: FailedJob) -> str | None:
        """Return the traceback to who may see it."""
        return failed.traceback if self.context["may_see_traceback"] else None


class JobOut(serializers.Serializer[None]):
    """All that is known of a job."""

    job_id = serializers.UUIDField()
    connection = serializers.CharField()
    queue = serializers.CharField()
    job_class = serializers.CharField()
    state = serializers.CharField(
        help_text="`waiting`, `delayed`, `running`, `done`, `failed`, `retrying`, `recovered` or `quarantined`; "
        "`released` where it waits for another try on a connection that doesn't answer; `gone` where it waited for one "
        "and was cancelled or cleared, or is done and wasn't listed."
    )
    attempts = serializers.IntegerField(help_text="Tries that it has had, as far as that is known.")
    tags = serializers.ListField(child=serializers.CharField())
    batch_id = serializers.UUIDField(allow_null=True)
    dispatched_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was dispatched first, however often it was put back; null if unknown."
    )
    available_at = serializers.DateTimeField(allow_null=True, help_text="When it is due; null where it has ended.")
    worker = serializers.CharField(help_text="Who runs it; else empty.")
    fault = serializers.CharField(help_text="What can't be read of it.")
    argument_names = serializers.ListField(child=serializers.CharField(), help_text="Empty where it is done.")
    arguments = serializers.DictField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Name to value as JSON text, without what is secret; null for who lacks `jobs.view_payload`. That "
        "somebody was shown it is in the audit log.",
    )
    failure = FailureOut(allow_null=True)
    tries = TryOut(many=True, help_text="Those that are listed, the last 200 at most, the first one first.")
    away = serializers.ListField(
        child=serializers.CharField(), help_text="Connections that don't answer, where it may be as well."
    )


class JobView(JobsView):
    """One job."""

    permission_classes = [
        HasPermission(SEE),
        HasPermission(GET=SEE, DELETE="jobs.delete_failedjob"),
        HasReadWriteScopes("jobs"),
    ]

    @extend_schema(
        operation_id="get_job",
        summary="Show a job",
        description="One that was done long ago is known no more (404). 503 `job_out_of_reach` where nobody knows it "
        "and a connection that may does not answer.",
        parameters=[_ID],
        responses={200: JobOut},
        tags=["jobs"],
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        """Show where it is, what it was given, and each of its tries."""
        return Response(_tell(get_job_life(job_id), get_actor(request)))

    @extend_schema(
        operation_id="forget_job",
        summary="Forget a failed job",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["jobs"],
    )
    def delete(self, request: Request, job_id: UUID) -> Response:
        """Delete it for good."""
        forget_one(job_id=job_id)
        return Response(status=HTTPStatus.NO_CONTENT)


class JobRetryView(JobsView):
    """Putting a failed job back."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.change_failedjob"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="retry_job",
        summary="Retry a failed job",
        description="Puts it back under its own id. 404 also where somebody has just done that; 409 `job_is_unique` "
        "where another one of its key waits or runs.",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["jobs"],
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """Put it back."""
        retry_one(job_id=job_id)
        return Response(status=HTTPStatus.NO_CONTENT)


class JobCancelView(JobsView):
    """Cancelling a job that waits."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.delete_queuedjob"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="cancel_job",
        summary="Cancel a job that waits",
        description="It is deleted, with what follows it. 409 `job_not_waiting` where it runs.",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["jobs"],
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """Delete it."""
        cancel_job(job_id=job_id)
        return Response(status=HTTPStatus.NO_CONTENT)


def _tell(life: JobLife, actor: HasRoles) -> dict[str, object]:
    context = {"may_see_traceback": any(actor.can(name) for name in _SEE_TRACEBACKS)}
    stored = life.stored
    return {
        "job_id": life.job_id,
        "connection": life.connection,
        "queue": life.queue,
        "job_class": life.job_class,
        "state": life.state,
        "attempts": life.attempts,
        "tags": [to_shown(tag, _MAX_TAG) for tag in life.tags],
        "batch_id": life.batch_id,
        "dispatched_at": life.dispatched_at,
        "available_at": stored.available_at if stored else None,
        "worker": stored.worker if stored and stored.state == "running" else "",
        "fault": stored.fault if stored else "",
        "argument_names": get_argument_names(life.payload),
        "arguments": _show_arguments(life, actor),
        "failure": FailureOut(life.failed, context=context).data if life.failed else None,
        "tries": TryOut(life.tries, many=True).data,
        "away": life.away,
    }


def _show_arguments(life: JobLife, actor: HasRoles) -> dict[str, str] | None:
    """Return the arguments to who may see them, and record that."""
    if not actor.can("jobs.view_payload"):
        return None
    if life.payload:
        subject = audit.Reference("jobs.job", life.job_id, life.job_class)
        audit.record("job.payload_viewed", actor=actor, subject=subject)
    return describe_arguments(life.payload, job_class=life.job_class)
