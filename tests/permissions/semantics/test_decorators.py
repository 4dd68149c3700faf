"""Views that only some may enter."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.urls import path
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.drf import BearerAuthentication, ClientPrincipal
from accounts.models import User
from permissions import gate
from permissions.decorators import permission_required, role_or_permission_required, role_required
from permissions.exceptions import (
    GuardDoesNotExist,
    PermissionDoesNotExist,
    RoleDoesNotExist,
    Unauthorized,
    WildcardPermissionNotProperlyFormatted,
)
from permissions.models import Permission, Role
from permissions.scope import use_guard, use_team
from project import urls
from tests.articles.models import Team
from tests.permissions.semantics.conftest import Configure, PermissionName, RoleName, World

pytestmark = pytest.mark.django_db

# Any (thrice): views are functions, methods and classes, and users are of any class.
type AnyView = Any
type Someone = Any
type Required = Callable[[AnyView], AnyView]
type Require = Callable[..., Required]

handler403 = "project.views.permission_denied"


class Outsider:
    """Somebody who is known, and whose class has no roles."""

    is_authenticated = True
    is_active = True
    is_superuser = True


def page(request: HttpRequest, number: int = 0) -> HttpResponse:
    """A page behind a door."""
    return HttpResponse(f"inside {number}")


async def async_page(request: HttpRequest, number: int = 0) -> HttpResponse:
    """A page behind a door."""
    return HttpResponse(f"inside {number}")


def as_function(required: Required) -> AnyView:
    return required(page)


def as_async_function(required: Required) -> AnyView:
    return required(async_page)


def as_method(required: Required) -> AnyView:
    class Page(View):
        @required
        def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

    return Page.as_view()


def as_async_method(required: Required) -> AnyView:
    class Page(View):
        @required
        async def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

    return Page.as_view()


def as_class(required: Required) -> AnyView:
    @required
    class Page(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

        def post(self, request: HttpRequest) -> HttpResponse:
            return page(request)

    return Page.as_view()


def as_async_class(required: Required) -> AnyView:
    @required
    class Page(View):
        async def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

        async def post(self, request: HttpRequest) -> HttpResponse:
            return page(request)

    return Page.as_view()


def as_subclass(required: Required) -> AnyView:
    @required
    class Door(View):
        pass

    class Page(Door):
        def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

        post = get

    return Page.as_view()


def as_async_subclass(required: Required) -> AnyView:
    @required
    class Door(View):
        pass

    class Page(Door):
        async def get(self, request: HttpRequest) -> HttpResponse:
            return page(request)

        post = get

    return Page.as_view()


every_view = pytest.mark.parametrize(
    "build",
    [
        as_function,
        as_async_function,
        as_method,
        as_async_method,
        as_class,
        as_async_class,
        as_subclass,
        as_async_subclass,
    ],
)
sync_and_async = pytest.mark.parametrize("build", [as_function, as_async_function])
every_decorator = pytest.mark.parametrize("require", [role_required, permission_required, role_or_permission_required])

urlpatterns = [
    path("role", role_required("testRole")(page)),
    path("role/enum", role_required(RoleName.TEST_ROLE)(page)),
    path("permission", permission_required(["edit-news", "edit-articles"])(page)),
    path("permission/enum", permission_required(PermissionName.EDIT)(page)),
    path("both", role_required("testRole|testRole2")(permission_required("edit-news|edit-articles")(page))),
    path(
        "both/enum",
        role_required([RoleName.WRITER, RoleName.TEST_ROLE])(
            permission_required([PermissionName.VIEW, PermissionName.EDIT])(page)
        ),
    ),
    path("either", role_or_permission_required("testRole|edit-articles")(page)),
    path("either/list", role_or_permission_required(["testRole", "edit-articles"])(page)),
    path("either/enum", role_or_permission_required(RoleName.TEST_ROLE)(page)),
    path("either/enums", role_or_permission_required([RoleName.TEST_ROLE, PermissionName.EDIT])(page)),
    path("async", permission_required("edit-articles")(async_page)),
    path("below", as_async_subclass(permission_required("edit-articles"))),
    path("patterns", permission_required(["articles.edit", "articles.save"])(page)),
    path("patterns/both", role_required("testRole|admin")(permission_required("articles.edit|articles.save")(page))),
    *urls.urlpatterns,
]


def enter(view: AnyView, user: Someone, *, address: str = "/page", method: str = "get", **headers: str) -> HttpResponse:
    """Ask for the page as somebody who signed in."""
    is_async = iscoroutinefunction(view)
    request: Any = getattr(AsyncRequestFactory() if is_async else RequestFactory(), method)(address, headers=headers)

    async def auser() -> Someone:
        return user

    request.user, request.auser = user, auser
    response = async_to_sync(view)(request) if is_async else view(request)
    assert isinstance(response, HttpResponse)
    return response


def lets_in(required: Required, user: Someone, build: Callable[[Required], AnyView] = as_function) -> bool:
    """Say whether somebody comes in; who doesn't is refused by an error, which Django answers with 403."""
    try:
        return enter(build(required), user).status_code == 200
    except Unauthorized:
        return False


