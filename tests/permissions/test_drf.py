"""What views of the API can ask of their callers."""

import enum
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import override_settings
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from guardian.shortcuts import assign_perm
from pytest_django import Settings
from rest_framework.generics import ListAPIView, RetrieveUpdateAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.drf import BearerAuthentication, ClientPrincipal
from accounts.models import User
from permissions import gate
from permissions.drf import HasObjectPermission, HasPermission, HasRole, HasRoleOrPermission
from permissions.exceptions import GuardDoesNotExist
from permissions.models import Permission, Role
from permissions.scope import use_guard, use_team
from permissions.services import create_role
from tests.articles.models import Article, Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


class PermissionView(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasPermission("accounts.view_user|permissions.view_role")]

    def get(self, request: Request) -> Response:
        return Response()


class RoleView(PermissionView):
    permission_classes = [HasRole("admin|editor")]


class MethodsView(PermissionView):
    permission_classes = [HasPermission(GET="accounts.view_user", POST="accounts.add_user")]

    def post(self, request: Request) -> Response:
        return Response()

    def put(self, request: Request) -> Response:
        return Response()


class NotView(PermissionView):
    permission_classes = [IsAuthenticated & ~HasRole("editor")]


class EitherView(PermissionView):
    permission_classes = [HasRoleOrPermission("editor|accounts.view_user")]


class ArticleOut(ModelSerializer[Article]):
    class Meta:
        model = Article
        fields = ["title"]


class ArticleView(RetrieveUpdateAPIView[Article]):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasObjectPermission(GET="articles.view_article", PATCH="articles.change_article")]
    queryset = Article.objects.all()
    serializer_class = ArticleOut


class ArticleListView(ListAPIView[Article]):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasObjectPermission("articles.view_article")]
    queryset = Article.objects.order_by("pk")
    serializer_class = ArticleOut


class PlainArticleView(ArticleView):
    permission_classes = [HasPermission("articles.view_article")]


def call(view: type[APIView], user: object = None, method: str = "get", **kwargs: object) -> Response:
    request = getattr(APIRequestFactory(), method)("/")
    if user is not None:
        force_authenticate(request, user)  # type: ignore[arg-type] # a client is no user
    response = view.as_view()(request, **kwargs)
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_the_unknown_get_401_with_a_challenge(view: type[APIView]) -> None:
    response = call(view)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.compliance("ASVS 5.0", "8.3.1", "Authorization is enforced by the server, on its own layer")
@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_the_known_get_403(view: type[APIView], user: User) -> None:
    assert call(view, user).status_code == 403


@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_a_client_that_acts_for_itself_gets_403(view: type[APIView]) -> None:
    assert call(view, ClientPrincipal("x")).status_code == 403


def test_a_refusal_keeps_what_is_necessary_to_itself(user: User) -> None:
    assert call(PermissionView, user).data["detail"] == "User does not have the right permissions."
    assert call(RoleView, user).data["detail"] == "User does not have the right roles."


@override_settings(PERMISSIONS={"DISPLAY_PERMISSION_IN_EXCEPTION": True, "DISPLAY_ROLE_IN_EXCEPTION": True})
def test_a_refusal_names_what_is_necessary_where_the_settings_say_so(user: User) -> None:
    assert call(PermissionView, user).data["detail"] == (
        "User does not have the right permissions. Necessary permissions are accounts.view_user, permissions.view_role."
    )
    assert call(RoleView, user).data["detail"] == (
        "User does not have the right roles. Necessary roles are admin, editor."
    )


@pytest.mark.parametrize("name", ["accounts.view_user", "permissions.view_role"])
def test_one_of_the_permissions_is_enough(make_user: MakeUser, name: str) -> None:
    assert call(PermissionView, make_user(name)).status_code == 200


def test_one_of_the_roles_is_enough(user: User) -> None:
    create_role(name="editor")
    user.assign_role("editor")
    assert call(RoleView, user).status_code == 200


def test_a_superuser_has_every_permission_but_no_role(superuser: User) -> None:
    assert call(PermissionView, superuser).status_code == 200
    assert call(RoleView, superuser).status_code == 403


