"""The naive oracle: it reads the rows, and decides over them with loops, sets and no cleverness.

Nothing here is shared with the product, neither code nor queries, so a mistake would have to be made twice to stay
unseen. It knows no cache either: ``read_facts`` reads everything anew, and an ``Oracle`` is thrown away after use.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions.models import Role, RoleAssignment, RoleLink, UserGrant
from tests.articles.models import Article


@dataclass(frozen=True)
class Rules:
    """What the settings say, as far as decisions depend on it."""

    guards: tuple[str, ...] = ("web",)
    has_teams: bool = False
    has_wildcards: bool = False
    superuser_bypass: bool = True
    super_admin_roles: frozenset[str] = frozenset()

    @property
    def default_guard(self) -> str:
        return self.guards[0]


@dataclass(frozen=True)
class PermissionFact:
    """One row of ``auth_permission``, under our name and under Django's."""

    guard: str
    name: str
    django_name: str
    content_type: int


@dataclass(frozen=True)
class RoleFact:
    name: str
    guard: str
    team: str


@dataclass(frozen=True)
class UserFact:
    is_active: bool
    is_superuser: bool


@dataclass
class Facts:
    """The rows that decide, keyed as the database keys them. A team is its key as text; "" is no team."""

    users: dict[UUID, UserFact] = field(default_factory=dict)
    permissions: dict[int, PermissionFact] = field(default_factory=dict)
    roles: dict[int, RoleFact] = field(default_factory=dict)
    #: (role, permission)
    role_permissions: set[tuple[int, int]] = field(default_factory=set)
    #: (role, the role that it inherits from)
    parents: set[tuple[int, int]] = field(default_factory=set)
    #: (user, role) of ``user.groups``
    memberships: set[tuple[UUID, int]] = field(default_factory=set)
    #: (user, role, team) to the end
    assignments: dict[tuple[UUID, int, str], datetime | None] = field(default_factory=dict)
    #: (user, permission) of ``user.user_permissions``
    direct: set[tuple[UUID, int]] = field(default_factory=set)
    #: (user, permission, team) given in one team
    team_grants: set[tuple[UUID, int, str]] = field(default_factory=set)
    #: (user, permission, team)
    denies: set[tuple[UUID, int, str]] = field(default_factory=set)
    #: article to team
    articles: dict[int, str] = field(default_factory=dict)
    #: (user, permission, article)
    user_objects: set[tuple[UUID, int, int]] = field(default_factory=set)
    #: (role, permission, article)
    role_objects: set[tuple[int, int, int]] = field(default_factory=set)


def read_facts(*, guards: Iterable[str]) -> Facts:
    """Read every row that a decision can depend on."""
    facts = Facts()
    user_model = get_user_model()
    for key, is_active, is_superuser in user_model.objects.values_list("pk", "is_active", "is_superuser"):
        facts.users[key] = UserFact(is_active, is_superuser)
    facts.permissions = _read_permissions(tuple(guards))
    facts.roles = {row[0]: RoleFact(*row[1:]) for row in Role.objects.values_list("pk", "name", "guard", "team_id")}
    facts.role_permissions = set(Group.permissions.through.objects.values_list("group_id", "permission_id"))
    facts.parents = set(RoleLink.objects.filter(is_parent=True).values_list("role_id", "ancestor_id"))
    facts.memberships = set(user_model.groups.through.objects.values_list("user_id", "group_id"))
    for user, role, team, end in RoleAssignment.objects.values_list("user_id", "role_id", "team_id", "expires_at"):
        facts.assignments[user, role, team] = end
    facts.direct = set(user_model.user_permissions.through.objects.values_list("user_id", "permission_id"))
    for user, permission, team, is_denied in UserGrant.objects.values_list(
        "user_id", "permission_id", "team_id", "is_denied"
    ):
        (facts.denies if is_denied else facts.team_grants).add((user, permission, team))
    facts.articles = {pk: str(team or "") for pk, team in Article.objects.values_list("pk", "team_id")}
    article_type = ContentType.objects.get_for_model(Article).pk
    facts.user_objects = {
        (user, permission, int(key))
        for user, permission, key in UserObjectPermission.objects.filter(content_type_id=article_type).values_list(
            "user_id", "permission_id", "object_pk"
        )
    }
    facts.role_objects = {
        (group, permission, int(key))
        for group, permission, key in GroupObjectPermission.objects.filter(content_type_id=article_type).values_list(
            "group_id", "permission_id", "object_pk"
        )
    }
    return facts


def _read_permissions(guards: tuple[str, ...]) -> dict[int, PermissionFact]:
    found = {}
    rows = Permission.objects.values_list(
        "pk", "content_type__app_label", "content_type__model", "codename", "content_type_id"
    )
    for key, label, model, codename, content_type in rows:
        is_free = model == "permission" and label in guards
        found[key] = PermissionFact(
            guard=label if is_free else guards[0],
            name=codename if is_free else f"{label}.{codename}",
            django_name=f"{label}.{codename}",
            content_type=content_type,
        )
    return found


