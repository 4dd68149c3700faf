"""What we are measured beside."""

from collections.abc import Iterable
from typing import Protocol

import casbin
from casbin.model import FastModel, Model
from django.contrib.auth.models import PermissionsMixin

from accounts.models import User


class DjangoUser(User):
    """A user that asks Django, whatever the house has made of the methods."""

    class Meta:
        proxy = True
        app_label = "accounts"
        default_permissions = ()

    has_perm = PermissionsMixin.has_perm
    ahas_perm = PermissionsMixin.ahas_perm


class Enforcer(Protocol):
    """What is used of pycasbin, which has no types."""

    def enforce(self, *request: str) -> bool:
        """Say whether a request is allowed."""


_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && {match} && r.act == p.act
"""
#: Who asks pycasbin, and what for.
SUBJECT, ACTION = "user", "use"


def make_enforcer(names: Iterable[str], *, is_fast: bool = False, match: str = "r.obj == p.obj") -> Enforcer:
    """Return an enforcer whose one user has one role with these permissions.

    A fast one looks only at the rules about the object and the action that are asked for.
    """
    model = FastModel([2, 1]) if is_fast else Model()
    model.load_model_from_text(_MODEL.format(match=match))
    enforcer = casbin.FastEnforcer(model, cache_key_order=[2, 1]) if is_fast else casbin.Enforcer(model)
    policy = model["p"]["p"].policy
    for name in names:
        policy.append(["role", name, ACTION])  # enforcer.add_policies takes minutes for so many
    enforcer.add_grouping_policy(SUBJECT, "role")
    made: Enforcer = enforcer
    return made
