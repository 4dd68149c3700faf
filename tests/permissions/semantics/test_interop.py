"""Both ways: Django and guardian see what our verbs give, and our verbs see what Django gives."""

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import modelform_factory
from django.http import Http404, HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import RequestFactory
from guardian.shortcuts import assign_perm, get_objects_for_user, get_perms, get_users_with_perms, remove_perm
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.permissions import DjangoModelPermissions, DjangoObjectPermissions
from rest_framework.test import APIRequestFactory

from accounts.models import User
from permissions.models import Role, RoleAssignment
from permissions.signals import permission_attached, role_attached, role_detached
from tests.articles.models import Article
from tests.permissions.semantics.conftest import Listen, fresh

CHANGE = "articles.change_article"

type Give = Callable[[User], object]
type Question = Callable[[User], bool]
type Change = Callable[[User, Role, DjangoPermission], object]


@pytest.fixture(autouse=True)
def article(user: User) -> Article:
    """The only article."""
    return Article.objects.create(title="t", author=user)


@pytest.fixture
def change(db: None) -> DjangoPermission:
    """The permission to change articles, as Django has it."""
    return DjangoPermission.objects.get(codename="change_article")


# What our verbs give, Django sees


def _inherit(user: User) -> None:
    Role.find_by_name("testRole").inherit_from(Role.find_by_name("testRole2").give_permission_to(CHANGE))
    user.assign_role("testRole")


OURS: dict[str, Give] = {
    "directly": lambda user: user.give_permission_to(CHANGE),
    "through a role": lambda user: user.assign_role(Role.find_by_name("testRole").give_permission_to(CHANGE)),
    "through a role above": _inherit,
}


def _render(user: User, text: str) -> bool:
    request = HttpRequest()
    request.user = user
    return Template(text).render(RequestContext(request)) == "yes"


class _View:
    queryset = Article.objects.all()


def _ask_rest(user: User) -> bool:
    request = APIRequestFactory().put("/")
    request.user = user
    return DjangoModelPermissions().has_permission(request, _View())  # type: ignore[arg-type] # all that it reads of them


def _ask_rest_about_object(user: User) -> bool:
    request = APIRequestFactory().put("/")
    request.user = user
    rule = DjangoObjectPermissions()
    try:
        return rule.has_object_permission(request, _View(), Article.objects.get())  # type: ignore[arg-type] # as above
    except Http404:  # so it hides objects that may not be read
        return False


def _ask_decorator(user: User) -> bool:
    @permission_required(CHANGE, raise_exception=True)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    request = RequestFactory().get("/")
    request.user = user
    try:
        return view(request).status_code == 200
    except PermissionDenied:
        return False


DJANGO: dict[str, Question] = {
    "has_perm": lambda user: user.has_perm(CHANGE),
    "has_perm, with an object": lambda user: user.has_perm(CHANGE, Article.objects.get()),
    "has_perms": lambda user: user.has_perms([CHANGE]),
    "has_module_perms": lambda user: user.has_module_perms("articles"),
    "get_all_permissions": lambda user: CHANGE in user.get_all_permissions(),
    "ahas_perm": lambda user: async_to_sync(user.ahas_perm)(CHANGE),
    "ahas_perm, with an object": lambda user: async_to_sync(user.ahas_perm)(CHANGE, Article.objects.get()),
    "ahas_module_perms": lambda user: async_to_sync(user.ahas_module_perms)("articles"),
    "aget_all_permissions": lambda user: CHANGE in async_to_sync(user.aget_all_permissions)(),
    "perms.app.name": lambda user: _render(user, "{% if perms.articles.change_article %}yes{% endif %}"),
    "perms.app": lambda user: _render(user, "{% if perms.articles %}yes{% endif %}"),
    "name in perms": lambda user: _render(user, "{% if 'articles.change_article' in perms %}yes{% endif %}"),
    "permission_required": _ask_decorator,
    "DjangoModelPermissions": _ask_rest,
    "DjangoObjectPermissions": _ask_rest_about_object,
    "with_perm": lambda user: user in User.objects.with_perm(CHANGE),
    "guardian: get_objects_for_user": lambda user: get_objects_for_user(user, CHANGE).exists(),
}
ASKED = pytest.mark.parametrize("question", DJANGO.values(), ids=DJANGO.keys())


