"""What users and roles have in common: questions about permissions, and giving and taking them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async

import permissions as app  # verbs look up its modules when they run: those need the models, which need the verbs
from permissions import conf
from permissions.exceptions import PermissionDoesNotExist
from permissions.scope import CURRENT_TEAM, TeamArgument

if TYPE_CHECKING:
    from permissions.models.roles import Holder, Permission


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
        guard = app.selectors.find_guard(guard=guard, guards=guards)
        guard, name = app.selectors.find_permission_name(permission, guard=guard, guards=guards)
        if self._holds(guard, name):
            return True
        if not conf.get().wildcards and not app.selectors.is_known(guard=guard, name=name):
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
        return any(self.check_permission_to(one, guard=guard) for one in app.selectors.flatten(permissions))

    def has_all_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether all of the permissions are held. Unknown ones are not."""
        return all(self.check_permission_to(one, guard=guard) for one in app.selectors.flatten(permissions))

    def has_direct_permission(self, permission: object, *, guard: str | None = None) -> bool:
        """Say whether a permission was given directly, not through a role.

        Raises:
            PermissionDoesNotExist: There is none of that name or id, or the value can't mean one.
            GuardDoesNotMatch: The row belongs to another guard.
        """
        guards = self.get_guard_names()
        guard = app.selectors.find_guard(guard=guard, guards=guards)
        guard, name = app.selectors.find_permission_name(permission, guard=guard, guards=guards)
        if name in self._direct_names(guard):
            return True
        if not app.selectors.is_known(guard=guard, name=name):
            raise PermissionDoesNotExist.named(name, guard=guard, field="permission")
        return False

    def has_any_direct_permission(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether one of the permissions was given directly. Raises as ``has_direct_permission`` does."""
        return any(self.has_direct_permission(one, guard=guard) for one in app.selectors.flatten(permissions))

    def has_all_direct_permissions(self, *permissions: object, guard: str | None = None) -> bool:
        """Say whether all of the permissions were given directly. Raises as ``has_direct_permission`` does."""
        return all(self.has_direct_permission(one, guard=guard) for one in app.selectors.flatten(permissions))

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
        granted_by: "Holder | None" = None,
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
        taken_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
    ) -> Self:
        """See ``give_permission_to``."""
        return await sync_to_async(self.give_permission_to)(*permissions, guard=guard, team=team, granted_by=granted_by)

    async def async_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "Holder | None" = None,
    ) -> Self:
        """See ``sync_permissions``."""
        return await sync_to_async(self.sync_permissions)(*permissions, guard=guard, team=team, granted_by=granted_by)

    async def arevoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "Holder | None" = None,
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
        guard = app.selectors.find_guard(guard=guard, guards=guards)
        return app.selectors.find_permissions(*permissions, guard=guard, guards=guards, **options)

    def _find_those_known(self, permissions: tuple[object, ...], guard: str | None) -> "list[Permission]":
        """Return the permissions that arguments mean; one alone must exist, of several those that do."""
        flat = app.selectors.flatten(permissions)
        if len(flat) == 1 and not isinstance(permissions[0], (list, tuple, set, frozenset)):
            return self._find(flat, guard)
        known = [one for one in flat if not isinstance(one, str) or self._is_known(one, guard)]
        return self._find(known, guard)

    def _is_known(self, name: str, guard: str | None) -> bool:
        guard = app.selectors.find_guard(guard=guard, guards=self.get_guard_names())
        return app.selectors.is_known(guard=guard, name=app.selectors.strip_guard(name, guard=guard))
