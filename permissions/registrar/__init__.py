"""The one owner of what a process remembers of roles and users.

Every change of rights draws a new stamp (``Version``) in its own transaction. Whoever reads facts reads the stamps
first, so a fact can be newer than its stamp, never older; a stamp that is still the same proves that the fact is too.
A request costs nothing where the query that loads its user brings the stamps along (``with_stamps``) or the shared
cache has them (``give_stamps``), and one query otherwise. That cache only carries stamps, it proves nothing by itself:
a change makes it forget them (``project.shared_facts``).

What one role change leaves valid, stays: roles are remembered one by one, and users by themselves.
"""

from permissions.registrar.memory import (
    clear,
    find_known,
    find_known_name,
    remember_known,
    set_has_hooks,
    start_epoch,
)
from permissions.registrar.roles import (
    check_all_roles,
    find_current_lineage,
    find_lineage,
    get_current_role_names,
    get_own_names,
    get_role_names,
    list_current_names,
    load_roles,
)
from permissions.registrar.stamps import (
    RESET,
    ROLES,
    drop_user,
    get_epoch,
    get_role_key,
    get_user_key,
    give_stamps,
    hold_roles,
    list_stamp_keys,
    note_made,
    reset,
    touch,
    with_stamps,
)
from permissions.registrar.users import (
    get_lasting_snapshot,
    get_snapshot,
    is_fresh,
    keep_quick,
    load_user,
)

__all__ = [
    "RESET",
    "ROLES",
    "check_all_roles",
    "clear",
    "drop_user",
    "find_current_lineage",
    "find_known",
    "find_known_name",
    "find_lineage",
    "get_current_role_names",
    "get_epoch",
    "get_lasting_snapshot",
    "get_own_names",
    "get_role_key",
    "get_role_names",
    "get_snapshot",
    "get_user_key",
    "give_stamps",
    "hold_roles",
    "is_fresh",
    "keep_quick",
    "list_current_names",
    "list_stamp_keys",
    "load_roles",
    "load_user",
    "note_made",
    "remember_known",
    "reset",
    "set_has_hooks",
    "start_epoch",
    "touch",
    "with_stamps",
]
