"""What other modules and apps may read of roles and permissions."""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Exists, Model, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from permissions import conf, registrar, scope
from permissions.exceptions import (
    GuardDoesNotMatch,
    PermissionDoesNotExist,
    RoleDoesNotExist,
    TeamDoesNotExist,
    TeamDoesNotMatch,
    UserDoesNotExist,
    WildcardPermissionInvalidArgument,
)
from permissions.models.roles import Permission, Role, RoleAssignment, RoleLink, UserGrant
from permissions.snapshots import Names

if TYPE_CHECKING:
    from permissions.models.roles import Holder
    from permissions.snapshots import RoleFacts, Snapshot

MAX_NAME_LENGTH = 100
#: How many names or ids one query may hold.
_CHUNK = 10_000

# --- Names -----------------------------------------------------------------------------------------------------------


def is_name(name: str) -> bool:
    """Say whether a role or permission may be called so: 1 to 100 printable characters, no ``|``, no space at an end.

    Printable excludes control characters, lone surrogates and invisible marks that make two names look alike.
    """
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() and "|" not in name and name == name.strip()


def is_name_of_app(name: str) -> bool:
    """Say whether a name looks like a permission that an installed app declares, and isn't a pattern."""
    label, dot, _ = name.partition(".")
    return bool(dot) and label in apps.app_configs and not {"*", ","} & set(name)


def is_name_of_guard(name: str) -> bool:
    """Say whether a name looks like Django's spelling of a free permission, in which the guard stands in front."""
    label, dot, _ = name.partition(".")
    return bool(dot) and label in conf.get().guards


def split_names(names: str) -> list[str]:
    """Return the names in ``a|b``; one matched pair of quotes around the whole is dropped, as Spatie does."""
    if "|" not in names:
        return [names]
    if names[0] == names[-1] and names[0] in "'\"":
        names = names[1:-1]
    return [name for name in names.split("|") if name]


def split_all(values: Iterable[object]) -> list[object]:
    """Return the values one by one, and each name in ``a|b`` by itself."""
    flat: list[object] = []
    for value in flatten(values):
        flat += split_names(value) if isinstance(value, str) else [value]
    return flat


def get_name(value: object) -> str:
    """Return the name that a string or an enum stands for.

    Raises:
        TypeError: It stands for none.
    """
    name = value.value if isinstance(value, Enum) else value
    if not isinstance(name, str):
        message = f"A name is text, not {type(name).__name__}."
        raise TypeError(message)
    return name


def get_names(values: Iterable[object]) -> tuple[str, ...]:
    """Return the names in texts such as ``a|b``, in enums and in lists of them, each once.

    Raises:
        TypeError: A value is no name.
    """
    return tuple(dict.fromkeys(get_name(one) for one in split_all(values)))


def flatten(values: Iterable[object]) -> list[object]:
    """Return the values one by one: what stands in lists and querysets, the values of enums, without None and ""."""
    flat: list[object] = []
    for value in values:
        if isinstance(value, Enum):
            value = value.value  # noqa: PLW2901 - an enum stands for its value
        if value is None or value == "":
            continue
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Model)):
            flat.extend(flatten(value))
        else:
            flat.append(value)
    return flat


# --- Guards ----------------------------------------------------------------------------------------------------------


def find_guard(*, guard: str | None, guards: tuple[str, ...]) -> str:
    """Return the guard in which a holder of these guards is asked: the named one, that of the scope, or its first.

    Raises:
        GuardDoesNotExist: There is no such guard.
    """
    if guard is not None:
        return scope.check_guard(guard)
    current = scope.get_guard()
    return current if current in guards else guards[0]


# --- Permissions -----------------------------------------------------------------------------------------------------


