"""Every write of roles, permissions, and of who has them. Each is one transaction.

Where a person acts (``granted_by``, ``created_by``, ``changed_by``) nobody can hand out what they don't hold, unless
they hold ``permissions.escalate``; commands and the seed name nobody and may do everything.

Each change is announced by a signal on commit and recorded in the audit log inside the transaction. Django's own
signals are sent too, so that who listens to ``user.groups`` or ``group.permissions`` hears of the verbs as well.
"""

from permissions.services.announcements import (
    announce_object_permission,
    announce_permissions,
    announce_roles,
    announce_row,
)
from permissions.services.assignments import (
    assign_role,
    assign_roles,
    assign_to_users,
    remove_from_users,
    remove_role,
    remove_roles,
    sync_user_roles,
    sync_users,
)
from permissions.services.definitions import (
    announce_deleted_permission,
    create_permission,
    delete_permission,
    find_or_create_permission,
    sync_permission_definitions,
)
from permissions.services.escalation import may_rename, refuse_escalation, refuse_role_escalation, refuse_touching
from permissions.services.inheritance import disinherit, inherit, relink
from permissions.services.mirror import (
    adopt_group,
    forget_memberships,
    forget_team,
    name_group,
    record_memberships,
    repair_roles,
    reset_cache,
)
from permissions.services.object_permissions import check_object_permission, give_object_permission
from permissions.services.role_permissions import (
    change_role_permissions,
    give_permission_to_roles,
    give_role_permission,
    give_role_permissions,
    revoke_permission_from_roles,
    revoke_role_permissions,
    sync_permission_to_roles,
    sync_role_permissions,
)
from permissions.services.roles import (
    announce_deletion,
    create_role,
    delete_role,
    find_or_create_role,
    refuse_ambiguous_name,
    seed_roles,
    sync_permissions,
    update_role,
)
from permissions.services.rows import is_own_change
from permissions.services.user_permissions import (
    forbid_permissions,
    give_user_permissions,
    revoke_user_permissions,
    sync_user_permissions,
    unforbid_permissions,
)

__all__ = [
    "adopt_group",
    "announce_deleted_permission",
    "announce_deletion",
    "announce_object_permission",
    "announce_permissions",
    "announce_roles",
    "announce_row",
    "assign_role",
    "assign_roles",
    "assign_to_users",
    "change_role_permissions",
    "check_object_permission",
    "create_permission",
    "create_role",
    "delete_permission",
    "delete_role",
    "disinherit",
    "find_or_create_permission",
    "find_or_create_role",
    "forbid_permissions",
    "forget_memberships",
    "forget_team",
    "give_object_permission",
    "give_permission_to_roles",
    "give_role_permission",
    "give_role_permissions",
    "give_user_permissions",
    "inherit",
    "is_own_change",
    "may_rename",
    "name_group",
    "record_memberships",
    "refuse_ambiguous_name",
    "refuse_escalation",
    "refuse_role_escalation",
    "refuse_touching",
    "relink",
    "remove_from_users",
    "remove_role",
    "remove_roles",
    "repair_roles",
    "reset_cache",
    "revoke_permission_from_roles",
    "revoke_role_permissions",
    "revoke_user_permissions",
    "seed_roles",
    "sync_permission_definitions",
    "sync_permission_to_roles",
    "sync_permissions",
    "sync_role_permissions",
    "sync_user_permissions",
    "sync_user_roles",
    "sync_users",
    "unforbid_permissions",
    "update_role",
]
