"""Batches over HTTP."""

from typing import Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import SEE, JobsView, PageFilter, PageOut, make_next
from jobs.api.searching import JobRowOut
from jobs.api.steering import STEPS, Continuation, SteeringOut, do_step
from jobs.batch import Batch, find_batch, to_batch
from jobs.exceptions import BatchNotFoundError
from jobs.selectors import JobQuery, JobStatus, count_members, list_batches, list_jobs
from jobs.services import Steer, cancel_whole_batch
from permissions.drf import HasPermission, HasReadWriteScopes

_ID = OpenApiParameter("batch_id", UUID, OpenApiParameter.PATH, description="Id of the batch.")
#: Failed jobs that a batch names; the others are in the list of failed jobs.
_SHOWN_FAILURES: Final = 100


class BatchOut(serializers.Serializer[Batch]):
    """A batch, and how far it has come."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.CharField(help_text="`open`, `finished`, `cancelled` or `ended_with_failures`.")
    total_jobs = serializers.IntegerField(help_text="All that were added, without those that have left.")
    pending_jobs = serializers.IntegerField(help_text="Those that have not succeeded yet, failed ones among them.")
    failed_jobs = serializers.IntegerField()
    progress = serializers.IntegerField(help_text="How much has succeeded, in percent.")
    created_at = serializers.DateTimeField()
    cancelled_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True, help_text="When all had succeeded, or it was cancelled.")


class MembersOut(serializers.Serializer[None]):
    """How many jobs of a batch are in which state."""

    pending = serializers.IntegerField()
    processed = serializers.IntegerField()
    failed = serializers.IntegerField()
    retrying = serializers.IntegerField(help_text="Put back from the failed jobs.")
    skipped = serializers.IntegerField(help_text="Those that have left it.")


class BatchDetailsOut(BatchOut):
    """A batch with its jobs."""

    members = MembersOut()
    failed = JobRowOut(
        many=True,
        help_text=f"What failed last, at most {_SHOWN_FAILURES}; `/jobs/failed?batch=` lists all.",
    )


class BatchPageOut(PageOut):
    """A page of batches."""

    results = BatchOut(many=True)


class BatchListView(JobsView):
    """All batches."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="list_batches",
        summary="List the batches",
        parameters=[PageFilter],
        responses={200: BatchPageOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """List the batches, newest first."""
        cursor, limit = PageFilter.read(request)
        rows, cursor = list_batches(cursor=cursor, limit=limit)
        shown = [BatchOut(to_batch(row)).data for row in rows]
        return Response({"results": shown, "next": make_next(request, cursor)})


class BatchView(JobsView):
    """One batch."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="get_batch",
        summary="Show a batch",
        parameters=[_ID],
        responses={200: BatchDetailsOut},
        tags=["jobs"],
    )
    def get(self, request: Request, batch_id: UUID) -> Response:
        """Show how far it has come, and what failed in it."""
        batch = _find(batch_id)
        failed = list_jobs(JobQuery(status=JobStatus.FAILED, batch_id=batch_id), limit=_SHOWN_FAILURES)
        return Response(
            {
                **BatchOut(batch).data,
                "members": count_members(batch_id),
                "failed": [JobRowOut(row).data for row in failed.rows],
            }
        )


class BatchCancelView(JobsView):
    """Cancelling a batch."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.change_batch"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="cancel_batch",
        summary="Cancel a batch",
        description="Its jobs are still taken, and skip themselves where they ask. Harmless where it is cancelled.",
        parameters=[_ID],
        request=None,
        responses={200: BatchOut},
        tags=["jobs"],
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Cancel it and show it as it is then."""
        cancel_whole_batch(batch_id=batch_id)
        return Response(BatchOut(_find(batch_id)).data)


class BatchRetryView(JobsView):
    """Putting back what failed in a batch."""

    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.change_failedjob"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="retry_batch",
        summary="Retry what failed in a batch",
        description=STEPS,
        parameters=[_ID],
        request=Continuation,
        responses={200: SteeringOut},
        tags=["jobs"],
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Put its failed jobs back."""
        body = Continuation(data=request.data)
        body.is_valid(raise_exception=True)
        _find(batch_id)
        return do_step(body.to_plan(JobQuery(status=JobStatus.FAILED, batch_id=batch_id), Steer.RETRY))


def _find(batch_id: UUID) -> Batch:
    """Return a batch as it stands.

    Raises:
        BatchNotFoundError: There is none (any more).
    """
    batch = find_batch(batch_id)
    if batch is None:
        raise BatchNotFoundError
    return batch
