"""Roles themselves."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from permissions import audit, conf, registrar, scope
from permissions.exceptions import (
    Escalation,
    InvalidRoleName,
    RoleAlreadyExists,
    RoleDoesNotExist,
)
from permissions.models.roles import Permission, Role, RoleAssignment
from permissions.selectors import (
    find_permissions,
    get_role,
    get_role_in,
    is_name,
)

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.announcements import announce_lost_role
from permissions.services.escalation import may_rename, refuse_escalation
from permissions.services.inheritance import inherit, sync_parents
from permissions.services.mirror import name_group
from permissions.services.role_permissions import give_role_permissions, sync_role_permissions
from permissions.services.rows import lock_role, lock_role_to_delete, own_change

#: What may be done on the pages of jobs, but for seeing what a job was given.
_STEERING: Final = frozenset(
    f"jobs.{right}"
    for right in (
        "change_failedjob", "delete_failedjob", "delete_queuedjob", "add_queuepause", "delete_queuepause",
        "change_workerheartbeat", "change_batch", "change_schedule",
    )
)  # fmt: skip
_LOOKING: Final = frozenset({"jobs.view_dashboard"})


@transaction.atomic
def create_role(
    *,
    name: str,
    permissions: Iterable[object] = (),
    parents: Iterable[Role] = (),
    guard: str | None = None,
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    created_by: "Holder | None" = None,
) -> Role:
    """Make a role, and the group that backs it.

    Raises:
        InvalidRoleName: See ``selectors.is_name``.
        RoleAlreadyExists: A role of the guard and team, or a group, has that name; where ``created_by`` is no
            superuser, also one of another team that would be taken for it.
        GuardDoesNotExist: There is no such guard.
        PermissionDoesNotExist: One of the permissions is unknown.
        GuardDoesNotMatch: A permission or parent belongs to another guard.
        Escalation: ``created_by`` doesn't hold all of the permissions.
    """
    if not is_name(name):
        raise InvalidRoleName
    guard = conf.get().default_guard if guard is None else scope.check_guard(guard)
    team_id = scope.get_team_id(team)
    refuse_ambiguous_name(name=name, guard=guard, team_id=team_id, actor=created_by)
    given = find_permissions(*permissions, guard=guard)
    refuse_escalation(actor=created_by, permissions=given, team_id=team_id, guard=guard)
    try:
        with transaction.atomic(), own_change():
            group = Group.objects.create(name=name_group(name=name, guard=guard, team_id=team_id))
            role, _ = Role.objects.get_or_create(
                group=group, defaults={"name": name, "guard": guard, "team_id": team_id}
            )
    except IntegrityError as error:
        raise RoleAlreadyExists.named(name, guard=guard) from error
    role.group = group
    registrar.touch(roles=[role.pk])
    audit.record("role.created", actor=created_by, subject=role, name=name, guard=guard, team=team_id)
    give_role_permissions(role=role, permissions=given, granted_by=created_by)
    inherit(role=role, parents=parents, granted_by=created_by)
    return role


@transaction.atomic
def update_role(
    *,
    role: Role,
    name: str | None = None,
    permissions: Iterable[object] | None = None,
    parents: Iterable[Role] | None = None,
    changed_by: "Holder | None" = None,
) -> Role:
    """Rename a role, give it exactly these permissions and parents; what is None stays. All or nothing.

    Raises:
        InvalidRoleName: See ``selectors.is_name``.
        RoleDoesNotExist: The role was deleted meanwhile.
        RoleAlreadyExists: Another role or group has that name.
        PermissionDoesNotExist: One of the permissions is unknown.
        InheritanceCycle: One of the parents is the role, or inherits from it.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new, or may not rename (``may_rename``).
    """
    if name is not None and not is_name(name):
        raise InvalidRoleName
    given = None if permissions is None else find_permissions(*permissions, guard=role.guard)
    stored = lock_role(role)
    if name not in {None, stored.name} and not may_rename(actor=changed_by):
        raise Escalation("Only a superuser can rename a role.", detail=f"role {stored.name}")
    if given is not None:
        old = set(stored.group.permissions.values_list("pk", flat=True))
        new = [one for one in given if one.pk not in old]
        refuse_escalation(actor=changed_by, permissions=new, team_id=stored.team_id, guard=stored.guard)
    if name is not None and name != stored.name:
        try:
            with transaction.atomic():
                audit.record("role.renamed", actor=changed_by, subject=role, name=name, was=stored.name)
                stored.name = name
                with own_change():
                    stored.save(update_fields=["name"])
                stored.group.refresh_from_db(fields=["name"])
        except IntegrityError as error:
            raise RoleAlreadyExists.named(name, guard=stored.guard) from error
    if given is not None:
        sync_role_permissions(role=stored, permissions=given, granted_by=changed_by)
    if parents is not None:
        sync_parents(role=stored, parents=parents, changed_by=changed_by)
    return stored


def sync_permissions(*, role: str, permissions: Iterable[object], changed_by: "Holder | None" = None) -> Role:
    """Give a role exactly these permissions.

    Raises:
        RoleDoesNotExist: There is no such role.
        PermissionDoesNotExist: One of the permissions is unknown; nothing is changed.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new.
    """
    return update_role(role=get_role(name=role), name=role, permissions=permissions, changed_by=changed_by)


@transaction.atomic
def delete_role(*, role: Role, deleted_by: "Holder | None" = None) -> None:
    """Delete a role with its group, and take it from everybody; who lost it is recorded, however it is deleted.

    Of simultaneous deletions one is done.

    Raises:
        RoleDoesNotExist: It is gone already.
    """
    lock_role_to_delete(role)
    role.__dict__["_deleted_by"] = deleted_by
    role.delete()


def announce_deletion(*, role: Role) -> None:
    """Record that a role goes, and announce who loses it."""
    actor = role.__dict__.pop("_deleted_by", None)
    audit.record("role.deleted", actor=actor, subject=role, name=role.name, guard=role.guard, team=role.team_id)
    holders: dict[tuple[object, str], str] = {
        (row.user_id, row.team_id): str(row.user)
        for row in RoleAssignment.objects.filter(role=role.pk).select_related("user")
    }
    holders |= {(user.pk, ""): str(user) for user in get_user_model()._default_manager.filter(groups=role.pk)}  # noqa: SLF001 - Django's documented name of it
    announce_lost_role(role=role, holders=holders, actor=actor)


def refuse_ambiguous_name(*, name: str, guard: str, team_id: str, actor: "Holder | None") -> None:
    """Make sure that a name means one thing where people make roles: views that ask for a role go by its name.

    Otherwise who may make roles in one team would make ``admin`` there, and enter what is for the ``admin`` of all
    teams. Superusers and commands may, as they may rename.

    Raises:
        RoleAlreadyExists: A team's role would be called like one of all teams, or the other way round.
    """
    if may_rename(actor=actor):
        return
    settings = conf.get()
    others = Role.objects.filter(name=name, guard=guard)
    is_taken = others.filter(team_id="").exists() if team_id else others.exclude(team_id="").exists()
    if is_taken or (guard == settings.default_guard and name in settings.super_admin_roles):
        raise RoleAlreadyExists.named(name, guard=guard)


@transaction.atomic
def find_or_create_role(*, name: str, guard: str | None = None, team: scope.TeamArgument = scope.CURRENT_TEAM) -> Role:
    """Return the role of that name in a guard and team, made where there is none; two callers get the same one."""
    try:
        return get_role_in(name=name, guard=guard, team=team)
    except RoleDoesNotExist:
        try:
            return create_role(name=name, guard=guard, team=team)
        except RoleAlreadyExists:
            return get_role_in(name=name, guard=guard, team=team)


@transaction.atomic
def seed_roles() -> list[Role]:
    """Make the roles of a new installation; one that is there stays as it is."""
    everything = {permission.identifier for permission in Permission.objects.all()}
    seeds: dict[str, AbstractSet[str]] = {
        "admin": everything,
        "editor": {"accounts.view_user", "permissions.view_role"},
        "user": frozenset(),
        "jobs-operator": _LOOKING | _STEERING,
        "jobs-viewer": _LOOKING,
    }
    guard = conf.get().default_guard
    existing = {role.name: role for role in Role.objects.filter(name__in=seeds, guard=guard, team_id="")}
    return [
        existing.get(name) or create_role(name=name, permissions=permissions, team=None)
        for name, permissions in seeds.items()
    ]