def test_each_method_can_require_a_permission_of_its_own(make_user: MakeUser) -> None:
    reader = make_user("accounts.view_user")
    assert [call(MethodsView, reader, method).status_code for method in ("get", "head", "post")] == [200, 200, 403]


def test_a_handler_without_a_requirement_is_closed_to_everybody(superuser: User) -> None:
    assert call(MethodsView, superuser, "put").status_code == 403


def test_a_method_without_a_handler_is_405(superuser: User) -> None:
    assert call(MethodsView, superuser, "delete").status_code == 405


def test_requirements_join_with_drfs_own_operators(user: User) -> None:
    assert call(NotView, user).status_code == 200
    create_role(name="editor")
    user.assign_role("editor")
    assert call(NotView, user).status_code == 403
    assert call(NotView, AnonymousUser()).status_code == 403


# A role or a permission


def test_a_role_or_a_permission_is_enough(make_user: MakeUser, user: User) -> None:
    assert call(EitherView, user).status_code == 403
    create_role(name="editor")
    assert call(EitherView, user.assign_role("editor")).status_code == 200
    assert call(EitherView, make_user("accounts.view_user")).status_code == 200


def test_a_superuser_has_what_may_be_a_permission(superuser: User) -> None:
    assert call(EitherView, superuser).status_code == 200


def test_the_unknown_and_clients_have_neither_role_nor_permission() -> None:
    assert [call(EitherView, who).status_code for who in (None, ClientPrincipal("x"))] == [401, 403]


@pytest.mark.parametrize("shows_roles", [True, False])
@pytest.mark.parametrize("shows_permissions", [True, False])
def test_a_refusal_names_roles_or_permissions_where_both_may_be_told(
    user: User, shows_roles: bool, shows_permissions: bool
) -> None:
    flags = {"DISPLAY_ROLE_IN_EXCEPTION": shows_roles, "DISPLAY_PERMISSION_IN_EXCEPTION": shows_permissions}
    with override_settings(PERMISSIONS=flags):
        detail = call(EitherView, user).data["detail"]
    text = "User does not have any of the necessary access rights."
    tail = " Necessary roles or permissions are editor, accounts.view_user."
    assert detail == text + (tail if shows_roles and shows_permissions else "")


# Names and guards


class Name(enum.Enum):
    EDITOR = "editor"
    VIEW = "accounts.view_user"


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (HasRole(Name.EDITOR, ["admin"]), ("editor", "admin")),
        (HasPermission(GET=[Name.VIEW, "x|y"]), ("accounts.view_user", "x", "y")),
        (HasRoleOrPermission([Name.EDITOR, Name.VIEW]), ("editor", "accounts.view_user")),
    ],
)
def test_names_come_as_enums_and_lists(rule: HasRole | HasPermission, names: tuple[str, ...]) -> None:
    assert rule.required_by("GET") == rule.required_by("HEAD") == names


@pytest.mark.parametrize("rule", [HasRole, HasPermission, HasObjectPermission, HasRoleOrPermission])
def test_an_unknown_guard_is_an_error_when_the_view_is_written(
    rule: type[HasRole | HasPermission],
) -> None:
    with pytest.raises(GuardDoesNotExist):
        rule("editor", guard="xxx")


@pytest.mark.parametrize("rule", [HasRole, HasPermission, HasObjectPermission, HasRoleOrPermission])
def test_an_empty_name_lets_nobody_in(superuser: User, rule: type[HasRole | HasPermission]) -> None:
    class EmptyView(PermissionView):
        permission_classes = [rule("")]

    assert call(EmptyView, superuser).status_code == 403