def find_permissions(
    *values: object,
    guard: str | None = None,
    guards: tuple[str, ...] = (),
    field: str = "permissions",
    held_in: QuerySet[Any] | None = None,  # Any: rows of any table between permissions and their holders
) -> list[Permission]:
    """Return the permissions that names, ids, rows, enums, or lists of them mean, each once, in one query.

    Names belong to ``guard``, the default guard where it is None; ids and rows may belong to any of ``guards``. Each
    says in ``is_held`` whether ``held_in`` has a row about it.

    Raises:
        PermissionDoesNotExist: One or more are unknown; it tells them all.
        GuardDoesNotMatch: A row belongs to another guard, or ``guard`` is none of ``guards``.
        TypeError: A value can't mean a permission.
    """
    guard = guard or conf.get().default_guard
    guards = guards or (guard,)
    if guard not in guards:
        raise GuardDoesNotMatch.expected(guard, guards)
    wanted = list(dict.fromkeys(flatten(values)))
    rows, ids, names = _sort_arguments(wanted, DjangoPermission)
    for row in rows:
        if as_permission(row).guard not in guards:
            raise GuardDoesNotMatch.expected(as_permission(row).guard, guards)
    stored = Permission.objects.all()
    if held_in is not None:
        stored = stored.annotate(is_held=Exists(held_in.filter(permission=OuterRef("pk"))))
    found: list[Permission] = []
    for chunk in _chunk(ids):
        found += stored.filter(pk__in=_drop_too_large(chunk))
    by_id = {permission.pk: permission for permission in found if permission.guard in guards}
    by_name = _find_by_names(names, guard, stored)
    if missing := [one for one in ids if one not in by_id]:
        raise PermissionDoesNotExist.with_id(missing[0], guard=guard, field=field)
    if missing_names := [name for name in names if name not in by_name]:
        raise PermissionDoesNotExist.named(*missing_names, guard=guard, field=field)
    result = [as_permission(row) for row in rows] + list(by_id.values())
    result += [permission for permissions in by_name.values() for permission in permissions]
    return list({permission.pk: permission for permission in result}.values())


def find_permission_name(value: object, *, guard: str, guards: tuple[str, ...]) -> tuple[str, str]:
    """Return guard and name of the permission that a name, id, row or enum means.

    A name is returned as it is known, whether the permission exists or not: ``is_known`` says that.

    Raises:
        PermissionDoesNotExist: There is none of that id, or the value can't mean a permission.
        GuardDoesNotMatch: The row belongs to another guard, and patterns are off.
        WildcardPermissionInvalidArgument: Patterns are on, and the value is a list.
    """
    value = value.value if isinstance(value, Enum) else value
    match value:
        case str():
            return guard, strip_guard(value, guard=guard)
        case DjangoPermission():
            found = as_permission(value).guard, as_permission(value).identifier
            if found[0] not in guards and not conf.get().wildcards:
                raise GuardDoesNotMatch.expected(found[0], guards)
            return found
        case int() if not isinstance(value, bool):
            known = registrar.find_known_name(value) or _remember(Permission.objects.filter(pk=value).first())
            if known is None or known[0] not in guards:
                raise PermissionDoesNotExist.with_id(value, guard=guard)
            return known
        case list() | tuple() | set() | frozenset() if conf.get().wildcards:
            raise WildcardPermissionInvalidArgument
        case UUID():
            raise PermissionDoesNotExist.with_id(value, guard=guard)
        case _:
            raise PermissionDoesNotExist.named(value if value is not None else "", guard=guard)


def strip_guard(name: str, *, guard: str) -> str:
    """Return a name without the guard in front, with which Django calls free permissions (``web.edit articles``)."""
    return name.removeprefix(f"{guard}.")


def is_known(*, guard: str, name: str) -> bool:
    """Say whether a permission of that name exists; no query where this process has met it."""
    if registrar.find_known(guard=guard, name=name) is not None:
        return True
    return any(
        _remember(permission) for permission in _find_by_names([name], guard, Permission.objects.all()).get(name, ())
    )


def get_permission(value: object, *, guard: str | None = None) -> Permission:
    """Return the permission of that name or id, in a guard, the default one where None.

    Raises:
        PermissionDoesNotExist: There is none.
    """
    guard = find_guard(guard=guard, guards=(conf.get().default_guard,))
    found = find_permissions(value, guard=guard, field="permission")
    if not found:
        raise PermissionDoesNotExist.named(value, guard=guard, field="permission")
    return found[0]


def direct_rows(*, user: "Holder", team_id: str) -> QuerySet[Any]:  # Any: rows of one of two tables
    """Return the rows that say what a user was given directly, in exactly that team."""
    if team_id:
        return UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=False)
    return get_user_model().user_permissions.through.objects.filter(user=user.pk)


