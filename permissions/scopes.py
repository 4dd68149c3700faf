"""What a view of the REST API needs of the token that it is called with; ``permissions.drf`` offers it to views.

This module is imported while DRF's views are half made, so it can't import them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self, override

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import AND, OperandHolder, SingleOperandHolder
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView  # see above


class HasScopes(SingleOperandHolder):
    """``permission_classes = [IsUser, HasScopes("users:read")]``: what a token must have been granted, all of it.

    Or per method, between spaces: ``HasScopes(GET="users:read", POST="users:read users:write")``; "" asks for a token
    of whatever scopes. HEAD is as GET. A view, or a method, that names no scopes is closed to every token that has some
    (those of OAuth clients, and personal access tokens): ``accounts.drf.BearerAuthentication`` refuses it. A token from
    sign-in has none and acts for its user in full.

    Scopes only ever narrow: what the user may is asked for beside them. So this can't be one of several ways in, and
    ``|`` and ``~`` with it are an error.
    """

    def __init__(self, scopes: str | None = None, /, **scopes_by_method: str) -> None:
        """Take the scopes for every method, or for each.

        Raises:
            TypeError: There are none, or both.
        """
        if (scopes is None) == (not scopes_by_method):
            message = "Name scopes for every method, or for each."
            raise TypeError(message)
        self._scopes = None if scopes is None else frozenset(scopes.split())
        self._scopes_by_method = {method: frozenset(names.split()) for method, names in scopes_by_method.items()}

    @override
    def __call__(self, *args: object, **kwargs: object) -> Self:
        """Return itself, which nothing changes."""
        return self

    def required_by(self, method: str) -> frozenset[str] | None:
        """Return what a method requires, None where no scope opens it."""
        if self._scopes is not None:
            return self._scopes
        return self._scopes_by_method.get("GET" if method == "HEAD" else method)

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Say whether the token of the request has all of them, or is none that has scopes."""
        granted: frozenset[str] | None = getattr(request.auth, "scope", None)
        required = self.required_by(request.method or "")
        return granted is None or (required is not None and required <= granted)

    def has_object_permission(self, request: Request, view: "APIView", obj: object) -> bool:
        """Say yes: scopes are the same for every object."""
        return True


class HasReadWriteScopes(HasScopes):
    """``HasReadWriteScopes("users")``: ``users:read`` to look, and ``users:write`` to change anything."""

    def __init__(self, resource: str) -> None:
        """Take what stands before the colon."""
        write = f"{resource}:write"
        super().__init__(GET=f"{resource}:read", POST=write, PUT=write, PATCH=write, DELETE=write)


def find_scopes(view: object, method: str) -> frozenset[str] | None:
    """Return the scopes that a token needs for a method of a view, None where none opens it.

    Raises:
        ImproperlyConfigured: Scopes are one of several ways in.
    """
    found = list(_find_scope_rules(getattr(view, "permission_classes", ())))
    required = [rule.required_by(method) for rule in found]
    known = [scopes for scopes in required if scopes is not None]
    return frozenset().union(*known) if known and len(known) == len(required) else None


def _find_scope_rules(rules: object, *, is_needed: bool = True) -> Iterator[HasScopes]:
    """Yield what permission classes require of scopes. Raises as ``find_scopes`` does."""
    match rules:
        case HasScopes():
            if not is_needed:
                message = "HasScopes can be joined by & only: scopes are no way in, they narrow."
                raise ImproperlyConfigured(message)
            yield rules
        case list() | tuple():
            for rule in rules:
                yield from _find_scope_rules(rule, is_needed=is_needed)
        case OperandHolder():
            operator: object = rules.operator_class
            for operand in (rules.op1_class, rules.op2_class):
                yield from _find_scope_rules(operand, is_needed=is_needed and operator is AND)
        case SingleOperandHolder() if hasattr(rules, "operator_class"):  # it has none where it is one of ours
            yield from _find_scope_rules(rules.op1_class, is_needed=False)
        case _:
            pass
