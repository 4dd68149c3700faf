"""Roles in teams: one user, other roles in each team. The tests of ``test_roles`` run inside of a team as well."""

import pytest

from accounts.models import User
from permissions.exceptions import RoleAlreadyExists, RoleDoesNotExist, TeamDoesNotMatch
from permissions.models import Role, RoleAssignment, UserGrant
from permissions.scope import use_team
from tests.articles.models import Team

type Teams = tuple[Team, Team]


# Deleting


@pytest.fixture
def people(user: User, second_user: User, teams: Teams) -> tuple[User, User]:
    """Two users who hold the same in the first team; the first of them holds something in the second, too."""
    for person in (user, second_user):
        person.assign_role("testRole", team=teams[0])
        person.give_permission_to("edit-articles", team=teams[0])
    user.give_permission_to("edit-news", team=teams[1])
    return user, second_user


def test_a_deleted_user_leaves_no_assignment_in_any_team(people: tuple[User, User]) -> None:
    people[0].delete()
    assert list(RoleAssignment.objects.values_list("user_id", flat=True)) == [people[1].pk]


def test_a_deleted_user_leaves_no_grant_in_any_team(people: tuple[User, User]) -> None:
    people[0].delete()
    assert list(UserGrant.objects.values_list("user_id", flat=True)) == [people[1].pk]


# One user in two teams


@pytest.fixture
def member(user: User, teams: Teams) -> User:
    """A user with testRole in both teams, testRole2 in the first, and the second team's own testRole3."""
    for team in teams:
        Role.create("testRole3", team=team)
    Role.create("testRole4")
    user.assign_role("testRole", "testRole2", team=teams[0])
    return user.assign_role("testRole", "testRole3", team=teams[1])


def test_a_user_has_other_roles_in_each_team(member: User, teams: Teams) -> None:
    with use_team(teams[0]):
        assert member.get_role_names() == ["testRole", "testRole2"]
    with use_team(teams[1]):
        assert member.get_role_names() == ["testRole", "testRole3"]


def test_exactly_the_roles_of_the_current_team_are_had(member: User, teams: Teams) -> None:
    with use_team(teams[0]):
        assert member.has_exact_roles(["testRole", "testRole2"])
    with use_team(teams[1]):
        assert member.has_exact_roles(["testRole", "testRole3"])


def test_the_same_instance_follows_the_current_team(member: User, teams: Teams) -> None:
    with use_team(teams[0]):
        assert not member.has_role("testRole3")
        with use_team(teams[1]):
            assert member.has_role("testRole3")
        assert not member.has_role("testRole3")


def test_a_name_means_the_role_of_the_current_team(member: User, teams: Teams) -> None:
    with use_team(teams[0]):
        member.assign_role("testRole3")
        assert member.has_role(Role.find_by_name("testRole3", team=teams[0]))
        assert not member.has_role(Role.find_by_name("testRole3", team=teams[1]))


def test_the_role_that_another_team_calls_the_same_is_another_one(member: User, teams: Teams) -> None:
    with use_team(teams[1]):
        assert member.has_role(Role.find_by_name("testRole3", team=teams[1]))
        assert not member.has_role(Role.find_by_name("testRole3", team=teams[0]))


def test_a_role_outside_of_any_team_can_be_given_in_each_team(member: User, teams: Teams) -> None:
    for team in teams:
        with use_team(team):
            member.assign_role("testRole4")
            assert member.has_role(Role.find_by_name("testRole4"))


def test_a_role_that_was_given_in_one_team_is_not_had_in_the_other(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=teams[0])
    with use_team(teams[1]):
        assert not user.has_role("testRole")


def test_two_teams_may_each_have_a_role_of_the_same_name(teams: Teams) -> None:
    first, second = (Role.create("testRole3", team=team) for team in teams)
    assert first != second


def test_a_team_may_have_a_role_that_is_called_as_one_outside_of_teams(teams: Teams, role: Role) -> None:
    assert Role.create("testRole", team=teams[0]) != role


