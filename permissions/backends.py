"""The auth backend of the house: Django's questions, answered by the gate."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, override

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission as DjangoPermission
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet

from permissions import conf, gate, registrar, scope, selectors
from permissions.mixins import HasRoles

if TYPE_CHECKING:
    from django.contrib.auth.models import _AnyUser

    from permissions.models.roles import Permission


class RoleBackend(ModelBackend):
    """Signs in by e-mail and answers ``has_perm`` as ``can`` does.

    What is forbidden is refused for every backend that comes after this one.
    """

    @override
    def get_user(self, user_id: Any) -> Any:  # Any: as Django's backend has it
        """Return the user of a session; the query brings along what its rights need to be known without another."""
        users = get_user_model()._default_manager.filter(pk=user_id)  # noqa: SLF001 - Django's documented name of it
        user = registrar.with_stamps(users, user_id=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    @override
    async def aget_user(self, user_id: Any) -> Any:  # Any: as Django's backend has it
        """See ``get_user``."""
        return await sync_to_async(self.get_user)(user_id)

    @override
    def has_perm(self, user_obj: "_AnyUser", perm: str, obj: Model | None = None) -> bool:
        """Say what the gate says; a clear no stops the backends that come after."""
        return _conclude(user_obj, gate.decide(user_obj, perm, obj))

    @override
    async def ahas_perm(self, user_obj: "_AnyUser", perm: str, obj: Model | None = None) -> bool:
        """See ``has_perm``."""
        return _conclude(user_obj, await gate.adecide(user_obj, perm, obj))

    @override
    def has_module_perms(self, user_obj: "_AnyUser", app_label: str) -> bool:
        """Say whether the user may anything in an app; the label of a guard stands for its free permissions."""
        return isinstance(user_obj, HasRoles) and gate.can_in_app(user_obj, app_label)

    @override
    async def ahas_module_perms(self, user_obj: "_AnyUser", app_label: str) -> bool:
        """See ``has_module_perms``."""
        return await sync_to_async(self.has_module_perms)(user_obj, app_label)

    @override
    def get_user_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """Return what was given directly and isn't forbidden, as Django spells it."""
        return _list(user_obj, lambda user: selectors.list_direct_permissions(user=user), obj)

    @override
    async def aget_user_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """See ``get_user_permissions``."""
        return await sync_to_async(self.get_user_permissions)(user_obj, obj)

    @override
    def get_group_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """Return what is held through roles and isn't forbidden, as Django spells it."""
        return _list(user_obj, lambda user: selectors.list_permissions_via_roles(user=user), obj)

    @override
    async def aget_group_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """See ``get_group_permissions``."""
        return await sync_to_async(self.get_group_permissions)(user_obj, obj)

    @override
    def get_all_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """Return all that is held and isn't forbidden, as Django spells it."""
        return _list(user_obj, lambda user: selectors.list_all_permissions(user=user), obj)

    @override
    async def aget_all_permissions(self, user_obj: "_AnyUser", obj: Model | None = None) -> set[str]:
        """See ``get_all_permissions``."""
        return await sync_to_async(self.get_all_permissions)(user_obj, obj)

    @override
    def with_perm(
        self,
        perm: object,
        is_active: bool | None = True,
        include_superusers: bool = True,
        obj: Model | None = None,
    ) -> QuerySet[Any]:  # Any: as Django's backend has it
        """Return the users who hold a permission in the current team; none where an object is named, as in Django.

        Raises:
            ValueError: The name is no permission's.
        """
        users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
        if obj is not None:
            return users.none()
        if isinstance(perm, str) and "." not in perm:
            message = "Permission name should be in the form app_label.permission_codename."
            raise ValueError(message)
        if not isinstance(perm, (str, DjangoPermission)):
            message = "The `perm` argument must be a string or a permission instance."
            raise TypeError(message)
        guards = conf.get().guards
        guard, ids = selectors.find_answering_permissions(perm, guard=guards[0], guards=guards, is_strict=False)
        found = selectors.users_with_permissions(ids, guard=guard, team_id=scope.get_team() or "")
        if include_superusers:
            found |= Q(is_superuser=True)
        if is_active is not None:
            found &= Q(is_active=is_active)
        return users.filter(found)


def _conclude(user: object, answer: bool | None) -> bool:  # noqa: FBT001 - an answer, not a flag
    """Return the answer.

    Raises:
        PermissionDenied: It is a clear no about somebody who is known; Django then asks no further backend.
    """
    if answer is False and isinstance(user, HasRoles) and user.is_active:
        raise PermissionDenied
    return answer is True


def _list(user: object, listed: "Callable[[HasRoles], Iterable[Permission]]", obj: Model | None) -> set[str]:
    """Return permissions as Django spells them, but for those that are forbidden."""
    if not isinstance(user, HasRoles) or not user.is_active or obj is not None:
        return set()
    if user.is_superuser and conf.get().superuser_bypass:
        return {permission.user_perm_str for permission in selectors.list_permissions()}
    denied = {guard: selectors.get_snapshot(user, guard).denied for guard in selectors.get_guard_names(user)}
    return {
        one.user_perm_str for one in listed(user) if one.guard in denied and one.identifier not in denied[one.guard]
    }