def denied_rows(*, user: "Holder", team_id: str) -> QuerySet[UserGrant]:
    """Return the rows that say what a user is forbidden, in exactly that team."""
    return UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=True)


def role_rows(*, role: Role) -> QuerySet[Any]:  # Any: rows of Django's own table
    """Return the rows that say what a role permits."""
    return Group.permissions.through.objects.filter(group=role.pk)


def list_direct_permissions(*, user: "Holder") -> list[Permission]:
    """Return what a user was given directly, in the current team and everywhere, by name."""
    granted = UserGrant.objects.filter(user=user.pk, is_denied=False, team_id__in={"", scope.get_team() or ""})
    return _sort(Permission.objects.filter(Q(user=user.pk) | Q(pk__in=granted.values("permission"))).distinct())


def list_permissions_via_roles(*, user: "Holder") -> list[Permission]:
    """Return what a user holds through roles, in the current team and everywhere, in every guard, by name."""
    roles = get_snapshot(user).roles
    return list_role_permissions(role_ids=registrar.find_lineage(role.pk for role in roles))


def list_role_permissions(*, role_ids: Collection[int]) -> list[Permission]:
    """Return what roles permit themselves, by name."""
    return _sort(Permission.objects.filter(group__in=role_ids).distinct())


def list_all_permissions(*, user: "Holder") -> list[Permission]:
    """Return what a user holds, without what is forbidden, in every guard, by name."""
    if not user.is_active:
        return []
    held = {one.pk: one for one in list_direct_permissions(user=user) + list_permissions_via_roles(user=user)}
    guards = get_guard_names(user)
    denied = {guard: get_snapshot(user, guard).denied for guard in guards}
    return sorted(
        (one for one in held.values() if one.guard in guards and not _is_denied(one.identifier, denied[one.guard])),
        key=lambda one: (one.identifier, one.guard),
    )


def _is_denied(name: str, denied: Names) -> bool:
    """Say whether a permission is taken away: itself, which a pattern with a comma doesn't match, or by a pattern."""
    return name in denied.exact or name in denied


def get_permission_names(*, role: Role) -> list[str]:
    """Return the names of a role's own permissions, sorted; no query for a role from ``list_roles``."""
    return sorted({as_permission(permission).identifier for permission in role.group.permissions.all()})


def list_permissions(*, guard: str | None = None, text: str = "") -> QuerySet[Permission]:
    """Return all permissions, by name, or those of a guard, or those with a text in name or title."""
    permissions = Permission.objects.order_by("content_type__app_label", "codename", "pk")
    if text:
        label, dot, rest = text.partition(".")
        condition = Q(codename__icontains=text) | Q(name__icontains=text) | Q(content_type__app_label__icontains=text)
        if dot:
            condition |= Q(content_type__app_label__iendswith=label, codename__istartswith=rest)
        permissions = permissions.filter(condition)
    return permissions if guard is None else permissions.filter(guard_filter(guard))


def get_permission_by_key(*, key: str) -> Permission:
    """Return the permission of an id, of any guard.

    Raises:
        PermissionDoesNotExist: There is none, or the id is no number.
    """
    number = int(key) if key.isascii() and key.isdecimal() else -1
    permission = Permission.objects.filter(pk__in=_drop_too_large([number])).first()
    if permission is None:
        raise PermissionDoesNotExist.with_id(key, guard=conf.get().default_guard)
    return permission


class Grant(TypedDict):
    """What a user was given or forbidden directly."""

    permission: str
    guard: str
    #: Key of the team; None where in all.
    team: str | None
    is_denied: bool


def list_grants(*, user: "Holder", team_id: str | None) -> list[Grant]:
    """Return what a user was given or forbidden directly: in a team and in all, or wherever where it is None."""
    rows = UserGrant.objects.filter(user=user.pk).select_related("permission__content_type")
    if team_id is not None:
        rows = rows.filter(team_id__in={"", team_id})
    found = [(permission, "", False) for permission in Permission.objects.filter(user=user.pk)]
    found += [(as_permission(row.permission), row.team_id, row.is_denied) for row in rows]
    grants: list[Grant] = [
        {"permission": one.identifier, "guard": one.guard, "team": team or None, "is_denied": is_denied}
        for one, team, is_denied in found
    ]
    return sorted(grants, key=lambda one: (one["permission"], one["guard"], one["team"] or "", one["is_denied"]))