@pytest.mark.parametrize("give", OURS.values(), ids=OURS.keys())
@ASKED
def test_what_our_verbs_give_django_sees(user: User, give: Give, question: Question) -> None:
    give(user)
    assert question(fresh(user))


@pytest.mark.parametrize("give", OURS.values(), ids=OURS.keys())
@ASKED
def test_an_instance_that_django_asked_before_sees_it_too(user: User, give: Give, question: Question) -> None:
    assert not question(user)
    give(user)
    assert question(user)


@ASKED
def test_django_sees_nothing_that_nobody_gave(user: User, question: Question) -> None:
    assert not question(user)


def test_what_comes_from_a_role_is_not_among_the_permissions_of_the_user(user: User) -> None:
    OURS["through a role"](user)
    assert user.get_user_permissions() == set()
    assert user.get_group_permissions() == {CHANGE}


def test_what_was_given_directly_is_not_among_the_permissions_of_groups(user: User) -> None:
    OURS["directly"](user)
    assert user.get_user_permissions() == {CHANGE}
    assert user.get_group_permissions() == set()


def test_a_free_permission_is_asked_of_django_by_its_guard(user: User) -> None:
    assert user.give_permission_to("edit-articles").has_perm("web.edit-articles")


def test_a_free_permission_is_a_row_of_django(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert [row.user_perm_str for row in user.user_permissions.all()] == ["web.edit-articles"]


def test_a_role_is_a_group_of_django(user: User, role: Role) -> None:
    user.assign_role("testRole")
    assert [group.name for group in user.groups.all()] == ["testRole"]


def test_a_role_with_its_permissions_is_a_group_with_them(role: Role, change: DjangoPermission) -> None:
    role.give_permission_to(CHANGE)
    assert list(Group.objects.get(name="testRole").permissions.all()) == [change]


def test_guardian_knows_the_objects_of_a_role(user: User, role: Role, article: Article) -> None:
    user.assign_role(role)
    assign_perm(CHANGE, role.group, article)
    assert get_perms(fresh(user), article) == ["change_article"]


def test_guardian_knows_who_has_a_role_with_an_object(user: User, role: Role, article: Article) -> None:
    user.assign_role(role)
    assign_perm(CHANGE, role.group, article)
    assert list(get_users_with_perms(article)) == [user]


# What Django gives, our verbs see


def _save_user(user: User, groups: list[Group], permissions: list[DjangoPermission]) -> None:
    form = modelform_factory(User, fields=["groups", "user_permissions"])
    saved = form({"groups": groups, "user_permissions": permissions}, instance=User.objects.get(pk=user.pk))
    assert saved.is_valid(), saved.errors
    saved.save()


def _save_group(user: User, role: Role, permissions: list[DjangoPermission]) -> None:
    user.groups.add(role.group)
    form = modelform_factory(Group, fields=["name", "permissions"])
    saved = form({"name": role.group.name, "permissions": permissions}, instance=role.group)
    assert saved.is_valid(), saved.errors
    saved.save()


def _with_member(user: User, role: Role, write: Callable[[], object]) -> None:
    user.assign_role(role)
    write()


#: Every way by which Django gives somebody the permission to change articles.
GIVING: dict[str, Change] = {
    "user_permissions.add": lambda user, role, change: user.user_permissions.add(change),
    "user_permissions.set": lambda user, role, change: user.user_permissions.set([change]),
    "permission.user_set.add": lambda user, role, change: change.user_set.add(user),
    "group.permissions.add": lambda user, role, change: _with_member(
        user, role, lambda: role.group.permissions.add(change)
    ),
    "group.permissions.set": lambda user, role, change: _with_member(
        user, role, lambda: role.group.permissions.set([change])
    ),
    "permission.group_set.add": lambda user, role, change: _with_member(
        user, role, lambda: change.group_set.add(role.group)
    ),
    "groups.add": lambda user, role, change: user.groups.add(role.give_permission_to(CHANGE).group),
    "groups.set": lambda user, role, change: user.groups.set([role.give_permission_to(CHANGE).group]),
    "group.user_set.add": lambda user, role, change: role.give_permission_to(CHANGE).group.user_set.add(user),
    "the form of a user, groups": lambda user, role, change: _save_user(
        user, [role.give_permission_to(CHANGE).group], []
    ),
    "the form of a user, permissions": lambda user, role, change: _save_user(user, [], [change]),
    "the form of a group": lambda user, role, change: _save_group(user, role, [change]),
}

#: Every way by which Django takes it again, whichever of the two somebody holds it by.
TAKING: dict[str, Change] = {
    "user_permissions.remove": lambda user, role, change: user.user_permissions.remove(change),
    "user_permissions.clear": lambda user, role, change: user.user_permissions.clear(),
    "user_permissions.set": lambda user, role, change: user.user_permissions.set([]),
    "permission.user_set.remove": lambda user, role, change: change.user_set.remove(user),
    "permission.user_set.clear": lambda user, role, change: change.user_set.clear(),
    "group.permissions.remove": lambda user, role, change: role.group.permissions.remove(change),
    "group.permissions.clear": lambda user, role, change: role.group.permissions.clear(),
    "permission.group_set.remove": lambda user, role, change: change.group_set.remove(role.group),
    "permission.group_set.clear": lambda user, role, change: change.group_set.clear(),
    "groups.remove": lambda user, role, change: user.groups.remove(role.group),
    "groups.clear": lambda user, role, change: user.groups.clear(),
    "group.user_set.remove": lambda user, role, change: role.group.user_set.remove(user),
    "group.user_set.clear": lambda user, role, change: role.group.user_set.clear(),
    "group.delete": lambda user, role, change: role.group.delete(),
    "permission.delete": lambda user, role, change: change.delete(),
    "groups in bulk": lambda user, role, change: Group.objects.filter(pk=role.pk).delete(),
    "the form of a user": lambda user, role, change: _save_user(user, [], []),
    "the form of a group": lambda user, role, change: _save_group(user, role, []),
}
GIVEN = pytest.mark.parametrize("give", GIVING.values(), ids=GIVING.keys())


@GIVEN
def test_what_django_gives_the_next_request_may(user: User, role: Role, change: DjangoPermission, give: Change) -> None:
    assert not fresh(user).can(CHANGE)
    give(user, role, change)
    assert fresh(user).can(CHANGE)


@GIVEN
def test_what_django_gives_the_same_instance_may(
    user: User, role: Role, change: DjangoPermission, give: Change
) -> None:
    assert not user.can(CHANGE)
    give(user, role, change)
    assert user.can(CHANGE)


@GIVEN
def test_what_django_gives_is_held(user: User, role: Role, change: DjangoPermission, give: Change) -> None:
    assert not user.has_permission_to(CHANGE)
    give(user, role, change)
    assert user.has_permission_to(CHANGE)


def _hold(user: User, role: Role, name: str) -> None:
    if name.startswith(("user_permissions", "the form of a user")) or "user_set" in name or name == "permission.delete":
        user.give_permission_to(CHANGE)
    if "group" in name:
        user.assign_role(role.give_permission_to(CHANGE))
        user.revoke_permission_to(CHANGE)


@pytest.mark.parametrize("name", TAKING)
def test_what_django_takes_the_same_instance_may_not(
    user: User, role: Role, change: DjangoPermission, name: str
) -> None:
    _hold(user, role, name)
    assert user.can(CHANGE)
    TAKING[name](user, role, change)
    assert not user.can(CHANGE)


@pytest.mark.parametrize("name", TAKING)
def test_what_django_takes_the_next_request_may_not(
    user: User, role: Role, change: DjangoPermission, name: str
) -> None:
    _hold(user, role, name)
    assert fresh(user).can(CHANGE)
    TAKING[name](user, role, change)
    assert not fresh(user).can(CHANGE)


def test_a_group_that_django_makes_is_a_role(user: User) -> None:
    user.groups.add(Group.objects.create(name="made by Django"))
    assert user.has_role("made by Django")


def test_a_group_that_django_renames_is_a_role_of_that_name(user: User, role: Role) -> None:
    user.assign_role(role)
    role.group.name = "renamed"
    role.group.save()
    assert user.has_role("renamed")
    assert not user.has_role("testRole")


def test_a_group_that_django_takes_is_no_role_of_the_user(user: User, role: Role) -> None:
    user.assign_role(role)
    user.groups.remove(role.group)
    assert not user.has_role(role)
    assert not RoleAssignment.objects.exists()


def test_users_are_found_by_a_role_that_django_gave(user: User, role: Role) -> None:
    user.groups.add(role.group)
    assert list(User.objects.role("testRole")) == [user]


def test_users_are_found_by_a_permission_that_django_gave(user: User, change: DjangoPermission) -> None:
    user.user_permissions.add(change)
    assert list(User.objects.permission(CHANGE)) == [user]


def test_what_guardian_gives_for_an_object_is_allowed(user: User, article: Article) -> None:
    assign_perm(CHANGE, user, article)
    assert user.can(CHANGE, article)


def test_what_guardian_gives_in_async_code_is_allowed(user: User, article: Article) -> None:
    assign_perm(CHANGE, user, article)
    assert async_to_sync(user.ahas_perm)(CHANGE, article)


def test_what_guardian_gives_is_allowed_for_that_object_alone(user: User, article: Article) -> None:
    assign_perm(CHANGE, user, article)
    assert not user.can(CHANGE, Article.objects.create(title="other", author=user))
    assert not user.can(CHANGE)


def test_what_guardian_gives_everywhere_is_allowed(user: User) -> None:
    assign_perm(CHANGE, user)
    assert user.can(CHANGE)


def test_what_guardian_gives_the_same_instance_may(user: User, article: Article) -> None:
    assert not user.can(CHANGE, article)
    assign_perm(CHANGE, user, article)
    assert user.can(CHANGE, article)


def test_what_guardian_takes_the_same_instance_may_not(user: User, article: Article) -> None:
    assign_perm(CHANGE, user, article)
    assert user.can(CHANGE, article)
    remove_perm(CHANGE, user, article)
    assert not user.can(CHANGE, article)


def test_a_global_permission_is_enough_for_an_object(user: User, article: Article) -> None:
    assert user.give_permission_to(CHANGE).has_perm(CHANGE, article)


def test_what_django_gives_is_announced(
    user: User, role: Role, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard = listen(role_attached)
    with django_capture_on_commit_callbacks(execute=True):
        user.groups.add(role.group)
    assert [fact.roles for fact in heard] == [("testRole",)]


def test_what_django_takes_is_announced(
    user: User, role: Role, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user.assign_role(role)
    heard = listen(role_detached)
    with django_capture_on_commit_callbacks(execute=True):
        user.groups.clear()
    assert [fact.roles for fact in heard] == [("testRole",)]


def test_a_permission_that_django_gives_is_announced(
    user: User,
    change: DjangoPermission,
    listen: Listen,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    heard = listen(permission_attached)
    with django_capture_on_commit_callbacks(execute=True):
        user.user_permissions.add(change)
    assert [fact.permissions for fact in heard] == [(CHANGE,)]


# What is rolled back


def test_what_is_rolled_back_the_next_request_may_not(user: User) -> None:
    def fail() -> None:
        with transaction.atomic():
            assert user.give_permission_to(CHANGE).can(CHANGE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not fresh(user).can(CHANGE)
