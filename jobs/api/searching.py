"""Lists of jobs over HTTP: what is looked for, and a page of what is found."""

from typing import Any, Final, override

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import MAX_CLASS, MAX_QUEUE, SEE, JobsView, PageFilter, SecondsField, make_next
from jobs.selectors import FailedState, JobQuery, JobRow, JobStatus, list_jobs
from permissions.drf import HasPermission, HasReadWriteScopes
from project.api import StringField

_MAX_TAG: Final = 200
_MAX_TEXT: Final = 500
_ALL: Final = "all"


class JobSearch(serializers.Serializer[None]):
    """Which jobs are looked for; what is missing doesn't matter."""

    connection = StringField(required=False, allow_blank=True, max_length=MAX_QUEUE)
    queue = StringField(required=False, allow_blank=True, max_length=MAX_QUEUE)
    tag = StringField(required=False, allow_blank=True, max_length=_MAX_TAG)
    since = serializers.DateTimeField(required=False, help_text="Due, ended, or failed, not before this moment.")
    until = serializers.DateTimeField(required=False, help_text="Before this moment.")
    exception = StringField(
        required=False,
        allow_blank=True,
        max_length=_MAX_TEXT,
        help_text="Of failed jobs: a part of what they raised, in letters of either case.",
    )
    outcome = serializers.ChoiceField(
        [*(str(one) for one in FailedState), _ALL],
        required=False,
        help_text="Of failed jobs: what became of them. `failed`, which is meant if it is missing: nobody put it back.",
    )
    batch = serializers.UUIDField(
        required=False, help_text="Of failed jobs: id of the batch that counts them as failed."
    )

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:  # Any: DRF's own
        """Add what is a keyword of Python."""
        about_class = StringField(
            source="job_class", required=False, allow_blank=True, max_length=MAX_CLASS, help_text="Class of the jobs."
        )
        return {**super().get_fields(), "class": about_class}

    def to_query(self, status: JobStatus = JobStatus.FAILED) -> JobQuery:
        """Return what was said, which is valid."""
        said = self.validated_data
        outcome = said.get("outcome", FailedState.FAILED)
        return JobQuery(
            status=status,
            outcome=None if outcome == _ALL else FailedState(outcome),
            batch_id=said.get("batch"),
            since=said.get("since"),
            until=said.get("until"),
            **{name: said.get(name, "") for name in ("connection", "queue", "job_class", "tag", "exception")},
        )


class FailedFilter(JobSearch, PageFilter):
    """Which failed jobs are listed, and which page of them."""


class JobFilter(FailedFilter):
    """Which jobs are listed, and which page of them."""

    status = serializers.ChoiceField([str(one) for one in JobStatus], default=str(JobStatus.WAITING))


class JobRowOut(serializers.Serializer[JobRow]):
    """A job in a list."""

    job_id = serializers.UUIDField()
    connection = serializers.CharField()
    queue = serializers.CharField()
    job_class = serializers.CharField()
    state = serializers.CharField(
        help_text="Where it is; of failed jobs what became of it: `failed`, `quarantined`, `retrying`, `recovered`."
    )
    at = serializers.DateTimeField(
        help_text="When it is due, has ended or has failed; of one that runs, when it was due."
    )
    attempts = serializers.IntegerField(help_text="Tries that it has had.")
    worker = serializers.CharField()
    wait_seconds = SecondsField(source="wait", allow_null=True)
    run_seconds = SecondsField(source="run", allow_null=True)
    error = serializers.CharField(help_text="Of failed jobs, the first line of what it raised.")
    fault = serializers.CharField(help_text="What can't be read of it.")


class JobPageOut(serializers.Serializer[None]):
    """A page of jobs."""

    results = JobRowOut(many=True)
    next = serializers.CharField(
        allow_null=True,
        help_text="Address of the next page, which may have jobs though this one has none; null at the end.",
    )
    away = serializers.ListField(
        child=serializers.CharField(), help_text="Connections that don't answer, whose jobs are missing."
    )


class JobListView(JobsView):
    """All jobs by where they are."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="list_jobs",
        summary="List jobs",
        description=(
            "What is done or has failed stands newest first, all others connection by connection: waiting ones in the "
            "order in which workers take them, delayed and running ones as their store keeps them."
        ),
        parameters=[JobFilter],
        responses={200: JobPageOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """List the jobs of a status that fit."""
        asked = JobFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return _answer(request, asked, JobStatus(asked.validated_data["status"]))


class FailedListView(JobsView):
    """All failed jobs."""

    permission_classes = [HasPermission(SEE), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="list_failed_jobs",
        summary="List failed jobs",
        parameters=[FailedFilter],
        responses={200: JobPageOut},
        tags=["jobs"],
    )
    def get(self, request: Request) -> Response:
        """List the failed jobs that fit, newest first."""
        asked = FailedFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return _answer(request, asked, JobStatus.FAILED)


def _answer(request: Request, asked: FailedFilter, status: JobStatus) -> Response:
    said = asked.validated_data
    page = list_jobs(asked.to_query(status), cursor=said.get("cursor", ""), limit=said["limit"])
    rows = [JobRowOut(row).data for row in page.rows]
    return Response({"results": rows, "next": make_next(request, page.cursor), "away": page.away})