def matches(pattern: str, name: str) -> bool:
    """Say whether a granted pattern covers a name: part by part, and a pattern that is shorter covers all below it."""
    granted, asked = pattern.split("."), name.split(".")
    if len(granted) > len(asked):
        return False
    return all(
        part in alternatives.split(",") or "*" in alternatives.split(",")
        for alternatives, part in zip(granted, asked, strict=False)
    )


class Oracle:
    """What is right at one instant, by the facts and the rules."""

    def __init__(self, facts: Facts, rules: Rules, now: datetime) -> None:
        self.facts = facts
        self.rules = rules
        self._now = now
        self._assigned: dict[tuple[UUID, str], frozenset[int]] = {}
        self._held: dict[tuple[UUID, str, str], frozenset[str]] = {}
        self._denied: dict[tuple[UUID, str, str], frozenset[str]] = {}

    @cached_property
    def _memberships_of(self) -> dict[UUID, list[int]]:
        return _group(self.facts.memberships)

    @cached_property
    def _assignments_of(self) -> dict[UUID, list[tuple[int, str, datetime | None]]]:
        return _group((user, (role, team, end)) for (user, role, team), end in self.facts.assignments.items())

    @cached_property
    def _direct_of(self) -> dict[UUID, list[int]]:
        return _group(self.facts.direct)

    @cached_property
    def _team_grants_of(self) -> dict[UUID, list[tuple[int, str]]]:
        return _group((user, (permission, team)) for user, permission, team in self.facts.team_grants)

    @cached_property
    def _denies_of(self) -> dict[UUID, list[tuple[int, str]]]:
        return _group((user, (permission, team)) for user, permission, team in self.facts.denies)

    @cached_property
    def _permissions_of(self) -> dict[int, list[int]]:
        return _group(self.facts.role_permissions)

    @cached_property
    def _parents_of(self) -> dict[int, list[int]]:
        return _group(self.facts.parents)

    @cached_property
    def _names(self) -> dict[tuple[str, str], int]:
        known = {}
        for key, permission in self.facts.permissions.items():
            known[permission.guard, permission.django_name] = key
        for key, permission in self.facts.permissions.items():
            known[permission.guard, permission.name] = key
        return known

    # -- Roles --

    def assigned_roles(self, user: UUID, team: str) -> frozenset[int]:
        """Return the roles that the user has in that team by assignment, of every guard; no ancestors."""
        if (user, team) not in self._assigned:
            roles = self.facts.roles
            found = {role for role in self._memberships_of.get(user, ()) if self._is_global(role)}
            for role, assigned_in, end in self._assignments_of.get(user, ()):
                is_record_of_membership = self._is_global(role) and not assigned_in and end is None
                is_living = end is None or end > self._now
                if (
                    is_living
                    and not is_record_of_membership
                    and assigned_in in ("", team)
                    and roles[role].team in ("", team)
                ):
                    found.add(role)
            self._assigned[user, team] = frozenset(found)
        return self._assigned[user, team]

    def _is_global(self, role: int) -> bool:
        fact = self.facts.roles[role]
        return fact.guard == self.rules.default_guard and not fact.team

    def with_ancestors(self, roles: Iterable[int]) -> set[int]:
        """Return the roles and all that they inherit from."""
        found: set[int] = set()
        waiting = list(roles)
        while waiting:
            role = waiting.pop()
            if role not in found:
                found.add(role)
                waiting.extend(self._parents_of.get(role, ()))
        return found

    def _working_roles(self, user: UUID, guard: str, team: str) -> set[int]:
        roles = self.facts.roles
        return self.with_ancestors(role for role in self.assigned_roles(user, team) if roles[role].guard == guard)

    def has_role(self, user: UUID, names: Iterable[str], guard: str | None, team: str) -> bool:
        """Say whether the user has a role of one of the names."""
        return not self.role_names(user, guard, team).isdisjoint(names)

    def has_exact_roles(self, user: UUID, names: Collection[str], guard: str, team: str) -> bool:
        """Say whether the user has a role of each of the names, and no other; two of one name are two roles."""
        roles = (self.facts.roles[role] for role in self.assigned_roles(user, team))
        return sorted(role.name for role in roles if role.guard == guard) == sorted(names)

    def role_names(self, user: UUID, guard: str | None, team: str) -> set[str]:
        """Return the names of the roles that the user has."""
        roles = (self.facts.roles[role] for role in self.assigned_roles(user, team))
        return {role.name for role in roles if guard in (None, role.guard)}

    def has_role_in(self, user: UUID, team: str) -> bool:
        """Say whether the user has a role that was given in just that team."""
        return any(
            given_in == team and (end is None or end > self._now)
            for _, given_in, end in self._assignments_of.get(user, ())
        )

    # -- Permissions --

    def direct_permissions(self, user: UUID, guard: str, team: str) -> set[int]:
        """Return the permissions that the user was given without a role."""
        found = set(self._direct_of.get(user, ()))
        found |= {permission for permission, given_in in self._team_grants_of.get(user, ()) if given_in in ("", team)}
        return {permission for permission in found if self.facts.permissions[permission].guard == guard}

    def role_permissions(self, user: UUID, guard: str, team: str) -> set[int]:
        """Return the permissions of the user's roles and of their ancestors."""
        found = {
            permission
            for role in self._working_roles(user, guard, team)
            for permission in self._permissions_of.get(role, ())
        }
        return {permission for permission in found if self.facts.permissions[permission].guard == guard}

    def held(self, user: UUID, guard: str, team: str) -> frozenset[str]:
        """Return the names, or patterns, that the user holds, denied or not."""
        if (user, guard, team) not in self._held:
            keys = self.direct_permissions(user, guard, team) | self.role_permissions(user, guard, team)
            self._held[user, guard, team] = frozenset(self.facts.permissions[key].name for key in keys)
        return self._held[user, guard, team]

    def denied(self, user: UUID, guard: str, team: str) -> frozenset[str]:
        """Return the names, or patterns, that the user is denied."""
        if (user, guard, team) not in self._denied:
            keys = {permission for permission, denied_in in self._denies_of.get(user, ()) if denied_in in ("", team)}
            names = (self.facts.permissions[key] for key in keys)
            self._denied[user, guard, team] = frozenset(name.name for name in names if name.guard == guard)
        return self._denied[user, guard, team]

    def find(self, asked: str, guard: str) -> int | None:
        """Return the permission of that name, in our spelling or in Django's."""
        return self._names.get((guard, asked))

    def _canonical(self, asked: str, guard: str) -> str:
        key = self.find(asked, guard)
        return asked if key is None else self.facts.permissions[key].name

    def _covers(self, names: frozenset[str], asked: str) -> bool:
        if self.rules.has_wildcards:
            return any(matches(pattern, asked) for pattern in names)
        return asked in names

    def has_permission(self, user: UUID, asked: str, guard: str, team: str) -> bool | None:
        """Say whether an active user holds the permission and isn't denied it; None where there is no such name."""
        if not self.rules.has_wildcards and self.find(asked, guard) is None:
            return None
        return self.facts.users[user].is_active and self.holds(user, asked, guard, team)

    def holds(self, user: UUID, asked: str, guard: str, team: str) -> bool:
        """Say whether a user, active or not, holds the permission and isn't denied it."""
        name = self._canonical(asked, guard)
        is_held = self._covers(self.held(user, guard, team), name)
        return is_held and not self._covers(self.denied(user, guard, team), name)

    def permissions(self, user: UUID, guard: str, team: str) -> set[int]:
        """Return the permissions that the user was given in any way, without those that it is denied."""
        denied = self.denied(user, guard, team)
        if not self.facts.users[user].is_active:
            return set()
        return {
            key
            for key in self.direct_permissions(user, guard, team) | self.role_permissions(user, guard, team)
            if (name := self.facts.permissions[key].name) not in denied and not self._covers(denied, name)
        }

    def has_direct_permission(self, user: UUID, asked: str, guard: str, team: str) -> bool | None:
        """Say whether the user was given just that permission without a role; None where there is no such name."""
        key = self.find(asked, guard)
        return None if key is None else key in self.direct_permissions(user, guard, team)

    def can(self, user: UUID, asked: str, guard: str, team: str, article: int | None = None) -> bool:
        """Decide as the gate must, where no hook and no policy is registered."""
        fact = self.facts.users[user]
        if not fact.is_active:
            return False
        if fact.is_superuser and self.rules.superuser_bypass:
            return True
        if article is not None and self.rules.has_teams:
            team = self.facts.articles[article]
        name = self._canonical(asked, guard)
        if self._covers(self.denied(user, guard, team), name):
            return False
        if self.has_role(user, self.rules.super_admin_roles, self.rules.default_guard, team):
            return True
        if self._covers(self.held(user, guard, team), name):
            return True
        return article is not None and self._has_object_grant(user, name, guard, team, article)

    def _has_object_grant(self, user: UUID, name: str, guard: str, team: str, article: int) -> bool:
        key = self.find(name, guard)
        if key is None:
            return False
        return (user, key, article) in self.facts.user_objects or any(
            (role, key, article) in self.facts.role_objects for role in self._working_roles(user, guard, team)
        )


def _group[K, V](pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    grouped: dict[K, list[V]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped
