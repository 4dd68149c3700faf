"""What is asked about stored worlds, what the oracle says to it, and where the product's answer differs."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.contrib.auth.models import Permission as DjangoPermission

from accounts.models import User
from permissions.exceptions import PermissionDoesNotExist
from permissions.gate import Decision
from permissions.scope import use_guard, use_team
from tests.articles.models import Article
from tests.permissions.oracle.oracle import Oracle
from tests.permissions.oracle.worlds import ARTICLE_NAMES, Draw, StoredWorld

#: More differences than these are not worth reading.
MAX_DIFFERENCES = 8


class Question(NamedTuple):
    """One call of a verb on a user, and what is right."""

    verb: str
    arguments: tuple[object, ...]
    keywords: dict[str, object]
    expected: object


@dataclass(frozen=True)
class Round:
    """Questions about one user in one guard and team."""

    stored: StoredWorld
    user: UUID
    guard: str
    team: str
    #: Whether the guard is the current one, rather than an argument of each question.
    is_guard_current: bool
    questions: list[Question]

    def scope(self) -> AbstractContextManager[object]:
        stack = ExitStack()
        stack.enter_context(use_team(self.team or None))
        if self.is_guard_current:
            stack.enter_context(use_guard(self.guard))
        return stack

    def describe(self, question: Question, answer: object) -> str:
        """Say where the answer differs."""
        world = self.stored.world
        arguments = [repr(argument) for argument in question.arguments]
        arguments += [f"{name}={value!r}" for name, value in question.keywords.items()]
        return (
            f"world {world.tag!r}: user {self.stored.users.index(self.user)} in guard {self.guard!r}, "
            f"team {self.team!r}: {question.verb}({', '.join(arguments)}) is {answer!r}, "
            f"should be {question.expected!r}"
        )


def _plain(answer: object) -> object:
    """Return what can be compared: keys for rows, the verdict of a decision."""
    if isinstance(answer, Decision):
        return answer.is_allowed
    if isinstance(answer, list | tuple | set | frozenset):
        return sorted(str(item.pk) if isinstance(item, DjangoPermission) else str(item) for item in answer)
    return answer


def ask(user: User, question: Question) -> object:
    """Ask the user."""
    verb: Callable[..., object] = getattr(user, question.verb)
    try:
        return _plain(verb(*question.arguments, **question.keywords))
    except PermissionDoesNotExist as error:
        return type(error)


async def aask(user: User, question: Question) -> object:
    """Ask the user by the verb's async twin."""
    verb: Callable[..., Awaitable[object]] = getattr(user, f"a{question.verb}")
    try:
        return _plain(await verb(*question.arguments, **question.keywords))
    except PermissionDoesNotExist as error:
        return type(error)


def make_rounds(stored: StoredWorld, oracle: Oracle, articles: dict[int, Article]) -> Iterator[Round]:
    """Make the questions about every user of the world in every guard and team."""
    place = stored.place
    draw = Draw.by_seed(f"questions about {stored.world.tag}")
    teams = ["", *place.teams] if oracle.rules.has_teams else [""]
    own = [articles[key] for key in stored.articles]
    for user in stored.users:
        if user not in oracle.facts.users:
            continue
        for guard in oracle.rules.guards:
            is_guard_current = draw.chance(50)
            for team in teams:
                asker = _Asker(oracle, draw, (user, guard, team), is_guard_current=is_guard_current)
                questions = [*asker.about_permissions(place.climate.questions), *asker.about_roles(stored)]
                if own:
                    questions += asker.about_articles(own)
                yield Round(stored, user, guard, team, is_guard_current, questions)


