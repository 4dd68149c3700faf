"""Roles above a role: what they permit counts, and they themselves are not had."""

import pytest
from guardian.shortcuts import assign_perm

from accounts.models import User
from permissions.exceptions import (
    Escalation,
    GuardDoesNotMatch,
    InheritanceCycle,
    RoleDoesNotExist,
    TeamDoesNotMatch,
)
from permissions.models import Role, RoleLink
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import Configure, fresh


@pytest.fixture
def family(role: Role, role2: Role) -> tuple[Role, Role, Role]:
    """Three roles, each inheriting from the next; the last may edit articles."""
    top = Role.create("top").give_permission_to("edit-articles")
    return role.inherit_from(role2), role2.inherit_from(top), top


@pytest.fixture
def heir(user: User, family: tuple[Role, Role, Role]) -> User:
    """A user with the lowest of the three roles."""
    return user.assign_role(family[0])


# What counts


def test_a_user_holds_what_the_role_two_steps_above_permits(heir: User) -> None:
    assert heir.has_permission_to("edit-articles")


def test_a_user_may_what_the_role_two_steps_above_permits(heir: User) -> None:
    assert heir.can("edit-articles")


def test_a_role_holds_what_the_role_two_steps_above_permits(family: tuple[Role, Role, Role]) -> None:
    assert family[0].has_permission_to("edit-articles")


def test_a_role_does_not_hold_it_directly(family: tuple[Role, Role, Role]) -> None:
    assert not family[0].has_direct_permission("edit-articles")


def test_the_permissions_from_above_are_listed_as_coming_through_roles(heir: User) -> None:
    assert [permission.identifier for permission in heir.get_permissions_via_roles()] == ["edit-articles"]


def test_the_permissions_from_above_are_among_all(heir: User) -> None:
    assert [permission.identifier for permission in heir.get_all_permission_objects()] == ["edit-articles"]


def test_the_permissions_from_above_are_among_all_of_a_role(family: tuple[Role, Role, Role]) -> None:
    assert [permission.identifier for permission in family[0].get_all_permission_objects()] == ["edit-articles"]


def test_the_permissions_from_above_are_not_among_the_names_of_a_role(family: tuple[Role, Role, Role]) -> None:
    assert family[0].get_permission_names() == []


def test_users_are_found_by_what_the_role_above_permits(heir: User, second_user: User) -> None:
    assert set(User.objects.permission("edit-articles")) == {heir}


def test_users_without_it_are_found_too(heir: User, second_user: User) -> None:
    assert set(User.objects.without_permission("edit-articles")) == {second_user}


def test_the_objects_of_the_role_above_count(heir: User, family: tuple[Role, Role, Role]) -> None:
    article = Article.objects.create(title="t", author=heir)
    assign_perm("articles.change_article", family[2].group, article)
    assert heir.can("articles.change_article", article)


def test_lists_of_objects_know_those_of_the_role_above(heir: User, family: tuple[Role, Role, Role]) -> None:
    article = Article.objects.create(title="t", author=heir)
    Article.objects.create(title="other", author=heir)
    assign_perm("articles.change_article", family[2].group, article)
    assert list(Article.objects.permitted(heir, "articles.change_article")) == [article]


def test_the_explanation_names_the_role_above(heir: User) -> None:
    assert "`testRole`, which inherits from `top`" in str(heir.explain("edit-articles"))


# What does not


@pytest.mark.parametrize("name", ["testRole2", "top"])
def test_roles_above_are_not_had(heir: User, name: str) -> None:
    assert not heir.has_role(name)


def test_roles_above_are_not_named(heir: User) -> None:
    assert heir.get_role_names() == ["testRole"]


def test_exactly_the_assigned_roles_are_had(heir: User) -> None:
    assert heir.has_exact_roles("testRole")


def test_users_are_not_found_by_a_role_above(heir: User) -> None:
    assert not User.objects.role("top")


def test_a_role_above_that_opens_everything_opens_nothing_below(heir: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["top"])
    assert not heir.can("edit-blog")


def test_what_the_role_below_permits_is_not_held_above(second_user: User, family: tuple[Role, Role, Role]) -> None:
    family[0].give_permission_to("edit-blog")
    assert not second_user.assign_role("top").can("edit-blog")


# Changes above are seen below at once, on the same instance


