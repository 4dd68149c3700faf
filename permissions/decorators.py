"""Views that only some may enter: ``@permission_required("edit articles|publish articles")``.

The three decorators take functions, methods and whole classes of views, sync and async alike. One of the names is
enough; a second decorator asks for more. Names come as ``"a|b"``, one by one, in lists, or as enums.

Who isn't signed in is sent to the sign-in page, as by Django's own decorators; a program gets 403, and in a view of
the REST API 401. Who is signed in and lacks what it takes gets 403 (``Unauthorized``), which tells the names only where
``PERMISSIONS`` says so. Views of the REST API are better off with ``permissions.drf``, which the schema knows too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from inspect import isclass, iscoroutinefunction
from typing import Any, override

from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import View
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from permissions import gate, scope, selectors
from permissions.exceptions import Unauthorized
from permissions.mixins import HasRoles
from project.api import wants_problem

#: A view, or a class of views. What it takes and returns is its own business.
type _Viewable = Callable[..., Any]  # Any: as above


class _Requirement(ABC):
    """What a view asks of who enters it; calling it decorates a view."""

    def __init__(self, names: tuple[object, ...], *, guard: str | None, login_url: str | None) -> None:
        """Read the names.

        Raises:
            TypeError: There is none, or one is no name.
            GuardDoesNotExist: There is no such guard.
        """
        if not names:
            message = "Say what is required, such as @permission_required('edit articles')."
            raise TypeError(message)
        self.names = selectors.get_names(names)
        self.guard = guard if guard is None else scope.check_guard(guard)
        self.login_url = login_url

    def __call__[AnyView: _Viewable](self, view: AnyView) -> AnyView:
        """Return the view, which lets in only who has one of the names."""
        if isclass(view):
            self._close(view)
            return view
        return self._wrap(view, is_async=iscoroutinefunction(view))  # type: ignore[return-value] # takes and returns what the view does

    @abstractmethod
    def is_met(self, user: HasRoles) -> bool:
        """Say whether the user has one of the names."""

    @abstractmethod
    async def ais_met(self, user: HasRoles) -> bool:
        """See ``is_met``."""

    @abstractmethod
    def refuse(self) -> Unauthorized:
        """Return the refusal for who has none of the names."""

    def _close(self, view: type[object]) -> None:
        if issubclass(view, APIView) or not issubclass(view, View):
            message = (
                f"{view.__name__} is no class of Django's views. "
                "One of the REST API says in permission_classes what it requires; see permissions.drf."
            )
            raise TypeError(message)
        ways = [self._wrap(view.dispatch, is_async=is_async) for is_async in (False, True)]

        @wraps(view.dispatch)
        def dispatch(self: View, *args: Any, **kwargs: Any) -> Any:  # Any: of the view
            # Asked of the class that answers: handlers of a subclass say whether it is async.
            return ways[bool(self.view_is_async)](self, *args, **kwargs)

        view.dispatch = dispatch  # type: ignore[method-assign] # as Django's method_decorator does

    def _wrap(self, view: _Viewable, *, is_async: bool) -> _Viewable:
        if is_async:

            @wraps(view)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:  # Any: of the view
                request = _find_request(args)
                user = await request.auser()
                if not user.is_authenticated:
                    return self._send_to_sign_in(request)
                if not await self.ais_met(_check_class(user)):
                    raise self.refuse()
                return await view(*args, **kwargs)

            return asynchronous

        @wraps(view)
        def synchronous(*args: Any, **kwargs: Any) -> Any:  # Any: of the view
            request = _find_request(args)
            if not request.user.is_authenticated:
                return self._send_to_sign_in(request)
            if not self.is_met(_check_class(request.user)):
                raise self.refuse()
            return view(*args, **kwargs)

        return synchronous

    def _send_to_sign_in(self, request: HttpRequest | Request) -> HttpResponseBase:
        """Return the redirect to the sign-in page.

        Raises:
            NotAuthenticated: A view of the REST API was asked.
            Unauthorized: A program asks, which can't fill in a form.
        """
        if isinstance(request, Request):
            raise NotAuthenticated
        if wants_problem(request):
            raise Unauthorized("User is not logged in.")
        redirect = user_passes_test(lambda _: False, login_url=self.login_url)
        return redirect(lambda _: HttpResponse())(request)


class _Roles(_Requirement):
    @override
    def is_met(self, user: HasRoles) -> bool:
        return user.has_any_role(*self.names, guard=self.guard)

    @override
    async def ais_met(self, user: HasRoles) -> bool:
        return await user.ahas_any_role(*self.names, guard=self.guard)

    @override
    def refuse(self) -> Unauthorized:
        return gate.refuse(roles=self.names)


class _Permissions(_Requirement):
    @override
    def is_met(self, user: HasRoles) -> bool:
        return user.can_any(*self.names, guard=self.guard)

    @override
    async def ais_met(self, user: HasRoles) -> bool:
        return await user.acan_any(*self.names, guard=self.guard)

    @override
    def refuse(self) -> Unauthorized:
        return gate.refuse(permissions=self.names)


class _RolesOrPermissions(_Requirement):
    @override
    def is_met(self, user: HasRoles) -> bool:
        return user.can_any(*self.names, guard=self.guard) or user.has_any_role(*self.names, guard=self.guard)

    @override
    async def ais_met(self, user: HasRoles) -> bool:
        may = await user.acan_any(*self.names, guard=self.guard)
        return may or await user.ahas_any_role(*self.names, guard=self.guard)

    @override
    def refuse(self) -> Unauthorized:
        return gate.refuse(either=self.names)


def role_required(*roles: object, guard: str | None = None, login_url: str | None = None) -> _Requirement:
    """Let in who has one of the roles; being a superuser is no role. With ``guard`` only roles of that guard count."""
    return _Roles(roles, guard=guard, login_url=login_url)


def permission_required(*permissions: object, guard: str | None = None, login_url: str | None = None) -> _Requirement:
    """Let in who may one of these, as ``can`` decides: superusers and the gate's hooks included."""
    return _Permissions(permissions, guard=guard, login_url=login_url)


def role_or_permission_required(*names: object, guard: str | None = None, login_url: str | None = None) -> _Requirement:
    """Let in who has one of the roles or may one of the permissions that are called so."""
    return _RolesOrPermissions(names, guard=guard, login_url=login_url)


def _find_request(args: tuple[object, ...]) -> HttpRequest | Request:
    """Return the request that a function gets first, and a method after ``self``.

    Raises:
        TypeError: What is decorated is no view.
    """
    for one in args[:2]:
        if isinstance(one, (HttpRequest, Request)):
            return one
    message = "A view gets the request as its first argument, or as the first after self."
    raise TypeError(message)


def _check_class(user: object) -> HasRoles:
    """Return a user who can have roles.

    Raises:
        Unauthorized: The user is of a class that can't.
    """
    if not isinstance(user, HasRoles):
        message = f"Authorizable class `{type(user).__name__}` must use the mixin `permissions.mixins.HasRoles`."
        raise Unauthorized(message)
    return user
