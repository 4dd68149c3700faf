"""Random changes of a living world: by the product's verbs and behind them, by Django's own API and guardian's.

Each change is made twice: in the database, and with plain set arithmetic on the facts that the oracle decides by.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from guardian.shortcuts import assign_perm, remove_perm

from accounts.models import User
from permissions.models import Permission, Role
from tests.articles.models import Article
from tests.permissions.oracle.oracle import Facts, PermissionFact, RoleFact, Rules
from tests.permissions.oracle.worlds import ARTICLE_NAMES, Draw, Place


class Changer:
    """Changes one world, which stands in the database alone."""

    def __init__(self, draw: Draw, place: Place, facts: Facts, rules: Rules, now: datetime) -> None:
        self.facts = facts
        #: The instances whose answers are compared; changes are made through these and through others.
        self.users: dict[UUID, User] = User.objects.in_bulk(list(facts.users))
        self._draw = draw
        self.rules = rules
        self._now = now
        self._teams = ["", *place.teams] if rules.has_teams else [""]
        self._asked = place.climate.questions
        self._born = 0

    def change(self, *, is_lasting: bool) -> str:
        """Make one change, and say which; what will be rolled back must not touch the instances that are asked."""
        changes = self._RIGHTS + (self._LIVES if is_lasting else ())
        while not (said := self._draw.one(changes)(self)):
            pass
        return said

    # -- Choosing --

    def _user(self) -> User:
        key = self._draw.one(sorted(self.facts.users))
        return self.users[key] if self._draw.chance(50) else User.objects.get(pk=key)

    def _role_keys(self, guard: str | None = None, team: str | None = None) -> list[int]:
        return sorted(
            key
            for key, role in self.facts.roles.items()
            if guard in (None, role.guard) and (team is None or role.team in ("", team))
        )

    def _permission_keys(self, guard: str) -> list[int]:
        return sorted(key for key, permission in self.facts.permissions.items() if permission.guard == guard)

    def _in(self, team: str) -> dict[str, Any]:  # Any: goes into arguments of several types
        """Return the argument that means the team; without teams there is none."""
        return {"team": team or None} if self.rules.has_teams else {}

    def _is_global(self, role: int) -> bool:
        fact = self.facts.roles[role]
        return fact.guard == self.rules.default_guard and not fact.team

    # -- Rights of users, by the verbs --

    def _assign_role(self) -> str:
        user, team = self._user(), self._draw.one(self._teams)
        if not (keys := self._role_keys(team=team)):
            return ""
        role = self._draw.one(keys)
        if (user.pk, role, team) in self.facts.assignments or (user.pk, role) in self.facts.memberships:
            return ""
        end = self._now + timedelta(hours=3) if self._draw.chance(30) else None
        user.assign_role(Role.objects.get(pk=role), expires_at=end, **self._in(team))
        self.facts.assignments[user.pk, role, team] = end
        if self._is_global(role) and not team and end is None:
            self.facts.memberships.add((user.pk, role))
        return f"user {user} assign_role({role}, team={team!r}, expires_at={end})"

    def _remove_role(self) -> str:
        user = self._user()
        if not (had := sorted((role, team) for key, role, team in self.facts.assignments if key == user.pk)):
            return ""
        role, team = self._draw.one(had)
        user.remove_role(Role.objects.get(pk=role), **self._in(team))
        self._forget_assignment(user.pk, role, team)
        return f"user {user} remove_role({role}, team={team!r})"

    def _forget_assignment(self, user: UUID, role: int, team: str) -> None:
        self.facts.assignments.pop((user, role, team), None)
        if not team:
            self.facts.memberships.discard((user, role))

    def _sync_roles(self) -> str:
        user, team = self._user(), self._draw.one(self._teams)
        roles = self._draw.some(self._role_keys(team=team), 50)
        user.sync_roles(list(Role.objects.filter(pk__in=roles)), **self._in(team))
        for key, role, of in list(self.facts.assignments):
            if key == user.pk and of == team and role not in roles:
                self._forget_assignment(key, role, of)
        for role in roles:
            end = self.facts.assignments.get((user.pk, role, team), self._now)
            if end is not None and end <= self._now:  # one that has ended is given anew
                self.facts.assignments[user.pk, role, team] = None
                if self._is_global(role) and not team:
                    self.facts.memberships.add((user.pk, role))
        return f"user {user} sync_roles({roles}, team={team!r})"

    def _give_permission(self) -> str:
        user, team, guard = self._user(), self._draw.one(self._teams), self._draw.one(self.rules.guards)
        permission = self._draw.one(self._permission_keys(guard))
        user.give_permission_to(Permission.objects.get(pk=permission), **self._in(team))
        self._note_given(user.pk, [permission], team)
        return f"user {user} give_permission_to({permission}, team={team!r})"

    def _note_given(self, user: UUID, permissions: Iterable[int], team: str) -> None:
        if team:
            self.facts.team_grants |= {(user, permission, team) for permission in permissions}
        else:
            self.facts.direct |= {(user, permission) for permission in permissions}

    def _revoke_permission(self) -> str:
        user = self._user()
        had = [(permission, "") for key, permission in self.facts.direct if key == user.pk]
        had += [(permission, team) for key, permission, team in self.facts.team_grants if key == user.pk]
        if not had:
            return ""
        permission, team = self._draw.one(sorted(had))
        user.revoke_permission_to(Permission.objects.get(pk=permission), **self._in(team))
        self.facts.team_grants.discard((user.pk, permission, team))
        if not team:
            self.facts.direct.discard((user.pk, permission))
        return f"user {user} revoke_permission_to({permission}, team={team!r})"

    def _sync_permissions(self) -> str:
        user, team = self._user(), self._draw.one(self._teams)
        permissions = self._draw.some(sorted(self.facts.permissions), 15)
        user.sync_permissions(list(Permission.objects.filter(pk__in=permissions)), **self._in(team))
        if team:
            self.facts.team_grants -= {grant for grant in self.facts.team_grants if grant[::2] == (user.pk, team)}
        else:
            self.facts.direct -= {grant for grant in self.facts.direct if grant[0] == user.pk}
        self._note_given(user.pk, permissions, team)
        return f"user {user} sync_permissions({permissions}, team={team!r})"

    def _forbid(self) -> str:
        user, team, guard = self._user(), self._draw.one(self._teams), self._draw.one(self.rules.guards)
        permission = self._draw.one(self._permission_keys(guard))
        user.forbid_permission_to(Permission.objects.get(pk=permission), **self._in(team))
        self.facts.denies.add((user.pk, permission, team))
        return f"user {user} forbid_permission_to({permission}, team={team!r})"

    def _unforbid(self) -> str:
        user = self._user()
        if not (had := sorted(deny[1:] for deny in self.facts.denies if deny[0] == user.pk)):
            return ""
        permission, team = self._draw.one(had)
        user.unforbid_permission_to(Permission.objects.get(pk=permission), **self._in(team))
        self.facts.denies.discard((user.pk, permission, team))
        return f"user {user} unforbid_permission_to({permission}, team={team!r})"

    # -- Rights of roles, by the verbs --

    def _change_role(self) -> str:
        if not (keys := self._role_keys()):
            return ""
        key = self._draw.one(keys)
        role = Role.objects.get(pk=key)
        own = {permission for of, permission in self.facts.role_permissions if of == key}
        asked = set(self._draw.some(self._permission_keys(role.guard), 30))
        choices: tuple[tuple[Callable[..., Role], set[int]], ...] = (
            (role.give_permission_to, own | asked),
            (role.revoke_permission_to, own - asked),
            (role.sync_permissions, asked),
        )
        verb, left = self._draw.one(choices)
        verb(list(Permission.objects.filter(pk__in=asked)))
        self._set_role_permissions(key, left)
        return f"role {key} {verb.__name__}({sorted(asked)})"

    def _set_role_permissions(self, role: int, permissions: Iterable[int]) -> None:
        self.facts.role_permissions = {pair for pair in self.facts.role_permissions if pair[0] != role}
        self.facts.role_permissions |= {(role, permission) for permission in permissions}

    def _inherit(self) -> str:
        pairs = [
            (heir, parent)
            for heir, fact in self.facts.roles.items()
            for parent in self._role_keys(guard=fact.guard, team=fact.team)
            if heir not in self._reached_from(parent) and self.facts.roles[parent].team in ("", fact.team)
        ]
        if not pairs:
            return ""
        heir, parent = self._draw.one(sorted(pairs))
        Role.objects.get(pk=heir).inherit_from(Role.objects.get(pk=parent))
        self.facts.parents.add((heir, parent))
        return f"role {heir} inherit_from({parent})"

    def _reached_from(self, role: int) -> set[int]:
        above = {role}
        while more := {parent for heir, parent in self.facts.parents if heir in above} - above:
            above |= more
        return above

    def _disinherit(self) -> str:
        if not self.facts.parents:
            return ""
        heir, parent = self._draw.one(sorted(self.facts.parents))
        Role.objects.get(pk=heir).disinherit(Role.objects.get(pk=parent))
        self.facts.parents.discard((heir, parent))
        return f"role {heir} disinherit({parent})"

    # -- The same behind the verbs --

    def _change_group(self) -> str:
        if not (keys := self._role_keys()):
            return ""
        key = self._draw.one(keys)
        own = {permission for of, permission in self.facts.role_permissions if of == key}
        asked = set(self._draw.some(self._permission_keys(self.facts.roles[key].guard), 30))
        group = Group.objects.get(pk=key)
        verb, left = self._draw.one(
            (
                (group.permissions.add, own | asked),
                (group.permissions.remove, own - asked),
                (lambda *new: group.permissions.set(new), asked),
                (lambda *_: group.permissions.clear(), set()),
            )
        )
        verb(*DjangoPermission.objects.filter(pk__in=asked))
        self._set_role_permissions(key, left)
        return f"group {key}: permissions {sorted(own)} become {sorted(left)}, asked {sorted(asked)}"

    def _change_groups_of_user(self) -> str:
        keys = [key for key in self._role_keys() if self._is_global(key)]
        user = self._user()
        had = {role for key, role in self.facts.memberships if key == user.pk}
        asked = set(self._draw.some(keys, 40))
        if any(self.facts.assignments.get((user.pk, role, ""), None) is not None for role in keys):
            return ""  # an assignment that ends is no membership; what becomes of it then is another test's matter
        verb, left = self._draw.one(
            (
                (user.groups.add, had | asked),
                (user.groups.remove, had - asked),
                (lambda *new: user.groups.set(new), asked),
                (lambda *_: user.groups.clear(), set()),
            )
        )
        verb(*Group.objects.filter(pk__in=asked))
        for role in had - left:
            self._forget_assignment(user.pk, role, "")
        for role in left - had:
            self.facts.memberships.add((user.pk, role))
            self.facts.assignments[user.pk, role, ""] = None
        return f"user {user}: groups {sorted(had)} become {sorted(left)}, asked {sorted(asked)}"

    def _change_permissions_of_user(self) -> str:
        user = self._user()
        had = {permission for key, permission in self.facts.direct if key == user.pk}
        asked = set(self._draw.some(sorted(self.facts.permissions), 15))
        verb, left = self._draw.one(
            (
                (user.user_permissions.add, had | asked),
                (user.user_permissions.remove, had - asked),
                (lambda *new: user.user_permissions.set(new), asked),
                (lambda *_: user.user_permissions.clear(), set()),
            )
        )
        verb(*DjangoPermission.objects.filter(pk__in=asked))
        self.facts.direct = {pair for pair in self.facts.direct if pair[0] != user.pk}
        self.facts.direct |= {(user.pk, permission) for permission in left}
        return f"user {user}: user_permissions {sorted(had)} become {sorted(left)}, asked {sorted(asked)}"

    def _change_objects(self) -> str:
        permissions = [key for key, fact in self.facts.permissions.items() if fact.name in ARTICLE_NAMES]
        if not self.facts.articles or not permissions:
            return ""
        article = Article.objects.get(pk=self._draw.one(sorted(self.facts.articles)))
        permission = self._draw.one(sorted(permissions))
        name = self.facts.permissions[permission].name
        user = self._user()
        roles = self._role_keys()
        if not roles or self._draw.chance(50):
            grant = (user.pk, permission, article.pk)
            if grant in self.facts.user_objects:
                remove_perm(name, user, article)
            else:
                assign_perm(name, user, article)
            self.facts.user_objects ^= {grant}
            return f"guardian: {name} of article {article.pk} for user {user} turned"
        role = self._draw.one(roles)
        of_role = (role, permission, article.pk)
        if of_role in self.facts.role_objects:
            remove_perm(name, Group.objects.get(pk=role), article)
        else:
            assign_perm(name, Group.objects.get(pk=role), article)
        self.facts.role_objects ^= {of_role}
        return f"guardian: {name} of article {article.pk} for role {role} turned"

    # -- Things that come and go --

    def _delete_role(self) -> str:
        if not (keys := self._role_keys()):
            return ""
        key = self._draw.one(keys)
        way = self._draw.count(0, 3)
        if way == 0:
            Role.objects.get(pk=key).delete()
        elif way == 1:
            Group.objects.get(pk=key).delete()
        elif way == 2:
            Role.objects.filter(pk=key).delete()
        else:
            Group.objects.filter(pk=key).delete()
        facts = self.facts
        del facts.roles[key]
        facts.role_permissions = {pair for pair in facts.role_permissions if pair[0] != key}
        facts.parents = {pair for pair in facts.parents if key not in pair}
        facts.memberships = {pair for pair in facts.memberships if pair[1] != key}
        facts.assignments = {row: end for row, end in facts.assignments.items() if row[1] != key}
        facts.role_objects = {grant for grant in facts.role_objects if grant[0] != key}
        return f"role {key} deleted, way {way}"

    def _delete_permission(self) -> str:
        key = self._draw.one(sorted(self.facts.permissions))
        if self.facts.permissions[key].name in ARTICLE_NAMES or self._draw.chance(50):
            return ""
        model: type[DjangoPermission] = DjangoPermission if self._draw.chance(50) else Permission
        model.objects.get(pk=key).delete()
        facts = self.facts
        del facts.permissions[key]
        facts.role_permissions = {pair for pair in facts.role_permissions if pair[1] != key}
        facts.direct = {pair for pair in facts.direct if pair[1] != key}
        facts.team_grants = {grant for grant in facts.team_grants if grant[1] != key}
        facts.denies = {deny for deny in facts.denies if deny[1] != key}
        facts.user_objects = {grant for grant in facts.user_objects if grant[1] != key}
        facts.role_objects = {grant for grant in facts.role_objects if grant[1] != key}
        return f"permission {key} deleted"

    def _create_role(self) -> str:
        guard, team = self._draw.one(self.rules.guards), self._draw.one(self._teams)
        self._born += 1
        role = Role.create(f"new {self._born}", guard=guard, **self._in(team))
        self.facts.roles[role.pk] = RoleFact(role.name, guard, team)
        return f"role {role.pk} created in guard {guard}, team {team!r}"

    def _create_permission(self) -> str:
        """Make what was asked for all the time, and wasn't there."""
        guard = self._draw.one(self.rules.guards)
        known = {fact.name for fact in self.facts.permissions.values() if fact.guard == guard}
        missing = [name for name in self._asked if name not in known and "_" not in name]
        if not missing:
            return ""
        name = self._draw.one(missing)
        permission = Permission.create(name, guard=guard)
        self.facts.permissions[permission.pk] = PermissionFact(
            guard, name, f"{guard}.{name}", permission.content_type_id
        )
        return f"permission {permission.pk} created: {name!r} in guard {guard}"

    def _delete_user(self) -> str:
        keys = sorted(self.facts.users.keys() - set(Article.objects.values_list("author_id", flat=True)))
        if len(keys) < 2 or self._draw.chance(70):
            return ""
        key = self._draw.one(keys)
        User.objects.get(pk=key).delete()
        facts = self.facts
        del facts.users[key], self.users[key]
        facts.memberships = {pair for pair in facts.memberships if pair[0] != key}
        facts.assignments = {row: end for row, end in facts.assignments.items() if row[0] != key}
        facts.direct = {pair for pair in facts.direct if pair[0] != key}
        facts.team_grants = {grant for grant in facts.team_grants if grant[0] != key}
        facts.denies = {deny for deny in facts.denies if deny[0] != key}
        facts.user_objects = {grant for grant in facts.user_objects if grant[0] != key}
        return f"user {key} deleted"

    def _turn_user(self) -> str:
        """Switch somebody on or off, or make them superuser or not, on the instance that is asked."""
        user = self.users[self._draw.one(sorted(self.facts.users))]
        if self._draw.chance(50):
            user.is_active = not user.is_active
        else:
            user.is_superuser = not user.is_superuser
        user.save()
        self.facts.users[user.pk] = replace(
            self.facts.users[user.pk], is_active=user.is_active, is_superuser=user.is_superuser
        )
        return f"user {user}: active {user.is_active}, superuser {user.is_superuser}"

    def _move_article(self) -> str:
        if not self.facts.articles:
            return ""
        article = Article.objects.get(pk=self._draw.one(sorted(self.facts.articles)))
        team = self._draw.one(self._teams)
        article.team_id = int(team) if team else None
        article.save()
        self.facts.articles[article.pk] = team
        return f"article {article.pk} moved to team {team!r}"

    #: Changes of rows that no instance in hand carries.
    _RIGHTS: ClassVar[tuple[Callable[["Changer"], str], ...]] = (
        _assign_role,
        _assign_role,
        _remove_role,
        _sync_roles,
        _give_permission,
        _revoke_permission,
        _sync_permissions,
        _forbid,
        _unforbid,
        _change_role,
        _inherit,
        _disinherit,
        _change_group,
        _change_groups_of_user,
        _change_permissions_of_user,
        _change_objects,
        _delete_role,
        _create_role,
        _create_permission,
        _delete_permission,
        _move_article,
    )
    #: Changes that the instances in hand carry.
    _LIVES: ClassVar[tuple[Callable[["Changer"], str], ...]] = (_turn_user, _delete_user)