@pytest.fixture
def superuser(world: World) -> User:
    return User.objects.create(email="root@example.com", is_superuser=True)


# Who isn't signed in


@every_view
@every_decorator
def test_a_guest_is_sent_to_the_sign_in_page(build: Callable[[Required], AnyView], require: Require) -> None:
    response = enter(build(require("testRole")), AnonymousUser(), address="/page?a=1")
    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/page%3Fa%3D1")


@sync_and_async
def test_a_guest_is_sent_to_the_sign_in_page_that_is_named(build: Callable[[Required], AnyView]) -> None:
    response = enter(build(role_required("testRole", login_url="/door")), AnonymousUser())
    assert response["Location"] == "/door?next=/page"


@every_view
@every_decorator
def test_a_program_without_credentials_is_refused(build: Callable[[Required], AnyView], require: Require) -> None:
    with pytest.raises(Unauthorized, match=r"^User is not logged in\.$") as caught:
        enter(build(require("testRole")), AnonymousUser(), accept="application/json")
    assert (caught.value.required_roles, caught.value.required_permissions) == ((), ())


@every_decorator
def test_a_guest_does_not_come_in_by_patterns(require: Require, configure: Configure) -> None:
    configure(WILDCARDS=True)
    assert enter(as_function(require("articles.edit")), AnonymousUser()).status_code == 302


# Whose class has no roles


@every_view
@every_decorator
def test_a_user_whose_class_has_no_roles_is_refused(build: Callable[[Required], AnyView], require: Require) -> None:
    with pytest.raises(Unauthorized, match=r"^Authorizable class `Outsider` must use the mixin .*HasRoles`\.$"):
        enter(build(require("testRole")), Outsider())


@every_decorator
def test_a_client_that_acts_for_itself_is_refused(require: Require) -> None:
    assert not lets_in(require("testRole|testRole2|edit-articles|admin-permission"), ClientPrincipal("x"))
    assert not lets_in(require(""), ClientPrincipal("x"))
    assert not lets_in(require("testAdminRole", guard="admin"), ClientPrincipal("x"))


# Roles


@every_view
def test_who_has_the_role_comes_in(build: Callable[[Required], AnyView], user: User) -> None:
    user.assign_role("testRole")
    assert lets_in(role_required("testRole"), user, build)


@every_view
def test_who_has_no_role_is_refused(build: Callable[[Required], AnyView], user: User) -> None:
    assert not lets_in(role_required("testRole|testRole2"), user, build)


