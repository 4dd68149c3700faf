"""Who may what, over HTTP."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from permissions import gate, grants, scope, selectors
from permissions.api.roles import MAX_PERMISSION_NAME_LENGTH
from permissions.drf import GUARD, TEAM, HasPermission, HasScopes, InTeam, get_actor, get_guard, get_user
from permissions.mixins import HasRoles
from project.api import StringField

_MAX_CHECKS = 1000
_MAX_KEY_LENGTH = 100
_MAX_MODEL_LENGTH = 201
_SEE = "permissions.view_role"


class ObjectName(serializers.Serializer[None]):
    """A row."""

    type = StringField(max_length=_MAX_MODEL_LENGTH, help_text="Model, such as `accounts.user`.")
    id = StringField(max_length=_MAX_KEY_LENGTH, help_text="Key, as text.")

    def validate_type(self, value: str) -> str:
        """Refuse what is no model."""
        if not selectors.is_model(value):
            raise serializers.ValidationError(f"There is no model `{value}`.", "unknown_model")
        return value


class Check(serializers.Serializer[None]):
    """One question."""

    permission = StringField(max_length=MAX_PERMISSION_NAME_LENGTH, help_text="Name of the permission.")
    object = ObjectName(required=False, allow_null=True, default=None, help_text="The row that it is about, if any.")


class Checks(serializers.Serializer[None]):
    """Body that asks."""

    user = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Whom it is about; null is the caller."
    )
    checks = serializers.ListField(child=Check(), min_length=1, max_length=_MAX_CHECKS, help_text="The questions.")


class Result(serializers.Serializer[None]):
    """One answer."""

    is_allowed = serializers.BooleanField(help_text="False also where the row doesn't exist.")


class Results(serializers.Serializer[None]):
    """The answers."""

    results = Result(many=True, help_text="In the order of the questions.")


class Question(serializers.Serializer[None]):
    """What is to be explained."""

    permission = StringField(max_length=MAX_PERMISSION_NAME_LENGTH, help_text="Name of the permission.")
    user = serializers.UUIDField(required=False, help_text="Whom it is about; the caller where it is missing.")
    object = StringField(
        required=False,
        max_length=_MAX_MODEL_LENGTH + 1 + _MAX_KEY_LENGTH,
        help_text="The row that it is about, as `app.model:key`.",
    )


class StepOut(serializers.Serializer[None]):
    """One rule that was asked."""

    rule = serializers.CharField()
    answer = serializers.BooleanField(allow_null=True, help_text="Null where it left the question open.")
    reason = serializers.CharField(help_text="Why, in words.")


class DecisionOut(serializers.Serializer[None]):
    """Whether a user may, and each step that led there."""

    user = serializers.CharField()
    ability = serializers.CharField(help_text="The permission.")
    object = serializers.CharField(allow_null=True)
    guard = serializers.CharField()
    team = serializers.CharField(allow_null=True, help_text="Key of the team in which it was decided.")
    is_allowed = serializers.BooleanField()
    steps = StepOut(many=True)


class CheckView(InTeam):
    """Many questions at once."""

    permission_classes = [IsAuthenticated, HasScopes("roles:read")]

    @extend_schema(
        operation_id="check_permissions",
        summary="Check up to 1,000 permissions",
        description="Everybody may ask about themselves; asking about others takes `permissions.view_role`. A row that "
        "belongs to a team is decided in that team.",
        parameters=[GUARD, TEAM],
        request=Checks,
        responses={200: Results},
        tags=["permissions"],
    )
    def post(self, request: Request) -> Response:
        """Answer each question; the number of queries doesn't grow with the number of questions."""
        body = Checks(data=request.data)
        body.is_valid(raise_exception=True)
        user = _find_user(request, body.validated_data["user"])
        guard = get_guard(request)
        checks: list[dict[str, Any]] = body.validated_data["checks"]  # Any: as validated above
        names = [(one["object"]["type"], one["object"]["id"]) if one["object"] else None for one in checks]
        objects = selectors.find_objects(name for name in names if name)
        _check_sight(request, user, objects.values())
        gate.prefetch(user, objects.values())
        return Response(
            {
                "results": [
                    {
                        "is_allowed": (name is None or name in objects)
                        and gate.can(user, check["permission"], objects.get(name) if name else None, guard=guard)
                    }
                    for check, name in zip(checks, names, strict=True)
                ]
            }
        )


class ExplainView(InTeam):
    """One question, answered with reasons."""

    permission_classes = [HasPermission(_SEE), HasScopes("roles:read")]

    @extend_schema(
        operation_id="explain_permission",
        summary="Explain a decision",
        parameters=[Question, GUARD, TEAM],
        responses={200: DecisionOut},
        tags=["permissions"],
    )
    def get(self, request: Request) -> Response:
        """Say whether a user may, and each step that led there."""
        question = Question(data=request.query_params)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        user = _find_user(request, asked.get("user"))
        obj = None
        if "object" in asked:
            label, _, key = asked["object"].partition(":")
            obj = selectors.find_objects([(label, key)]).get((label, key)) if selectors.is_model(label) else None
            if obj is None:
                raise NotFound(f"There is no `{asked['object']}`. Say it as app.model:key.", "object_does_not_exist")
            _check_sight(request, user, [obj])
        return Response(gate.explain(user, asked["permission"], obj, guard=get_guard(request)).as_dict())


def _check_sight(request: Request, user: HasRoles, objects: Iterable[Model]) -> None:
    """Make sure that the caller may see the roles of others in each team in which it will be decided.

    Raises:
        Unauthorized: The caller may not.
    """
    actor = get_actor(request)
    if user.pk == actor.pk:
        return
    for team in {grants.find_team(obj) for obj in objects} - {scope.get_team()}:
        with scope.use_team(team):
            gate.authorize(actor, _SEE)


def _find_user(request: Request, key: object) -> HasRoles:
    """Return the user whom it is about.

    Raises:
        Unauthorized: It is about somebody else, and the caller may not see roles.
        UserDoesNotExist: There is no such user.
    """
    actor = get_actor(request)
    if key is None or key == actor.pk:
        return actor
    gate.authorize(actor, _SEE)
    return get_user(str(key))
