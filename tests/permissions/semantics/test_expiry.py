"""Assignments that end by the clock. Nothing has to run for them to count for nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from guardian.shortcuts import assign_perm
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions import gate
from permissions.exceptions import Escalation, InvalidExpiry
from permissions.models import Role, RoleAssignment
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import Configure, fresh
from tests.waiting import wait_until

HOUR = timedelta(hours=1)

type Question = Callable[[User], bool]

#: Every way to ask whether somebody has the role, or holds what it permits.
QUESTIONS: dict[str, Question] = {
    "has_role": lambda user: user.has_role("testRole"),
    "has_any_role": lambda user: user.has_any_role("testRole"),
    "has_all_roles": lambda user: user.has_all_roles("testRole"),
    "has_exact_roles": lambda user: user.has_exact_roles("testRole"),
    "get_role_names": lambda user: user.get_role_names() == ["testRole"],
    "has_permission_to": lambda user: user.has_permission_to("edit-articles"),
    "check_permission_to": lambda user: user.check_permission_to("edit-articles"),
    "get_permissions_via_roles": lambda user: bool(user.get_permissions_via_roles()),
    "get_all_permission_objects": lambda user: bool(user.get_all_permission_objects()),
    "can": lambda user: user.can("edit-articles"),
    "acan": lambda user: async_to_sync(user.acan)("edit-articles"),
    "explain": lambda user: user.explain("edit-articles").is_allowed,
    "has_perm": lambda user: user.has_perm("web.edit-articles"),
    "ahas_perm": lambda user: async_to_sync(user.ahas_perm)("web.edit-articles"),
    "get_all_permissions": lambda user: "web.edit-articles" in user.get_all_permissions(),
    "get_group_permissions": lambda user: "web.edit-articles" in user.get_group_permissions(),
    "has_module_perms": lambda user: user.has_module_perms("web"),
    "users of a role": lambda user: user in User.objects.role("testRole"),
    "users of a permission": lambda user: user in User.objects.permission("edit-articles"),
    "users without a role": lambda user: user not in User.objects.without_role("testRole"),
    "users without a permission": lambda user: user not in User.objects.without_permission("edit-articles"),
    "rows that a user may change": lambda user: Article.objects.permitted(user, "edit-articles").exists(),
}

ASKED = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


@pytest.fixture
def article(user: User, role: Role) -> Article:
    """An article; testRole may edit articles."""
    role.give_permission_to("edit-articles")
    return Article.objects.create(title="t", author=user)


@pytest.fixture
def running(user: User, article: Article) -> User:
    """A user with a role for an hour."""
    return user.assign_role("testRole", expires_at=timezone.now() + HOUR)


@pytest.fixture
def ended(user: User, role: Role, article: Article) -> User:
    """A user whose only role has ended; its row stands there still."""
    RoleAssignment.objects.create(user=user, role=role, expires_at=timezone.now() - timedelta(seconds=1))
    return fresh(user)


@ASKED
def test_a_role_counts_until_it_ends(running: User, question: Question) -> None:
    assert question(running)


@ASKED
def test_a_role_that_has_ended_counts_for_nothing(ended: User, question: Question) -> None:
    assert not question(ended)


@pytest.mark.parametrize("name", ["can", "acan", "has_role", "has_permission_to", "has_perm"])
def test_an_instance_that_lives_on_loses_the_role_at_the_moment(user: User, article: Article, name: str) -> None:
    end = timezone.now() + timedelta(seconds=1)
    user.assign_role("testRole", expires_at=end)
    question = QUESTIONS[name]
    seen_at = [timezone.now()]

    def is_lost() -> bool:
        now = timezone.now()
        if question(user):
            seen_at.append(now)
            return False
        return True

    assert question(user) or timezone.now() >= end
    wait_until(is_lost)
    assert max(seen_at) < end <= timezone.now()


def test_what_a_process_remembers_of_a_user_ends_at_the_moment(user: User, article: Article) -> None:
    user.assign_role("testRole", expires_at=timezone.now() + timedelta(seconds=1))
    wait_until(lambda: not fresh(user).can("edit-articles"))
    assert not fresh(user).has_role("testRole")


def test_nothing_is_asked_of_the_database_when_a_role_ends(
    user: User, article: Article, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user.assign_role("testRole", expires_at=timezone.now() + timedelta(seconds=1))
    user.can("edit-articles")
    with django_assert_num_queries(0):
        wait_until(lambda: not user.can("edit-articles"))


def test_the_row_of_a_role_that_has_ended_stays(ended: User) -> None:
    assert not ended.can("edit-articles")
    assert RoleAssignment.objects.filter(user=ended).exists()


def test_a_role_that_ends_takes_no_other_along(user: User, role2: Role, ended: User) -> None:
    user.assign_role(role2, expires_at=timezone.now() + HOUR)
    assert fresh(user).get_role_names() == ["testRole2"]


# The group


def test_a_role_with_an_end_never_reaches_the_groups_of_a_user(running: User) -> None:
    assert not running.groups.exists()


def test_a_role_given_without_an_end_reaches_the_groups_of_a_user(running: User, role: Role) -> None:
    assert list(running.assign_role("testRole").groups.all()) == [role.group]


def test_a_role_that_is_given_an_end_leaves_the_groups_of_a_user(user: User) -> None:
    user.assign_role("testRole")
    user.assign_role("testRole", expires_at=timezone.now() + HOUR)
    assert not user.groups.exists()
    assert user.has_role("testRole")


def test_the_group_of_a_role_that_has_ended_shows_no_object(ended: User, role: Role, article: Article) -> None:
    assign_perm("articles.change_article", role.group, article)
    assert not ended.can("articles.change_article", article)


def test_the_group_of_a_role_that_runs_shows_its_objects(running: User, role: Role, article: Article) -> None:
    assign_perm("articles.change_article", role.group, article)
    assert running.can("articles.change_article", article)


def test_django_adding_the_user_to_the_group_takes_the_end_away(running: User, role: Role) -> None:
    running.groups.add(role.group)
    assert RoleAssignment.objects.get(user=running).expires_at is None


# The last word


def test_a_later_end_takes_the_place_of_the_former(running: User) -> None:
    later = timezone.now() + 2 * HOUR
    running.assign_role("testRole", expires_at=later)
    assert [row.expires_at for row in RoleAssignment.objects.all()] == [later]


def test_an_earlier_end_takes_the_place_of_the_former(running: User) -> None:
    earlier = timezone.now() + HOUR / 2
    running.assign_role("testRole", expires_at=earlier)
    assert [row.expires_at for row in RoleAssignment.objects.all()] == [earlier]


def test_a_role_that_has_ended_can_be_given_again(ended: User) -> None:
    assert ended.assign_role("testRole").can("edit-articles")


def test_a_role_that_has_ended_can_be_given_again_for_a_while(ended: User) -> None:
    assert ended.assign_role("testRole", expires_at=timezone.now() + HOUR).can("edit-articles")


def test_exchanging_roles_gives_one_that_has_ended_anew(ended: User) -> None:
    assert ended.sync_roles("testRole").can("edit-articles")


def test_exchanging_roles_keeps_the_end_of_one_that_runs(running: User) -> None:
    end = RoleAssignment.objects.get(user=running).expires_at
    running.sync_roles("testRole", "testRole2")
    assert RoleAssignment.objects.get(user=running, role__name="testRole").expires_at == end


def test_a_role_with_an_end_can_be_taken_before(running: User) -> None:
    running.remove_role("testRole")
    assert not running.can("edit-articles")
    assert not RoleAssignment.objects.exists()


# Moments that are refused


@pytest.mark.parametrize(
    "moment",
    [timezone.now() - HOUR, datetime(2100, 1, 1), datetime(1, 1, 1, tzinfo=timezone.get_default_timezone())],  # noqa: DTZ001 - the point of the test
    ids=["past", "naive", "first"],
)
def test_a_moment_that_has_passed_or_names_no_zone_is_refused(user: User, moment: datetime) -> None:
    with pytest.raises(InvalidExpiry):
        user.assign_role("testRole", expires_at=moment)
    assert not RoleAssignment.objects.exists()


def test_a_refused_moment_leaves_the_role_as_it_was(running: User) -> None:
    end = RoleAssignment.objects.get(user=running).expires_at
    with pytest.raises(InvalidExpiry):
        running.assign_role("testRole", expires_at=timezone.now() - HOUR)
    assert RoleAssignment.objects.get(user=running).expires_at == end


# Beside other rules


def test_a_super_admin_role_that_has_ended_opens_nothing(ended: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    assert not ended.can("edit-blog")


def test_a_super_admin_role_opens_everything_until_it_ends(running: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    assert running.can("edit-blog")


def test_what_comes_from_above_a_role_ends_with_it(ended: User, role: Role, role2: Role) -> None:
    role.inherit_from(role2.give_permission_to("edit-blog"))
    assert not ended.can("edit-blog")


def test_nobody_hands_out_what_a_role_gave_that_has_ended(ended: User, second_user: User) -> None:
    with pytest.raises(Escalation):
        second_user.give_permission_to("edit-articles", granted_by=ended)


def test_a_denial_does_not_end_with_a_role(running: User) -> None:
    running.forbid_permission_to("edit-articles").remove_role("testRole")
    assert not running.give_permission_to("edit-articles").can("edit-articles")


def test_a_role_ends_in_its_team_alone(user: User, article: Article, teams: tuple[Team, Team], role: Role) -> None:
    RoleAssignment.objects.create(
        user=user, role=role, team_id=str(teams[0].pk), expires_at=timezone.now() - timedelta(seconds=1)
    )
    user.assign_role(role, team=teams[1], expires_at=timezone.now() + HOUR)
    with use_team(teams[0]):
        assert not user.can("edit-articles")
    with use_team(teams[1]):
        assert user.can("edit-articles")


def test_a_user_whose_roles_in_a_team_have_ended_is_not_found_by_it(
    user: User, teams: tuple[Team, Team], role: Role
) -> None:
    RoleAssignment.objects.create(
        user=user, role=role, team_id=str(teams[0].pk), expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert not User.objects.team(teams[0])


def test_a_page_of_objects_read_before_the_end_is_asked_anew_after_it(user: User, role: Role, article: Article) -> None:
    assign_perm("articles.change_article", role.group, article)
    user.assign_role(role, expires_at=timezone.now() + timedelta(seconds=1))
    gate.prefetch(user, [article])
    wait_until(lambda: not user.can("articles.change_article", article))
