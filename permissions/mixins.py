"""The verbs of roles and permissions, on users, on roles and on permissions.

Each is one call into ``services``, ``selectors`` or ``gate``; the verbs with ``a`` in front are the same for async
code. Those that write return the object itself, so that calls chain.

Arguments name roles or permissions by name, id, row or enum, or by lists of these, any number of them. Writers skip
None and the empty string. ``guard`` is the namespace in which a name is looked up; without it the guard of the request
holds, or the holder's first. ``team`` is a team's row or key, None for everywhere; without it the team of the request
holds. ``granted_by`` is the user who acts: nobody hands out what they don't hold.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import Model, QuerySet

from permissions import conf, scope
from permissions.exceptions import GuardDoesNotMatch, PermissionDoesNotExist
from permissions.scope import CURRENT_TEAM, TeamArgument, current
from permissions.snapshots import Snapshot, UserFacts, state

if TYPE_CHECKING:
    from django.contrib.auth.models import Permission as DjangoPermission
    from django.db.models.fields.related_descriptors import ManyRelatedManager

    from permissions.gate import Decision
    from permissions.models.roles import Holder as _Holder
    from permissions.models.roles import Permission, Role
else:
    _Holder = object  # plain mixins: they bring verbs and no fields


class HoldsPermissions:
    """What users and roles have in common."""

    def get_guard_names(self) -> tuple[str, ...]:
        """Return the guards in which this can hold permissions; the first one holds where none is named."""
        return conf.get().guards

    # --- Questions

    def has_permission_to(self, permission: object, *, guard: str | None = None) -> bool:
        """Say whether a permission was given, directly or through a role, and not forbidden.

        Superusers and the gate's hooks are not asked; an inactive user holds nothing.

        Raises:
            PermissionDoesNotExist: There is none of that name or id, or the value can't mean one.
            GuardDoesNotMatch: The row belongs to another guard.
            GuardDoesNotExist: There is no such guard.
        """
        guards = self.get_guard_names()
        guard = selectors.find_guard(guard=guard, guards=guards)
        guard, name = selectors.find_permission_name(permission, guard=guard, guards=guards)
        if self._holds(guard, name):
            return True
        if not conf.get().wildcards and not selectors.is_known(guard=guard, name=name):
            raise PermissionDoesNotExist.named(name, guard=guard, field="permission")
        return False

    def check_permission_to(self, permission: object, *, guard: str | None = None) -> bool:
        """Say what ``has_permission_to`` says; unknown permissions are False."""
        try:
            return self.has_permission_to(permission, guard=guard)
        except PermissionDoesNotExist:
            return False

    def has_any_permission(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether one of the permissions is held. Unknown ones are not."""
        return any(self.check_permission_to(one, guard=guard) for one in selectors.flatten(permissions))

    def has_all_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether all of the permissions are held. Unknown ones are not."""
        return all(self.check_permission_to(one, guard=guard) for one in selectors.flatten(permissions))

    def has_direct_permission(self, permission: object, *, guard: str | None = None) -> bool:
        """Say whether a permission was given directly, not through a role.

        Raises:
            PermissionDoesNotExist: There is none of that name or id, or the value can't mean one.
            GuardDoesNotMatch: The row belongs to another guard.
        """
        guards = self.get_guard_names()
        guard = selectors.find_guard(guard=guard, guards=guards)
        guard, name = selectors.find_permission_name(permission, guard=guard, guards=guards)
        if name in self._direct_names(guard):
            return True
        if not selectors.is_known(guard=guard, name=name):
            raise PermissionDoesNotExist.named(name, guard=guard, field="permission")
        return False

    def has_any_direct_permission(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether one of the permissions was given directly. Raises as ``has_direct_permission`` does."""
        return any(self.has_direct_permission(one, guard=guard) for one in selectors.flatten(permissions))

    def has_all_direct_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether all of the permissions were given directly. Raises as ``has_direct_permission`` does."""
        return all(self.has_direct_permission(one, guard=guard) for one in selectors.flatten(permissions))

    def get_permission_names(self) -> list[str]:
        """Return the names of what was given directly, sorted."""
        return sorted({permission.identifier for permission in self.get_direct_permissions()})

    def get_direct_permissions(self) -> "list[Permission]":
        """Return what was given directly, sorted by name."""
        raise NotImplementedError

    def get_permissions_via_roles(self) -> "list[Permission]":
        """Return what is held through roles, sorted by name: a user's roles, a role's ancestors."""
        raise NotImplementedError

    def get_all_permission_objects(self) -> "list[Permission]":
        """Return all that is held, directly and through roles, without what is forbidden; sorted by name."""
        raise NotImplementedError

    # --- Changes

    def give_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Give permissions directly; those had already stay. All or none.

        Raises:
            PermissionDoesNotExist: One of them doesn't exist.
            GuardDoesNotMatch: A row belongs to another guard.
            Escalation: ``granted_by`` doesn't hold them all.
            TypeError: A value can't mean a permission.
        """
        raise NotImplementedError

    def revoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """Take permissions that were given directly. One alone must exist; in a list unknown names don't matter.

        Raises:
            PermissionDoesNotExist: The one that was named doesn't exist.
        """
        raise NotImplementedError

    def sync_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Give exactly these permissions directly. All is checked before anything changes. Raises as giving does."""
        raise NotImplementedError

    # --- The same for async code

    async def ahas_permission_to(self, permission: object, *, guard: str | None = None) -> bool:
        """See ``has_permission_to``."""
        return await sync_to_async(self.has_permission_to)(permission, guard=guard)

    async def acheck_permission_to(self, permission: object, *, guard: str | None = None) -> bool:
        """See ``check_permission_to``."""
        return await sync_to_async(self.check_permission_to)(permission, guard=guard)

    async def ahas_direct_permission(self, permission: object, *, guard: str | None = None) -> bool:
        """See ``has_direct_permission``."""
        return await sync_to_async(self.has_direct_permission)(permission, guard=guard)

    async def ahas_any_permission(self, *permissions: object, guard: str | None = None) -> bool:
        """See ``has_any_permission``."""
        return await sync_to_async(self.has_any_permission)(*permissions, guard=guard)

    async def ahas_all_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """See ``has_all_permissions``."""
        return await sync_to_async(self.has_all_permissions)(*permissions, guard=guard)

    async def ahas_any_direct_permission(self, *permissions: object, guard: str | None = None) -> bool:
        """See ``has_any_direct_permission``."""
        return await sync_to_async(self.has_any_direct_permission)(*permissions, guard=guard)

    async def ahas_all_direct_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """See ``has_all_direct_permissions``."""
        return await sync_to_async(self.has_all_direct_permissions)(*permissions, guard=guard)

    async def aget_permission_names(self) -> list[str]:
        """See ``get_permission_names``."""
        return await sync_to_async(self.get_permission_names)()

    async def aget_direct_permissions(self) -> "list[Permission]":
        """See ``get_direct_permissions``."""
        return await sync_to_async(self.get_direct_permissions)()

    async def aget_permissions_via_roles(self) -> "list[Permission]":
        """See ``get_permissions_via_roles``."""
        return await sync_to_async(self.get_permissions_via_roles)()

    async def aget_all_permission_objects(self) -> "list[Permission]":
        """See ``get_all_permission_objects``."""
        return await sync_to_async(self.get_all_permission_objects)()

    async def agive_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``give_permission_to``."""
        return await sync_to_async(self.give_permission_to)(*permissions, guard=guard, team=team, granted_by=granted_by)

    async def async_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``sync_permissions``."""
        return await sync_to_async(self.sync_permissions)(*permissions, guard=guard, team=team, granted_by=granted_by)

    async def arevoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """See ``revoke_permission_to``."""
        return await sync_to_async(self.revoke_permission_to)(*permissions, guard=guard, team=team, taken_by=taken_by)

    # --- What the questions stand on

    def _holds(self, guard: str, name: str) -> bool:
        raise NotImplementedError

    def _direct_names(self, guard: str) -> frozenset[str]:
        raise NotImplementedError

    def _find(
        self, permissions: Iterable[object], guard: str | None, **options: Any
    ) -> "list[Permission]":  # Any: of find_permissions
        """Return the permissions that arguments mean."""
        guards = self.get_guard_names()
        guard = selectors.find_guard(guard=guard, guards=guards)
        return selectors.find_permissions(*permissions, guard=guard, guards=guards, **options)

    def _find_those_known(self, permissions: tuple[object, ...], guard: str | None) -> "list[Permission]":
        """Return the permissions that arguments mean; one alone must exist, of several those that do."""
        flat = selectors.flatten(permissions)
        if len(flat) == 1 and not isinstance(permissions[0], (list, tuple, set, frozenset)):
            return self._find(flat, guard)
        known = [one for one in flat if not isinstance(one, str) or self._is_known(one, guard)]
        return self._find(known, guard)

    def _is_known(self, name: str, guard: str | None) -> bool:
        guard = selectors.find_guard(guard=guard, guards=self.get_guard_names())
        return selectors.is_known(guard=guard, name=selectors.strip_guard(name, guard=guard))


class HasRoles(HoldsPermissions, _Holder):
    """The verbs on the user model.

    ``has_…`` say what was given, and don't know superusers. ``can`` decides (``gate.can``): superusers may, inactive
    users may not, what is forbidden stays forbidden, and single objects are asked about too.

    What an instance has read it keeps until rights change in this process; what changes elsewhere it sees when it is
    loaded anew, as with each request.
    """

    #: The last snapshot that ``can`` used; an attribute of the class where there is none yet.
    _permission_snapshot: Snapshot | None = None
    #: What ``registrar`` keeps here: snapshots by scope, facts with their epoch, and the epoch of stamps not used yet.
    _permission_snapshots: dict[scope.Scope, Snapshot] | None = None
    _permission_facts: tuple[int, UserFacts] | None = None
    permission_stamps_epoch: int | None = None

    # --- The decision

    def can(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        """Say whether the user may, at all or with an object. Unknown names are False, but for superusers.

        Raises:
            GuardDoesNotExist: There is no such guard.
        """
        snapshot = self._permission_snapshot
        if (
            snapshot is not None
            and obj is None
            and guard is None
            and snapshot.epoch == state.epoch
            and snapshot.asked_in is current.get()
            and ability in snapshot.quick
            and self.is_active
        ):
            return True
        return gate.can(self, ability, obj, guard=guard)

    def cannot(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        """Say the opposite of ``can``."""
        return not self.can(ability, obj, guard=guard)

    def can_any(self, *abilities: object, obj: object = None, guard: str | None = None) -> bool:
        """Say whether the user may at least one of these."""
        return any(self.can(str(one), obj, guard=guard) for one in selectors.flatten(abilities))

    def explain(self, ability: str, obj: object = None, *, guard: str | None = None) -> "Decision":
        """Return what ``can`` says, with each step that led there."""
        return gate.explain(self, ability, obj, guard=guard)

    # --- Roles

    def has_role(self, roles: object, *, guard: str | None = None) -> bool:
        """Say whether the user was given the role, or one of several (``"admin|editor"``, lists).

        Without ``guard`` a role of any guard counts. Unknown roles are False. Ancestors of a role are not had.

        Raises:
            TypeError: The value can't mean a role.
        """
        return selectors.match_roles(roles=selectors.get_snapshot(self).roles, value=roles, guard=guard)

    def has_any_role(self, *roles: object, guard: str | None = None) -> bool:
        """Say whether the user has one of the roles."""
        return any(self.has_role(one, guard=guard) for one in selectors.flatten(roles))

    def has_all_roles(self, *roles: object, guard: str | None = None) -> bool:
        """Say whether the user has all of the roles (``"a|b"``, lists, any number)."""
        return all(self.has_role(one, guard=guard) for one in selectors.split_all(roles))

    def has_exact_roles(self, *roles: object, guard: str | None = None) -> bool:
        """Say whether the user has all of the roles and no other; with ``guard`` only roles of that guard count."""
        had = [one for one in selectors.get_snapshot(self).roles if guard in {None, one.guard}]
        asked = list(dict.fromkeys(selectors.split_all(roles)))
        return len(had) == len(asked) and self.has_all_roles(*asked, guard=guard)

    def get_role_names(self) -> list[str]:
        """Return the names of the roles that the user has now, sorted."""
        return selectors.get_role_names(user=self)

    def get_teams(self) -> QuerySet[Any]:  # Any: the model of teams is a setting
        """Return the teams in which the user has a role now.

        Raises:
            TeamsNotEnabled: There are no teams.
        """
        return selectors.list_teams(user=self)

    def assign_role(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        expires_at: datetime | None = None,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Give roles; those had already stay. All or none.

        ``expires_at`` (aware) is the moment from which the roles count for nothing.

        Raises:
            RoleDoesNotExist: One of the roles doesn't exist.
            GuardDoesNotMatch: A row belongs to another guard.
            TeamDoesNotMatch: A row belongs to another team.
            InvalidExpiry: The moment has passed, or doesn't name its time zone.
            Escalation: ``granted_by`` doesn't hold all that the roles permit.
            TypeError: A value can't mean a role.
        """
        found, team_id = self._find_roles(roles, guard, team), scope.get_team_id(team)
        return self._write(
            lambda: services.assign_roles(
                user=self, roles=found, team_id=team_id, expires_at=expires_at, granted_by=granted_by
            )
        )

    def remove_role(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """Take roles away, in exactly the team; those not had don't matter. All or none.

        Raises:
            RoleDoesNotExist: One of the roles doesn't exist.
            GuardDoesNotMatch: A row belongs to another guard.
        """
        found, team_id = self._find_roles(roles, guard, team), scope.get_team_id(team)
        return self._write(lambda: services.remove_roles(user=self, roles=found, team_id=team_id, taken_by=taken_by))

    def sync_roles(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Give exactly these roles, in exactly the team. Nothing changes unless all is good. Raises as assigning."""
        found, team_id = self._find_roles(roles, guard, team), scope.get_team_id(team)
        return self._write(
            lambda: services.sync_user_roles(user=self, roles=found, team_id=team_id, granted_by=granted_by)
        )

    # --- Permissions

    def give_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.give_permission_to``."""
        team_id = scope.get_team_id(team)
        found = self._find(permissions, guard, held_in=selectors.direct_rows(user=self, team_id=team_id))
        return self._write(
            lambda: services.give_user_permissions(user=self, permissions=found, team_id=team_id, granted_by=granted_by)
        )

    def revoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.revoke_permission_to``. What comes through a role stays."""
        found, team_id = self._find_those_known(permissions, guard), scope.get_team_id(team)
        return self._write(
            lambda: services.revoke_user_permissions(user=self, permissions=found, team_id=team_id, taken_by=taken_by)
        )

    def sync_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.sync_permissions``."""
        found, team_id = self._find(permissions, guard), scope.get_team_id(team)
        return self._write(
            lambda: services.sync_user_permissions(user=self, permissions=found, team_id=team_id, granted_by=granted_by)
        )

    def forbid_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Forbid permissions, whatever gives them. Only an active superuser may nevertheless.

        Raises:
            PermissionDoesNotExist: One of them doesn't exist.
        """
        team_id = scope.get_team_id(team)
        found = self._find(permissions, guard, held_in=selectors.denied_rows(user=self, team_id=team_id))
        return self._write(
            lambda: services.forbid_permissions(user=self, permissions=found, team_id=team_id, forbidden_by=granted_by)
        )

    def unforbid_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """Lift what is forbidden, in exactly the team; what isn't doesn't matter.

        Raises:
            PermissionDoesNotExist: One of them doesn't exist.
            Escalation: ``granted_by`` doesn't hold them all.
        """
        found, team_id = self._find(permissions, guard), scope.get_team_id(team)
        return self._write(
            lambda: services.unforbid_permissions(user=self, permissions=found, team_id=team_id, granted_by=granted_by)
        )

    def get_direct_permissions(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_direct_permissions``."""
        return selectors.list_direct_permissions(user=self)

    def get_permissions_via_roles(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_permissions_via_roles``."""
        return selectors.list_permissions_via_roles(user=self)

    def get_all_permission_objects(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_all_permission_objects``."""
        return selectors.list_all_permissions(user=self)

    @property
    def permissions(self) -> "ManyRelatedManager[DjangoPermission, Any]":  # Any: the table between
        """What was given directly and everywhere: Django's ``user_permissions``."""
        return self.user_permissions

    # --- The same for async code

    async def acan(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        """See ``can``."""
        snapshot = self._permission_snapshot
        if (
            snapshot is not None
            and obj is None
            and guard is None
            and snapshot.epoch == state.epoch
            and snapshot.asked_in is current.get()
            and ability in snapshot.quick
            and self.is_active
        ):
            return True
        return await gate.acan(self, ability, obj, guard=guard)

    async def acannot(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        """See ``cannot``."""
        return not await self.acan(ability, obj, guard=guard)

    async def acan_any(self, *abilities: object, obj: object = None, guard: str | None = None) -> bool:
        """See ``can_any``."""
        for one in selectors.flatten(abilities):
            if await self.acan(str(one), obj, guard=guard):
                return True
        return False

    async def aexplain(self, ability: str, obj: object = None, *, guard: str | None = None) -> "Decision":
        """See ``explain``."""
        return await gate.aexplain(self, ability, obj, guard=guard)

    async def ahas_role(self, roles: object, *, guard: str | None = None) -> bool:
        """See ``has_role``."""
        return await sync_to_async(self.has_role)(roles, guard=guard)

    async def ahas_any_role(self, *roles: object, guard: str | None = None) -> bool:
        """See ``has_any_role``."""
        return await sync_to_async(self.has_any_role)(*roles, guard=guard)

    async def ahas_all_roles(self, *roles: object, guard: str | None = None) -> bool:
        """See ``has_all_roles``."""
        return await sync_to_async(self.has_all_roles)(*roles, guard=guard)

    async def ahas_exact_roles(self, *roles: object, guard: str | None = None) -> bool:
        """See ``has_exact_roles``."""
        return await sync_to_async(self.has_exact_roles)(*roles, guard=guard)

    async def aget_role_names(self) -> list[str]:
        """See ``get_role_names``."""
        return await sync_to_async(self.get_role_names)()

    async def aget_teams(self) -> QuerySet[Any]:  # Any: as above
        """See ``get_teams``; the rows are read with ``async for``."""
        return await sync_to_async(self.get_teams)()

    async def aassign_role(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        expires_at: datetime | None = None,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``assign_role``."""
        return await sync_to_async(self.assign_role)(
            *roles, guard=guard, team=team, expires_at=expires_at, granted_by=granted_by
        )

    async def aremove_role(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """See ``remove_role``."""
        return await sync_to_async(self.remove_role)(*roles, guard=guard, team=team, taken_by=taken_by)

    async def async_roles(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``sync_roles``."""
        return await sync_to_async(self.sync_roles)(*roles, guard=guard, team=team, granted_by=granted_by)

    async def aforbid_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``forbid_permission_to``."""
        return await sync_to_async(self.forbid_permission_to)(
            *permissions, guard=guard, team=team, granted_by=granted_by
        )

    async def aunforbid_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``unforbid_permission_to``."""
        return await sync_to_async(self.unforbid_permission_to)(
            *permissions, guard=guard, team=team, granted_by=granted_by
        )

    # --- Django's own questions

    def has_perm(self, perm: str, obj: Model | None = None) -> bool:
        """Say whether a backend allows it; that of the house answers as ``can`` does, and alone for superusers."""
        return gate.can(self, perm, obj) if self.is_superuser else super().has_perm(perm, obj)

    async def ahas_perm(self, perm: str, obj: Model | None = None) -> bool:
        """See ``has_perm``."""
        return await gate.acan(self, perm, obj) if self.is_superuser else await super().ahas_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        """Say whether a backend allows anything in an app."""
        return gate.can_in_app(self, app_label) if self.is_superuser else super().has_module_perms(app_label)

    async def ahas_module_perms(self, app_label: str) -> bool:
        """See ``has_module_perms``."""
        return await sync_to_async(self.has_module_perms)(app_label)

    # --- What an instance remembers

    def forget_permissions(self) -> None:
        """Drop what this instance remembers, so that the next check asks the database."""
        self._permission_snapshot = None
        self._permission_snapshots = self._permission_facts = self.permission_stamps_epoch = None

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:  # Any: of Django's method
        """Read the fields again, and forget what is remembered of rights."""
        super().refresh_from_db(*args, **kwargs)
        self.forget_permissions()

    def __getstate__(self) -> dict[str, Any]:  # Any: fields of a model
        """Leave out what is remembered, which belongs to one process."""
        values: dict[str, Any] = super().__getstate__()
        left_out = ("_permission_snapshot", "_permission_snapshots", "_permission_facts", "permission_stamps_epoch")
        return {name: value for name, value in values.items() if name not in left_out}

    def save(self, *args: Any, **kwargs: Any) -> None:  # Any: of Django's method
        """Store the fields, and with the first save, or not at all, what was given before."""
        with transaction.atomic() if "_queued_writes" in self.__dict__ else nullcontext():
            super().save(*args, **kwargs)

    def apply_queued(self) -> None:
        """Do what was asked for before the user was stored. Called once, after the first save."""
        for write in self.__dict__.get("_queued_writes", ()):
            write()
        self.__dict__.pop("_queued_writes", None)

    def _write(self, write: Callable[[], object]) -> Self:
        """Write now, or, where the user isn't stored yet, after its first save."""
        if self._state.adding:
            self.__dict__.setdefault("_queued_writes", []).append(write)
        else:
            write()
        return self

    def _holds(self, guard: str, name: str) -> bool:
        return self.is_active and guard in self.get_guard_names() and selectors.get_snapshot(self, guard).holds(name)

    def _direct_names(self, guard: str) -> frozenset[str]:
        return selectors.get_snapshot(self, guard).own.exact

    def _find_roles(self, roles: tuple[object, ...], guard: str | None, team: TeamArgument) -> "list[Role]":
        guards = self.get_guard_names()
        guard = selectors.find_guard(guard=guard, guards=guards)
        return selectors.find_roles(*roles, guard=guard, guards=guards, team=team)


class RoleVerbs(HoldsPermissions):
    """The verbs of ``models.Role``."""

    if TYPE_CHECKING:
        name: Any  # Any: a field, whose type differs between class and instance
        guard: Any  # Any: as above
        pk: Any  # Any: as above

    @classmethod
    def create(
        cls,
        name: str | Enum,
        *,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        created_by: "_Holder | None" = None,
    ) -> "Role":
        """Make a role.

        Raises:
            RoleAlreadyExists: The guard and team have one of that name.
            InvalidRoleName: No role may be called so.
            GuardDoesNotExist: There is no such guard.
        """
        return services.create_role(name=selectors.get_name(name), guard=guard, team=team, created_by=created_by)

    @classmethod
    def find_by_name(cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that name: the team's own, or else the one that all teams can use.

        Raises:
            RoleDoesNotExist: There is none.
        """
        return selectors.get_role_in(name=selectors.get_name(name), guard=guard, team=team)

    @classmethod
    def find_by_id(cls, key: int, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that id.

        Raises:
            RoleDoesNotExist: There is none in the guard and team.
        """
        return selectors.get_role_in(name=key, guard=guard, team=team)

    @classmethod
    def find_or_create(cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that name, made where there is none. Raises as ``create`` does."""
        return services.find_or_create_role(name=selectors.get_name(name), guard=guard, team=team)

    def get_guard_names(self) -> tuple[str, ...]:
        """Return the role's own guard."""
        return (self.guard,)

    def inherit_from(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """Have all permissions of other roles, too.

        Raises:
            InheritanceCycle: One of them is this role, or inherits from it.
            RoleDoesNotExist: One of them doesn't exist.
            GuardDoesNotMatch: One of them belongs to another guard.
            TeamDoesNotMatch: One of them belongs to another team.
            Escalation: ``granted_by`` doesn't hold all that they permit.
        """
        services.inherit(role=self._row(), parents=self._find_parents(roles), granted_by=granted_by)
        return self

    def disinherit(self, *roles: object, taken_by: "_Holder | None" = None) -> Self:
        """No longer have the permissions of other roles."""
        services.disinherit(role=self._row(), parents=self._find_parents(roles), taken_by=taken_by)
        return self

    @property
    def parents(self) -> "QuerySet[Role]":
        """The roles that this one was told to inherit from."""
        return selectors.list_parents(role=self._row())

    def give_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.give_permission_to``. What a role permits it permits in every team."""
        del team
        role = self._row()
        found = self._find(permissions, guard, held_in=selectors.role_rows(role=role))
        services.give_role_permissions(role=role, permissions=found, granted_by=granted_by)
        return self

    def revoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.revoke_permission_to``."""
        del team
        found = self._find_those_known(permissions, guard)
        services.revoke_role_permissions(role=self._row(), permissions=found, taken_by=taken_by)
        return self

    def sync_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "_Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.sync_permissions``."""
        del team
        found = self._find(permissions, guard)
        services.sync_role_permissions(role=self._row(), permissions=found, granted_by=granted_by)
        return self

    def get_direct_permissions(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_direct_permissions``."""
        return selectors.list_role_permissions(role_ids=[self.pk])

    def get_permissions_via_roles(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_permissions_via_roles``."""
        return selectors.list_role_permissions(role_ids=registrar.find_current_lineage(self._row()) - {self.pk})

    def get_all_permission_objects(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_all_permission_objects``."""
        return selectors.list_role_permissions(role_ids=registrar.find_current_lineage(self._row()))

    def get_all_permissions(self) -> "list[Permission]":
        """See ``get_all_permission_objects``; Django has no other meaning for this name on roles."""
        return self.get_all_permission_objects()

    def assign_to_models(self, *users: object, granted_by: "_Holder | None" = None) -> Self:
        """Give the role to users (rows, ids, or lists of them) in the current team; those who have it keep it."""
        services.assign_to_users(role=self._row(), users=selectors.find_users(*users), granted_by=granted_by)
        return self

    def remove_from_models(self, *users: object, taken_by: "_Holder | None" = None) -> Self:
        """Take the role from users in the current team."""
        services.remove_from_users(role=self._row(), users=selectors.find_users(*users), taken_by=taken_by)
        return self

    def sync_models(self, *users: object, granted_by: "_Holder | None" = None) -> Self:
        """Give the role to exactly these users in the current team."""
        services.sync_users(role=self._row(), users=selectors.find_users(*users), granted_by=granted_by)
        return self

    # --- The same for async code

    @classmethod
    async def acreate(
        cls,
        name: str | Enum,
        *,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        created_by: "_Holder | None" = None,
    ) -> "Role":
        """See ``create``."""
        return await sync_to_async(cls.create)(name, guard=guard, team=team, created_by=created_by)

    @classmethod
    async def afind_by_name(
        cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM
    ) -> "Role":
        """See ``find_by_name``."""
        return await sync_to_async(cls.find_by_name)(name, guard=guard, team=team)

    @classmethod
    async def afind_by_id(cls, key: int, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """See ``find_by_id``."""
        return await sync_to_async(cls.find_by_id)(key, guard=guard, team=team)

    @classmethod
    async def afind_or_create(
        cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM
    ) -> "Role":
        """See ``find_or_create``."""
        return await sync_to_async(cls.find_or_create)(name, guard=guard, team=team)

    async def ainherit_from(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """See ``inherit_from``."""
        return await sync_to_async(self.inherit_from)(*roles, granted_by=granted_by)

    async def adisinherit(self, *roles: object, taken_by: "_Holder | None" = None) -> Self:
        """See ``disinherit``."""
        return await sync_to_async(self.disinherit)(*roles, taken_by=taken_by)

    async def aassign_to_models(self, *users: object, granted_by: "_Holder | None" = None) -> Self:
        """See ``assign_to_models``."""
        return await sync_to_async(self.assign_to_models)(*users, granted_by=granted_by)

    async def aremove_from_models(self, *users: object, taken_by: "_Holder | None" = None) -> Self:
        """See ``remove_from_models``."""
        return await sync_to_async(self.remove_from_models)(*users, taken_by=taken_by)

    async def async_models(self, *users: object, granted_by: "_Holder | None" = None) -> Self:
        """See ``sync_models``."""
        return await sync_to_async(self.sync_models)(*users, granted_by=granted_by)

    def _holds(self, guard: str, name: str) -> bool:
        if guard != self.guard:
            if conf.get().wildcards or not selectors.is_known(guard=guard, name=name):
                return False
            raise GuardDoesNotMatch.expected(guard, [self.guard])
        return name in registrar.get_current_role_names(self._row())

    def _direct_names(self, guard: str) -> frozenset[str]:
        del guard
        return frozenset(self.get_permission_names())

    def _find_parents(self, roles: tuple[object, ...]) -> "list[Role]":
        row = self._row()
        return selectors.find_roles(*roles, guard=row.guard, guards=conf.get().guards, team=row.team_id or None)

    def _row(self) -> "Role":
        """Return itself, as what it is: the model is the only class with these verbs."""
        raise NotImplementedError


class PermissionVerbs:
    """The verbs of ``models.Permission``: those of roles, seen from the other side."""

    @classmethod
    def create(cls, name: str | Enum, *, guard: str | None = None, created_by: "_Holder | None" = None) -> "Permission":
        """Make a permission that no model declares.

        Raises:
            PermissionAlreadyExists: The guard has one of that name.
            InvalidPermissionName: No permission may be called so.
            GuardDoesNotExist: There is no such guard.
        """
        return services.create_permission(name=selectors.get_name(name), guard=guard, created_by=created_by)

    @classmethod
    def find_by_name(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """Return the permission of that name.

        Raises:
            PermissionDoesNotExist: There is none.
        """
        return selectors.get_permission(selectors.get_name(name), guard=guard)

    @classmethod
    def find_by_id(cls, key: int, *, guard: str | None = None) -> "Permission":
        """Return the permission of that id.

        Raises:
            PermissionDoesNotExist: There is none in the guard.
        """
        return selectors.get_permission(key, guard=guard)

    @classmethod
    def find_or_create(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """Return the permission of that name, made where there is none. Raises as ``create`` does."""
        return services.find_or_create_permission(name=selectors.get_name(name), guard=guard)

    @property
    def roles(self) -> "QuerySet[Role]":
        """The roles that hold the permission themselves."""
        return selectors.list_roles_of_permission(permission=self._row())

    @property
    def users(self) -> "ManyRelatedManager[Any, Any]":  # Any: the user model is known only at run time
        """The users who were given the permission directly and everywhere."""
        return self._row().user_set

    def assign_role(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """Give the permission to roles."""
        services.give_permission_to_roles(permission=self._row(), roles=self._find_roles(roles), granted_by=granted_by)
        return self

    def remove_role(self, *roles: object, taken_by: "_Holder | None" = None) -> Self:
        """Take the permission from roles."""
        services.revoke_permission_from_roles(permission=self._row(), roles=self._find_roles(roles), taken_by=taken_by)
        return self

    def sync_roles(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """Give the permission to exactly these roles."""
        services.sync_permission_to_roles(permission=self._row(), roles=self._find_roles(roles), granted_by=granted_by)
        return self

    def has_role(self, roles: object, *, guard: str | None = None) -> bool:
        """Say whether one of the roles holds the permission itself."""
        facts = registrar.load_roles([role.pk for role in self.roles]).values()
        held = [one for one in facts if one.pk in {role.pk for role in self.roles}]
        return selectors.match_roles(roles=held, value=roles, guard=guard)

    def get_role_names(self) -> list[str]:
        """Return the names of the roles that hold the permission themselves, sorted."""
        return sorted(role.name for role in self.roles)

    # --- The same for async code

    @classmethod
    async def acreate(
        cls, name: str | Enum, *, guard: str | None = None, created_by: "_Holder | None" = None
    ) -> "Permission":
        """See ``create``."""
        return await sync_to_async(cls.create)(name, guard=guard, created_by=created_by)

    @classmethod
    async def afind_by_name(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """See ``find_by_name``."""
        return await sync_to_async(cls.find_by_name)(name, guard=guard)

    @classmethod
    async def afind_by_id(cls, key: int, *, guard: str | None = None) -> "Permission":
        """See ``find_by_id``."""
        return await sync_to_async(cls.find_by_id)(key, guard=guard)

    @classmethod
    async def afind_or_create(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """See ``find_or_create``."""
        return await sync_to_async(cls.find_or_create)(name, guard=guard)

    async def aassign_role(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """See ``assign_role``."""
        return await sync_to_async(self.assign_role)(*roles, granted_by=granted_by)

    async def aremove_role(self, *roles: object, taken_by: "_Holder | None" = None) -> Self:
        """See ``remove_role``."""
        return await sync_to_async(self.remove_role)(*roles, taken_by=taken_by)

    async def async_roles(self, *roles: object, granted_by: "_Holder | None" = None) -> Self:
        """See ``sync_roles``."""
        return await sync_to_async(self.sync_roles)(*roles, granted_by=granted_by)

    async def ahas_role(self, roles: object, *, guard: str | None = None) -> bool:
        """See ``has_role``."""
        return await sync_to_async(self.has_role)(roles, guard=guard)

    async def aget_role_names(self) -> list[str]:
        """See ``get_role_names``."""
        return await sync_to_async(self.get_role_names)()

    def _find_roles(self, roles: tuple[object, ...]) -> "list[Role]":
        guard = self._row().guard
        return selectors.find_roles(*roles, guard=guard, guards=(guard,))

    def _row(self) -> "Permission":
        """Return itself, as what it is: the model is the only class with these verbs."""
        raise NotImplementedError


# Last, because these need the classes above: the models have the verbs, and the verbs write through the services.
from permissions import gate, registrar, selectors, services  # noqa: E402
