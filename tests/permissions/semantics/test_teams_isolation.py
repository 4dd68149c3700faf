"""What is given in one team stays in it, whoever asks and however it was given."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Thread

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from guardian.shortcuts import (
    assign_perm,
    get_group_perms,
    get_objects_for_user,
    get_perms,
    get_user_perms,
    get_users_with_perms,
)

from accounts.models import User
from permissions import gate
from permissions.exceptions import Escalation, GroupIsLimited, InvalidRoleName, TeamDoesNotExist, TeamsNotEnabled
from permissions.models import Role, RoleAssignment, UserGrant
from permissions.scope import get_team, use_team
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import Configure, World, fresh

CHANGE = "articles.change_article"
BARE = "change_article"

type Teams = tuple[Team, Team]
type Give = Callable[[User, Team], object]
type Place = Callable[[Teams], AbstractContextManager[None]]
type Question = Callable[[User], bool]


@pytest.fixture(autouse=True)
def articles(user: User, teams: Teams) -> tuple[Article, Article, Article]:
    """One article of each team, and one of none."""
    first, second = (Article.objects.create(title=team.name, author=user, team=team) for team in teams)
    return first, second, Article.objects.create(title="no team's", author=user)


def _inherit(user: User, team: Team) -> None:
    above = Role.find_by_name("testRole").give_permission_to(CHANGE)
    user.assign_role(Role.create("own", team=team).inherit_from(above), team=team)


def _take_and_give(user: User, team: Team) -> None:
    user.assign_role(Role.find_by_name("testRole").give_permission_to(CHANGE), team=None)
    user.sync_roles([], team=None).sync_roles("testRole", team=team)


def _act(user: User, team: Team) -> None:
    with use_team(team):
        user.assign_role(Role.find_by_name("testRole").give_permission_to(CHANGE))


def _assign_from_role(user: User, team: Team) -> None:
    with use_team(team):
        Role.find_by_name("testRole").give_permission_to(CHANGE).assign_to_models([user])


#: Every way to be given the permission to change articles in one team.
WAYS: dict[str, Give] = {
    "a role for all teams": lambda user, team: user.assign_role(
        Role.find_by_name("testRole").give_permission_to(CHANGE), team=team
    ),
    "a role of the team": lambda user, team: user.assign_role(
        Role.create("own", team=team).give_permission_to(CHANGE), team=team
    ),
    "a role above one of the team": _inherit,
    "a role, inside of the team": _act,
    "a role that was had everywhere before": _take_and_give,
    "directly": lambda user, team: user.give_permission_to(CHANGE, team=team),
    "from the side of the role": _assign_from_role,
}


GIVEN = pytest.mark.parametrize("give", WAYS.values(), ids=WAYS.keys())

#: Places outside of the team.
PLACES: dict[str, Place] = {
    "outside of teams": lambda _: nullcontext(),
    "in the other team": lambda teams: use_team(teams[1]),
}
ELSEWHERE = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())


# What Django itself stores shows nothing, wherever one looks from


def _of_team(title: str) -> Article:
    return Article.objects.get(title=title)


#: What Django and guardian can see in the tables they know; none of it depends on the current team.
TRACES: dict[str, Question] = {
    "groups": lambda user: user.groups.exists(),
    "user_permissions": lambda user: user.user_permissions.exists(),
    "permissions of groups": lambda user: DjangoPermission.objects.filter(group__user=user).exists(),
    "users of groups with the permission": lambda user: User.objects.filter(
        groups__permissions__codename=BARE
    ).exists(),
    "users with the permission": lambda user: User.objects.filter(user_permissions__codename=BARE).exists(),
    "members of any group": lambda user: any(group.user_set.exists() for group in Group.objects.all()),
    "Django's own backend: has_perm": lambda user: ModelBackend().has_perm(user, CHANGE),
    "Django's own backend: all": lambda user: bool(ModelBackend().get_all_permissions(user)),
    "Django's own backend: with_perm": lambda user: ModelBackend().with_perm(CHANGE).exists(),
    "guardian: get_perms": lambda user: any(get_perms(user, one) for one in Article.objects.all()),
    "guardian: get_user_perms": lambda user: any(get_user_perms(user, one) for one in Article.objects.all()),
    "guardian: get_group_perms": lambda user: any(get_group_perms(user, one) for one in Article.objects.all()),
    "guardian: get_users_with_perms": lambda user: any(len(get_users_with_perms(one)) for one in Article.objects.all()),
    "guardian: get_objects_for_user": lambda user: get_objects_for_user(
        user, CHANGE, accept_global_perms=False
    ).exists(),
}


@GIVEN
@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES.keys())
def test_what_is_given_in_a_team_leaves_no_trace_in_the_tables_of_others(
    user: User, teams: Teams, give: Give, trace: Question
) -> None:
    give(user, teams[0])
    assert not trace(fresh(user))


@pytest.mark.parametrize("name", [name for name in TRACES if name.startswith("guardian")])
def test_what_the_group_of_a_role_may_with_one_object_does_not_reach_who_has_the_role_in_a_team(
    user: User, teams: Teams, articles: tuple[Article, Article, Article], role: Role, name: str
) -> None:
    user.assign_role(role, team=teams[0])
    if name == "guardian: get_users_with_perms":
        assign_perm(CHANGE, role.group, articles[1])
        assert not len(get_users_with_perms(articles[1], with_group_users=True))
        return
    assign_perm(CHANGE, role.group, articles[1])
    assert not TRACES[name](fresh(user))


# Every question of ours


QUESTIONS: dict[str, Question] = {
    "can": lambda user: user.can(CHANGE),
    "acan": lambda user: async_to_sync(user.acan)(CHANGE),
    "can_any": lambda user: user.can_any(CHANGE),
    "explain": lambda user: user.explain(CHANGE).is_allowed,
    "has_permission_to": lambda user: user.has_permission_to(CHANGE),
    "check_permission_to": lambda user: user.check_permission_to(CHANGE),
    "has_any_permission": lambda user: user.has_any_permission(CHANGE),
    "has_all_permissions": lambda user: user.has_all_permissions(CHANGE),
    "get_all_permission_objects": lambda user: bool(user.get_all_permission_objects()),
    "has_perm": lambda user: user.has_perm(CHANGE),
    "ahas_perm": lambda user: async_to_sync(user.ahas_perm)(CHANGE),
    "has_module_perms": lambda user: user.has_module_perms("articles"),
    "get_all_permissions": lambda user: CHANGE in user.get_all_permissions(),
    "users of a permission": lambda user: user in User.objects.permission(CHANGE),
    "with_perm": lambda user: user in User.objects.with_perm(CHANGE),
}
ASKED = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


@GIVEN
@ASKED
def test_what_is_given_in_a_team_counts_in_it(user: User, teams: Teams, give: Give, question: Question) -> None:
    give(user, teams[0])
    with use_team(teams[0]):
        assert question(user)


@GIVEN
@ASKED
@ELSEWHERE
def test_what_is_given_in_a_team_counts_nowhere_else(
    user: User, teams: Teams, give: Give, question: Question, place: Place
) -> None:
    give(user, teams[0])
    with place(teams):
        assert not question(user)


@ASKED
@ELSEWHERE
def test_an_instance_that_was_asked_in_the_team_forgets_it_outside(
    user: User, teams: Teams, question: Question, place: Place
) -> None:
    WAYS["a role for all teams"](user, teams[0])
    with use_team(teams[0]):
        assert question(user)
    with place(teams):
        assert not question(user)


# Objects belong to their teams, wherever one stands


@GIVEN
@pytest.mark.parametrize("standing", [0, 1, None], ids=["in the team", "in the other team", "outside of teams"])
@pytest.mark.parametrize(("which", "expected"), [(0, True), (1, False), (2, False)], ids=["own", "other", "none"])
def test_an_object_is_decided_in_its_own_team(  # noqa: PLR0917 - four things to cross
    user: User,
    teams: Teams,
    articles: tuple[Article, Article, Article],
    give: Give,
    standing: int | None,
    which: int,
    expected: bool,
) -> None:
    give(user, teams[0])
    with use_team(None if standing is None else teams[standing]):
        assert user.can(CHANGE, articles[which]) is expected
        assert user.has_perm(CHANGE, articles[which]) is expected


@GIVEN
@pytest.mark.parametrize("standing", [0, 1, None], ids=["in the team", "in the other team", "outside of teams"])
def test_a_list_holds_the_objects_of_the_team_alone(
    user: User, teams: Teams, articles: tuple[Article, Article, Article], give: Give, standing: int | None
) -> None:
    give(user, teams[0])
    with use_team(None if standing is None else teams[standing]):
        assert list(Article.objects.permitted(user, CHANGE)) == [articles[0]]


def test_a_list_in_async_code_holds_the_objects_of_the_team_alone(
    user: User, teams: Teams, articles: tuple[Article, Article, Article]
) -> None:
    async def read() -> list[Article]:
        return [one async for one in await Article.objects.apermitted(user, CHANGE)]

    WAYS["directly"](user, teams[0])
    assert async_to_sync(read)() == [articles[0]]


def test_the_team_itself_is_decided_in_itself(user: User, teams: Teams) -> None:
    user.give_permission_to("articles.change_team", team=teams[0])
    with use_team(teams[1]):
        assert user.can("articles.change_team", teams[0])
        assert not user.can("articles.change_team", teams[1])


def test_a_role_of_a_team_reaches_its_single_objects_in_that_team_alone(
    user: User, teams: Teams, articles: tuple[Article, Article, Article]
) -> None:
    own = Role.create("own", team=teams[0])
    user.assign_role(own, team=teams[0])
    for article in articles:
        assign_perm(CHANGE, own.group, article)
    assert [user.can(CHANGE, article) for article in articles] == [True, False, False]


def test_objects_read_ahead_in_one_team_are_not_believed_in_another(
    user: User, teams: Teams, articles: tuple[Article, Article, Article], role: Role
) -> None:
    user.assign_role(role, team=teams[0])
    for article in articles:
        assign_perm(CHANGE, role.group, article)
    gate.prefetch(user, articles)
    assert [user.can(CHANGE, article) for article in articles] == [True, False, False]


def test_an_object_that_moves_to_another_team_is_decided_there(
    user: User, teams: Teams, articles: tuple[Article, Article, Article]
) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    assert user.can(CHANGE, articles[0])
    articles[0].team = teams[1]
    assert not user.can(CHANGE, articles[0])


# The groups of Django stay closed to what it can't express


JOINS: dict[str, Callable[[User, Group], object]] = {
    "user.groups.add": lambda user, group: user.groups.add(group),
    "user.groups.add, by id": lambda user, group: user.groups.add(group.pk),
    "user.groups.set": lambda user, group: user.groups.set([group]),
    "group.user_set.add": lambda user, group: group.user_set.add(user),
    "group.user_set.set": lambda user, group: group.user_set.set([user]),
}
JOINED = pytest.mark.parametrize("join", JOINS.values(), ids=JOINS.keys())


@JOINED
def test_nobody_joins_the_group_of_a_role_of_a_team(
    user: User, teams: Teams, join: Callable[[User, Group], object]
) -> None:
    own = Role.create("own", team=teams[0])
    with pytest.raises(GroupIsLimited), transaction.atomic():
        join(user, own.group)
    assert not own.group.user_set.exists()


@JOINED
def test_nobody_joins_the_group_of_a_role_of_another_guard(
    user: User, world: World, join: Callable[[User, Group], object]
) -> None:
    with pytest.raises(GroupIsLimited), transaction.atomic():
        join(user, world.admin_role.group)
    assert not world.admin_role.group.user_set.exists()


def test_one_such_group_among_others_lets_nobody_join_any(user: User, teams: Teams, role: Role) -> None:
    own = Role.create("own", team=teams[0])
    with pytest.raises(GroupIsLimited), transaction.atomic():
        user.groups.add(role.group, own.group)
    assert not user.groups.exists()


@pytest.mark.parametrize("asked", ["can", "has_perm", "has_permission_to"])
def test_a_membership_written_behind_django_gives_nothing_of_a_team(user: User, teams: Teams, asked: str) -> None:
    own = Role.create("own", team=teams[0]).give_permission_to(CHANGE)
    User.groups.through.objects.create(user_id=user.pk, group_id=own.pk)
    for place in (None, *teams):
        with use_team(place):
            assert not getattr(fresh(user), asked)(CHANGE)


def test_the_groups_of_two_teams_with_a_role_of_one_name_are_two(teams: Teams) -> None:
    first, second = (Role.create("own", team=team) for team in teams)
    assert first.group.name != second.group.name


def test_the_group_of_a_role_of_a_team_cannot_be_renamed_into_an_open_one(teams: Teams) -> None:
    own = Role.create("own", team=teams[0])
    own.group.name = "open"
    with pytest.raises(InvalidRoleName):
        own.group.save()


# Roles that are valid in all teams


@pytest.fixture
def everywhere(user: User, role: Role) -> User:
    """A user with a role in all teams."""
    return user.assign_role(role.give_permission_to(CHANGE), team=None)


@ASKED
def test_a_role_given_everywhere_counts_in_every_team(everywhere: User, teams: Teams, question: Question) -> None:
    for place in (None, *teams):
        with use_team(place):
            assert question(everywhere)


def test_a_role_given_everywhere_counts_in_a_team_that_is_made_later(everywhere: User) -> None:
    with use_team(Team.objects.create(name="later")):
        assert everywhere.has_role("testRole")


def test_a_role_given_everywhere_is_a_group_of_django(everywhere: User, role: Role) -> None:
    assert list(everywhere.groups.all()) == [role.group]


def test_a_role_given_everywhere_lists_the_objects_of_all_teams(
    everywhere: User, articles: tuple[Article, Article, Article]
) -> None:
    assert set(Article.objects.permitted(everywhere, CHANGE)) == set(articles)


def test_a_role_given_everywhere_is_not_taken_in_one_team(everywhere: User, teams: Teams) -> None:
    with use_team(teams[0]):
        assert everywhere.remove_role("testRole").has_role("testRole")


def test_a_role_given_in_one_team_is_not_taken_with_the_one_everywhere(everywhere: User, teams: Teams) -> None:
    everywhere.assign_role("testRole", team=teams[0]).remove_role("testRole", team=None)
    with use_team(teams[0]):
        assert everywhere.has_role("testRole")
    with use_team(teams[1]):
        assert not everywhere.has_role("testRole")


@pytest.fixture
def opened(configure: Configure) -> None:
    """Let testRole open everything."""
    configure(SUPER_ADMIN_ROLES=["testRole"])


@pytest.mark.usefixtures("opened")
def test_a_super_admin_of_all_teams_may_everything_in_each(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=None)
    for team in teams:
        with use_team(team):
            assert user.can("edit-blog")


@pytest.mark.usefixtures("opened")
@ELSEWHERE
def test_a_super_admin_of_one_team_may_nothing_elsewhere(user: User, teams: Teams, place: Place) -> None:
    user.assign_role("testRole", team=teams[0])
    with place(teams):
        assert not user.can("edit-blog")


@pytest.mark.usefixtures("opened")
def test_a_super_admin_of_one_team_may_everything_in_it(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=teams[0])
    with use_team(teams[0]):
        assert user.can("edit-blog")


@pytest.mark.usefixtures("opened")
def test_a_super_admin_of_one_team_lists_its_objects_alone(
    user: User, teams: Teams, articles: tuple[Article, Article, Article]
) -> None:
    user.assign_role("testRole", team=teams[0])
    with use_team(teams[1]):
        assert list(Article.objects.permitted(user, CHANGE)) == [articles[0]]


@pytest.mark.usefixtures("opened")
def test_a_team_that_calls_a_role_of_its_own_so_opens_itself_alone(
    user: User, teams: Teams, articles: tuple[Article, Article, Article]
) -> None:
    user.assign_role(Role.create("testRole", team=teams[0]), team=teams[0])
    assert [user.can(CHANGE, article) for article in articles] == [True, False, False]


# Handing out


def test_what_is_held_in_one_team_is_not_handed_out_in_another(user: User, second_user: User, teams: Teams) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    with pytest.raises(Escalation):
        second_user.give_permission_to(CHANGE, team=teams[1], granted_by=user)


def test_what_is_held_in_one_team_is_not_handed_out_everywhere(user: User, second_user: User, teams: Teams) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    with use_team(teams[0]), pytest.raises(Escalation):
        second_user.give_permission_to(CHANGE, team=None, granted_by=user)


def test_what_is_held_in_one_team_does_not_come_to_a_role_of_all_teams(user: User, role: Role, teams: Teams) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    with use_team(teams[0]), pytest.raises(Escalation):
        role.give_permission_to(CHANGE, granted_by=user)


def test_what_is_held_in_a_team_is_handed_out_in_it(user: User, second_user: User, teams: Teams) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    second_user.give_permission_to(CHANGE, team=teams[0], granted_by=user)
    with use_team(teams[0]):
        assert second_user.can(CHANGE)


def test_the_right_to_escalate_in_one_team_is_none_in_another(user: User, second_user: User, teams: Teams) -> None:
    user.give_permission_to("permissions.escalate", team=teams[0])
    second_user.give_permission_to(CHANGE, team=teams[0], granted_by=user)
    with pytest.raises(Escalation):
        second_user.give_permission_to(CHANGE, team=teams[1], granted_by=user)


# Teams come and go


@GIVEN
def test_a_deleted_team_leaves_nothing_for_the_next_one_of_its_key(user: User, teams: Teams, give: Give) -> None:
    give(user, teams[0])
    key = teams[0].pk
    teams[0].delete()
    with use_team(Team.objects.create(pk=key, name="another")):
        assert not user.can(CHANGE)
    assert not RoleAssignment.objects.exists()
    assert not UserGrant.objects.exists()


def test_a_deleted_team_takes_its_own_roles_along(teams: Teams) -> None:
    own = Role.create("own", team=teams[0])
    teams[0].delete()
    assert not Role.objects.filter(pk=own.pk).exists()


def test_a_deleted_team_leaves_the_roles_of_others(teams: Teams, role: Role) -> None:
    other = Role.create("own", team=teams[1])
    teams[0].delete()
    assert Role.objects.filter(pk__in=[role.pk, other.pk]).count() == 2


@pytest.mark.parametrize("team", ["", True, "x", object()], ids=["empty", "bool", "text", "object"])
def test_what_is_no_key_of_a_team_is_refused(user: User, team: object) -> None:
    with pytest.raises(TeamDoesNotExist):
        user.assign_role("testRole", team=team)
    assert not RoleAssignment.objects.exists()


def test_a_team_may_be_named_by_its_key_as_text(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=str(teams[0].pk))
    with use_team(teams[0]):
        assert user.has_role("testRole")


def test_a_team_cannot_be_named_where_there_are_none(user: User, teams: Teams, configure: Configure) -> None:
    configure(TEAM_MODEL=None)
    with pytest.raises(TeamsNotEnabled):
        user.assign_role("testRole", team=teams[0])


# The current team belongs to the code that runs


def test_the_current_team_ends_with_its_block(teams: Teams) -> None:
    with use_team(teams[0]):
        pass
    assert get_team() is None


def test_the_current_team_ends_with_an_error(teams: Teams) -> None:
    with pytest.raises(ZeroDivisionError), use_team(teams[0]):
        1 / 0  # noqa: B018 - any error
    assert get_team() is None


def test_another_thread_has_no_team(teams: Teams) -> None:
    seen: list[str | None] = []
    with use_team(teams[0]):
        thread = Thread(target=lambda: seen.append(get_team()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_two_tasks_do_not_see_the_team_of_each_other(teams: Teams) -> None:
    async def work(team: Team, mine: asyncio.Event, other: asyncio.Event) -> str | None:
        with use_team(team):
            mine.set()
            await other.wait()
            return get_team()

    async def run() -> tuple[str | None, str | None]:
        events = asyncio.Event(), asyncio.Event()
        first, second = await asyncio.gather(work(teams[0], *events), work(teams[1], *reversed(events)))
        return first, second

    assert asyncio.run(run()) == (str(teams[0].pk), str(teams[1].pk))


def test_async_verbs_act_in_the_current_team(user: User, teams: Teams) -> None:
    async def assign() -> None:
        with use_team(teams[0]):
            await user.aassign_role("testRole")

    async_to_sync(assign)()
    assert list(RoleAssignment.objects.values_list("team_id", flat=True)) == [str(teams[0].pk)]
