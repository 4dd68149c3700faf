"""Permissions of one user in several teams."""

from collections.abc import Sequence

import pytest

from accounts.models import User
from permissions.models import Permission, Role
from permissions.scope import use_team
from tests.articles.models import Team
from tests.permissions.semantics.conftest import fresh

pytestmark = pytest.mark.django_db


def names(permissions: Sequence[Permission]) -> list[str]:
    return sorted(permission.identifier for permission in permissions)


@pytest.fixture
def in_both(user: User, teams: tuple[Team, Team]) -> User:
    """A user who holds one permission in both teams and one more in each."""
    with use_team(teams[0]):
        user.give_permission_to("edit-articles", "edit-news")
    with use_team(teams[1]):
        user.give_permission_to("edit-articles", "edit-blog")
    return user


@pytest.mark.parametrize(
    ("team", "expected"), [(0, ["edit-articles", "edit-news"]), (1, ["edit-articles", "edit-blog"])]
)
def test_the_same_and_other_permissions_can_be_given_in_two_teams(
    in_both: User, teams: tuple[Team, Team], team: int, expected: list[str]
) -> None:
    with use_team(teams[team]):
        assert in_both.get_permission_names() == expected


@pytest.mark.parametrize(("team", "other"), [(0, "edit-blog"), (1, "edit-news")])
def test_direct_permissions_of_another_team_do_not_count(
    in_both: User, teams: tuple[Team, Team], team: int, other: str
) -> None:
    with use_team(teams[team]):
        assert not in_both.has_all_direct_permissions(["edit-articles", other])


@pytest.mark.parametrize(("team", "own"), [(0, "edit-news"), (1, "edit-blog")])
def test_direct_permissions_of_the_current_team_count(
    in_both: User, teams: tuple[Team, Team], team: int, own: str
) -> None:
    with use_team(teams[team]):
        assert in_both.has_all_direct_permissions(["edit-articles", own])


def test_permissions_of_a_team_do_not_count_outside_of_it(in_both: User) -> None:
    assert not in_both.has_permission_to("edit-articles")


def test_permissions_given_in_a_team_never_reach_djangos_own_table(in_both: User) -> None:
    assert not in_both.user_permissions.exists()


@pytest.mark.parametrize(("team", "own"), [(0, "edit-news"), (1, "edit-blog")])
def test_a_role_held_in_two_teams_is_joined_with_the_permissions_of_each(
    user: User, role: Role, teams: tuple[Team, Team], team: int, own: str
) -> None:
    role.give_permission_to("edit-articles")
    for where, name in zip(teams, ("edit-news", "edit-blog"), strict=True):
        with use_team(where):
            user.assign_role("testRole").give_permission_to(name)
    with use_team(teams[team]):
        assert names(user.get_all_permission_objects()) == ["edit-articles", own]


def test_sync_in_one_team_leaves_the_other(in_both: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        in_both.sync_permissions("edit-blog")
    with use_team(teams[1]):
        assert fresh(in_both).get_permission_names() == ["edit-articles", "edit-blog"]


def test_sync_in_one_team_replaces_what_was_given_there(in_both: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        in_both.sync_permissions("edit-blog")
        assert fresh(in_both).get_permission_names() == ["edit-blog"]


def test_revoking_in_one_team_leaves_the_other(in_both: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        in_both.revoke_permission_to("edit-articles")
    with use_team(teams[1]):
        assert fresh(in_both).get_permission_names() == ["edit-articles", "edit-blog"]


def test_revoking_in_one_team_takes_what_was_given_there(in_both: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        in_both.revoke_permission_to("edit-articles")
        assert fresh(in_both).get_permission_names() == ["edit-news"]


def test_sync_in_a_team_leaves_what_is_held_everywhere(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-news")
    with use_team(teams[0]):
        user.sync_permissions("edit-blog")
        assert fresh(user).get_permission_names() == ["edit-blog", "edit-news"]


def test_the_team_is_named_instead_of_entered(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-news", team=teams[1])
    with use_team(teams[1]):
        assert user.has_permission_to("edit-news")


def test_what_is_given_everywhere_from_within_a_team_counts_in_the_other(user: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        user.give_permission_to("edit-news", team=None)
    with use_team(teams[1]):
        assert user.has_permission_to("edit-news")


@pytest.fixture
def spread(user: User, second_user: User, role: Role, teams: tuple[Team, Team]) -> tuple[User, User]:
    """Two users: the first holds permissions in both teams, the second through a role in the second team alone."""
    role.give_permission_to("edit-articles")
    with use_team(teams[1]):
        user.give_permission_to("edit-articles", "edit-news")
        second_user.assign_role("testRole")
    with use_team(teams[0]):
        user.give_permission_to("edit-articles")
    return user, second_user


def test_users_are_found_by_what_they_hold_in_the_current_team(
    spread: tuple[User, User], teams: tuple[Team, Team]
) -> None:
    with use_team(teams[1]):
        assert set(User.objects.permission(["edit-articles", "edit-news"])) == set(spread)


def test_users_are_not_found_by_what_they_hold_in_another_team(
    spread: tuple[User, User], teams: tuple[Team, Team]
) -> None:
    with use_team(teams[0]):
        assert set(User.objects.permission(["edit-articles", "edit-news"])) == {spread[0]}


@pytest.mark.parametrize(("team", "found"), [(0, 0), (1, 1)])
def test_users_are_found_by_one_permission_of_the_current_team(
    spread: tuple[User, User], teams: tuple[Team, Team], team: int, found: int
) -> None:
    with use_team(teams[team]):
        assert set(User.objects.permission("edit-news")) == set(spread[:found])


def test_users_are_found_who_lack_the_permission_in_the_current_team(
    spread: tuple[User, User], teams: tuple[Team, Team]
) -> None:
    with use_team(teams[0]):
        assert set(User.objects.without_permission("edit-articles")) == {spread[1]}
