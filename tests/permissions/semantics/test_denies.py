"""What a user is forbidden: it wins over whatever gives the permission, and wherever somebody asks."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission as DjangoPermission
from django.http import HttpRequest
from django.template import RequestContext, Template
from django.utils import timezone
from guardian.shortcuts import assign_perm
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.permissions import DjangoModelPermissions
from rest_framework.test import APIRequestFactory

from accounts.models import User
from permissions import gate
from permissions.exceptions import GuardDoesNotMatch, PermissionDoesNotExist, TeamsNotEnabled
from permissions.models import Permission, Role, UserGrant
from permissions.scope import use_team
from permissions.signals import (
    PermissionForbidden,
    PermissionUnforbidden,
    permission_forbidden,
    permission_unforbidden,
)
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import Configure, Listen, World, fresh

CHANGE = "articles.change_article"

type Give = Callable[[User], object]
type Question = Callable[[User], bool]


@pytest.fixture(autouse=True)
def article(user: User) -> Article:
    """The only article."""
    return Article.objects.create(title="t", author=user)


@pytest.fixture
def policy() -> Iterator[type]:
    """Register a policy that lets everybody change every article."""

    @gate.policy(Article)
    class Everybody:
        def change(self, user: User, article: Article) -> bool:
            return True

    yield Everybody
    gate.forget(Everybody)


# Whatever gives it


def _inherit(user: User) -> None:
    Role.find_by_name("testRole").inherit_from(Role.find_by_name("testRole2").give_permission_to(CHANGE))
    user.assign_role("testRole")


#: Every way to be given the permission to change articles.
WAYS: dict[str, Give] = {
    "directly": lambda user: user.give_permission_to(CHANGE),
    "through a role": lambda user: user.assign_role(Role.find_by_name("testRole").give_permission_to(CHANGE)),
    "through a role above": _inherit,
    "through a role that ends": lambda user: user.assign_role(
        Role.find_by_name("testRole").give_permission_to(CHANGE), expires_at=timezone.now() + timedelta(hours=1)
    ),
    "by Django, directly": lambda user: user.user_permissions.add(
        DjangoPermission.objects.get(codename="change_article")
    ),
    "by Django, through a group": lambda user: user.groups.add(
        Role.find_by_name("testRole").give_permission_to(CHANGE).group
    ),
    "for the object": lambda user: assign_perm(CHANGE, user, Article.objects.get()),
    "for the object, through a role": lambda user: assign_perm(
        CHANGE, user.assign_role("testRole").roles.get().group, Article.objects.get()
    ),
}

GIVEN = pytest.mark.parametrize("give", WAYS.values(), ids=WAYS.keys())


@GIVEN
def test_what_was_given_is_allowed(user: User, article: Article, give: Give) -> None:
    give(user)
    assert fresh(user).can(CHANGE, article)


@GIVEN
def test_what_is_forbidden_stays_so_whatever_gives_it_before(user: User, article: Article, give: Give) -> None:
    give(user)
    user.forbid_permission_to(CHANGE)
    assert not fresh(user).can(CHANGE, article)


@GIVEN
def test_what_is_forbidden_stays_so_whatever_gives_it_after(user: User, article: Article, give: Give) -> None:
    user.forbid_permission_to(CHANGE)
    give(user)
    assert not fresh(user).can(CHANGE, article)


@GIVEN
def test_an_instance_that_could_cannot_any_longer(user: User, article: Article, give: Give) -> None:
    give(user)
    assert user.can(CHANGE, article)
    user.forbid_permission_to(CHANGE)
    assert not user.can(CHANGE, article)


def test_a_policy_does_not_allow_what_is_forbidden(user: User, article: Article, policy: type) -> None:
    assert user.can(CHANGE, article)
    user.forbid_permission_to(CHANGE)
    assert not user.can(CHANGE, article)


def test_a_super_admin_role_does_not_allow_what_is_forbidden(user: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role("testRole").forbid_permission_to(CHANGE)
    assert not user.can(CHANGE)


def test_a_super_admin_role_allows_what_is_not_forbidden(user: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role("testRole").forbid_permission_to(CHANGE)
    assert user.can("articles.view_article")


def test_a_superuser_is_not_bound(user: User) -> None:
    user.is_superuser = True
    assert user.forbid_permission_to(CHANGE).can(CHANGE)


def test_a_superuser_is_bound_where_the_settings_say_so(user: User, configure: Configure) -> None:
    configure(SUPERUSER_BYPASS=False)
    user.is_superuser = True
    user.give_permission_to(CHANGE).forbid_permission_to(CHANGE)
    assert not user.can(CHANGE)


def test_django_asks_no_superuser_by_where_the_settings_say_so(user: User, configure: Configure) -> None:
    configure(SUPERUSER_BYPASS=False)
    user.is_superuser = True
    user.give_permission_to(CHANGE).forbid_permission_to(CHANGE)
    assert not user.has_perm(CHANGE)


# Whoever asks


def _render(user: User) -> str:
    request = HttpRequest()
    request.user = user
    return Template("{{ perms.articles.change_article }}").render(RequestContext(request))


def _ask_rest(user: User) -> bool:
    request = APIRequestFactory().put("/")
    request.user = user

    class View:
        queryset = Article.objects.all()

    return DjangoModelPermissions().has_permission(request, View())  # type: ignore[arg-type] # all that it reads of them


#: Every way to ask whether somebody may change articles.
QUESTIONS: dict[str, Question] = {
    "can": lambda user: user.can(CHANGE),
    "cannot": lambda user: not user.cannot(CHANGE),
    "can_any": lambda user: user.can_any(CHANGE, "edit-blog"),
    "acan": lambda user: async_to_sync(user.acan)(CHANGE),
    "can, with an object": lambda user: user.can(CHANGE, Article.objects.get()),
    "acan, with an object": lambda user: async_to_sync(user.acan)(CHANGE, Article.objects.get()),
    "has_permission_to": lambda user: user.has_permission_to(CHANGE),
    "check_permission_to": lambda user: user.check_permission_to(CHANGE),
    "has_any_permission": lambda user: user.has_any_permission(CHANGE, "edit-blog"),
    "has_all_permissions": lambda user: user.has_all_permissions([CHANGE]),
    "get_all_permission_objects": lambda user: bool(user.get_all_permission_objects()),
    "explain": lambda user: user.explain(CHANGE).is_allowed,
    "has_perm": lambda user: user.has_perm(CHANGE),
    "ahas_perm": lambda user: async_to_sync(user.ahas_perm)(CHANGE),
    "has_perm, with an object": lambda user: user.has_perm(CHANGE, Article.objects.get()),
    "has_perms": lambda user: user.has_perms([CHANGE]),
    "has_module_perms": lambda user: user.has_module_perms("articles"),
    "get_all_permissions": lambda user: CHANGE in user.get_all_permissions(),
    "perms in a template": lambda user: _render(user) == "True",
    "DjangoModelPermissions": _ask_rest,
    "users of a permission": lambda user: user in User.objects.permission(CHANGE),
    "users without a permission": lambda user: user not in User.objects.without_permission(CHANGE),
    "with_perm": lambda user: user in User.objects.with_perm(CHANGE),
    "rows that a user may change": lambda user: Article.objects.permitted(user, CHANGE).exists(),
}

ASKED = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


@pytest.fixture
def holder(user: User, role: Role) -> User:
    """A user who holds the permission directly and through a role."""
    return user.give_permission_to(CHANGE).assign_role(role.give_permission_to(CHANGE))


@ASKED
def test_whoever_asks_hears_of_what_was_given(holder: User, question: Question) -> None:
    assert question(fresh(holder))


@ASKED
def test_whoever_asks_hears_of_what_is_forbidden(holder: User, question: Question) -> None:
    holder.forbid_permission_to(CHANGE)
    assert not question(fresh(holder))


@ASKED
def test_an_instance_that_was_asked_before_is_not_asked_in_vain(holder: User, question: Question) -> None:
    assert question(holder)
    holder.forbid_permission_to(CHANGE)
    assert not question(holder)


@ASKED
def test_whoever_asks_hears_of_what_is_no_longer_forbidden(holder: User, question: Question) -> None:
    holder.forbid_permission_to(CHANGE)
    assert not question(holder)
    holder.unforbid_permission_to(CHANGE)
    assert question(holder)


# What it leaves alone


def test_what_was_given_directly_is_still_recorded(holder: User) -> None:
    assert holder.forbid_permission_to(CHANGE).has_direct_permission(CHANGE)


def test_roles_are_still_had(holder: User) -> None:
    assert holder.forbid_permission_to(CHANGE).has_role("testRole")


def test_others_may_still(holder: User, second_user: User) -> None:
    holder.forbid_permission_to(CHANGE)
    assert second_user.assign_role("testRole").can(CHANGE)


def test_other_permissions_of_the_role_are_still_held(holder: User, role: Role) -> None:
    role.give_permission_to("edit-blog")
    assert holder.forbid_permission_to(CHANGE).can("edit-blog")


def test_the_same_name_in_another_guard_is_not_forbidden(user: User) -> None:
    Permission.create("edit-articles", guard="api")
    user.give_permission_to("edit-articles", guard="api").forbid_permission_to("edit-articles")
    assert user.can("edit-articles", guard="api")


# Forbidding and lifting


def test_forbidding_returns_the_user(user: User) -> None:
    assert user.forbid_permission_to("edit-articles") is user


def test_lifting_returns_the_user(user: User) -> None:
    assert user.unforbid_permission_to("edit-articles") is user


def test_forbidding_twice_is_harmless(user: User) -> None:
    user.forbid_permission_to("edit-articles").forbid_permission_to("edit-articles")
    assert UserGrant.objects.count() == 1


def test_lifting_what_is_not_forbidden_is_harmless(user: User) -> None:
    user.give_permission_to("edit-articles").unforbid_permission_to("edit-articles")
    assert user.can("edit-articles")


def test_lifting_gives_nothing_by_itself(user: User) -> None:
    user.forbid_permission_to("edit-articles").unforbid_permission_to("edit-articles")
    assert not user.can("edit-articles")


def test_several_permissions_are_forbidden_at_once(user: User, world: World) -> None:
    user.give_permission_to("edit-articles", "edit-news", "edit-blog")
    user.forbid_permission_to(["edit-articles", world.edit_news], world.edit_blog.pk)
    assert not user.can_any("edit-articles", "edit-news", "edit-blog")


def test_an_unknown_permission_cannot_be_forbidden(user: User) -> None:
    with pytest.raises(PermissionDoesNotExist):
        user.forbid_permission_to("edit-articles", "unknown")
    assert not UserGrant.objects.exists()


def test_a_permission_object_of_a_foreign_guard_cannot_be_forbidden(user: User, world: World) -> None:
    with pytest.raises(GuardDoesNotMatch):
        user.forbid_permission_to(world.admin_permission)


def test_exchanging_permissions_lifts_nothing(user: User) -> None:
    user.forbid_permission_to("edit-articles").sync_permissions("edit-articles")
    assert not user.can("edit-articles")


def test_revoking_a_permission_lifts_nothing(user: User) -> None:
    user.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    user.revoke_permission_to("edit-articles").give_permission_to("edit-articles")
    assert not user.can("edit-articles")


def test_a_denial_waits_for_the_first_save_of_a_user() -> None:
    user = User(email="new@example.com").give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    user.save()
    assert not user.can("edit-articles")


def test_a_denial_is_announced(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard = listen(permission_forbidden)
    with django_capture_on_commit_callbacks(execute=True):
        user.forbid_permission_to("edit-articles")
    assert heard == [PermissionForbidden(user_id=user.pk, permissions=("edit-articles",))]


def test_a_lifted_denial_is_announced(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user.forbid_permission_to("edit-articles")
    heard = listen(permission_unforbidden)
    with django_capture_on_commit_callbacks(execute=True):
        user.unforbid_permission_to("edit-articles", "edit-news")
    assert heard == [PermissionUnforbidden(user_id=user.pk, permissions=("edit-articles",))]


def test_the_explanation_says_that_it_is_forbidden(user: User) -> None:
    decision = user.give_permission_to("edit-articles").forbid_permission_to("edit-articles").explain("edit-articles")
    assert "`edit-articles` is forbidden" in str(decision)


# Teams


def test_what_is_forbidden_in_a_team_is_allowed_in_another(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-articles", team=None).forbid_permission_to("edit-articles", team=teams[0])
    with use_team(teams[0]):
        assert not user.can("edit-articles")
    with use_team(teams[1]):
        assert user.can("edit-articles")
    assert user.can("edit-articles")


def test_what_is_forbidden_everywhere_is_forbidden_in_each_team(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-articles", team=teams[0]).forbid_permission_to("edit-articles", team=None)
    with use_team(teams[0]):
        assert not user.can("edit-articles")


def test_lifting_in_a_team_leaves_what_is_forbidden_everywhere(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-articles", team=None).forbid_permission_to("edit-articles", team=None)
    with use_team(teams[0]):
        assert not user.unforbid_permission_to("edit-articles").can("edit-articles")


def test_an_object_is_decided_by_what_is_forbidden_in_its_team(user: User, teams: tuple[Team, Team]) -> None:
    first, second = (Article.objects.create(title=team.name, author=user, team=team) for team in teams)
    user.give_permission_to(CHANGE, team=None).forbid_permission_to(CHANGE, team=teams[0])
    assert not user.can(CHANGE, first)
    assert user.can(CHANGE, second)


def test_lists_leave_out_the_objects_of_the_team_in_which_it_is_forbidden(
    user: User, teams: tuple[Team, Team], article: Article
) -> None:
    _, second = (Article.objects.create(title=team.name, author=user, team=team) for team in teams)
    user.give_permission_to(CHANGE, team=None).forbid_permission_to(CHANGE, team=teams[0])
    assert set(Article.objects.permitted(user, CHANGE)) == {article, second}


def test_nothing_is_forbidden_in_a_team_without_teams(user: User) -> None:
    with pytest.raises(TeamsNotEnabled):
        user.forbid_permission_to("edit-articles", team=1)


# Patterns


def test_a_pattern_forbids_what_it_covers(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    for name in ("posts.*", "posts.delete", "posts.view"):
        Permission.create(name)
    user.give_permission_to("posts.*").forbid_permission_to("posts.delete")
    assert not user.can("posts.delete.7")
    assert user.can("posts.view")


def test_a_pattern_that_is_forbidden_wins_over_a_name_that_was_given(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    for name in ("posts.*", "posts.view"):
        Permission.create(name)
    user.give_permission_to("posts.view").forbid_permission_to("posts.*")
    assert not user.can("posts.view")