def guard_filter(guard: str, prefix: str = "") -> Q:
    """Return the condition that a permission, at the end of ``prefix``, belongs to a guard."""
    label = f"{prefix}content_type__app_label"
    others = [other for other in conf.get().guards if other != guard]
    if guard == conf.get().default_guard:
        return ~Q(**{f"{label}__in": others}) if others else Q()
    return Q(**{label: guard})


def name_filter(name: str, guard: str, prefix: str = "") -> Q:
    """Return the condition that a permission, at the end of ``prefix``, has that name in a guard."""
    label, codename = f"{prefix}content_type__app_label", f"{prefix}codename"
    condition = Q(**{label: guard, codename: strip_guard(name, guard=guard)})
    if guard == conf.get().default_guard and "." in name:
        head, rest = name.split(".", 1)
        if head not in conf.get().guards:
            condition |= Q(**{label: head, codename: rest})
    return condition


# --- Roles -----------------------------------------------------------------------------------------------------------


def find_roles(
    *values: object,
    guard: str | None = None,
    guards: tuple[str, ...] = (),
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    field: str = "role",
) -> list[Role]:
    """Return the roles that names, ids, rows, enums, or lists of them mean, each once, in one query.

    Names belong to ``guard``, the default guard where it is None; ids and rows may belong to any of ``guards``. All
    must be usable in the team; a team's own role comes before the role of that name which all teams can use.

    Raises:
        RoleDoesNotExist: One or more are unknown; it tells them all.
        GuardDoesNotMatch: A row belongs to another guard, or ``guard`` is none of ``guards``.
        TeamDoesNotMatch: A row belongs to another team.
        TypeError: A value can't mean a role.
    """
    guard = guard or conf.get().default_guard
    guards = guards or (guard,)
    if guard not in guards:
        raise GuardDoesNotMatch.expected(guard, guards)
    team_id = scope.get_team_id(team)
    rows, ids, names = _sort_arguments(list(dict.fromkeys(flatten(values))), Role)
    for row in rows:
        if row.guard not in guards:
            raise GuardDoesNotMatch.expected(row.guard, guards)
        if row.team_id not in {"", team_id}:
            raise TeamDoesNotMatch
    condition = Q(pk__in=_drop_too_large(ids), guard__in=guards) | Q(name__in=filter(is_name, names), guard=guard)
    usable = Role.objects.select_related("group").filter(condition, team_id__in={"", team_id})
    found = list(usable.order_by("team_id")) if ids or names else []  # a team's own last, so that it stays
    by_id = {role.pk: role for role in found}
    by_name = {role.name: role for role in found if role.guard == guard}
    if missing := [one for one in ids if one not in by_id]:
        raise RoleDoesNotExist.with_id(missing[0], guard=guard, field=field)
    if unknown := [name for name in names if name not in by_name]:
        raise RoleDoesNotExist.named(*unknown, guard=guard, field=field)
    result = [*rows, *(by_id[one] for one in ids), *(by_name[name] for name in names)]
    return list({role.pk: role for role in result}.values())


def get_role(*, name: str, guard: str | None = None, field: str = "role") -> Role:
    """Return the role of that name, usable in the current team.

    Raises:
        RoleDoesNotExist: There is none; ``field`` is blamed.
    """
    guard = guard or conf.get().default_guard
    found = find_roles(name, guard=guard, field=field)
    if not found:
        raise RoleDoesNotExist.named(name, guard=guard, field=field)
    return found[0]


def get_role_in(*, name: object, guard: str | None = None, team: scope.TeamArgument = scope.CURRENT_TEAM) -> Role:
    """Return the role of that name or id, in a guard (the default one where None) and a team.

    Raises:
        RoleDoesNotExist: There is none.
    """
    guard = find_guard(guard=guard, guards=(conf.get().default_guard,))
    found = find_roles(name, guard=guard, team=team)
    if not found:
        raise RoleDoesNotExist.named(name, guard=guard)
    return found[0]


