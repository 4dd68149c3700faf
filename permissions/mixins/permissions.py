"""The verbs of permissions."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db.models import QuerySet

import permissions as app  # verbs look up its modules when they run: those need the models, which need the verbs

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import ManyRelatedManager

    from permissions.models.roles import Holder, Permission, Role


class PermissionVerbs:
    """The verbs of ``models.Permission``: those of roles, seen from the other side."""

    @classmethod
    def create(cls, name: str | Enum, *, guard: str | None = None, created_by: "Holder | None" = None) -> "Permission":
        """Make a permission that no model declares.

        Raises:
            PermissionAlreadyExists: The guard has one of that name.
            InvalidPermissionName: No permission may be called so.
            GuardDoesNotExist: There is no such guard.
        """
        return app.services.create_permission(name=app.selectors.get_name(name), guard=guard, created_by=created_by)

    @classmethod
    def find_by_name(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """Return the permission of that name.

        Raises:
            PermissionDoesNotExist: There is none.
        """
        return app.selectors.get_permission(app.selectors.get_name(name), guard=guard)

    @classmethod
    def find_by_id(cls, key: int, *, guard: str | None = None) -> "Permission":
        """Return the permission of that id.

        Raises:
            PermissionDoesNotExist: There is none in the guard.
        """
        return app.selectors.get_permission(key, guard=guard)

    @classmethod
    def find_or_create(cls, name: str | Enum, *, guard: str | None = None) -> "Permission":
        """Return the permission of that name, made where there is none. Raises as ``create`` does."""
        return app.services.find_or_create_permission(name=app.selectors.get_name(name), guard=guard)

    @property
    def roles(self) -> "QuerySet[Role]":
        """The roles that hold the permission themselves."""
        return app.selectors.list_roles_of_permission(permission=self._row())

    @property
    def users(self) -> "ManyRelatedManager[Any, Any]":  # Any: the user model is known only at run time
        """The users who were given the permission directly and everywhere."""
        return self._row().user_set

    def assign_role(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
        """Give the permission to roles."""
        app.services.give_permission_to_roles(
            permission=self._row(), roles=self._find_roles(roles), granted_by=granted_by
        )
        return self

    def remove_role(self, *roles: object, taken_by: "Holder | None" = None) -> Self:
        """Take the permission from roles."""
        app.services.revoke_permission_from_roles(
            permission=self._row(), roles=self._find_roles(roles), taken_by=taken_by
        )
        return self

    def sync_roles(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
        """Give the permission to exactly these roles."""
        app.services.sync_permission_to_roles(
            permission=self._row(), roles=self._find_roles(roles), granted_by=granted_by
        )
        return self

    def has_role(self, roles: object, *, guard: str | None = None) -> bool:
        """Say whether one of the roles holds the permission itself."""
        facts = app.registrar.load_roles([role.pk for role in self.roles]).values()
        held = [one for one in facts if one.pk in {role.pk for role in self.roles}]
        return app.selectors.match_roles(roles=held, value=roles, guard=guard)

    def get_role_names(self) -> list[str]:
        """Return the names of the roles that hold the permission themselves, sorted."""
        return sorted(role.name for role in self.roles)

    # --- The same for async code

    @classmethod
    async def acreate(
        cls, name: str | Enum, *, guard: str | None = None, created_by: "Holder | None" = None
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

    async def aassign_role(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
        """See ``assign_role``."""
        return await sync_to_async(self.assign_role)(*roles, granted_by=granted_by)

    async def aremove_role(self, *roles: object, taken_by: "Holder | None" = None) -> Self:
        """See ``remove_role``."""
        return await sync_to_async(self.remove_role)(*roles, taken_by=taken_by)

    async def async_roles(self, *roles: object, granted_by: "Holder | None" = None) -> Self:
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
        return app.selectors.find_roles(*roles, guard=guard, guards=(guard,))

    def _row(self) -> "Permission":
        """Return itself, as what it is: the model is the only class with these verbs."""
        raise NotImplementedError
