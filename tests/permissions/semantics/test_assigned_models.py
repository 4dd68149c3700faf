"""Giving a role to many users from the role's side."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from accounts.models import User
from permissions.exceptions import TeamDoesNotMatch, UserDoesNotExist
from permissions.models import Role, RoleAssignment
from permissions.scope import use_team
from tests.articles.models import Team
from tests.permissions.semantics.conftest import fresh


def holders(role: Role) -> set[User]:
    """Return who has the role, asked from the users' side."""
    return set(User.objects.role(role))


# Exactly these users


def test_a_role_is_given_to_exactly_these_users(role: Role, user: User, second_user: User) -> None:
    role.sync_models([user, second_user])
    assert fresh(user).has_role(role)
    assert fresh(second_user).has_role(role)


def test_users_who_had_it_before_lose_it(role: Role, user: User, second_user: User) -> None:
    user.assign_role(role)
    role.sync_models([second_user])
    assert holders(role) == {second_user}


def test_an_empty_list_takes_it_from_everybody(role: Role, user: User, second_user: User) -> None:
    role.assign_to_models([user, second_user])
    role.sync_models([])
    assert holders(role) == set()


def test_a_user_named_twice_has_it_once(role: Role, user: User) -> None:
    role.sync_models([user, user])
    assert RoleAssignment.objects.filter(role=role).count() == 1


def test_it_is_given_to_exactly_one_user(role: Role, user: User) -> None:
    role.sync_models(user)
    assert holders(role) == {user}


@pytest.mark.parametrize("form", [UUID, str])
def test_it_is_given_to_exactly_the_users_of_these_ids(
    role: Role, user: User, second_user: User, form: Callable[[str], UUID | str]
) -> None:
    role.sync_models([form(str(user.pk)), form(str(second_user.pk))])
    assert holders(role) == {user, second_user}


def test_an_instance_that_lost_it_says_so(role: Role, user: User, second_user: User) -> None:
    user.assign_role(role)
    assert user.has_role(role)
    role.sync_models([second_user])
    assert not user.has_role(role)


# More users


def test_a_role_is_given_to_several_users(role: Role, user: User, second_user: User) -> None:
    role.assign_to_models([user, second_user])
    assert holders(role) == {user, second_user}


def test_a_role_is_given_to_one_user(role: Role, user: User) -> None:
    role.assign_to_models(user)
    assert holders(role) == {user}


@pytest.mark.parametrize("form", [UUID, str])
def test_a_role_is_given_to_the_user_of_an_id(role: Role, user: User, form: Callable[[str], UUID | str]) -> None:
    role.assign_to_models(form(str(user.pk)))
    assert holders(role) == {user}


def test_a_user_named_twice_is_given_it_once(role: Role, user: User) -> None:
    role.assign_to_models([user, user])
    assert RoleAssignment.objects.filter(role=role).count() == 1


def test_giving_it_again_is_harmless(role: Role, user: User) -> None:
    role.assign_to_models(user)
    role.assign_to_models(user)
    assert RoleAssignment.objects.filter(role=role).count() == 1


def test_those_who_have_it_keep_it(role: Role, user: User, second_user: User) -> None:
    role.assign_to_models(user)
    role.assign_to_models(second_user)
    assert holders(role) == {user, second_user}


# Fewer users


def test_a_role_is_taken_from_some_users(role: Role, user: User, second_user: User) -> None:
    role.assign_to_models([user, second_user])
    role.remove_from_models([user])
    assert holders(role) == {second_user}


def test_a_role_is_taken_from_one_user(role: Role, user: User) -> None:
    user.assign_role(role)
    role.remove_from_models(user)
    assert not fresh(user).has_role(role)


@pytest.mark.parametrize("form", [UUID, str])
def test_a_role_is_taken_from_the_user_of_an_id(role: Role, user: User, form: Callable[[str], UUID | str]) -> None:
    user.assign_role(role)
    role.remove_from_models(form(str(user.pk)))
    assert not fresh(user).has_role(role)


def test_taking_it_from_a_user_who_has_it_not_changes_nothing(role: Role, user: User, second_user: User) -> None:
    user.assign_role(role)
    role.remove_from_models(second_user)
    assert holders(role) == {user}


# What each of the three returns, refuses and leaves


@pytest.mark.parametrize("verb", ["assign_to_models", "remove_from_models", "sync_models"])
def test_the_role_is_returned(role: Role, user: User, verb: str) -> None:
    assert getattr(role, verb)(user) is role


@pytest.mark.parametrize("verb", ["assign_to_models", "sync_models"])
def test_an_id_of_no_user_is_refused_and_nothing_is_changed(role: Role, user: User, verb: str) -> None:
    user.assign_role(role)
    with pytest.raises(UserDoesNotExist):
        getattr(role, verb)([uuid4()])
    assert holders(role) == {user}


def test_exactly_these_users_means_the_current_team(
    role: Role, user: User, second_user: User, teams: tuple[Team, Team]
) -> None:
    user.assign_role(role, team=teams[0])
    with use_team(teams[1]):
        role.sync_models([second_user])
    with use_team(teams[0]):
        assert holders(role) == {user}


def test_a_role_of_one_team_is_not_given_in_another(user: User, teams: tuple[Team, Team]) -> None:
    role = Role.create("testRole3", team=teams[0])
    with use_team(teams[1]), pytest.raises(TeamDoesNotMatch):
        role.assign_to_models([user])
