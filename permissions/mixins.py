"""The verbs of roles and permissions on the user model."""

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.db import transaction

from permissions import selectors, services

if TYPE_CHECKING:
    from permissions.models import Holder as _Holder
else:
    _Holder = object  # a plain mixin: it brings verbs and no fields


class HasRoles(_Holder):
    """Spatie's verbs, in snake_case, one call each into ``services`` and ``selectors``.

    ``has_role`` and ``has_permission_to`` ask the database each time what was given, and don't know superusers.
    ``can`` decides, as ``has_perm`` does: superusers may, inactive users may not, and the answer is kept on the
    instance until its roles change. The verbs with ``a`` in front are the same for async code.
    """

    def assign_role(self, *roles: str, granted_by: "HasRoles | None" = None) -> None:
        """Give roles; those had already stay. All or none.

        Raises:
            RoleDoesNotExist: One of the roles doesn't exist.
            Escalation: ``granted_by`` doesn't hold all that the roles permit.
        """
        with transaction.atomic():
            for role in roles:
                services.assign_role(user=self, role=role, granted_by=granted_by)

    def remove_role(self, *roles: str) -> None:
        """Take roles away; those not had don't matter. All or none.

        Raises:
            RoleDoesNotExist: One of the roles doesn't exist.
        """
        with transaction.atomic():
            for role in roles:
                services.remove_role(user=self, role=role)

    def has_role(self, role: str) -> bool:
        """Say whether the user has the role, or one of several (``"admin|editor"``). Unknown names are False."""
        return selectors.has_role(user=self, role=role)

    def get_role_names(self) -> list[str]:
        """Return the names of the user's roles, sorted."""
        return selectors.get_role_names(user=self)

    def has_permission_to(self, name: str) -> bool:
        """Say whether the permission, such as ``accounts.view_user``, was given to the user or to one of its roles.

        Raises:
            PermissionDoesNotExist: There is none of that name.
        """
        return selectors.has_permission_to(user=self, name=name)

    def can(self, name: str) -> bool:
        """Say whether the user may. Unknown names are False, except for superusers, who may everything."""
        return self.has_perm(name)

    def cannot(self, name: str) -> bool:
        """Say the opposite of ``can``."""
        return not self.can(name)

    async def aassign_role(self, *roles: str, granted_by: "HasRoles | None" = None) -> None:
        """See ``assign_role``."""
        await sync_to_async(self.assign_role)(*roles, granted_by=granted_by)

    async def aremove_role(self, *roles: str) -> None:
        """See ``remove_role``."""
        await sync_to_async(self.remove_role)(*roles)

    async def ahas_role(self, role: str) -> bool:
        """See ``has_role``."""
        return await sync_to_async(self.has_role)(role)

    async def aget_role_names(self) -> list[str]:
        """See ``get_role_names``."""
        return await sync_to_async(self.get_role_names)()

    async def ahas_permission_to(self, name: str) -> bool:
        """See ``has_permission_to``."""
        return await sync_to_async(self.has_permission_to)(name)

    async def acan(self, name: str) -> bool:
        """See ``can``."""
        return await self.ahas_perm(name)

    async def acannot(self, name: str) -> bool:
        """See ``cannot``."""
        return not await self.acan(name)

    def forget_permissions(self) -> None:
        """Drop what this instance remembers of its permissions, so that the next check asks the database."""
        for name in ("_perm_cache", "_user_perm_cache", "_group_perm_cache"):
            self.__dict__.pop(name, None)