@sync_and_async
@pytest.mark.parametrize(
    "names",
    [
        ("testRole|testRole2",),
        ("testRole2", "testRole"),
        (["testRole2", "testRole"],),
        (["missing|testRole2", ("testRole",)],),
        ("'testRole2|testRole'",),
    ],
)
def test_one_of_several_roles_is_enough(
    build: Callable[[Required], AnyView], names: tuple[object, ...], user: User
) -> None:
    user.assign_role("testRole")
    assert lets_in(role_required(*names), user, build)


@sync_and_async
def test_who_has_another_role_is_refused(build: Callable[[Required], AnyView], user: User) -> None:
    user.assign_role("testRole")
    assert not lets_in(role_required("testRole2"), user, build)


def test_who_has_a_role_is_refused_where_one_of_another_guard_is_asked_for(user: User) -> None:
    user.assign_role("testRole")
    assert not lets_in(role_required("testAdminRole"), user)


@sync_and_async
def test_a_role_does_not_count_where_another_guard_is_named(build: Callable[[Required], AnyView], user: User) -> None:
    user.assign_role("testRole")
    assert not lets_in(role_required("testRole", guard="admin"), user, build)


@sync_and_async
def test_a_role_of_the_named_guard_counts(build: Callable[[Required], AnyView], admin: User) -> None:
    admin.assign_role("testAdminRole")
    assert lets_in(role_required("testAdminRole", guard="admin"), admin, build)


def test_a_role_of_any_guard_counts_where_none_is_named(user: User) -> None:
    Role.create("writer", guard="api")
    user.assign_role("writer", guard="api")
    assert lets_in(role_required("writer"), user)
    assert not lets_in(role_required("writer", guard="web"), user)


@pytest.mark.parametrize("names", [RoleName.WRITER, [RoleName.EDITOR, RoleName.WRITER]])
def test_roles_are_enums(names: object, user: User) -> None:
    assert not lets_in(role_required(names), user)
    user.assign_role(Role.create(RoleName.WRITER))
    assert lets_in(role_required(names), user)


@sync_and_async
def test_being_a_superuser_is_no_role(build: Callable[[Required], AnyView], superuser: User) -> None:
    assert not lets_in(role_required("testRole"), superuser, build)


def test_who_may_everything_by_a_hook_has_no_role_by_it(user: User) -> None:
    gate.before(lambda user, ability, obj: True)
    assert not lets_in(role_required("testRole"), user)


def test_a_role_counts_in_the_team_where_it_was_given(user: User, teams: tuple[Team, Team]) -> None:
    user.assign_role("testRole", team=teams[0])
    found: list[bool] = []
    for team in teams:
        with use_team(team):
            found.append(lets_in(role_required("testRole"), user))
    assert found == [True, False]


# Permissions


@every_view
def test_who_holds_the_permission_comes_in(build: Callable[[Required], AnyView], user: User) -> None:
    user.give_permission_to("edit-articles")
    assert lets_in(permission_required("edit-articles"), user, build)


@every_view
def test_who_holds_no_permission_is_refused(build: Callable[[Required], AnyView], user: User) -> None:
    assert not lets_in(permission_required("edit-articles|edit-news"), user, build)


@sync_and_async
def test_who_holds_the_permission_through_a_role_comes_in(
    build: Callable[[Required], AnyView], user: User, role: Role
) -> None:
    assert not lets_in(permission_required("edit-articles"), user, build)
    role.give_permission_to("edit-articles")
    user.assign_role("testRole")
    assert lets_in(permission_required("edit-articles"), user, build)


@sync_and_async
@pytest.mark.parametrize(
    "names",
    [
        ("edit-news|edit-articles",),
        ("edit-news", "edit-articles"),
        (["edit-news", "edit-articles"],),
        (["missing|edit-news", ("edit-articles",)],),
    ],
)
def test_one_of_several_permissions_is_enough(
    build: Callable[[Required], AnyView], names: tuple[object, ...], user: User
) -> None:
    user.give_permission_to("edit-articles")
    assert lets_in(permission_required(*names), user, build)


