"""What users and roles may with single objects: django-guardian's tables."""

from typing import TYPE_CHECKING

from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from guardian.models import GroupObjectPermission, UserObjectPermission
from guardian.shortcuts import assign_perm

from permissions.exceptions import PermissionDoesNotMatch
from permissions.grants import find_team
from permissions.models.roles import Permission, Role
from permissions.services.escalation import refuse_escalation

if TYPE_CHECKING:
    from permissions.models.roles import Holder


def check_object_permission(*, permission: Permission, obj: models.Model, granted_by: "Holder | None" = None) -> None:
    """Make sure that a permission can be given for an object. Raises as ``give_object_permission`` does."""
    if permission.content_type != ContentType.objects.get_for_model(obj):
        raise PermissionDoesNotMatch
    refuse_escalation(actor=granted_by, permissions=[permission], team_id=find_team(obj) or "")


@transaction.atomic
def give_object_permission(
    *, holder: "Holder | Role", permission: Permission, obj: models.Model, granted_by: "Holder | None" = None
) -> UserObjectPermission | GroupObjectPermission:
    """Give a user or a role a permission for one object alone. Harmless where it is had.

    Raises:
        PermissionDoesNotMatch: The permission isn't one of the object's model.
        Escalation: ``granted_by`` doesn't hold the permission for all objects, or for all of the object's team.
    """
    check_object_permission(permission=permission, obj=obj, granted_by=granted_by)
    grant: object = assign_perm(permission, holder.group if isinstance(holder, Role) else holder, obj)
    if not isinstance(grant, UserObjectPermission | GroupObjectPermission):
        message = f"django-guardian answered with {type(grant).__name__}."
        raise TypeError(message)
    return grant
