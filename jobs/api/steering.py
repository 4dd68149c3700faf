"""Retrying and discarding many failed jobs over HTTP, one step for each call."""

from typing import Any, ClassVar, Final, override

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.edge import SEE, JobsView
from jobs.api.searching import JobSearch
from jobs.exceptions import InvalidCursorError
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer, SteeringPlan, open_plan, plan_steering, seal_plan, steer_some
from permissions.drf import HasPermission, HasReadWriteScopes
from project.api import StringField

_MAX_TOKEN: Final = 40_000
#: What is said of the names of fields that there aren't.
_MAX_NAME: Final = 100
_MOST_NAMES: Final = 10
_CONTINUE: Final = "continue"  # a keyword of Python
#: What every operation of this kind says.
STEPS: Final = (
    "Each call takes a second or so. While `is_complete` is false, call again with nothing but `continue`; what comes "
    "after the first call is left alone."
)


class Continuation(serializers.Serializer[None]):
    """Body that goes on with what a call before has begun."""

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:  # Any: DRF's own
        """Add what is a keyword of Python."""
        token = StringField(
            required=False, max_length=_MAX_TOKEN, help_text="From the answer of the call before, to go on; alone."
        )
        return {**super().get_fields(), _CONTINUE: token}

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:  # Any (twice): DRF's own
        """Refuse a field that there isn't, which would narrow nothing, and a search beside the one that goes on."""
        unknown = [str(name)[:_MAX_NAME] for name in self.initial_data if name not in self.fields]
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown[:_MOST_NAMES], "There is no such field."))
        if _CONTINUE in attrs and len(attrs) > 1:
            raise serializers.ValidationError({_CONTINUE: "It holds what is looked for; say nothing beside it."})
        return attrs

    def to_plan(self, query: JobQuery, steer: Steer) -> SteeringPlan:
        """Return what goes on, or what begins with a search.

        Raises:
            ValidationError: What was brought along is not from this house, or is about something else.
        """
        text = self.validated_data.get(_CONTINUE)
        if text is None:
            return plan_steering(query, steer)
        try:
            plan = open_plan(text)
        except InvalidCursorError as error:
            raise serializers.ValidationError({_CONTINUE: [_FOREIGN]}) from error
        if (plan.steer, plan.query.status) != (steer, JobStatus.FAILED) or query.batch_id not in {
            None, plan.query.batch_id,
        }:  # fmt: skip
            raise serializers.ValidationError({_CONTINUE: [_FOREIGN]})
        return plan


#: Fields that leave every failed job in.
_WHOLE: Final = {"all", "outcome"}
_NEEDED: Final = 'Say which failed jobs are meant, such as {"class": "…"}, or {"all": true} for every one.'
_SOME: Final = "Leave it out, or what else says which jobs are meant."
_FOREIGN: Final = "This is not what a call before has answered here. Begin anew without it."


class SteeringBody(Continuation, JobSearch):
    """Body that says which failed jobs are meant, in so many words where it is all of them; or goes on."""

    all = serializers.BooleanField(
        required=False, help_text="True: every failed job with that `outcome`. Needed where nothing else narrows them."
    )

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:  # Any (twice): DRF's own
        """Refuse a search that finds all though nobody said so, and one that finds some beside ``all``."""
        attrs = super().validate(attrs)
        is_narrowed = any(value for name, value in attrs.items() if name not in _WHOLE)
        if is_narrowed == attrs.get("all", False):
            raise serializers.ValidationError({"all": _SOME if is_narrowed else _NEEDED})
        return attrs


class SteeringOut(serializers.Serializer[None]):
    """How far it has come."""

    total = serializers.IntegerField(help_text="How many there were when it began.")
    done = serializers.IntegerField()
    skipped = serializers.IntegerField(
        help_text="Left as they are: another one of their key waits, their connection is gone, somebody was quicker."
    )
    is_complete = serializers.BooleanField()

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:  # Any: DRF's own
        """Add what is a keyword of Python."""
        token = serializers.CharField(allow_null=True, help_text="For the next call; null where it is complete.")
        return {**super().get_fields(), _CONTINUE: token}


class _SteeringView(JobsView):
    steer: ClassVar[Steer]

    def go_on(self, request: Request) -> Response:
        """Do a step."""
        body = SteeringBody(data=request.data)
        body.is_valid(raise_exception=True)
        return do_step(body.to_plan(body.to_query(), self.steer))


class FailedRetryView(_SteeringView):
    """Putting many failed jobs back."""

    steer = Steer.RETRY
    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.change_failedjob"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="retry_failed_jobs",
        summary="Retry failed jobs",
        description=STEPS,
        request=SteeringBody,
        responses={200: SteeringOut},
        tags=["jobs"],
    )
    def post(self, request: Request) -> Response:
        """Put back those that fit."""
        return self.go_on(request)


class FailedDiscardView(_SteeringView):
    """Forgetting many failed jobs."""

    steer = Steer.DISCARD
    permission_classes = [HasPermission(SEE), HasPermission(POST="jobs.delete_failedjob"), HasReadWriteScopes("jobs")]

    @extend_schema(
        operation_id="discard_failed_jobs",
        summary="Forget failed jobs",
        description=STEPS,
        request=SteeringBody,
        responses={200: SteeringOut},
        tags=["jobs"],
    )
    def post(self, request: Request) -> Response:
        """Delete those that fit, for good."""
        return self.go_on(request)


def do_step(plan: SteeringPlan) -> Response:
    """Do a step of a plan, and answer how far it has come."""
    after = steer_some(plan)
    return Response(
        {
            "total": after.total,
            "done": after.done,
            "skipped": after.skipped,
            "is_complete": after.is_complete,
            _CONTINUE: None if after.is_complete else seal_plan(after),
        }
    )