def list_parents(*, role: Role) -> QuerySet[Role]:
    """Return the roles that a role was told to inherit from."""
    return Role.objects.filter(descendant_links__role=role, descendant_links__is_parent=True)


def list_roles_of_permission(*, permission: Permission) -> QuerySet[Role]:
    """Return the roles that hold a permission themselves."""
    return Role.objects.select_related("group").filter(group__permissions=permission.pk)


def list_roles(*, team_id: str | None = None, guard: str | None = None) -> QuerySet[Role]:
    """Return all roles by name, or those that a team can use, with their permissions and parents at hand.

    That takes three queries for any number of roles.
    """
    permissions = DjangoPermission.objects.select_related("content_type")
    parents = RoleLink.objects.filter(is_parent=True).select_related("ancestor")
    roles = Role.objects.select_related("group").prefetch_related(
        Prefetch("group__permissions", permissions), Prefetch("ancestor_links", parents, to_attr="parent_links")
    )
    if team_id is not None:
        roles = roles.filter(team_id__in={"", team_id})
    return roles if guard is None else roles.filter(guard=guard)


def get_role_by_key(*, key: str, team_id: str | None, is_own: bool) -> Role:
    """Return the role of an id as ``list_roles`` does; ``is_own`` leaves out what belongs to other teams or to all.

    Raises:
        RoleDoesNotExist: There is none, or the id is no number.
    """
    number = int(key) if key.isascii() and key.isdecimal() else -1
    roles = list_roles(team_id=team_id).filter(pk__in=_drop_too_large([number]))
    role = (roles.filter(team_id=team_id or "") if is_own else roles).first()
    if role is None:
        raise RoleDoesNotExist.with_id(key, guard=conf.get().default_guard)
    return role


def get_parent_names(*, role: Role) -> list[str]:
    """Return the names of a role's parents, sorted; no query for a role from ``list_roles``."""
    links: list[RoleLink] | None = getattr(role, "parent_links", None)
    return sorted(parent.name for parent in (list_parents(role=role) if links is None else [x.ancestor for x in links]))


def list_assignments(*, user: "Holder", team_id: str | None) -> QuerySet[RoleAssignment]:
    """Return what roles a user was given: in a team and in all, or wherever it was where ``team_id`` is None."""
    rows = RoleAssignment.objects.filter(user=user.pk).select_related("role")
    if team_id is not None:
        rows = rows.filter(team_id__in={"", team_id})
    return rows.order_by("role__name", "role__guard", "team_id")


def list_role_ids(*, names: Collection[str], guard: str, team_id: str) -> QuerySet[Role, int]:
    """Return the keys of all roles of these names that can be used in a team: its own, and those of all teams."""
    return Role.objects.filter(name__in=names, guard=guard, team_id__in={"", team_id}).values_list("pk", flat=True)


def get_role_names(*, user: "Holder") -> list[str]:
    """Return the names of the roles that a user has now, sorted."""
    return sorted({role.name for role in get_snapshot(user).roles if role.name})


def list_teams(*, user: "Holder") -> QuerySet[Any]:  # Any: the model of teams is a setting
    """Return the teams in which a user has a role now.

    Raises:
        TeamsNotEnabled: There are no teams.
    """
    teams, now = scope.get_team_model(), timezone.now()
    assigned = registrar.load_user(user).assigned
    keys = {one.team_id for one in assigned if one.team_id and (one.expires_at is None or one.expires_at > now)}
    return teams._default_manager.filter(pk__in=keys)  # noqa: SLF001 - Django's documented name of it


def list_team_roles(*, user: "Holder") -> list[tuple[str, str, list[str]]]:
    """Return key and name of each team in which a user has a role now, and the names of the roles that count there.

    Raises:
        TeamsNotEnabled: There are no teams.
    """
    found = []
    for team in list_teams(user=user):
        key = scope.get_team_key(team)
        with scope.use_team(team):
            found.append((key, str(team), get_role_names(user=user)))
    return sorted(found, key=lambda one: (one[1], one[0]))


