"""What keeps roles and Django's groups one thing, and memories fresh, whichever side is written."""

from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.core.signals import setting_changed
from django.db import models
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions import audit, conf, registrar, scope, services
from permissions.exceptions import GroupIsLimited, InvalidRoleName
from permissions.models import Permission, Role, RoleAssignment, RoleLink, UserGrant
from permissions.selectors import is_name

type Action = Literal["pre_add", "post_add", "pre_remove", "post_remove", "pre_clear", "post_clear"]

_User = get_user_model()
#: The model of teams for whose deletions ``forget_team`` waits; none or one.
_team_models: list[type[models.Model]] = []

# --- Roles and groups ------------------------------------------------------------------------------------------------


@receiver(pre_save, sender=Group)
def refuse_unfit_name(instance: Group, **_: object) -> None:
    """Refuse to rename a role's group to what no role may be called, or at all where the name says guard and team."""
    role = Role.objects.filter(pk=instance.pk).first() if instance.pk else None
    if role is None:
        return
    if role.is_mirrored and not is_name(instance.name):
        raise InvalidRoleName
    if not role.is_mirrored and instance.name != _name_group(role):
        raise InvalidRoleName


@receiver(post_save, sender=Group)
def adopt_group(instance: Group, **_: object) -> None:
    """Make a group's role, or rename it along."""
    services.adopt_group(group=instance)


@receiver(post_save, sender=Role)
def rename_group(instance: Role, **_: object) -> None:
    """Rename a role's group along."""
    name = _name_group(instance)
    was = Group.objects.filter(pk=instance.pk).exclude(name=name).values_list("name", flat=True).first()
    if was is not None:
        Group.objects.filter(pk=instance.pk).update(name=name)
        if not services.is_own_change():
            audit.record("role.renamed", subject=instance, name=instance.name, was=was.partition("|")[0])
    registrar.touch(roles=[instance.pk])


@receiver(pre_delete, sender=Role)
def note_heirs(instance: Role, **_: object) -> None:
    """Note who inherits from the role, and let every process look again at who has it, while that is still known."""
    services.announce_deletion(role=instance)
    instance.__dict__["_heirs"] = set(RoleLink.objects.filter(ancestor=instance).values_list("role_id", flat=True))
    registrar.touch(users=set(RoleAssignment.objects.filter(role=instance).values_list("user_id", flat=True)))


@receiver(post_delete, sender=Role)
def delete_group(instance: Role, **_: object) -> None:
    """Delete a role's group along: left alone it would go on granting its permissions."""
    Group.objects.filter(pk=instance.pk).delete()
    if heirs := instance.__dict__.pop("_heirs", set()):
        services.relink(role_ids=heirs)


@receiver(post_delete, sender=Group)
def forget_group(instance: Group, **_: object) -> None:
    """Let every process forget a group, also one that was no role."""
    registrar.touch(roles=[instance.pk])


# --- Django's relations ----------------------------------------------------------------------------------------------


@receiver(m2m_changed, sender=_User.groups.through)
def mirror_membership(
    *,
    instance: models.Model,
    action: Action,
    reverse: bool,
    pk_set: set[Any] | None,  # Any: keys of groups, or of users where it is reversed
    **_: object,
) -> None:
    """Keep the records in step with who is in which group.

    Raises:
        GroupIsLimited: The group backs a role that membership would make boundless.
    """
    if services.is_own_change():
        return
    user_ids, group_ids = (pk_set, {instance.pk}) if reverse else ({instance.pk}, pk_set)
    match action:
        case "pre_add":
            limited = ~Q(team_id="") | ~Q(guard=conf.get().default_guard)
            if Role.objects.filter(limited, pk__in=group_ids or ()).exists():
                raise GroupIsLimited
        case "post_add":
            services.record_memberships(user_ids=user_ids or (), group_ids=group_ids or ())
        case "pre_clear" | "post_remove":
            services.forget_memberships(user_ids=user_ids, group_ids=group_ids)
        case _:
            registrar.touch()


@receiver(m2m_changed, sender=Group.permissions.through)
def note_role_permissions(
    *,
    instance: models.Model,
    action: Action,
    reverse: bool,
    pk_set: set[Any] | None,  # Any: keys of permissions, or of groups where it is reversed
    **_: object,
) -> None:
    """Record and announce what a group's own manager changed."""
    if services.is_own_change() or action in {"pre_add", "pre_remove", "post_clear"}:
        return
    through = Group.permissions.through.objects
    if action == "pre_clear":
        rows = through.filter(permission=instance.pk) if reverse else through.filter(group=instance.pk)
        pairs = list(rows.values_list("group_id", "permission_id"))
    elif reverse:
        pairs = [(pk, instance.pk) for pk in pk_set or ()]
    else:
        pairs = [(instance.pk, pk) for pk in pk_set or ()]
    names = _name_permissions(permission_id for _, permission_id in pairs)
    for group_id in {group_id for group_id, _ in pairs}:
        its = tuple(sorted(names[pk] for group, pk in pairs if group == group_id and pk in names))
        services.announce_permissions(is_attached=action == "post_add", role_id=group_id, names=its)
    registrar.touch(roles={group_id for group_id, _ in pairs})


