"""Facts that other apps may react to.

Each is told once the transaction has committed, whichever way the right was given or taken: by a verb, in the admin,
or through Django's own ``user.groups``, ``user.user_permissions`` and ``group.permissions``. Deleting a user tells
nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class RightFact:
    """What every fact about a right tells."""

    #: "" means all teams.
    team_id: str = ""
    #: Who gave or took it; None where nobody is known.
    granted_by_id: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAttached(RightFact):
    """A user got roles."""

    user_id: object
    #: Their names.
    roles: tuple[str, ...]
    guard: str
    #: None means never.
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDetached(RightFact):
    """A user lost roles."""

    user_id: object
    roles: tuple[str, ...]
    guard: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPermissionFact(RightFact):
    """What every fact about permissions of a user or a role tells."""

    holder: Literal["user", "role"]
    holder_id: object
    #: Their names.
    permissions: tuple[str, ...]
    #: For which row alone, as ``app.model:key``; empty where for all.
    object: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAttached(HeldPermissionFact):
    """A user or role got permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDetached(HeldPermissionFact):
    """A user or role lost permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionForbidden(RightFact):
    """A user was forbidden permissions."""

    user_id: object
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionUnforbidden(RightFact):
    """A user is no longer forbidden permissions."""

    user_id: object
    permissions: tuple[str, ...]


role_attached = FactSignal[RoleAttached]()
role_detached = FactSignal[RoleDetached]()
permission_attached = FactSignal[PermissionAttached]()
permission_detached = FactSignal[PermissionDetached]()
permission_forbidden = FactSignal[PermissionForbidden]()
permission_unforbidden = FactSignal[PermissionUnforbidden]()
