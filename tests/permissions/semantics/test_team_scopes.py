"""Finding users by the teams in which they have roles."""

import pytest

from accounts.models import User
from permissions.exceptions import TeamsNotEnabled
from tests.articles.models import Team

type Teams = tuple[Team, Team]


@pytest.fixture
def members(user: User, second_user: User, third_user: User, teams: Teams) -> tuple[User, User, User]:
    """Two users with two roles in the first team, and one with a role in the second."""
    user.assign_role("testRole", "testRole2", team=teams[0])
    second_user.assign_role("testRole", "testRole2", team=teams[0])
    third_user.assign_role("testRole", team=teams[1])
    return user, second_user, third_user


@pytest.fixture
def outsider(db: None) -> User:
    """A user without any role."""
    return User.objects.create(email="outsider@example.com")


def test_finding_by_team_needs_teams_to_be_on() -> None:
    with pytest.raises(TeamsNotEnabled):
        User.objects.team(1)


def test_finding_outside_of_a_team_needs_teams_to_be_on() -> None:
    with pytest.raises(TeamsNotEnabled):
        User.objects.without_team(1)


def test_the_teams_of_a_user_are_listed(user: User, teams: Teams) -> None:
    Team.objects.create(name="three")
    user.assign_role("testRole", team=teams[0]).assign_role("testRole", "testRole2", team=teams[1])
    assert sorted(team.pk for team in user.get_teams()) == sorted(team.pk for team in teams)


def test_a_role_given_everywhere_is_none_in_any_team(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=None)
    assert not user.get_teams()


def test_asking_for_the_teams_of_a_user_needs_teams_to_be_on(user: User) -> None:
    with pytest.raises(TeamsNotEnabled):
        user.get_teams()


def test_users_are_found_by_the_id_of_a_team(members: tuple[User, User, User], teams: Teams) -> None:
    assert set(User.objects.team(teams[0].pk)) == set(members[:2])
    assert set(User.objects.team(teams[1].pk)) == {members[2]}


def test_users_are_found_by_a_list_of_ids(members: tuple[User, User, User], teams: Teams) -> None:
    assert set(User.objects.team([teams[0].pk, teams[1].pk])) == set(members)
    assert set(User.objects.team([teams[1].pk])) == {members[2]}


def test_users_are_found_by_a_queryset_of_teams(members: tuple[User, User, User], teams: Teams) -> None:
    assert set(User.objects.team(Team.objects.all())) == set(members)
    assert set(User.objects.team(Team.objects.filter(name="two"))) == {members[2]}


def test_users_are_found_by_a_team(members: tuple[User, User, User], teams: Teams) -> None:
    assert set(User.objects.team(teams[0])) == set(members[:2])


def test_users_are_found_by_several_teams(members: tuple[User, User, User], teams: Teams) -> None:
    assert set(User.objects.team(teams[0], teams[1])) == set(members)
    assert set(User.objects.team(list(teams))) == set(members)


def test_a_user_with_several_roles_in_a_team_is_found_once(members: tuple[User, User, User], teams: Teams) -> None:
    assert sorted(user.email for user in User.objects.team(teams[0])) == ["second@example.com", "test@example.com"]


def test_users_of_one_team_are_not_found_by_another(members: tuple[User, User, User], teams: Teams) -> None:
    assert not set(User.objects.team(teams[0])) & set(User.objects.team(teams[1]))


def test_users_outside_of_a_team_are_found_by_its_id(
    members: tuple[User, User, User], outsider: User, teams: Teams
) -> None:
    assert set(User.objects.without_team(teams[0].pk)) == {members[2], outsider}
    assert set(User.objects.without_team(teams[1].pk)) == {members[0], members[1], outsider}


def test_users_outside_of_several_teams_are_found_by_a_list(
    members: tuple[User, User, User], outsider: User, teams: Teams
) -> None:
    assert set(User.objects.without_team([teams[0].pk, teams[1].pk])) == {outsider}
    assert set(User.objects.without_team([teams[1].pk])) == {members[0], members[1], outsider}


def test_users_outside_of_several_teams_are_found_by_a_queryset(
    members: tuple[User, User, User], outsider: User, teams: Teams
) -> None:
    assert set(User.objects.without_team(Team.objects.all())) == {outsider}
    assert set(User.objects.without_team(Team.objects.filter(name="one"))) == {members[2], outsider}
