"""What keeps roles and Django's groups one thing, whichever of the two is written."""

from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver

from permissions import services
from permissions.exceptions import InvalidRoleName
from permissions.mixins import HasRoles
from permissions.models import Role, RoleAssignment
from permissions.selectors import is_role_name

type Action = Literal["pre_add", "post_add", "pre_remove", "post_remove", "pre_clear", "post_clear"]


@receiver(pre_save, sender=Group)
def refuse_unfit_name(instance: Group, **_: object) -> None:
    """Refuse to rename a role's group to what no role may be called."""
    if instance.pk and not is_role_name(instance.name) and Role.objects.filter(pk=instance.pk).exists():
        raise InvalidRoleName


@receiver(post_save, sender=Group)
def adopt_group(instance: Group, **_: object) -> None:
    """Make a group's role, or rename it along."""
    services.adopt_group(group=instance)


@receiver(post_save, sender=Role)
def rename_group(instance: Role, **_: object) -> None:
    """Rename a role's group along."""
    Group.objects.filter(pk=instance.pk).exclude(name=instance.name).update(name=instance.name)


@receiver(post_delete, sender=Role)
def delete_group(instance: Role, **_: object) -> None:
    """Delete a role's group along: left alone it would go on granting its permissions."""
    Group.objects.filter(pk=instance.pk).delete()


@receiver(m2m_changed, sender=get_user_model().groups.through)
def mirror_membership(
    *,
    instance: models.Model,
    action: Action,
    reverse: bool,
    pk_set: set[Any] | None,  # Any: keys of groups, or of users where it is reversed
    **_: object,
) -> None:
    """Keep the records in step with who is in which group, and let the user in hand forget what it had."""
    user_ids, group_ids = (pk_set, {instance.pk}) if reverse else ({instance.pk}, pk_set)
    match action:
        case "post_add":
            services.record_memberships(user_ids=user_ids or (), group_ids=group_ids or ())
        case "pre_clear" | "post_remove":
            services.forget_memberships(user_ids=user_ids, group_ids=group_ids)
        case _:
            pass
    if isinstance(instance, HasRoles):
        instance.forget_permissions()


@receiver(m2m_changed, sender=RoleAssignment)
def refuse_direct_assignment(**_: object) -> None:
    """Refuse ``user.roles.add`` and the like, which would leave out the group.

    Raises:
        TypeError: Always.
    """
    message = "user.roles is for reading; use user.assign_role() and user.remove_role()."
    raise TypeError(message)


@receiver(pre_save, sender=RoleAssignment)
def make_room_for_fixture(*, instance: RoleAssignment, raw: bool, **_: object) -> None:
    """Let the record in a fixture replace the one that the fixture's own membership has just made."""
    if raw:
        twins = RoleAssignment.objects.filter(user_id=instance.user_id, role_id=instance.role_id)
        twins.exclude(pk=instance.pk).delete()
