"""Random small worlds of people, roles and rights: drawn from a source of chance, stored many at a time.

A world is numbers and names, no rows, so that it can be drawn again from its seed. Worlds that are stored together
share teams and the catalogue of permissions, and nothing else; each name of a role carries the world's own tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import NAMESPACE_DNS, UUID, uuid5

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from guardian.models import GroupObjectPermission, UserObjectPermission

from accounts.models import User
from permissions.models import Role, RoleAssignment, RoleLink, UserGrant
from tests.articles.models import Article, Team
from tests.permissions.oracle.oracle import Rules

#: Permissions of models, by Django's names; they belong to the default guard.
MODEL_NAMES = ("articles.view_article", "articles.change_article", "accounts.view_user")
#: Those of them that can be given for one article.
ARTICLE_NAMES = MODEL_NAMES[:2]
_FREE_NAMES = ("edit articles", "publish", "posts.create", "0")
_PATTERNS = (
    "posts",
    "posts.*",
    "posts.create,update",
    "posts.create.own",
    "news.*.456",
    "papers,posts.edit,create",
    "articles.*",
    "*.view_article,view_user",
    "*",
)
#: What is asked where wildcards are on, beside every name that exists.
_PATTERN_QUESTIONS = (
    "posts.create",
    "posts.create.own.now",
    "posts.update",
    "posts.edit",
    "papers.create",
    "news.1.456",
    "news.1",
    "news.1.456.more",
    "articles.delete_article",
)
UNKNOWN = "no such permission"
_TEAM_NAMES = ("north", "south")
ROLE_NAMES = ("author", "editor", "chief")


class Draw:
    """Choices from a source of chance; small draws make plain worlds, which is what shrinking looks for."""

    def __init__(self, random: Random) -> None:
        self._random = random

    @classmethod
    def by_seed(cls, seed: str) -> "Draw":
        """Return choices that are the same for the same seed."""
        return cls(Random(seed))  # noqa: S311 - worlds, no secrets

    def chance(self, percent: int) -> bool:
        """Return True in so many of a hundred cases."""
        return self._random.randrange(100) >= 100 - percent

    def count(self, least: int, most: int) -> int:
        """Return a number between the two, both included."""
        return self._random.randint(least, most)

    def one[T](self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self._random.randrange(len(choices))]

    def some[T](self, choices: Sequence[T], percent: int) -> list[T]:
        """Return each of the choices in so many of a hundred cases."""
        return [choice for choice in choices if self.chance(percent)]


@dataclass(frozen=True)
class Climate:
    """The settings under which worlds stand."""

    guards: tuple[str, ...]
    has_teams: bool
    has_wildcards: bool
    superuser_bypass: bool
    has_super_admins: bool

    @classmethod
    def draw(cls, draw: Draw) -> "Climate":
        return cls(
            guards=draw.one((("web",), ("web", "api"))),
            has_teams=draw.chance(65),
            has_wildcards=draw.chance(40),
            superuser_bypass=not draw.chance(30),
            has_super_admins=draw.chance(50),
        )

    def settings(self, worlds: Sequence["World"]) -> dict[str, object]:
        """Return ``settings.PERMISSIONS``."""
        return {
            "GUARDS": self.guards,
            "TEAM_MODEL": "articles.Team" if self.has_teams else None,
            "WILDCARDS": self.has_wildcards,
            "SUPERUSER_BYPASS": self.superuser_bypass,
            "SUPER_ADMIN_ROLES": tuple(sorted(self._super_admin_roles(worlds))),
        }

    def rules(self, worlds: Sequence["World"]) -> Rules:
        """Return the same for the oracle."""
        return Rules(
            guards=self.guards,
            has_teams=self.has_teams,
            has_wildcards=self.has_wildcards,
            superuser_bypass=self.superuser_bypass,
            super_admin_roles=self._super_admin_roles(worlds),
        )

    def _super_admin_roles(self, worlds: Sequence["World"]) -> frozenset[str]:
        return frozenset(f"chief {world.tag}" for world in worlds) if self.has_super_admins else frozenset()

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The catalogue: (guard, name) of every permission that exists."""
        free = _FREE_NAMES + (_PATTERNS if self.has_wildcards else ())
        default, *others = self.guards
        return (
            *((default, name) for name in MODEL_NAMES + free),
            *((guard, name) for guard in others for name in free),
        )

    @property
    def questions(self) -> tuple[str, ...]:
        """The names that are asked for, in every guard."""
        more = _PATTERN_QUESTIONS if self.has_wildcards else ()
        return (*dict.fromkeys([name for _, name in self.names] + list(more)), UNKNOWN)


@dataclass(frozen=True)
class RolePlan:
    name: str
    guard: str
    #: Number of the team; None is every team. So in all plans.
    team: int | None
    #: Numbers in the climate's catalogue.
    permissions: tuple[int, ...]
    #: Numbers of earlier roles of the world.
    parents: tuple[int, ...]


@dataclass(frozen=True)
class AssignmentPlan:
    user: int
    role: int
    team: int | None
    #: Time from now to the end; None is no end.
    ends_in: timedelta | None


