"""The verbs of users. Imported last: what it imports needs the models, and these the verbs of roles and permissions."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db.models import Model, QuerySet

from permissions import gate, scope, selectors, services
from permissions.mixins.holders import HoldsPermissions
from permissions.mixins.memory import RemembersPermissions
from permissions.scope import CURRENT_TEAM, TeamArgument, current
from permissions.snapshots import state

if TYPE_CHECKING:
    from django.contrib.auth.models import Permission as DjangoPermission
    from django.db.models.fields.related_descriptors import ManyRelatedManager

    from permissions.gate import Decision
    from permissions.models.roles import Holder, Permission, Role


class HasRoles(HoldsPermissions, RemembersPermissions):
    """The verbs on the user model.

    ``has_…`` say what was given, and don't know superusers. ``can`` decides (``gate.can``): superusers may, inactive
    users may not, what is forbidden stays forbidden, and single objects are asked about too.
    """

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
        granted_by: "Holder | None" = None,
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
        taken_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        taken_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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
        taken_by: "Holder | None" = None,
    ) -> Self:
        """See ``remove_role``."""
        return await sync_to_async(self.remove_role)(*roles, guard=guard, team=team, taken_by=taken_by)

    async def async_roles(
        self,
        *roles: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "Holder | None" = None,
    ) -> Self:
        """See ``sync_roles``."""
        return await sync_to_async(self.sync_roles)(*roles, guard=guard, team=team, granted_by=granted_by)

    async def aforbid_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "Holder | None" = None,
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
        granted_by: "Holder | None" = None,
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

    # --- What the questions stand on

    def _holds(self, guard: str, name: str) -> bool:
        return self.is_active and guard in self.get_guard_names() and selectors.get_snapshot(self, guard).holds(name)

    def _direct_names(self, guard: str) -> frozenset[str]:
        return selectors.get_snapshot(self, guard).own.exact

    def _find_roles(self, roles: tuple[object, ...], guard: str | None, team: TeamArgument) -> "list[Role]":
        guards = self.get_guard_names()
        guard = selectors.find_guard(guard=guard, guards=guards)
        return selectors.find_roles(*roles, guard=guard, guards=guards, team=team)