def test_a_team_cannot_have_two_roles_of_one_name(teams: Teams) -> None:
    Role.create("testRole3", team=teams[0])
    with pytest.raises(RoleAlreadyExists, match=r"A role `testRole3` already exists for guard `web`\."):
        Role.create("testRole3", team=teams[0])


def test_the_role_of_the_team_comes_before_one_outside_of_teams(user: User, teams: Teams, role: Role) -> None:
    own = Role.create("testRole", team=teams[0])
    with use_team(teams[0]):
        user.assign_role("testRole")
        assert user.has_role(own)
        assert not user.has_role(role)


# Exchanging and taking


def test_exchanging_roles_touches_the_current_team_alone(member: User, teams: Teams) -> None:
    with use_team(teams[1]):
        member.sync_roles("testRole3")
    with use_team(teams[0]):
        assert member.get_role_names() == ["testRole", "testRole2"]


def test_exchanging_roles_in_one_team_after_the_other_keeps_both(user: User, teams: Teams) -> None:
    Role.create("testRole3", team=teams[1])
    with use_team(teams[0]):
        user.sync_roles("testRole", "testRole2")
    with use_team(teams[1]):
        user.sync_roles("testRole", "testRole3")
        assert user.get_role_names() == ["testRole", "testRole3"]
    with use_team(teams[0]):
        assert user.get_role_names() == ["testRole", "testRole2"]


def test_taking_a_role_takes_it_in_the_current_team(member: User, teams: Teams) -> None:
    with use_team(teams[0]):
        assert member.remove_role("testRole").get_role_names() == ["testRole2"]


def test_taking_a_role_leaves_it_in_the_other_team(member: User, teams: Teams) -> None:
    member.remove_role("testRole", team=teams[0])
    with use_team(teams[1]):
        assert member.get_role_names() == ["testRole", "testRole3"]


def test_exchanging_in_a_team_leaves_what_was_given_everywhere(user: User, teams: Teams) -> None:
    user.assign_role("testRole", team=None)
    with use_team(teams[0]):
        user.sync_roles("testRole2")
        assert user.get_role_names() == ["testRole", "testRole2"]


# Finding users


@pytest.fixture
def scattered(user: User, second_user: User, teams: Teams) -> tuple[User, User]:
    """One user with testRole in both teams, and one with testRole2 in the second."""
    user.assign_role("testRole", team=teams[0]).assign_role("testRole", team=teams[1])
    second_user.assign_role("testRole2", team=teams[1])
    return user, second_user


def test_users_are_found_by_their_role_in_the_current_team(scattered: tuple[User, User], teams: Teams) -> None:
    with use_team(teams[1]):
        assert set(User.objects.role("testRole")) == {scattered[0]}
        assert set(User.objects.role(["testRole", "testRole2"])) == set(scattered)


def test_users_are_not_found_by_their_role_in_another_team(scattered: tuple[User, User], teams: Teams) -> None:
    with use_team(teams[0]):
        assert not User.objects.role("testRole2")


def test_users_without_a_role_in_the_current_team_are_found(scattered: tuple[User, User], teams: Teams) -> None:
    with use_team(teams[0]):
        assert set(User.objects.without_role("testRole2")) == set(scattered)
    with use_team(teams[1]):
        assert set(User.objects.without_role("testRole2")) == {scattered[0]}


# What a team refuses


def test_a_name_that_only_another_team_knows_cannot_be_given(user: User, teams: Teams) -> None:
    Role.create("testRole3", team=teams[1])
    with use_team(teams[0]), pytest.raises(RoleDoesNotExist):
        user.assign_role("testRole3")


def test_a_role_object_of_another_team_cannot_be_given(user: User, teams: Teams) -> None:
    foreign = Role.create("testRole3", team=teams[1])
    with use_team(teams[0]), pytest.raises(TeamDoesNotMatch):
        user.assign_role(foreign)
    assert not RoleAssignment.objects.exists()


def test_a_role_of_a_team_cannot_be_given_everywhere(user: User, teams: Teams) -> None:
    own = Role.create("testRole3", team=teams[0])
    with pytest.raises(TeamDoesNotMatch):
        user.assign_role(own, team=None)
    assert not RoleAssignment.objects.exists()