@dataclass(frozen=True)
class GrantPlan:
    user: int
    permission: int
    team: int | None
    is_denied: bool


@dataclass
class World:
    """A few people, what roles there are, and who has what."""

    tag: str
    #: (active, superuser)
    users: list[tuple[bool, bool]] = field(default_factory=list)
    roles: list[RolePlan] = field(default_factory=list)
    assignments: list[AssignmentPlan] = field(default_factory=list)
    #: (user, role) in ``user.groups``, beside those that the assignments imply.
    memberships: list[tuple[int, int]] = field(default_factory=list)
    direct: list[tuple[int, int]] = field(default_factory=list)
    grants: list[GrantPlan] = field(default_factory=list)
    #: Team of each article.
    articles: list[int | None] = field(default_factory=list)
    #: (user, permission, article)
    user_objects: list[tuple[int, int, int]] = field(default_factory=list)
    #: (role, permission, article)
    role_objects: list[tuple[int, int, int]] = field(default_factory=list)

    @classmethod
    def draw(cls, draw: Draw, climate: Climate, tag: str) -> "World":
        world = cls(tag)
        teams: tuple[int | None, ...] = (None, 0, 1) if climate.has_teams else (None,)
        for _ in range(draw.count(1, 3)):
            world.users.append((not draw.chance(10), draw.chance(10)))
        world._draw_roles(draw, climate, teams)
        world._draw_assignments(draw, climate, teams)
        world._draw_grants(draw, climate, teams)
        world.articles = [draw.one(teams) for _ in range(draw.count(0, 3))]
        world._draw_object_grants(draw, climate)
        return world

    def _draw_roles(self, draw: Draw, climate: Climate, teams: Sequence[int | None]) -> None:
        taken = set()
        for _ in range(draw.count(0, 5)):
            name, guard, team = draw.one(ROLE_NAMES), draw.one(climate.guards), draw.one(teams)
            if (name, guard, team) in taken:
                continue
            taken.add((name, guard, team))
            own = [number for number, (of, _) in enumerate(climate.names) if of == guard]
            parents = [
                number
                for number, role in enumerate(self.roles)
                if role.guard == guard and role.team in (None, team) and draw.chance(35)
            ]
            permissions = draw.some(own, 25)
            self.roles.append(RolePlan(f"{name} {self.tag}", guard, team, tuple(permissions), tuple(parents)))

    def _draw_assignments(self, draw: Draw, climate: Climate, teams: Sequence[int | None]) -> None:
        taken = set()
        for user in range(len(self.users)):
            for role in range(len(self.roles)):
                for _ in range(draw.count(0, 2)):
                    team = draw.one((self.roles[role].team, *teams))
                    if (user, role, team) in taken or self.roles[role].team not in (None, team):
                        continue
                    taken.add((user, role, team))
                    ends_in = draw.one((None, None, timedelta(hours=1), timedelta(hours=-1), timedelta(hours=2)))
                    plan = AssignmentPlan(user, role, team, ends_in)
                    self.assignments.append(plan)
                    if self._is_mirrored(plan, climate):
                        self.memberships.append((user, role))

    def _is_mirrored(self, plan: AssignmentPlan, climate: Climate) -> bool:
        role = self.roles[plan.role]
        return role.team is None and role.guard == climate.guards[0] and plan.team is None and plan.ends_in is None

    def _draw_grants(self, draw: Draw, climate: Climate, teams: Sequence[int | None]) -> None:
        for user in range(len(self.users)):
            numbers = range(len(climate.names))
            self.direct += [(user, number) for number in draw.some(numbers, 12)]
            for number in draw.some(numbers, 20):
                team, is_denied = draw.one(teams), draw.chance(60)
                if team is not None or is_denied:
                    self.grants.append(GrantPlan(user, number, team, is_denied))

    def _draw_object_grants(self, draw: Draw, climate: Climate) -> None:
        numbers = [number for number, (_, name) in enumerate(climate.names) if name in ARTICLE_NAMES]
        for article in range(len(self.articles)):
            for number in numbers:
                self.user_objects += [(user, number, article) for user in draw.some(range(len(self.users)), 25)]
                self.role_objects += [(role, number, article) for role in draw.some(range(len(self.roles)), 25)]


@dataclass
class Place:
    """What worlds stand on together: the teams, and the catalogue of permissions."""

    climate: Climate
    #: Keys of the teams, as text.
    teams: list[str]
    #: Keys of the permissions, in the order of the climate's catalogue.
    permissions: list[int]

    def key_of(self, team: int | None) -> str:
        """Return the team's key; "" is no team."""
        return "" if team is None else self.teams[team]


@dataclass
class StoredWorld:
    """A world with the keys of its rows."""

    world: World
    place: Place
    users: list[UUID] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    articles: list[int] = field(default_factory=list)


