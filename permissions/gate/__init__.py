"""Decides who may what: what was given, hooks, policies and single objects, in one order.

1. Strangers and inactive users may nothing.
2. Hooks registered by ``before``, in their order: the first that returns True or False decides.
3. Active superusers may everything (``PERMISSIONS["SUPERUSER_BYPASS"]``).
4. What a user is forbidden stays forbidden.
5. Holders of ``PERMISSIONS["SUPER_ADMIN_ROLES"]`` may everything else.
6. What a user holds, directly or through roles, it may with every object.
7. With an object, the policy of its model: True or False decides.
8. With an object, what was given for that object alone (django-guardian's tables), to the user or to one of its roles.
9. Hooks registered by ``after``: the first that returns True or False decides. Otherwise no.

An object that belongs to a team is decided in that team, whatever team holds otherwise.
"""

from permissions.gate.decisions import Decision, Step
from permissions.gate.hooks import Hook, Policy, after, before, forget, get_policy, policy
from permissions.gate.rules import (
    aauthorize,
    acan,
    adecide,
    aexplain,
    aprefetch,
    authorize,
    can,
    can_in_app,
    decide,
    explain,
    prefetch,
    refuse,
)

__all__ = [
    "Decision",
    "Hook",
    "Policy",
    "Step",
    "aauthorize",
    "acan",
    "adecide",
    "aexplain",
    "after",
    "aprefetch",
    "authorize",
    "before",
    "can",
    "can_in_app",
    "decide",
    "explain",
    "forget",
    "get_policy",
    "policy",
    "prefetch",
    "refuse",
]
