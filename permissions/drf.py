"""What a view of the REST API needs of its caller, and how the schema tells it."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self, override

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import AND, OperandHolder, SingleOperandHolder
from rest_framework.request import Request
from rest_framework.views import APIView

from permissions.mixins import HasRoles
from permissions.selectors import split_names


class Requirement(SingleOperandHolder):
    """An entry of ``permission_classes`` that is an instance: DRF calls it and gets itself.

    The base is the one callable beside classes that DRF knows in that place; ``&``, ``|`` and ``~`` come with it.
    A caller without credentials gets 401 from DRF, a known one 403 with ``message``.
    """

    #: Member of the OpenAPI operation that lists what is required.
    extension: ClassVar[str]

    def __init__(self, names: str = "", **names_by_method: str) -> None:
        """Require one of the names (``"a|b"``), or another one for each method: ``GET="a", POST="b"``.

        HEAD is as GET. A handler of a method that isn't named is closed to everybody.
        """
        self.names = names
        self.names_by_method = names_by_method
        self.message = "Nobody has access by this method."

    @override
    def __call__(self, *args: object, **kwargs: object) -> Self:
        """Return a copy of itself, whose message belongs to one request."""
        return type(self)(self.names, **self.names_by_method)

    def required_by(self, method: str) -> str:
        """Return what a method requires, empty where it isn't named."""
        return self.names or self.names_by_method.get("GET" if method == "HEAD" else method, "")

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether the caller has one of the names."""
        method = request.method or ""
        required = self.required_by(method)
        if not required:
            # Without a handler the answer is 405, which is nobody's secret.
            return not hasattr(view, method.lower())
        self.message = self.explain(required)
        return isinstance(request.user, HasRoles) and self.is_met(request.user, required)

    def has_object_permission(self, request: Request, view: APIView, obj: object) -> bool:
        """Leave single objects to the view."""
        return True

    def is_met(self, user: HasRoles, required: str) -> bool:
        """Say whether the user has one of the names."""
        raise NotImplementedError

    def explain(self, required: str) -> str:
        """Return what a refused caller is told."""
        raise NotImplementedError


class HasPermission(Requirement):
    """``permission_classes = [HasPermission("accounts.view_user")]``."""

    extension = "x-required-permissions"

    @override
    def is_met(self, user: HasRoles, required: str) -> bool:
        return any(user.can(name) for name in split_names(required))

    @override
    def explain(self, required: str) -> str:
        names = ", ".join(split_names(required))
        return f"User does not have the right permissions. Necessary permissions are {names}."


class HasRole(Requirement):
    """``permission_classes = [HasRole("admin|editor")]``. Being a superuser is not a role."""

    extension = "x-required-roles"

    @override
    def is_met(self, user: HasRoles, required: str) -> bool:
        return user.has_role(required)

    @override
    def explain(self, required: str) -> str:
        return f"User does not have the right roles. Necessary roles are {', '.join(split_names(required))}."


class RequirementSchema(AutoSchema):
    """Adds to each operation what its view requires: a list of which all, or one of ``a|b``, must be had."""

    @override
    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:  # Any: drf-spectacular's own shapes
        """Return the operation with its requirements."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)  # Any: as above
        if operation is not None:
            for requirement in _find_requirements(self.view.permission_classes):
                if required := requirement.required_by(self.method):
                    operation.setdefault(requirement.extension, []).append(required)
        return operation


def _find_requirements(rules: object) -> Iterator[Requirement]:
    """Yield the requirements among permission classes, also those joined by ``&``; alternatives are left out."""
    match rules:
        case Requirement():
            yield rules
        case list() | tuple():
            for rule in rules:
                yield from _find_requirements(rule)
        case OperandHolder() if getattr(rules, "operator_class", None) is AND:
            yield from _find_requirements([rules.op1_class, rules.op2_class])
        case _:
            pass