@pytest.fixture
def guards(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let users be of two of three guards, where a role and a permission have the same names."""
    settings.PERMISSIONS = {"GUARDS": ["web", "api", "admin"]}
    monkeypatch.setattr(User, "get_guard_names", lambda self: ("web", "api"))
    for guard in ("web", "api", "admin"):
        Role.create("editor", guard=guard)
        Permission.create("edit articles", guard=guard)


type Give = Callable[[User], object]
GIVEN: dict[str, Give] = {
    "a role": lambda user: user.assign_role("editor", guard="api"),
    "a permission": lambda user: user.give_permission_to(Permission.find_by_name("edit articles", guard="api")),
}


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (HasRole, "a role"),
        (HasPermission, "a permission"),
        (HasObjectPermission, "a permission"),
        (HasRoleOrPermission, "a role"),
        (HasRoleOrPermission, "a permission"),
    ],
)
def test_what_is_required_of_a_guard_counts_in_it_alone(
    user: User, rule: type[HasRole | HasPermission], given: str
) -> None:
    GIVEN[given](user)
    found: list[int] = []
    for guard in ("web", "api", "admin"):

        class GuardedView(PermissionView):
            permission_classes = [rule("editor|edit articles", guard=guard)]

        found.append(call(GuardedView, user).status_code)
    assert found == [403, 200, 403]


@pytest.mark.usefixtures("guards")
def test_without_a_guard_a_free_permission_is_asked_for_in_that_of_the_request(user: User) -> None:
    class FreeView(PermissionView):
        permission_classes = [HasPermission("edit articles")]

    user.give_permission_to(Permission.find_by_name("edit articles", guard="api"))
    assert call(FreeView, user).status_code == 403
    with use_guard("api"):
        assert call(FreeView, user).status_code == 200


@pytest.mark.usefixtures("guards")
def test_without_a_guard_a_permission_of_a_model_is_asked_for_in_the_default_guard(make_user: MakeUser) -> None:
    reader = make_user("accounts.view_user")
    with use_guard("api"):
        assert call(PermissionView, reader).status_code == 200


@pytest.mark.usefixtures("guards")
def test_without_a_guard_a_role_of_any_guard_counts(user: User) -> None:
    assert call(RoleView, user.assign_role("editor", guard="api")).status_code == 200


# Single objects


@pytest.fixture
def article(db: None) -> Article:
    return Article.objects.create(title="one")


@pytest.fixture
def other_article(db: None) -> Article:
    return Article.objects.create(title="other")


def test_who_may_with_an_object_alone_comes_in_for_it(user: User, article: Article, other_article: Article) -> None:
    assign_perm("articles.view_article", user, article)
    assert call(ArticleView, user, pk=article.pk).data == {"title": "one"}
    assert [call(ArticleView, user, method, pk=article.pk).status_code for method in ("head", "patch")] == [200, 403]
    assert call(ArticleView, user, pk=other_article.pk).status_code == 403


def test_who_may_with_every_object_comes_in_for_each(make_user: MakeUser, article: Article) -> None:
    reader = make_user("articles.view_article")
    assert call(ArticleView, reader, pk=article.pk).status_code == 200
    assert call(ArticleView, reader, "patch", pk=article.pk).status_code == 403
    assert call(ArticleView, reader, pk=0).status_code == 404


def test_whom_a_policy_lets_comes_in(user: User, article: Article, other_article: Article) -> None:
    @gate.policy(Article)
    class AuthorsPolicy:
        def view(self, user: User, article: Article) -> bool:
            return article.author_id == user.pk

    Article.objects.filter(pk=article.pk).update(author=user)
    assert [call(ArticleView, user, pk=one.pk).status_code for one in (article, other_article)] == [200, 403]


def test_an_object_of_a_team_is_decided_in_the_team(user: User, article: Article) -> None:
    with override_settings(PERMISSIONS={"TEAM_MODEL": "articles.Team"}):
        mine, theirs = Team.objects.create(name="mine"), Team.objects.create(name="theirs")
        user.give_permission_to("articles.view_article", team=mine)
        found = []
        for team in (mine, theirs):
            Article.objects.filter(pk=article.pk).update(team=team)
            with use_team(mine):
                found.append(call(ArticleView, user, pk=article.pk).status_code)
        assert found == [200, 403]


def test_for_a_list_a_right_with_one_object_is_not_enough(make_user: MakeUser, user: User, article: Article) -> None:
    assign_perm("articles.view_article", user, article)
    assert call(ArticleListView, user).status_code == 403
    assert call(ArticleListView, make_user("articles.view_article")).status_code == 200


def test_a_requirement_without_objects_asks_before_it_gets_one(user: User, article: Article) -> None:
    assign_perm("articles.view_article", user, article)
    assert call(PlainArticleView, user, pk=article.pk).status_code == 403


def test_the_unknown_and_clients_reach_no_object(article: Article) -> None:
    found = [call(ArticleView, who, pk=article.pk).status_code for who in (None, AnonymousUser(), ClientPrincipal("x"))]
    assert found == [401, 403, 403]


def test_a_method_of_an_object_without_a_requirement_is_closed_to_everybody(superuser: User, article: Article) -> None:
    assert call(ArticleView, superuser, "put", pk=article.pk).status_code == 403


def test_a_refusal_about_an_object_names_what_is_necessary_where_the_settings_say_so(
    user: User, article: Article
) -> None:
    with override_settings(PERMISSIONS={"DISPLAY_PERMISSION_IN_EXCEPTION": True}):
        detail = call(ArticleView, user, pk=article.pk).data["detail"]
    assert detail == "User does not have the right permissions. Necessary permissions are articles.view_article."


# The schema


# Any (twice): entries of permission_classes, members of OpenAPI
def describe(*rules: Any, methods: tuple[str, ...] = ("get",)) -> dict[str, dict[str, Any]]:
    """Return, for each method, what the schema says is required by a view with these permission classes."""

    def handle(self: APIView, request: Request) -> Response:
        return Response()

    class RuledView(APIView):
        permission_classes = [*rules]

    for method in methods:
        setattr(RuledView, method, extend_schema(request=None, responses={200: None})(handle))
    schema = SchemaGenerator(patterns=[path("ruled", RuledView.as_view())]).get_schema(request=None, public=True)
    return {
        method: {key: value for key, value in operation.items() if key.startswith("x-required-")}
        for method, operation in schema["paths"]["/ruled"].items()
    }


ROLES, PERMISSIONS, EITHER = "x-required-roles", "x-required-permissions", "x-required-roles-or-permissions"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([HasRole("admin|editor")], {ROLES: ["admin|editor"]}),
        ([HasPermission("a.b", "c")], {PERMISSIONS: ["a.b|c"]}),
        ([HasObjectPermission("a.b")], {PERMISSIONS: ["a.b"]}),
        ([HasRoleOrPermission("admin|a.b")], {EITHER: ["admin|a.b"]}),
        ([HasRole("a"), HasRole("b"), HasPermission("c")], {ROLES: ["a", "b"], PERMISSIONS: ["c"]}),
        ([IsAuthenticated & HasRole("a")], {ROLES: ["a"]}),
        ([HasRole("a") & HasPermission("b") & HasPermission("c")], {ROLES: ["a"], PERMISSIONS: ["b", "c"]}),
        ([HasRole("a") | HasRole("b")], {ROLES: ["a|b"]}),
        ([HasRole("a") | HasPermission("b") | HasRole("a")], {EITHER: ["a|b"]}),
        ([HasRole("a") | IsAuthenticated], {}),
        ([HasRole("a") | (HasRole("b") & HasRole("c"))], {}),
        ([~HasRole("a")], {}),
        ([HasRole("")], {}),
        ([IsAuthenticated], {}),
    ],
)
def test_the_schema_tells_what_an_operation_requires(rules: list[object], expected: dict[str, list[str]]) -> None:
    assert describe(*rules) == {"get": expected}


def test_the_schema_tells_what_each_method_requires() -> None:
    rules = HasPermission(GET="a.view", POST="a.add|a.change"), HasRole("editor")
    assert describe(*rules, methods=("get", "post", "put")) == {
        "get": {PERMISSIONS: ["a.view"], ROLES: ["editor"]},
        "post": {PERMISSIONS: ["a.add|a.change"], ROLES: ["editor"]},
        "put": {ROLES: ["editor"]},
    }
