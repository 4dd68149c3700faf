"""The verbs of roles and permissions, on users, on roles and on permissions.

Each is one call into ``services``, ``selectors`` or ``gate``; the verbs with ``a`` in front are the same for async
code. Those that write return the object itself, so that calls chain.

Arguments name roles or permissions by name, id, row or enum, or by lists of these, any number of them. Writers skip
None and the empty string. ``guard`` is the namespace in which a name is looked up; without it the guard of the request
holds, or the holder's first. ``team`` is a team's row or key, None for everywhere; without it the team of the request
holds. ``granted_by`` is the user who acts: nobody hands out what they don't hold.
"""

from permissions.mixins.holders import HoldsPermissions
from permissions.mixins.permissions import PermissionVerbs
from permissions.mixins.roles import RoleVerbs
from permissions.mixins.users import HasRoles

__all__ = ["HasRoles", "HoldsPermissions", "PermissionVerbs", "RoleVerbs"]
