"""What a view of the REST API needs of its caller, and how the schema tells it.

``permission_classes = [HasPermission("accounts.view_user")]``. One of the names is enough (``"a|b"``, or one by one);
several entries are all needed, and ``&``, ``|`` and ``~`` join them with each other and with DRF's own classes.
``HasScopes("users:read")`` beside it says with which scopes a program may do it for a user.

Who brings no credentials gets 401. Who is known and lacks what it takes gets 403, which tells the names only where
``PERMISSIONS`` says so; the schema tells them in any case.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from typing import Any, ClassVar, Final, Self, override

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AND, OR, OperandHolder, SingleOperandHolder
from rest_framework.request import Request
from rest_framework.views import APIView

from permissions import conf, gate, scope, selectors
from permissions.exceptions import Unauthorized, UserDoesNotExist
from permissions.mixins import HasRoles
from permissions.scopes import HasReadWriteScopes, HasScopes, find_scopes

__all__ = [
    "GUARD",
    "TEAM",
    "HasObjectPermission",
    "HasPermission",
    "HasReadWriteScopes",
    "HasRole",
    "HasRoleOrPermission",
    "HasScopes",
    "InTeam",
    "OutsideTeams",
    "Requirement",
    "RequirementSchema",
    "get_actor",
    "get_guard",
    "get_user",
]

type _Names = tuple[str, ...]

#: The parameters that ``InTeam`` and ``get_guard`` read.
TEAM: Final = OpenApiParameter(
    "team", str, description="Key of the team that it is about, rather than that of the request; empty for all teams."
)
GUARD: Final = OpenApiParameter("guard", str, description="The guard (namespace) that it is about, if not the default.")


class Requirement(SingleOperandHolder, ABC):
    """An entry of ``permission_classes`` that is an instance: DRF calls it and gets itself.

    The base is the one callable beside classes that DRF knows in that place; ``&``, ``|`` and ``~`` come with it.
    """

    #: Member of the OpenAPI operation that lists what is required.
    extension: ClassVar[str]

    def __init__(self, *names: object, guard: str | None = None, **names_by_method: object) -> None:
        """Require one of the names, or other ones for each method: ``GET="a", POST="b|c"``.

        HEAD is as GET. A handler of a method that isn't named is closed to everybody.

        Raises:
            TypeError: A value is no name.
            GuardDoesNotExist: There is no such guard.
        """
        self.guard = guard if guard is None else scope.check_guard(guard)
        self.names = selectors.get_names(names)
        self.names_by_method = {method: selectors.get_names([value]) for method, value in names_by_method.items()}
        self.message = "Nobody has access by this method."

    @override
    def __call__(self, *args: object, **kwargs: object) -> Self:
        """Return a copy of itself, whose message belongs to one request."""
        return copy(self)

    def required_by(self, method: str) -> _Names:
        """Return what a method requires, nothing where it isn't named."""
        return self.names or self.names_by_method.get("GET" if method == "HEAD" else method, ())

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether the caller has one of the names."""
        return self._decide(request, view, None)

    def has_object_permission(self, request: Request, view: APIView, obj: object) -> bool:
        """Say whether the caller has one of the names, with this object where objects matter."""
        return self._decide(request, view, obj)

    @abstractmethod
    def is_met(self, user: HasRoles, names: _Names, obj: object) -> bool:
        """Say whether the user has one of the names, with an object where one is given."""

    @abstractmethod
    def refuse(self, names: _Names) -> Unauthorized:
        """Return the refusal for who has none of the names."""

    def _decide(self, request: Request, view: APIView, obj: object) -> bool:
        method = request.method or ""
        names = self.required_by(method)
        if not names:
            # Without a handler the answer is 405, which is nobody's secret.
            return not hasattr(view, method.lower())
        self.message = self.refuse(names).message
        return isinstance(request.user, HasRoles) and self.is_met(request.user, names, obj)


class HasRole(Requirement):
    """``permission_classes = [HasRole("admin|editor")]``. Being a superuser is not a role.

    With ``guard`` only roles of that guard count.
    """

    extension = "x-required-roles"

    @override
    def is_met(self, user: HasRoles, names: _Names, obj: object) -> bool:
        return user.has_any_role(*names, guard=self.guard)

    @override
    def refuse(self, names: _Names) -> Unauthorized:
        return gate.refuse(roles=names)


class HasPermission(Requirement):
    """``permission_classes = [HasPermission("accounts.view_user")]``: who may, as ``can`` decides, comes in.

    A handler that gets a single object (``get_object``, ``check_object_permissions``) asks again with the object:
    what is given everywhere is given for it too, unless it belongs to a team in which the caller may not. Who may
    with this object alone doesn't come so far; see ``HasObjectPermission``.

    Without ``guard`` a free permission is asked for in the guard of the request, and one that a model declares in the
    default guard, which is the only one that has it.
    """

    extension = "x-required-permissions"

    @override
    def is_met(self, user: HasRoles, names: _Names, obj: object) -> bool:
        return any(user.can(name, obj, guard=self._find_guard(name)) for name in names)

    @override
    def refuse(self, names: _Names) -> Unauthorized:
        return gate.refuse(permissions=names)

    def _find_guard(self, name: str) -> str | None:
        return conf.get().default_guard if self.guard is None and selectors.is_name_of_app(name) else self.guard


class HasObjectPermission(HasPermission):
    """``permission_classes = [HasObjectPermission("blog.change_post")]``: who may with the object comes in.

    That is also who was given the permission for this object alone, or whom the policy of its model lets. It is for
    generic views: an address of a single object (one with ``lookup_url_kwarg`` or ``lookup_field`` in it) lets every
    user as far as ``get_object``, which settles it. A handler there that gets its object otherwise must call
    ``check_object_permissions``. Everywhere else, such as for lists, it is as ``HasPermission``.
    """

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Leave addresses of single objects to ``has_object_permission``."""
        is_decided = super().has_permission(request, view)
        is_later = _is_about_object(view) and bool(self.required_by(request.method or ""))
        return is_decided or (is_later and isinstance(request.user, HasRoles))