@receiver(m2m_changed, sender=_User.user_permissions.through)
def note_user_permissions(
    *,
    instance: models.Model,
    action: Action,
    reverse: bool,
    pk_set: set[Any] | None,  # Any: keys of permissions, or of users where it is reversed
    **_: object,
) -> None:
    """Record and announce what a user's own manager changed."""
    if services.is_own_change() or action in {"pre_add", "pre_remove", "post_clear"}:
        return
    through = _User.user_permissions.through.objects
    if action == "pre_clear":
        rows = through.filter(permission=instance.pk) if reverse else through.filter(user=instance.pk)
        pairs = list(rows.values_list("user_id", "permission_id"))
    elif reverse:
        pairs = [(pk, instance.pk) for pk in pk_set or ()]
    else:
        pairs = [(instance.pk, pk) for pk in pk_set or ()]
    names = _name_permissions(permission_id for _, permission_id in pairs)
    for user_id in {user_id for user_id, _ in pairs}:
        its = tuple(sorted(names[pk] for user, pk in pairs if user == user_id and pk in names))
        services.announce_permissions(is_attached=action == "post_add", user_id=user_id, names=its)
    registrar.touch(users={user_id for user_id, _ in pairs})


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
        twins = RoleAssignment.objects.filter(
            user_id=instance.user_id, role_id=instance.role_id, team_id=instance.team_id
        )
        twins.exclude(pk=instance.pk).delete()


# --- Rows that change or go ------------------------------------------------------------------------------------------


@receiver([post_save, post_delete], sender=RoleAssignment)
@receiver([post_save, post_delete], sender=UserGrant)
def touch_user(
    *, instance: RoleAssignment | UserGrant, created: bool | None = None, origin: object = None, **_: object
) -> None:
    """Let every process look at a user again whose row was saved or deleted by itself, as fixtures do; announce it.

    Rows that go with a role, a permission or a user need nothing: who held those has been seen to at once.
    """
    began = origin.model if isinstance(origin, models.QuerySet) else type(origin)
    if services.is_own_change() or (origin is not None and began not in {RoleAssignment, UserGrant}):
        return
    registrar.touch(users=[instance.user_id])
    if created or (created is None and origin is not None):
        services.announce_row(row=instance, is_attached=bool(created))


@receiver(post_save, sender=DjangoPermission)
@receiver(post_save, sender=Permission)
def note_permission(*, instance: DjangoPermission, created: bool, **_: object) -> None:
    """Let every process look again at who holds a permission that has another name now."""
    if created:
        registrar.note_made()
    else:
        _touch_holders(instance)


@receiver(pre_delete, sender=DjangoPermission)
@receiver(pre_delete, sender=Permission)
def touch_holders_of_deleted(*, instance: DjangoPermission, **_: object) -> None:
    """Let every process look again at who held a permission that goes."""
    services.announce_deleted_permission(permission=instance)
    _touch_holders(instance)


@receiver(post_save, sender=_User)
def apply_queued(*, instance: models.Model, created: bool, raw: bool, **_: object) -> None:
    """Give what a user was given before it was stored."""
    if created and not raw:
        instance.apply_queued()  # type: ignore[attr-defined]  # the user model has the verbs


@receiver(post_delete, sender=_User)
def forget_user(*, instance: models.Model, **_: object) -> None:
    """Drop the stamp of a user who is gone."""
    registrar.drop_user(instance.pk)


@receiver([post_save, post_delete], sender=UserObjectPermission)
@receiver([post_save, post_delete], sender=GroupObjectPermission)
def note_object_permission(
    *,
    instance: UserObjectPermission | GroupObjectPermission,
    created: bool | None = None,
    origin: object = None,
    **_: object,
) -> None:
    """Let this process ask again what was given for single objects; record and announce what was given or taken.

    Rows that go with their user, role or permission are taken from nobody who is still there.
    """
    registrar.touch()
    began = origin.model if isinstance(origin, models.QuerySet) else type(origin)
    if created or (created is None and (origin is None or issubclass(began, type(instance)))):
        services.announce_object_permission(is_attached=bool(created), grant=instance)


def connect_teams() -> None:
    """Let a team that is deleted take along what was given in it."""
    while _team_models:  # a receiver is known by its sender, so the one before must be named
        post_delete.disconnect(sender=_team_models.pop(), dispatch_uid="permissions.forget_team")
    if conf.get().is_teams_enabled:
        model = scope.get_team_model()
        post_delete.connect(forget_team, sender=model, dispatch_uid="permissions.forget_team", weak=False)
        _team_models.append(model)


def forget_team(*, instance: models.Model, **_: object) -> None:
    """Delete what was given in a team that is gone."""
    services.forget_team(team_id=str(instance.pk))


@receiver(setting_changed)
def follow_settings(*, setting: str, **_: object) -> None:
    """Look at everything anew after a test has changed the settings."""
    if setting == "PERMISSIONS":
        conf.forget(setting=setting)
        registrar.clear()
        connect_teams()


def _name_group(role: Role) -> str:
    return services.name_group(name=role.name, guard=role.guard, team_id=role.team_id)


def _name_permissions(permission_ids: Any) -> dict[int, str]:  # Any: keys
    return {one.pk: one.identifier for one in Permission.objects.filter(pk__in=set(permission_ids))}


def _touch_holders(permission: DjangoPermission) -> None:
    through = _User.user_permissions.through.objects
    users = set(through.filter(permission=permission.pk).values_list("user_id", flat=True))
    users |= set(UserGrant.objects.filter(permission=permission.pk).values_list("user_id", flat=True))
    roles = set(Group.permissions.through.objects.filter(permission=permission.pk).values_list("group_id", flat=True))
    registrar.touch(users=users, roles=roles, structure=True)