def prepare(climate: Climate) -> Place:
    """Store the teams and the permissions that worlds of the climate share."""
    teams = [str(Team.objects.get_or_create(name=name)[0].pk) for name in _TEAM_NAMES]
    types = {
        guard: ContentType.objects.get_or_create(app_label=guard, model="permission")[0] for guard in climate.guards
    }
    permissions = []
    for guard, name in climate.names:
        if name in MODEL_NAMES:
            label, codename = name.split(".")
            permission = Permission.objects.get(content_type__app_label=label, codename=codename)
        else:
            permission, _ = Permission.objects.get_or_create(
                content_type=types[guard], codename=name, defaults={"name": name}
            )
        permissions.append(permission.pk)
    return Place(climate, teams, permissions)


def store(worlds: Sequence[World], place: Place, now: datetime) -> list[StoredWorld]:
    """Write the worlds with bulk inserts, behind the product's back; its caches must be reset afterwards."""
    stored = [StoredWorld(world, place) for world in worlds]
    _store_things(stored)
    _store_rights(stored, now)
    _store_object_grants(stored)
    return stored


def _store_things(stored: list[StoredWorld]) -> None:
    users, groups, articles = [], [], []
    for some in stored:
        world = some.world
        people = [
            User(
                pk=uuid5(NAMESPACE_DNS, f"{world.tag}.{number}"),  # the same in each run, and so is their order
                email=f"{world.tag}.{number}@example.com",
                is_active=is_active,
                is_superuser=is_superuser,
            )
            for number, (is_active, is_superuser) in enumerate(world.users)
        ]
        some.users = [user.pk for user in people]
        users += people
        groups += [(some, number, Group(name=f"{world.tag} {number}")) for number in range(len(world.roles))]
        articles += [
            (some, Article(title=world.tag, author=people[0], team_id=some.place.key_of(team) or None))
            for team in world.articles
        ]
    User.objects.bulk_create(users)
    Group.objects.bulk_create([group for _, _, group in groups])
    roles = []
    for some, number, group in groups:
        some.roles.append(group.pk)
        plan = some.world.roles[number]
        roles.append(Role(pk=group.pk, name=plan.name, guard=plan.guard, team_id=some.place.key_of(plan.team)))
    Role.objects.bulk_create(roles)
    Article.objects.bulk_create([article for _, article in articles])
    for some, article in articles:
        some.articles.append(article.pk)


def _store_rights(stored: list[StoredWorld], now: datetime) -> None:
    links, held, members, direct, assignments, grants = [], [], [], [], [], []
    for some in stored:
        world, place, users, roles = some.world, some.place, some.users, some.roles
        links += _links_of(some)
        for role, plan in zip(roles, world.roles, strict=True):
            held += [
                Group.permissions.through(group_id=role, permission_id=place.permissions[number])
                for number in plan.permissions
            ]
        members += [User.groups.through(user_id=users[user], group_id=roles[role]) for user, role in world.memberships]
        direct += [
            User.user_permissions.through(user_id=users[user], permission_id=place.permissions[number])
            for user, number in world.direct
        ]
        assignments += [
            RoleAssignment(
                user_id=users[plan.user],
                role_id=roles[plan.role],
                team_id=place.key_of(plan.team),
                expires_at=None if plan.ends_in is None else now + plan.ends_in,
            )
            for plan in world.assignments
        ]
        grants += [
            UserGrant(
                user_id=users[plan.user],
                permission_id=place.permissions[plan.permission],
                team_id=place.key_of(plan.team),
                is_denied=plan.is_denied,
            )
            for plan in world.grants
        ]
    RoleLink.objects.bulk_create(links)
    Group.permissions.through.objects.bulk_create(held)
    User.groups.through.objects.bulk_create(members)
    User.user_permissions.through.objects.bulk_create(direct)
    RoleAssignment.objects.bulk_create(assignments)
    UserGrant.objects.bulk_create(grants)


def _links_of(some: StoredWorld) -> list[RoleLink]:
    """Return a row for each ancestor, as the table wants it; parents come before their children in a world."""
    ancestors: list[set[int]] = []
    links = []
    for number, plan in enumerate(some.world.roles):
        ancestors.append(set(plan.parents).union(*(ancestors[parent] for parent in plan.parents)))
        links += [
            RoleLink(role_id=some.roles[number], ancestor_id=some.roles[ancestor], is_parent=ancestor in plan.parents)
            for ancestor in ancestors[number]
        ]
    return links


def _store_object_grants(stored: list[StoredWorld]) -> None:
    content_type = ContentType.objects.get_for_model(Article)
    of_users, of_roles = [], []
    for some in stored:
        place = some.place
        of_users += [
            UserObjectPermission(
                user_id=some.users[user],
                permission_id=place.permissions[number],
                content_type=content_type,
                object_pk=str(some.articles[article]),
            )
            for user, number, article in some.world.user_objects
        ]
        of_roles += [
            GroupObjectPermission(
                group_id=some.roles[role],
                permission_id=place.permissions[number],
                content_type=content_type,
                object_pk=str(some.articles[article]),
            )
            for role, number, article in some.world.role_objects
        ]
    UserObjectPermission.objects.bulk_create(of_users)
    GroupObjectPermission.objects.bulk_create(of_roles)