def list_members(*, team_id: str) -> QuerySet[RoleAssignment]:
    """Return the roles that users have in exactly a team now, by user."""
    running = effective_assignments(team_id=team_id)
    rows = RoleAssignment.objects.filter(running, team_id=team_id).select_related("role", "user")
    return rows.order_by(f"user__{get_user_model().USERNAME_FIELD}", "role__name", "pk")


def get_team(*, key: object) -> Model:
    """Return the team of that key.

    Raises:
        TeamsNotEnabled: There are no teams.
        TeamDoesNotExist: There is none of that key, or no team could have it.
    """
    text = scope.get_team_key(key)
    rows = scope.get_team_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    team = rows.filter(pk=text).first() if text.isprintable() else None
    if team is None:
        raise TeamDoesNotExist
    return team


def match_roles(*, roles: Collection["RoleFacts"], value: object, guard: str | None) -> bool:
    """Say whether one of the roles is what a name, ``a|b``, id, row, enum or list of them means.

    Raises:
        TypeError: The value can't mean a role.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        names = split_names(value)
        return any(role.name in names and guard in {None, role.guard} for role in roles)
    if isinstance(value, Role):
        return any(role.pk == value.pk and guard in {None, role.guard} for role in roles)
    if isinstance(value, UUID):
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return any(role.pk == value and guard in {None, role.guard} for role in roles)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Model)):
        return any(match_roles(roles=roles, value=one, guard=guard) for one in value)
    message = f"A role is asked for by its name, id or row, not by {type(value).__name__}."
    raise TypeError(message)


# --- Who holds what --------------------------------------------------------------------------------------------------


def get_snapshot(user: "Holder", guard: str | None = None, team: str | None = None) -> "Snapshot":
    """Return what a user holds in a guard, its own where None, and in a team, the current one where None."""
    guards = get_guard_names(user)
    return registrar.get_snapshot(
        user, scope.Scope(find_guard(guard=guard, guards=guards), scope.get_team() if team is None else team or None)
    )


def get_guard_names(user: object) -> tuple[str, ...]:
    """Return the guards in which a user can hold roles and permissions; the first one holds where none is named."""
    guards: tuple[str, ...] = user.get_guard_names() if hasattr(user, "get_guard_names") else conf.get().guards
    return guards


def effective_assignments(*, prefix: str = "", team_id: str = "") -> Q:
    """Return the condition that a ``RoleAssignment`` counts now in a team ("" means outside of teams)."""
    teams = {"", team_id}
    is_running = Q(**{f"{prefix}expires_at": None}) | Q(**{f"{prefix}expires_at__gt": timezone.now()})
    return is_running & Q(**{f"{prefix}team_id__in": teams, f"{prefix}role__team_id__in": teams})


def roles_with_permissions(permission_ids: Collection[int], *, guard: str) -> QuerySet[Role, int]:
    """Return the ids of a guard's roles that hold one of the permissions, themselves or through an ancestor."""
    holders = Role.objects.filter(guard=guard, group__permissions__in=permission_ids).order_by().values("pk")
    heirs = RoleLink.objects.filter(ancestor__in=holders).values("role_id")
    return Role.objects.order_by().filter(Q(pk__in=holders) | Q(pk__in=heirs)).values_list("pk", flat=True)


def users_with_roles(role_ids: "QuerySet[Role, int] | Collection[int]", *, team_id: str) -> Q:
    """Return the condition that a user has one of the roles now, in a team ("" means outside of teams)."""
    default = conf.get().default_guard
    memberships = get_user_model().groups.through.objects.filter(
        user=OuterRef("pk"), group__in=role_ids, group__role__team_id="", group__role__guard=default
    )
    mirrored = Q(team_id="", expires_at=None, role__team_id="", role__guard=default)
    assigned = RoleAssignment.objects.filter(effective_assignments(team_id=team_id), user=OuterRef("pk"))
    return Q(Exists(memberships)) | Q(Exists(assigned.filter(role__in=role_ids).exclude(mirrored)))


