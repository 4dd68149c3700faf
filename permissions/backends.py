"""The auth backend of the house."""

from typing import TYPE_CHECKING, override

from django.contrib.auth.backends import ModelBackend
from django.db.models import Model

if TYPE_CHECKING:
    from django.contrib.auth.models import _AnyUser


class RoleBackend(ModelBackend):
    """Signs in by e-mail and answers ``has_perm`` from roles."""

    @override
    async def aget_all_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """Return the set that the sync twin returns, kept on the user.

        Django builds it anew for every check, which costs milliseconds where a user has many permissions.
        """
        if obj is not None or not user_obj.is_active:
            return set()
        remembered: set[str] | None = user_obj.__dict__.get("_perm_cache")
        if remembered is None:
            remembered = await super().aget_all_permissions(user_obj)
            user_obj.__dict__["_perm_cache"] = remembered
        return remembered
