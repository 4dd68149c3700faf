"""Parts of a page that only some see."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.test import RequestFactory

from accounts.models import User
from permissions.models import Role
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import PermissionName, RoleName

TAGS = ("role", "hasanyrole", "hasallroles", "hasexactroles", "permission")


def render(text: str, **context: object) -> str:
    return Template("{% load permissions %}" + text).render(Context(context))


def show(tag: str, arguments: str, **context: object) -> bool:
    """Say whether the part inside the tag is shown; the other part is shown otherwise."""
    text = "{%% %s %s %%}inside{%% else %%}outside{%% end%s %%}" % (tag, arguments, tag)  # noqa: UP031 - braces
    shown = render(text, **context)
    assert shown in {"inside", "outside"}
    return shown == "inside"


@pytest.mark.parametrize("tag", TAGS)
def test_a_guest_sees_the_other_part(tag: str) -> None:
    assert not show(tag, '"testRole"', user=AnonymousUser())


@pytest.mark.parametrize("tag", TAGS)
def test_where_nobody_is_known_the_other_part_is_shown(tag: str) -> None:
    assert not show(tag, '"testRole"')


@pytest.mark.parametrize("tag", TAGS)
def test_who_holds_nothing_sees_the_other_part(tag: str, user: User) -> None:
    assert not show(tag, '"testRole"', user=user)


@pytest.mark.parametrize("tag", TAGS)
def test_without_another_part_nothing_is_shown(tag: str, user: User) -> None:
    assert not render(f'{{% {tag} "testRole" %}}inside{{% end{tag} %}}', user=user)


@pytest.mark.parametrize("tag", ["role", "hasanyrole", "hasallroles", "hasexactroles"])
def test_who_has_the_role_sees_the_part(tag: str, user: User) -> None:
    user.assign_role("testRole")
    assert show(tag, '"testRole"', user=user)


def test_who_holds_the_permission_sees_the_part(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert show("permission", '"edit-articles"', user=user)
    assert not show("permission", '"edit-news"', user=user)


def test_a_superuser_sees_what_permissions_show_and_not_what_roles_do(user: User) -> None:
    user.is_superuser = True
    assert show("permission", '"edit-articles"', user=user)
    assert not show("role", '"testRole"', user=user)


@pytest.mark.parametrize("arguments", ['"testRole|testRole2"', '"testRole2" "testRole"', "names", "enum", "several"])
@pytest.mark.parametrize("tag", ["role", "hasanyrole"])
def test_one_of_several_roles_is_enough(tag: str, arguments: str, user: User) -> None:
    user.assign_role("testRole")
    assert show(
        tag, arguments, user=user, names=["testRole2", "testRole"], enum=RoleName.TEST_ROLE, several="x|testRole"
    )


@pytest.mark.parametrize("arguments", ['"testRole|testRole2"', '"testRole2" "testRole"', "names"])
def test_all_of_several_roles_are_asked_for(arguments: str, user: User) -> None:
    user.assign_role("testRole")
    assert not show("hasallroles", arguments, user=user, names=["testRole2", "testRole"])
    user.assign_role("testRole2")
    assert show("hasallroles", arguments, user=user, names=["testRole2", "testRole"])


def test_exact_roles_leave_no_other(user: User) -> None:
    user.assign_role("testRole", "testRole2")
    assert show("hasexactroles", '"testRole|testRole2"', user=user)
    assert not show("hasexactroles", '"testRole"', user=user)
    user.assign_role(Role.create("third"))
    assert not show("hasexactroles", '"testRole|testRole2"', user=user)


@pytest.mark.parametrize("arguments", ['"edit-news|edit-articles"', '"edit-news" "edit-articles"', "names", "enum"])
def test_one_of_several_permissions_is_enough(arguments: str, user: User) -> None:
    user.give_permission_to("edit-articles")
    assert show("permission", arguments, user=user, names=["edit-news", "edit-articles"], enum=PermissionName.EDIT)


@pytest.mark.parametrize("arguments", ["missing", '""'])
@pytest.mark.parametrize("tag", TAGS)
def test_a_name_that_is_not_there_shows_the_other_part(tag: str, arguments: str, user: User) -> None:
    user.is_superuser = True
    assert not show(tag, arguments, user=user)


def test_roles_of_another_guard_are_asked_for_by_the_guard(user: User) -> None:
    Role.create("writer", guard="api")
    user.assign_role("writer", guard="api")
    assert show("role", '"writer"', user=user)
    assert show("role", '"writer" guard="api"', user=user)
    assert not show("role", '"writer" guard="web"', user=user)


def test_permissions_are_asked_for_in_the_guard(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert show("permission", '"edit-articles" guard="web"', user=user)
    assert not show("permission", '"edit-articles" guard="api"', user=user)


def test_another_user_can_be_asked_about(user: User, second_user: User) -> None:
    second_user.assign_role("testRole")
    assert show("role", '"testRole" user=author', user=user, author=second_user)
    assert not show("role", '"testRole" user=missing', user=second_user)


def test_a_row_can_be_asked_about(user: User, teams: tuple[Team, Team]) -> None:
    mine, others = (Article.objects.create(title=team.name, team=team) for team in teams)
    with use_team(teams[0]):
        user.give_permission_to("articles.change_article")
    assert show("permission", '"articles.change_article" obj=mine', user=user, mine=mine)
    assert not show("permission", '"articles.change_article" obj=others', user=user, others=others)
    with use_team(teams[0]):
        assert not show("permission", '"articles.change_article" obj=missing', user=user)


def test_the_request_says_who_looks(user: User) -> None:
    user.assign_role("testRole")
    request = RequestFactory().get("/")
    request.user = user
    template = Template('{% load permissions %}{% role "testRole" %}inside{% endrole %}')
    assert template.render(RequestContext(request)) == "inside"
    assert template.render(Context({"request": request})) == "inside"


@pytest.mark.parametrize(("role", "shown"), [("testRole", "first"), ("testRole2", "second"), (None, "nobody")])
def test_the_first_part_that_fits_is_shown(role: str | None, shown: str, user: User) -> None:
    text = '{% role "testRole" %}first{% elserole "testRole2" %}second{% else %}nobody{% endrole %}'
    if role:
        user.assign_role(role)
    assert render(text, user=user) == shown


def test_parts_stand_in_each_other_and_in_loops(user: User) -> None:
    user.assign_role("testRole")
    user.give_permission_to("edit-news")
    text = (
        '{% for name in names %}{% permission name %}{% role "testRole" %}{{ name }} {% else %}no{% endrole %}'
        "{% else %}- {% endpermission %}{% endfor %}"
    )
    assert render(text, user=user, names=["edit-articles", "edit-news"]) == "- edit-news "


def test_what_is_shown_follows_the_team(user: User, teams: tuple[Team, Team]) -> None:
    user.assign_role("testRole", team=teams[0])
    template = Template('{% load permissions %}{% role "testRole" %}inside{% endrole %}')
    with use_team(teams[0]):
        assert template.render(Context({"user": user})) == "inside"
    with use_team(teams[1]):
        assert not template.render(Context({"user": user}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% role %}{% endrole %}", 'needs a name, such as {% role "edit articles" %}'),
        ('{% role guard="web" %}{% endrole %}', "needs a name"),
        ('{% role "a" obj=article %}{% endrole %}', "knows no obj=; it knows guard, user"),
        ('{% permission "a" team=1 %}{% endpermission %}', "knows no team=; it knows guard, obj, user"),
        ('{% role "a" %}{% else %}{% elserole "b" %}{% endrole %}', "elserole"),
        ('{% role "a" %}', "Unclosed tag"),
        ('{% role "a" %}{% elserole %}{% endrole %}', "{% elserole %} needs a name"),
    ],
)
def test_a_mistake_is_told_when_the_page_is_compiled(text: str, said: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=said.replace("{", r"\{").replace("(", r"\(")):
        render(text)