def users_with_permissions(permission_ids: Collection[int], *, guard: str, team_id: str) -> Q:
    """Return the condition that a user holds, undenied, one of the permissions, which all answer one question."""
    users = get_user_model()
    direct = users.user_permissions.through.objects.filter(user=OuterRef("pk"), permission__in=permission_ids)
    granted = UserGrant.objects.filter(user=OuterRef("pk"), permission__in=permission_ids, team_id__in={"", team_id})
    # A group that was written behind Django's back is no role yet, and gives its permissions all the same.
    bare = users.groups.through.objects.filter(
        user=OuterRef("pk"), group__role=None, group__permissions__in=permission_ids
    )
    held = (
        Q(Exists(direct))
        | users_with_roles(roles_with_permissions(permission_ids, guard=guard), team_id=team_id)
        | Q(Exists(granted.filter(is_denied=False)))
    )
    if guard == conf.get().default_guard:
        held |= Q(Exists(bare))
    return held & ~Q(Exists(granted.filter(is_denied=True)))


def find_answering_permissions(
    value: object, *, guard: str, guards: tuple[str, ...], is_strict: bool = True
) -> tuple[str, list[int]]:
    """Return the guard, and the ids of all permissions that answer for what a name, id, row or enum means.

    That is the permission itself; where patterns are on, all patterns that match it.

    Raises:
        PermissionDoesNotExist: It is unknown, patterns are off, and ``is_strict`` is on; otherwise nothing answers.
        GuardDoesNotMatch: The row belongs to another guard.
    """
    guard, name = find_permission_name(value, guard=guard, guards=guards)
    if not conf.get().wildcards:
        found = _find_by_names([name], guard, Permission.objects.all()).get(name, [])
        if is_strict and not found:
            raise PermissionDoesNotExist.named(name, guard=guard)
        return guard, [permission.pk for permission in found]
    parts = name.split(".")
    prefixes = [".".join(parts[: count + 1]) for count in range(len(parts))]
    condition = guard_filter(guard) & (
        Q(codename__contains="*") | Q(codename__contains=",") | Q(codename__in=prefixes) | name_filter(name, guard)
    )
    for prefix in prefixes:
        condition |= name_filter(prefix, guard)
    candidates = Permission.objects.filter(condition)
    return guard, [one.pk for one in candidates if name in Names(frozenset({one.identifier}))]


def find_users(*values: object) -> list["Holder"]:
    """Return the users that rows, ids, or lists of them mean, each once.

    Raises:
        UserDoesNotExist: One of them isn't stored.
        TypeError: A value can't mean a user.
    """
    model = get_user_model()
    flat = flatten(values)
    rows: dict[object, Holder] = {value.pk: value for value in flat if isinstance(value, model)}
    ids: set[Any] = set()  # Any: keys of users
    for value in flat:
        if isinstance(value, model):
            continue
        if not isinstance(value, (str, int, UUID)) or isinstance(value, bool):
            message = f"Ids and rows of users are understood, not {type(value).__name__}."
            raise TypeError(message)
        try:
            ids.add(model._meta.pk.to_python(value))  # noqa: SLF001 - Django's documented way to a model's fields
        except ValidationError as error:
            raise UserDoesNotExist from error
    found = {user.pk: user for user in model._default_manager.filter(pk__in=ids)}  # noqa: SLF001 - as above
    if len(found) < len(ids):
        raise UserDoesNotExist
    return list((rows | found).values())


def get_user_by_text(*, text: str) -> "Holder":
    """Return the user of that id or, where the id is nobody's, of that login (here the e-mail address).

    Raises:
        UserDoesNotExist: There is none.
    """
    model = get_user_model()
    try:
        return next(iter(find_users(text)))
    except (UserDoesNotExist, StopIteration):
        users = model._default_manager  # noqa: SLF001 - Django's documented name of it
        user = users.filter(**{model.USERNAME_FIELD: text}).first()
        if user is None:
            raise UserDoesNotExist(f"There is no user with the e-mail address or id `{text}`.") from None
        return user


def with_stamps[Users: QuerySet[Any]](users: Users, *, user_id: object) -> Users:  # Any: of the user model
    """Let the query that loads one user prove what this process remembers, so that its rights cost no query."""
    return registrar.with_stamps(users, user_id=user_id)


