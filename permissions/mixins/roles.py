"""The verbs of roles."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db.models import QuerySet

import permissions as app  # verbs look up its modules when they run: those need the models, which need the verbs
from permissions import conf
from permissions.exceptions import GuardDoesNotMatch
from permissions.mixins.holders import HoldsPermissions
from permissions.scope import CURRENT_TEAM, TeamArgument

if TYPE_CHECKING:
    from permissions.models.roles import Holder, Permission, Role


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
        created_by: "Holder | None" = None,
    ) -> "Role":
        """Make a role.

        Raises:
            RoleAlreadyExists: The guard and team have one of that name.
            InvalidRoleName: No role may be called so.
            GuardDoesNotExist: There is no such guard.
        """
        return app.services.create_role(
            name=app.selectors.get_name(name), guard=guard, team=team, created_by=created_by
        )

    @classmethod
    def find_by_name(cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that name: the team's own, or else the one that all teams can use.

        Raises:
            RoleDoesNotExist: There is none.
        """
        return app.selectors.get_role_in(name=app.selectors.get_name(name), guard=guard, team=team)

    @classmethod
    def find_by_id(cls, key: int, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that id.

        Raises:
            RoleDoesNotExist: There is none in the guard and team.
        """
        return app.selectors.get_role_in(name=key, guard=guard, team=team)

    @classmethod
    def find_or_create(cls, name: str | Enum, *, guard: str | None = None, team: TeamArgument = CURRENT_TEAM) -> "Role":
        """Return the role of that name, made where there is none. Raises as ``create`` does."""
        return app.services.find_or_create_role(name=app.selectors.get_name(name), guard=guard, team=team)

    def get_guard_names(self) -> tuple[str, ...]:
        """Return the role's own guard."""
        return (self.guard,)

    def inherit_from(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
        """Have all permissions of other roles, too.

        Raises:
            InheritanceCycle: One of them is this role, or inherits from it.
            RoleDoesNotExist: One of them doesn't exist.
            GuardDoesNotMatch: One of them belongs to another guard.
            TeamDoesNotMatch: One of them belongs to another team.
            Escalation: ``granted_by`` doesn't hold all that they permit.
        """
        app.services.inherit(role=self._row(), parents=self._find_parents(roles), granted_by=granted_by)
        return self

    def disinherit(self, *roles: object, taken_by: "Holder | None" = None) -> Self:
        """No longer have the permissions of other roles."""
        app.services.disinherit(role=self._row(), parents=self._find_parents(roles), taken_by=taken_by)
        return self

    @property
    def parents(self) -> "QuerySet[Role]":
        """The roles that this one was told to inherit from."""
        return app.selectors.list_parents(role=self._row())

    def give_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.give_permission_to``. What a role permits it permits in every team."""
        del team
        role, wanted = self._row(), app.selectors.flatten(permissions)
        match wanted:
            case [str(name)] if granted_by is None and self._is_own_guard(guard):
                is_given = app.services.give_role_permission(role=role, name=name)
            case _:
                is_given = False
        if not is_given:
            found = self._find(wanted, guard, held_in=app.selectors.role_rows(role=role))
            app.services.give_role_permissions(role=role, permissions=found, granted_by=granted_by)
        return self

    def revoke_permission_to(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        taken_by: "Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.revoke_permission_to``."""
        del team
        found = self._find_those_known(permissions, guard)
        app.services.revoke_role_permissions(role=self._row(), permissions=found, taken_by=taken_by)
        return self

    def sync_permissions(
        self,
        *permissions: object,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        granted_by: "Holder | None" = None,
    ) -> Self:
        """See ``HoldsPermissions.sync_permissions``."""
        del team
        found = self._find(permissions, guard)
        app.services.sync_role_permissions(role=self._row(), permissions=found, granted_by=granted_by)
        return self

    def get_direct_permissions(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_direct_permissions``."""
        return app.selectors.list_role_permissions(role_ids=[self.pk])

    def get_permissions_via_roles(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_permissions_via_roles``."""
        return app.selectors.list_role_permissions(role_ids=app.registrar.find_current_lineage(self._row()) - {self.pk})

    def get_all_permission_objects(self) -> "list[Permission]":
        """See ``HoldsPermissions.get_all_permission_objects``."""
        return app.selectors.list_role_permissions(role_ids=app.registrar.find_current_lineage(self._row()))

    def get_all_permissions(self) -> "list[Permission]":
        """See ``get_all_permission_objects``; Django has no other meaning for this name on roles."""
        return self.get_all_permission_objects()

    def assign_to_models(self, *users: object, granted_by: "Holder | None" = None) -> Self:
        """Give the role to users (rows, ids, or lists of them) in the current team; those who have it keep it."""
        app.services.assign_to_users(role=self._row(), users=app.selectors.find_users(*users), granted_by=granted_by)
        return self

    def remove_from_models(self, *users: object, taken_by: "Holder | None" = None) -> Self:
        """Take the role from users in the current team."""
        app.services.remove_from_users(role=self._row(), users=app.selectors.find_users(*users), taken_by=taken_by)
        return self

    def sync_models(self, *users: object, granted_by: "Holder | None" = None) -> Self:
        """Give the role to exactly these users in the current team."""
        app.services.sync_users(role=self._row(), users=app.selectors.find_users(*users), granted_by=granted_by)
        return self

    # --- The same for async code

    @classmethod
    async def acreate(
        cls,
        name: str | Enum,
        *,
        guard: str | None = None,
        team: TeamArgument = CURRENT_TEAM,
        created_by: "Holder | None" = None,
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

    async def ainherit_from(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
        """See ``inherit_from``."""
        return await sync_to_async(self.inherit_from)(*roles, granted_by=granted_by)

    async def adisinherit(self, *roles: object, taken_by: "Holder | None" = None) -> Self:
        """See ``disinherit``."""
        return await sync_to_async(self.disinherit)(*roles, taken_by=taken_by)

    async def aassign_to_models(self, *users: object, granted_by: "Holder | None" = None) -> Self:
        """See ``assign_to_models``."""
        return await sync_to_async(self.assign_to_models)(*users, granted_by=granted_by)

    async def aremove_from_models(self, *users: object, taken_by: "Holder | None" = None) -> Self:
        """See ``remove_from_models``."""
        return await sync_to_async(self.remove_from_models)(*users, taken_by=taken_by)

    async def async_models(self, *users: object, granted_by: "Holder | None" = None) -> Self:
        """See ``sync_models``."""
        return await sync_to_async(self.sync_models)(*users, granted_by=granted_by)

    def _holds(self, guard: str, name: str) -> bool:
        if guard != self.guard:
            if conf.get().wildcards or not app.selectors.is_known(guard=guard, name=name):
                return False
            raise GuardDoesNotMatch.expected(guard, [self.guard])
        return name in app.registrar.get_current_role_names(self._row())

    def _direct_names(self, guard: str) -> frozenset[str]:
        del guard
        return frozenset(self.get_permission_names())

    def _is_own_guard(self, guard: str | None) -> bool:
        return app.selectors.find_guard(guard=guard, guards=self.get_guard_names()) == self._row().guard

    def _find_parents(self, roles: tuple[object, ...]) -> "list[Role]":
        row = self._row()
        return app.selectors.find_roles(*roles, guard=row.guard, guards=conf.get().guards, team=row.team_id or None)

    def _row(self) -> "Role":
        """Return itself, as what it is: the model is the only class with these verbs."""
        raise NotImplementedError