def test_what_is_given_above_is_seen_below(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert not heir.can("edit-blog")
    family[2].give_permission_to("edit-blog")
    assert heir.can("edit-blog")


def test_what_django_gives_above_is_seen_below(heir: User, family: tuple[Role, Role, Role], world: object) -> None:
    assert heir.can("edit-articles")
    family[2].group.permissions.clear()
    assert not heir.can("edit-articles")


def test_what_is_taken_above_is_gone_below(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert heir.can("edit-articles")
    family[2].revoke_permission_to("edit-articles")
    assert not heir.can("edit-articles")


def test_a_role_that_stops_inheriting_loses_it(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert heir.can("edit-articles")
    family[0].disinherit(family[1])
    assert not heir.can("edit-articles")


def test_a_role_in_the_middle_that_stops_inheriting_takes_it_from_below(
    heir: User, family: tuple[Role, Role, Role]
) -> None:
    assert heir.can("edit-articles")
    family[1].disinherit("top")
    assert not heir.can("edit-articles")


def test_a_new_role_on_top_is_seen_below(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert not heir.can("edit-blog")
    family[2].inherit_from(Role.create("sky").give_permission_to("edit-blog"))
    assert heir.can("edit-blog")


def test_a_deleted_role_above_takes_its_permissions_along(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert heir.can("edit-articles")
    family[2].delete()
    assert not heir.can("edit-articles")


def test_a_deleted_role_in_the_middle_cuts_what_is_above_it_off(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert heir.can("edit-articles")
    family[1].delete()
    assert not heir.can("edit-articles")


def test_a_deleted_group_in_the_middle_cuts_what_is_above_it_off(heir: User, family: tuple[Role, Role, Role]) -> None:
    assert heir.can("edit-articles")
    family[1].group.delete()
    assert not heir.can("edit-articles")


def test_a_second_way_up_keeps_what_the_first_gave(heir: User, family: tuple[Role, Role, Role]) -> None:
    family[0].inherit_from("top")
    family[0].disinherit("testRole2")
    assert heir.can("edit-articles")


def test_a_parent_that_is_above_another_way_as_well_stays_after_the_parent_is_dropped(
    heir: User, family: tuple[Role, Role, Role]
) -> None:
    family[0].inherit_from("top").disinherit("top")
    assert heir.can("edit-articles")


def test_inheriting_twice_is_harmless(heir: User, family: tuple[Role, Role, Role]) -> None:
    family[0].inherit_from("testRole2")
    assert [parent.name for parent in family[0].parents] == ["testRole2"]


def test_only_the_named_roles_are_parents(family: tuple[Role, Role, Role]) -> None:
    assert list(family[0].parents) == [family[1]]


def test_a_role_that_inherits_is_returned(role: Role, role2: Role) -> None:
    assert role.inherit_from(role2) is role


# What is refused, with nothing written


def test_a_role_does_not_inherit_from_itself(role: Role) -> None:
    with pytest.raises(InheritanceCycle):
        role.inherit_from(role)
    assert not RoleLink.objects.exists()


def test_a_role_does_not_inherit_from_its_heir(role: Role, role2: Role) -> None:
    role.inherit_from(role2)
    with pytest.raises(InheritanceCycle):
        role2.inherit_from(role)
    assert not role2.parents.exists()


def test_a_role_does_not_inherit_from_an_heir_of_an_heir(family: tuple[Role, Role, Role]) -> None:
    with pytest.raises(InheritanceCycle):
        family[2].inherit_from(family[0])
    assert not family[2].parents.exists()


def test_one_cycle_among_several_parents_links_none(role: Role, role2: Role) -> None:
    role.inherit_from(role2)
    with pytest.raises(InheritanceCycle):
        role2.inherit_from(Role.create("fine"), role)
    assert not role2.parents.exists()


def test_a_role_does_not_inherit_from_another_guard(role: Role, admin_role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        role.inherit_from(admin_role)
    assert not RoleLink.objects.exists()


def test_a_role_does_not_inherit_from_an_unknown_one(role: Role, role2: Role) -> None:
    with pytest.raises(RoleDoesNotExist):
        role.inherit_from(role2, "unknown")
    assert not RoleLink.objects.exists()


def test_a_role_does_not_inherit_from_one_of_another_team(teams: tuple[Team, Team]) -> None:
    own, foreign = (Role.create("own", team=team) for team in teams)
    with pytest.raises(TeamDoesNotMatch):
        own.inherit_from(foreign)
    assert not RoleLink.objects.exists()


def test_a_role_for_all_teams_does_not_inherit_from_one_of_a_team(role: Role, teams: tuple[Team, Team]) -> None:
    with pytest.raises(TeamDoesNotMatch):
        role.inherit_from(Role.create("own", team=teams[0]))
    assert not RoleLink.objects.exists()


def test_a_role_of_a_team_may_inherit_from_one_for_all_teams(user: User, role: Role, teams: tuple[Team, Team]) -> None:
    own = Role.create("own", team=teams[0]).inherit_from(role.give_permission_to("edit-articles"))
    with use_team(teams[0]):
        assert user.assign_role(own).can("edit-articles")


def test_nobody_lets_a_role_inherit_what_they_do_not_hold(
    second_user: User, role2: Role, family: tuple[Role, Role, Role]
) -> None:
    own = Role.create("own")
    with pytest.raises(Escalation):
        own.inherit_from("testRole", granted_by=second_user)
    assert not own.parents.exists()


def test_who_holds_it_all_may_let_a_role_inherit_it(heir: User) -> None:
    own = Role.create("own").inherit_from("testRole", granted_by=fresh(heir))
    assert own.has_permission_to("edit-articles")