@sync_and_async
def test_who_holds_another_permission_is_refused(build: Callable[[Required], AnyView], user: User) -> None:
    user.give_permission_to("edit-articles")
    assert not lets_in(permission_required("edit-news"), user, build)


def test_a_permission_counts_in_its_guard_alone(user: User, admin: User) -> None:
    for name, guards in (("admin-permission2", ("web", "admin")), ("edit-articles2", ("admin", "web"))):
        for guard in guards:
            Permission.create(name, guard=guard)
    admin.give_permission_to("admin-permission2")
    user.give_permission_to("edit-articles2")
    assert lets_in(permission_required("admin-permission2", guard="admin"), admin)
    assert not lets_in(permission_required("edit-articles2", guard="admin"), admin)
    assert lets_in(permission_required("edit-articles2", guard="web"), user)
    assert not lets_in(permission_required("admin-permission2", guard="web"), user)


@sync_and_async
def test_a_permission_does_not_count_where_another_guard_is_named(
    build: Callable[[Required], AnyView], user: User
) -> None:
    user.give_permission_to("edit-articles")
    assert not lets_in(permission_required("edit-articles", guard="admin"), user, build)


@sync_and_async
def test_a_permission_of_the_named_guard_counts(build: Callable[[Required], AnyView], admin: User) -> None:
    admin.give_permission_to("admin-permission")
    assert lets_in(permission_required("admin-permission", guard="admin"), admin, build)


def test_a_permission_is_asked_for_in_the_guard_of_the_request(user: User) -> None:
    user.give_permission_to("edit-articles")
    required = permission_required("edit-articles")
    with use_guard("api"):
        assert not lets_in(required, user)
        user.give_permission_to(Permission.create("edit-articles", guard="api"))
        assert lets_in(required, user)


@pytest.mark.parametrize("names", [PermissionName.VIEW, [PermissionName.EDIT, PermissionName.VIEW]])
def test_permissions_are_enums(names: object, user: User) -> None:
    assert not lets_in(permission_required(names), user)
    user.give_permission_to(Permission.create(PermissionName.VIEW))
    assert lets_in(permission_required(names), user)


@sync_and_async
@pytest.mark.parametrize("require", [permission_required, role_or_permission_required])
def test_superusers_may_whatever_is_asked_for(
    build: Callable[[Required], AnyView], require: Require, superuser: User
) -> None:
    assert lets_in(require("testRole|edit-articles"), superuser, build)


@sync_and_async
@pytest.mark.parametrize("require", [permission_required, role_or_permission_required])
def test_who_may_everything_by_a_hook_comes_in(
    build: Callable[[Required], AnyView], require: Require, user: User, second_user: User
) -> None:
    gate.before(lambda asking, ability, obj: True if asking == user else None)
    assert lets_in(require("testRole|edit-articles"), user, build)
    assert not lets_in(require("testRole|edit-articles"), second_user, build)