class HasRoleOrPermission(HasPermission):
    """``permission_classes = [HasRoleOrPermission("admin|edit articles")]``: a name may be a role or a permission."""

    extension = "x-required-roles-or-permissions"

    @override
    def is_met(self, user: HasRoles, names: _Names, obj: object) -> bool:
        return super().is_met(user, names, obj) or user.has_any_role(*names, guard=self.guard)

    @override
    def refuse(self, names: _Names) -> Unauthorized:
        return gate.refuse(either=names)


class InTeam(APIView):
    """A view that is about a team: the one that the request holds, or that of the parameter ``team``.

    What a view requires is asked in that team too, so whoever may in one team alone may there alone.
    """

    @override
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # Any: DRF's own
        """Answer, and leave the scope as it was."""
        with scope.kept():
            return super().dispatch(request, *args, **kwargs)

    @override
    def perform_authentication(self, request: Request) -> None:
        """Find out who asks, and then about which team.

        Raises:
            TeamDoesNotExist: There is no such team.
            TeamsNotEnabled: There are no teams.
        """
        super().perform_authentication(request)
        if not request.user.is_authenticated:
            return  # whoever is unknown learns nothing about teams
        if (key := self.find_team(request)) is not None:
            scope.set_team(selectors.get_team(key=key) if key else None)

    def find_team(self, request: Request) -> str | None:
        """Return the key of the team, "" for all teams; None leaves the team of the request."""
        return request.query_params.get(TEAM.name)


class OutsideTeams(APIView):
    """A view that is about the whole installation: who may in one team alone may not here."""

    @override
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # Any: DRF's own
        """Answer outside of teams."""
        with scope.use_team(None):
            return super().dispatch(request, *args, **kwargs)


def get_guard(request: Request) -> str | None:
    """Return the guard that the parameter ``guard`` names, None where it is missing.

    Raises:
        GuardDoesNotExist: There is no such guard.
    """
    name = request.query_params.get(GUARD.name)
    return None if name is None else scope.check_guard(name)


def get_actor(request: Request) -> HasRoles:
    """Return the user who asks, in the name of whom rights are handed out.

    Raises:
        PermissionDenied: No user asks, but a client for itself.
    """
    if not isinstance(request.user, HasRoles):
        raise PermissionDenied
    return request.user


def get_user(user_id: str) -> HasRoles:
    """Return the user that an address names.

    Raises:
        UserDoesNotExist: There is none.
    """
    user = selectors.get_user(user_id=user_id)
    if not isinstance(user, HasRoles):
        raise UserDoesNotExist
    return user


class RequirementSchema(AutoSchema):
    """Adds to each operation what its view requires: a list of which all, or one of ``a|b``, must be had."""

    @override
    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:  # Any: drf-spectacular's own shapes
        """Return the operation with its requirements."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)  # Any: as above
        if operation is not None:
            if scopes := find_scopes(self.view, self.method):
                operation["x-required-scopes"] = sorted(scopes)
            for extension, names in _find_requirements(self.view.permission_classes, self.method):
                if names:
                    operation.setdefault(extension, []).append("|".join(names))
        return operation


def _find_requirements(rules: object, method: str) -> Iterator[tuple[str, _Names]]:
    """Yield member and names of what permission classes require, also of those joined by ``&`` and ``|``.

    Left out is what can't be told as a list: ``~``, and alternatives to anything but one plain requirement.
    """
    match rules:
        case Requirement():
            yield rules.extension, rules.required_by(method)
        case list() | tuple():
            for rule in rules:
                yield from _find_requirements(rule, method)
        case OperandHolder():
            operator: object = rules.operator_class
            found = [list(_find_requirements(one, method)) for one in (rules.op1_class, rules.op2_class)]
            if operator is AND:
                yield from found[0] + found[1]
            elif operator is OR and [len(one) for one in found] == [1, 1]:
                yield _join(*found[0], *found[1])
        case _:
            pass


def _join(first: tuple[str, _Names], second: tuple[str, _Names]) -> tuple[str, _Names]:
    """Return two alternatives as one requirement."""
    extension = first[0] if first[0] == second[0] else HasRoleOrPermission.extension
    return extension, tuple(dict.fromkeys(first[1] + second[1]))


def _is_about_object(view: APIView) -> bool:
    return isinstance(view, GenericAPIView) and (view.lookup_url_kwarg or view.lookup_field) in view.kwargs
