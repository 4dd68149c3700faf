"""Random worlds, decided by the product and by a naive oracle that shares nothing with it: no answer may differ.

A failure names its world, such as ``17.203``: put that into ``_REMEMBERED`` to see it alone, and leave it there.
"""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice, product
from os import environ
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.test import override_settings
from django.utils import timezone

from accounts.models import User
from permissions import registrar
from permissions.scope import use_guard, use_team
from tests.articles.models import Article
from tests.permissions.oracle.changes import Changer
from tests.permissions.oracle.oracle import Oracle, read_facts
from tests.permissions.oracle.questions import MAX_DIFFERENCES, Round, aask, ask, make_rounds
from tests.permissions.oracle.worlds import ARTICLE_NAMES, ROLE_NAMES, Climate, Draw, StoredWorld, World, prepare, store

#: As many as a change needs in passing; `make worlds` takes a hundred.
_BATCHES = int(environ.get("WORLD_BATCHES", "3"))
_WORLDS_IN_BATCH = 100
_LIVES = max(2, _BATCHES // 4)
_CHANGES = 12
#: Of so many permissions in a hundred it is compared who has them: each comparison concerns all worlds of the batch.
_COMPARED = 10
#: Worlds that were once answered wrongly.
_REMEMBERED = ("0.0",)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


def _draw_climate(batch: int) -> Climate:
    return Climate.draw(Draw.by_seed(f"climate {batch}"))


def _draw_world(tag: str, climate: Climate) -> World:
    return World.draw(Draw.by_seed(f"world {tag}"), climate, tag)


@pytest.mark.exhaustive
@pytest.mark.parametrize("batch", range(_BATCHES))
def test_random_worlds_are_decided_as_the_oracle_does(batch: int) -> None:
    climate = _draw_climate(batch)
    worlds = [_draw_world(f"{batch}.{number}", climate) for number in range(_WORLDS_IN_BATCH)]
    _check(climate, worlds)


@pytest.mark.parametrize("tag", _REMEMBERED)
def test_a_world_that_was_decided_wrongly_is_decided_as_the_oracle_does(tag: str) -> None:
    climate = _draw_climate(int(tag.partition(".")[0]))
    _check(climate, [_draw_world(tag, climate)])


@pytest.mark.exhaustive
@pytest.mark.parametrize("life", range(_LIVES))
@pytest.mark.django_db(transaction=True)
def test_a_living_world_is_decided_as_the_oracle_does_after_each_change(life: int) -> None:
    """Every answer is right on instances that were asked before the change, and on fresh ones."""
    draw = Draw.by_seed(f"life {life}")
    climate = Climate.draw(draw)
    world = World.draw(draw, climate, f"life {life}")
    rules, now = climate.rules([world]), timezone.now()
    with override_settings(PERMISSIONS=climate.settings([world])):
        place = prepare(climate)
        (stored,) = store([world], place, now)
        registrar.clear()
        changer = Changer(draw, place, read_facts(guards=rules.guards), rules, now)
        history = [str(climate), str(world)]
        for _ in range(_CHANGES):
            if draw.chance(25):
                _change_and_roll_back(changer, stored, history)
            else:
                history.append(changer.change(is_lasting=True))
                _check_living(changer, stored, history)


def _change_and_roll_back(changer: Changer, stored: StoredWorld, history: list[str]) -> None:
    before = deepcopy(changer.facts)
    with transaction.atomic():
        history.append(f"rolled back: {changer.change(is_lasting=False)}")
        _check_living(changer, stored, history)
        transaction.set_rollback(True)
    changer.facts = before
    _check_living(changer, stored, history)


def _check_living(changer: Changer, stored: StoredWorld, history: list[str]) -> None:
    rules = changer.rules
    assert read_facts(guards=rules.guards) == changer.facts, "\n".join(["The rows are wrong after", *history])
    oracle = Oracle(changer.facts, rules, timezone.now())
    rounds = list(make_rounds(stored, oracle, Article.objects.in_bulk()))
    differences = [f"warm, {line}" for line in _ask_all(rounds, changer.users)]
    differences += _ask_all(rounds, User.objects.in_bulk())
    differences += [f"warm, {line}" for line in async_to_sync(_aask_all)(rounds, changer.users)]
    differences += _find_rows([stored], oracle, Draw.by_seed(f"lists after {history}"))
    if differences:
        pytest.fail("\n".join([*differences[:MAX_DIFFERENCES], "after", *history]))


def _check(climate: Climate, worlds: Sequence[World]) -> None:
    with _standing(climate, worlds) as (stored, oracle):
        differences = list(islice(_find_differences(stored, oracle), MAX_DIFFERENCES))
    if differences:
        pytest.fail("\n".join([f"Under {climate}:", *differences, *map(str, worlds[:1] if len(worlds) == 1 else ())]))


@contextmanager
def _standing(climate: Climate, worlds: Sequence[World]) -> Iterator[tuple[list[StoredWorld], Oracle]]:
    """Let the worlds stand in the database inside the block."""
    now = timezone.now()
    rules = climate.rules(worlds)
    with override_settings(PERMISSIONS=climate.settings(worlds)), transaction.atomic():
        stored = store(worlds, prepare(climate), now)
        _tell_planner()
        registrar.clear()
        yield stored, Oracle(read_facts(guards=rules.guards), rules, now)
        transaction.set_rollback(True)


def _tell_planner() -> None:
    """Let PostgreSQL know how much there is: it believes what other tests left, which may be next to nothing."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _find_differences(stored: list[StoredWorld], oracle: Oracle) -> Iterator[str]:
    articles = Article.objects.in_bulk()
    rounds = [round_ for one in stored for round_ in make_rounds(one, oracle, articles)]
    yield from _ask_all(rounds, User.objects.in_bulk())
    yield from async_to_sync(_aask_all)(rounds, User.objects.in_bulk())
    yield from _find_rows(stored, oracle, Draw.by_seed(f"lists of {stored[0].world.tag}"))


def _ask_all(rounds: list[Round], users: dict[UUID, User]) -> Iterator[str]:
    for round_ in rounds:
        user = users[round_.user]
        with round_.scope():
            for question in round_.questions:
                if (answer := ask(user, question)) != question.expected:
                    yield round_.describe(question, answer)


async def _aask_all(rounds: list[Round], users: dict[UUID, User]) -> list[str]:
    """Return the differences of a part of the questions, each of which takes a thread to answer."""
    differences: list[str] = []
    draw = Draw.by_seed(f"async of {rounds[0].stored.world.tag}") if rounds else None
    for round_ in rounds:
        user = users[round_.user]
        questions = draw.some(round_.questions, 30) if draw else []
        with round_.scope():
            answers = [await aask(user, question) for question in questions]
        differences += (
            f"async, {round_.describe(question, answer)}"
            for question, answer in zip(questions, answers, strict=True)
            if answer != question.expected
        )
    return differences


def _find_rows(stored: list[StoredWorld], oracle: Oracle, draw: Draw) -> Iterator[str]:
    """Compare what the querysets find, in all worlds at once."""
    place = stored[0].place
    for guard, team in product(oracle.rules.guards, ["", *place.teams] if oracle.rules.has_teams else [""]):
        with use_guard(guard), use_team(team or None):
            yield from (f"in guard {guard!r}, team {team!r}: {line}" for line in _find_users(oracle, draw, guard, team))
    if oracle.rules.has_teams:
        for team in place.teams:
            right = {user for user in oracle.facts.users if oracle.has_role_in(user, team)}
            yield from _compare(f"team({team})", User.objects.team(team), right)
            yield from _compare(
                f"without_team({team})", User.objects.without_team(team), oracle.facts.users.keys() - right
            )
    for one in stored:
        yield from _find_articles(one, oracle)


def _find_users(oracle: Oracle, draw: Draw, guard: str, team: str) -> Iterator[str]:
    everybody = oracle.facts.users.keys()
    keys = [key for key, permission in oracle.facts.permissions.items() if permission.guard == guard]
    for key in draw.some(sorted(keys), _COMPARED):
        permission = oracle.facts.permissions[key]
        name = permission.name
        right = {user for user in everybody if oracle.holds(user, name, guard, team)}
        yield from _compare(f"permission({name!r})", User.objects.permission(name), right)
        yield from _compare(f"without_permission({key})", User.objects.without_permission(key), everybody - right)
    usable = [role.name for role in oracle.facts.roles.values() if role.guard == guard and role.team in ("", team)]
    for word in ROLE_NAMES:
        if names := {name for name in usable if name.startswith(word)}:
            right = {user for user in everybody if oracle.has_role(user, names, guard, team)}
            yield from _compare(f"role({sorted(names)})", User.objects.role(*names), right)
            yield from _compare(f"without_role({sorted(names)})", User.objects.without_role(*names), everybody - right)


def _find_articles(one: StoredWorld, oracle: Oracle) -> Iterator[str]:
    draw = Draw.by_seed(f"articles of {one.world.tag}")
    user, name = draw.one(one.users), draw.one(ARTICLE_NAMES)
    team = draw.one(["", *one.place.teams]) if oracle.rules.has_teams else ""
    if user not in oracle.facts.users:
        return
    with use_team(team or None):
        found = Article.objects.filter(pk__in=one.articles).permitted(User.objects.get(pk=user), name)
        right = {
            article
            for article in one.articles
            if article in oracle.facts.articles and oracle.can(user, name, oracle.rules.default_guard, team, article)
        }
        yield from _compare(f"world {one.world.tag!r}: permitted({one.users.index(user)}, {name!r})", found, right)


def _compare[M: Model](said: str, found: QuerySet[M], right: Set[object]) -> Iterator[str]:
    keys = list(found.values_list("pk", flat=True))
    if len(keys) != len(set(keys)):
        yield f"{said} finds rows twice"
    if found.model is User and set(found.values_list("pk", flat=True)[: len(keys) + 1]) != set(keys):
        yield f"{said} finds others where a page is read"
    if missing := right - set(keys):
        yield f"{said} misses {_name(found.model, missing)}"
    if superfluous := set(keys) - right:
        yield f"{said} wrongly finds {_name(found.model, superfluous)}"


def _name(model: type[Model], keys: Set[object]) -> list[str]:
    """Return what a reader can find in a world: the mails of users, the keys of others."""
    some = sorted(keys, key=str)[:3]
    return [str(row) for row in model._default_manager.filter(pk__in=some)]