class _Asker:
    """Makes the questions about one user in one scope."""

    def __init__(self, oracle: Oracle, draw: Draw, scope: tuple[UUID, str, str], *, is_guard_current: bool) -> None:
        """Take the user, the guard and the team as the scope."""
        self._oracle = oracle
        self._draw = draw
        self._scope = scope
        guard = scope[1]
        self._is_default = guard == oracle.rules.default_guard
        self._keywords: dict[str, object] = {} if is_guard_current else {"guard": guard}

    def _ask(self, verb: str, expected: object, *arguments: object) -> Question:
        return Question(verb, arguments, self._keywords, expected)

    def about_permissions(self, names: Sequence[str]) -> Iterator[Question]:
        oracle, (user, guard, team) = self._oracle, self._scope
        for asked in self._draw.some(names, 20):
            name = asked
            key = oracle.find(name, guard)
            if key is not None and self._draw.chance(20):
                name = oracle.facts.permissions[key].django_name
            can = oracle.can(user, name, guard, team)
            has = oracle.has_permission(user, name, guard, team)
            direct = oracle.has_direct_permission(user, name, guard, team)
            yield self._ask("can", can, name)
            yield self._ask("has_permission_to", PermissionDoesNotExist if has is None else has, name)
            yield self._ask("check_permission_to", bool(has), name)
            yield self._ask("has_direct_permission", PermissionDoesNotExist if direct is None else direct, name)
            if self._is_default and "." in name:
                yield Question("has_perm", (name,), {}, can)
            if self._draw.chance(5):
                yield self._ask("explain", can, name)
                yield self._ask("cannot", not can, name)
                if key is not None:
                    yield self._ask("check_permission_to", has, key)
        yield from self._about_several(names)
        yield from self._about_lists()

    def _about_several(self, names: Sequence[str]) -> Iterator[Question]:
        """Ask for any and all of two."""
        oracle, scope = self._oracle, self._scope
        two = [self._draw.one(names), self._draw.one(names)]
        has = [bool(oracle.has_permission(scope[0], name, *scope[1:])) for name in two]
        yield self._ask("has_any_permission", any(has), *two)
        yield self._ask("has_all_permissions", all(has), *two)
        yield self._ask("can_any", any(oracle.can(scope[0], name, *scope[1:]) for name in two), *two)

    def _about_lists(self) -> Iterator[Question]:
        """Ask for what is listed, which is of all guards."""
        oracle, (user, _, team) = self._oracle, self._scope
        direct: set[int] = set()
        of_roles: set[int] = set()
        held: set[int] = set()
        for guard in oracle.rules.guards:
            scope = user, guard, team
            direct |= oracle.direct_permissions(*scope)
            of_roles |= oracle.role_permissions(*scope)
            held |= oracle.permissions(*scope)
        names = {oracle.facts.permissions[key].name for key in direct}
        lists = [
            Question("get_direct_permissions", (), {}, _sorted(direct)),
            Question("get_permissions_via_roles", (), {}, _sorted(of_roles)),
            Question("get_all_permission_objects", (), {}, _sorted(held)),
            Question("get_permission_names", (), {}, _sorted(names)),
        ]
        yield from self._draw.some(lists, 25)

    def about_roles(self, stored: StoredWorld) -> Iterator[Question]:
        oracle, (user, guard, team) = self._oracle, self._scope
        had = oracle.role_names(user, guard, team)
        names = sorted({role.name for role in stored.world.roles}) or ["no such role"]
        for name in names:
            yield Question("has_role", (name,), {"guard": guard}, name in had)
        some = self._draw.some(names, 60) or names
        yield Question("has_any_role", tuple(some), {"guard": guard}, not had.isdisjoint(some))
        yield Question("has_all_roles", (some,), {"guard": guard}, had.issuperset(some))
        yield Question("has_exact_roles", (some,), {"guard": guard}, oracle.has_exact_roles(user, some, guard, team))
        yield Question("get_role_names", (), {}, _sorted(oracle.role_names(user, None, team)))

    def about_articles(self, articles: list[Article]) -> Iterator[Question]:
        oracle, (user, guard, team) = self._oracle, self._scope
        for article in articles:
            names = *ARTICLE_NAMES, self._draw.one(("edit articles", "accounts.view_user", "no such permission"))
            for name in self._draw.some(names, 40):
                can = oracle.can(user, name, guard, team, article.pk)
                yield self._ask("can", can, name, article)
                if self._is_default and "." in name:
                    yield Question("has_perm", (name, article), {}, can)
                if self._draw.chance(5):
                    yield self._ask("explain", can, name, article)


def _sorted(values: Iterable[object]) -> list[str]:
    return sorted(str(value) for value in values)