def get_user(*, user_id: str) -> "Holder":
    """Return the user of that id, however the client spelt the UUID.

    Raises:
        UserDoesNotExist: There is none, or the id is no UUID.
    """
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    try:
        user = users.filter(pk=UUID(user_id)).first()
    except ValueError as error:
        raise UserDoesNotExist from error
    if user is None:
        raise UserDoesNotExist
    return user


# --- Objects ---------------------------------------------------------------------------------------------------------


def is_model(label: str) -> bool:
    """Say whether a text such as ``accounts.user`` names a model."""
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        return False
    return True


def find_objects(names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Model]:
    """Return the rows that pairs of model and key name, with one query for each model; missing ones are left out.

    Raises:
        LookupError: A label names no model.
    """
    by_model: dict[type[Model], dict[object, list[tuple[str, str]]]] = {}
    for name in names:
        model = apps.get_model(name[0])
        try:
            key = model._meta.pk.to_python(name[1])  # noqa: SLF001 - Django's documented way to a model's fields
        except (ValidationError, ValueError, TypeError):
            continue
        if isinstance(key, int) and abs(key) > BigIntegerField.MAX_BIGINT:
            continue
        by_model.setdefault(model, {}).setdefault(key, []).append(name)
    found: dict[tuple[str, str], Model] = {}
    for model, by_key in by_model.items():
        for row in model._default_manager.filter(pk__in=list(by_key)):  # noqa: SLF001 - Django's documented name of it
            found |= dict.fromkeys(by_key[row.pk], row)
    return found


# --- Arguments -------------------------------------------------------------------------------------------------------


def _sort_arguments[Row: Model](values: Iterable[object], model: type[Row]) -> tuple[list[Row], list[int], list[str]]:
    """Return rows, ids and names.

    Raises:
        TypeError: A value is none of these.
    """
    rows: list[Row] = []
    ids: list[int] = []
    names: list[str] = []
    for value in values:
        if isinstance(value, model):
            rows.append(value)
        elif isinstance(value, str):
            names.append(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            ids.append(value)
        elif isinstance(value, UUID):
            names.append(str(value))
        else:
            message = f"Names, ids and rows of {model.__name__} are understood, not {type(value).__name__}."
            raise TypeError(message)
    return rows, ids, names


def _drop_too_large(ids: Iterable[int]) -> list[int]:
    """Return the ids that a column can hold; asking SQLite about others is an error."""
    return [one for one in ids if abs(one) <= BigIntegerField.MAX_BIGINT]


def _find_by_names(names: Iterable[str], guard: str, stored: QuerySet[Permission]) -> dict[str, list[Permission]]:
    """Return the permissions that each name means in a guard; unknown names are left out."""
    by_name: dict[str, list[Permission]] = {}
    for chunk in _chunk(list(names)):
        fitting = [name for name in chunk if name.isprintable()]
        free = {strip_guard(name, guard=guard) for name in fitting}
        condition = Q(content_type__app_label=guard, codename__in=free)
        parts = [name.split(".", 1) for name in fitting if "." in name and guard == conf.get().default_guard]
        if parts:
            labels = {label for label, _ in parts} - set(conf.get().guards)
            condition |= Q(content_type__app_label__in=labels, codename__in={codename for _, codename in parts})
        found: dict[str, list[Permission]] = {}
        for permission in stored.filter(condition).order_by("pk"):
            found.setdefault(permission.identifier, []).append(permission)
        for name in fitting:
            if permissions := found.get(strip_guard(name, guard=guard)):
                by_name[name] = permissions
    return by_name


def _sort(permissions: Iterable[Permission]) -> list[Permission]:
    return sorted(permissions, key=lambda one: (one.identifier, one.guard))


def _remember(permission: Permission | None) -> tuple[str, str] | None:
    if permission is None:
        return None
    registrar.remember_known(permission_id=permission.pk, guard=permission.guard, name=permission.identifier)
    return permission.guard, permission.identifier


def as_permission(permission: DjangoPermission) -> Permission:
    """Return Django's row as ours, which knows its guard and name."""
    if not isinstance(permission, Permission):
        ours = Permission()
        ours.__dict__.update(permission.__dict__)
        return ours
    return permission


def _chunk[Value](values: list[Value]) -> Iterable[list[Value]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