@pytest.mark.parametrize("require", [permission_required, role_or_permission_required])
def test_who_has_a_super_admin_role_comes_in(require: Require, user: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole2"])
    user.assign_role("testRole2")
    assert lets_in(require("edit-articles"), user)


def test_who_is_forbidden_what_was_given_is_refused(user: User) -> None:
    user.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    assert not lets_in(permission_required("edit-articles"), user)


# A role or a permission


@sync_and_async
@pytest.mark.parametrize("names", ["testRole|edit-news|edit-articles", ["testRole", "edit-articles"]])
def test_a_role_or_a_permission_is_enough(build: Callable[[Required], AnyView], names: object, user: User) -> None:
    required = role_or_permission_required(names)
    user.assign_role("testRole").give_permission_to("edit-articles")
    assert lets_in(required, user, build)
    user.remove_role("testRole")
    assert lets_in(required, user, build)
    user.revoke_permission_to("edit-articles").assign_role("testRole")
    assert lets_in(required, user, build)


@every_view
@pytest.mark.parametrize("names", ["testRole|edit-articles", "missingRole|missingPermission"])
def test_who_has_neither_the_role_nor_the_permission_is_refused(
    build: Callable[[Required], AnyView], names: str, user: User
) -> None:
    assert not lets_in(role_or_permission_required(names), user, build)


@sync_and_async
def test_neither_counts_where_another_guard_is_named(build: Callable[[Required], AnyView], user: User) -> None:
    user.assign_role("testRole").give_permission_to("edit-articles")
    assert not lets_in(role_or_permission_required("edit-articles|testRole", guard="admin"), user, build)


@sync_and_async
@pytest.mark.parametrize("is_role", [True, False])
def test_either_of_the_named_guard_counts(build: Callable[[Required], AnyView], is_role: bool, admin: User) -> None:
    if is_role:
        admin.assign_role("testAdminRole")
    else:
        admin.give_permission_to("admin-permission")
    assert lets_in(role_or_permission_required("admin-permission|testAdminRole", guard="admin"), admin, build)


# Names


@every_view
@every_decorator
@pytest.mark.parametrize("name", ["", "|"])
def test_an_empty_name_lets_nobody_in(
    build: Callable[[Required], AnyView], require: Require, name: str, superuser: User
) -> None:
    superuser.assign_role("testRole").give_permission_to("edit-articles")
    assert not lets_in(require(name), superuser, build)


@every_decorator
@pytest.mark.parametrize("names", [None, [], (None, "")])
def test_nothing_among_the_names_lets_nobody_in(require: Require, names: object, superuser: User) -> None:
    assert not lets_in(require(names), superuser)


@sync_and_async
@every_decorator
def test_an_unknown_name_lets_nobody_in(build: Callable[[Required], AnyView], require: Require, user: User) -> None:
    user.assign_role("testRole").give_permission_to("edit-articles")
    for name in ("missing", "Edit-Articles", "testrole", "edit-articles ", "x\x00"):
        assert not lets_in(require(name), user, build)


@every_decorator
def test_naming_nothing_is_a_mistake(require: Require) -> None:
    with pytest.raises(TypeError, match="Say what is required"):
        require()


@every_decorator
@pytest.mark.parametrize("name", [7, b"testRole", ["testRole", 7]])
def test_what_is_no_name_is_a_mistake(require: Require, name: object) -> None:
    with pytest.raises(TypeError, match="A name is text"):
        require(name)


@every_decorator
def test_an_unknown_guard_is_an_error(require: Require) -> None:
    with pytest.raises(GuardDoesNotExist, match="xxx"):
        require("testRole", guard="xxx")
    assert issubclass(GuardDoesNotExist, ValueError)


def test_a_name_need_not_be_there_when_the_view_is_made(user: User) -> None:
    with pytest.raises(RoleDoesNotExist):
        Role.find_by_name("later")
    with pytest.raises(PermissionDoesNotExist):
        Permission.find_by_name("later")
    required = role_or_permission_required("later")
    assert not lets_in(required, user)
    user.give_permission_to(Permission.create("later"))
    assert lets_in(required, user)


# Patterns


@sync_and_async
def test_a_pattern_lets_in_for_what_lies_below_it(
    build: Callable[[Required], AnyView], user: User, configure: Configure
) -> None:
    configure(WILDCARDS=True)
    user.give_permission_to(Permission.create("articles"))
    assert lets_in(permission_required("articles.edit"), user, build)


@pytest.mark.parametrize("names", ["news.edit|articles.create.test", ["news.edit", "articles.create.test"]])
def test_one_of_several_names_that_a_pattern_covers_is_enough(names: object, user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    user.give_permission_to(Permission.create("articles.*.test"))
    assert lets_in(permission_required(names), user)


def test_a_pattern_does_not_let_in_for_what_lies_elsewhere(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    user.give_permission_to(Permission.create("articles.*"))
    assert not lets_in(permission_required("news.edit"), user)


def test_who_holds_no_pattern_is_refused(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    assert not lets_in(permission_required("articles.edit|news.edit"), user)


def test_a_role_or_a_pattern_is_enough(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    user.assign_role("testRole").give_permission_to(Permission.create("articles.*"))
    assert lets_in(role_or_permission_required("testRole|news.edit|articles.create"), user)
    user.remove_role("testRole")
    assert lets_in(role_or_permission_required("testRole|articles.edit"), user)
    user.revoke_permission_to("articles.*").assign_role("testRole")
    assert lets_in(role_or_permission_required("testRole|articles.edit"), user)
    assert lets_in(role_or_permission_required(["testRole", "articles.edit"]), user)


def test_a_refusal_keeps_the_name_that_no_pattern_covers(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    with pytest.raises(Unauthorized) as caught:
        enter(as_function(permission_required("permission.some")), user)
    assert caught.value.required_permissions == ("permission.some",)


def test_without_patterns_a_star_is_a_letter(user: User) -> None:
    user.give_permission_to(Permission.create("articles.*"))
    assert not lets_in(permission_required("articles.edit"), user)
    assert lets_in(permission_required("articles.*"), user)


def test_a_malformed_pattern_of_the_user_is_no_refusal(user: User, configure: Configure) -> None:
    user.give_permission_to(Permission.create("*.."))
    configure(WILDCARDS=True)
    with pytest.raises(WildcardPermissionNotProperlyFormatted):
        enter(as_function(permission_required("articles.edit")), user)


# What a refusal says

REFUSALS: dict[Require, tuple[str, str]] = {
    role_required: ("User does not have the right roles.", "Necessary roles are a, b."),
    permission_required: ("User does not have the right permissions.", "Necessary permissions are a, b."),
    role_or_permission_required: (
        "User does not have any of the necessary access rights.",
        "Necessary roles or permissions are a, b.",
    ),
}


def refuse(required: Required, user: Someone, build: Callable[[Required], AnyView] = as_function) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        enter(build(required), user)
    return caught.value


@sync_and_async
@every_decorator
def test_a_refusal_keeps_what_was_required_and_does_not_tell_it(
    build: Callable[[Required], AnyView], require: Require, user: User
) -> None:
    error = refuse(require("a|b", ["b"]), user, build)
    kept = (error.required_roles, error.required_permissions)
    assert error.message == str(error) == REFUSALS[require][0]
    assert kept == ((("a", "b"), ()) if require is role_required else ((), ("a", "b")))


@every_decorator
def test_a_refusal_tells_what_was_required_where_the_settings_say_so(
    require: Require, user: User, configure: Configure
) -> None:
    configure(DISPLAY_ROLE_IN_EXCEPTION=True, DISPLAY_PERMISSION_IN_EXCEPTION=True)
    assert refuse(require("a|b"), user).message == " ".join(REFUSALS[require])


@pytest.mark.parametrize(
    ("key", "telling"),
    [("DISPLAY_ROLE_IN_EXCEPTION", role_required), ("DISPLAY_PERMISSION_IN_EXCEPTION", permission_required)],
)
@every_decorator
def test_a_setting_for_roles_tells_no_permissions_and_the_other_way_round(
    require: Require, key: str, telling: Require, user: User, configure: Configure
) -> None:
    configure(**{key: True})
    assert ("Necessary" in refuse(require("a|b"), user).message) is (require is telling)


def test_a_refusal_for_no_name_tells_none(user: User, configure: Configure) -> None:
    configure(DISPLAY_ROLE_IN_EXCEPTION=True)
    error = refuse(role_required(""), user)
    assert (error.message, error.required_roles) == ("User does not have the right roles.", ())


# What is decorated


@sync_and_async
def test_a_closed_view_keeps_its_name_and_takes_its_arguments(
    build: Callable[[Required], AnyView], user: User, world: World
) -> None:
    user.assign_role("testRole")
    view = build(role_required("testRole"))
    assert view.__name__ in {"page", "async_page"}
    assert view.__doc__ == "A page behind a door."
    request: Any = RequestFactory().get("/")

    async def auser() -> User:
        return user

    request.user, request.auser = user, auser
    answers = [
        async_to_sync(view)(request, *args, **kwargs) if iscoroutinefunction(view) else view(request, *args, **kwargs)
        for args, kwargs in (((7,), {}), ((), {"number": 8}))
    ]
    assert [answer.content for answer in answers] == [b"inside 7", b"inside 8"]


@pytest.mark.parametrize("build", [as_class, as_async_class])
def test_every_method_of_a_closed_class_is_closed(build: Callable[[Required], AnyView], user: User) -> None:
    view = build(role_required("testRole"))
    for method in ("get", "post", "put", "options", "head"):
        with pytest.raises(Unauthorized):
            enter(view, user, method=method)
    user.assign_role("testRole")
    assert [enter(view, user, method=method).status_code for method in ("get", "post", "put", "options", "head")] == [
        200,
        200,
        405,
        200,
        200,
    ]


@pytest.mark.parametrize("build", [as_method, as_async_method])
def test_a_closed_method_leaves_the_others_open(build: Callable[[Required], AnyView], user: User) -> None:
    assert enter(build(role_required("testRole")), user, method="options").status_code == 200


def test_a_class_made_from_a_closed_one_is_closed_and_its_base_stays_open(user: User) -> None:
    class Open(View):
        def get(self, request: HttpRequest) -> HttpResponseBase:
            return page(request)

    @role_required("testRole")
    class Closed(Open):
        pass

    class Below(Closed):
        pass

    assert enter(Open.as_view(), user).status_code == 200
    for view in (Closed, Below):
        with pytest.raises(Unauthorized):
            enter(view.as_view(), user)


@sync_and_async
def test_two_decorators_ask_for_both(build: Callable[[Required], AnyView], user: User) -> None:
    def required(view: AnyView) -> AnyView:
        return role_required("testRole")(permission_required("edit-articles")(view))

    user.assign_role("testRole")
    assert refuse(required, user, build).required_permissions == ("edit-articles",)
    user.give_permission_to("edit-articles")
    assert lets_in(required, user, build)
    user.remove_role("testRole")
    assert refuse(required, user, build).required_roles == ("testRole",)


def test_two_decorators_of_a_class_ask_for_both(user: User) -> None:
    for build in (as_class, as_async_class):

        def required(view: AnyView) -> AnyView:
            return role_required("testRole")(permission_required("edit-articles")(view))

        user.sync_roles("testRole").sync_permissions()
        assert not lets_in(required, user, build)
        user.sync_permissions("edit-articles")
        assert lets_in(required, user, build)
        user.sync_roles()
        assert not lets_in(required, user, build)


@every_decorator
def test_a_class_of_the_rest_api_is_a_mistake(require: Require) -> None:
    class Api(APIView):
        pass

    with pytest.raises(TypeError, match="permission_classes"):
        require("testRole")(Api)


@every_decorator
def test_a_class_that_is_no_view_is_a_mistake(require: Require) -> None:
    with pytest.raises(TypeError, match="World is no class of Django's views"):
        require("testRole")(World)


@sync_and_async
def test_what_gets_no_request_is_a_mistake(build: Callable[[Required], AnyView]) -> None:
    view = build(role_required("testRole"))
    with pytest.raises(TypeError, match="A view gets the request"):
        async_to_sync(view)("no request") if iscoroutinefunction(view) else view("no request")


# A method of the REST API


class ApiPage(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = []

    @permission_required("edit-articles")
    def get(self, request: Request) -> Response:
        return Response("inside")


def call(user: Someone = None) -> Response:
    request = APIRequestFactory().get("/api/v1/page")
    if user is not None:
        force_authenticate(request, user)
    response = ApiPage.as_view()(request)
    assert isinstance(response, Response)
    return response


def test_the_rest_api_asks_a_guest_for_credentials() -> None:
    response = call()
    assert (response.status_code, response.data["code"]) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_the_rest_api_refuses_who_may_not(user: User) -> None:
    for one in (user, ClientPrincipal("x")):
        response = call(one)
        assert (response.status_code, response.data["code"]) == (403, "permission_denied")


def test_the_rest_api_lets_in_who_may(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert call(user).status_code == 200


# Through the whole house


def visit(address: str, user: User | None, **headers: str) -> HttpResponseBase:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client.get(address, headers=headers)


def is_open(address: str, user: User) -> bool:
    status = visit(address, user).status_code
    assert status in {200, 403}
    return status == 200


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("address", ["/role", "/role/enum"])
def test_an_address_asks_for_a_role(address: str, user: User) -> None:
    assert not is_open(address, user)
    user.assign_role("testRole")
    assert is_open(address, user)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("address", ["/permission", "/permission/enum"])
def test_an_address_asks_for_a_permission(address: str, user: User) -> None:
    assert not is_open(address, user)
    user.give_permission_to("edit-articles")
    assert is_open(address, user)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("address", ["/both", "/both/enum"])
def test_an_address_asks_for_a_role_and_a_permission(address: str, user: User) -> None:
    user.assign_role("testRole")
    assert not is_open(address, user)
    user.give_permission_to("edit-articles")
    assert is_open(address, user)
    user.remove_role("testRole")
    assert not is_open(address, user)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("address", ["/either", "/either/list", "/either/enum", "/either/enums"])
def test_an_address_asks_for_a_role_or_a_permission(address: str, user: User, second_user: User) -> None:
    assert not is_open(address, user)
    user.assign_role("testRole")
    assert is_open(address, user)
    second_user.give_permission_to("edit-articles")
    assert is_open(address, second_user) is (address != "/either/enum")


@pytest.mark.urls(__name__)
def test_an_address_asks_for_names_that_a_pattern_covers(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    assert not is_open("/patterns", user)
    user.give_permission_to(Permission.create("articles.*"))
    assert is_open("/patterns", user)


@pytest.mark.urls(__name__)
def test_an_address_asks_for_a_role_and_names_that_a_pattern_covers(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    user.give_permission_to(Permission.create("articles.*"))
    assert not is_open("/patterns/both", user)
    user.assign_role("testRole")
    assert is_open("/patterns/both", user)


@pytest.mark.urls(__name__)
def test_the_house_sends_guests_to_its_sign_in_page(db: None) -> None:
    response = visit("/role", None)
    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/role")


@pytest.mark.urls(__name__)
def test_the_house_answers_a_page_to_people_and_a_problem_to_programs(user: User, configure: Configure) -> None:
    configure(DISPLAY_ROLE_IN_EXCEPTION=True)
    person, program = visit("/role", user, accept="text/html"), visit("/role", user, accept="application/json")
    assert [one.status_code for one in (person, program)] == [403, 403]
    assert person["Content-Type"].startswith("text/html")
    assert program["Content-Type"] == "application/problem+json"
    assert visit("/role", None, accept="application/json").status_code == 403


@pytest.mark.urls(__name__)
def test_an_async_view_knows_who_signed_in(user: User) -> None:
    user.give_permission_to("edit-articles")

    async def ask(who: User | None) -> HttpResponseBase:
        client = AsyncClient()
        if who is not None:
            await client.aforce_login(who)
        return await client.get("/async")

    assert async_to_sync(ask)(user).status_code == 200
    response = async_to_sync(ask)(None)
    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/async")


@pytest.mark.urls(__name__)
def test_an_async_view_below_a_closed_class_knows_who_signed_in(user: User) -> None:
    user.give_permission_to("edit-articles")

    async def ask(who: User | None) -> HttpResponseBase:
        client = AsyncClient()
        if who is not None:
            await client.aforce_login(who)
        return await client.get("/below")

    assert async_to_sync(ask)(user).status_code == 200
    assert async_to_sync(ask)(None).status_code == 302
