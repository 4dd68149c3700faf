"""The gate: who may what, in which order it is decided, and why."""

import json
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from guardian.shortcuts import assign_perm
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions import gate
from permissions.exceptions import GuardDoesNotExist, PermissionDoesNotExist, Unauthorized
from permissions.models import Permission, Role
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.semantics.conftest import Configure, PermissionName, World, fresh

pytestmark = pytest.mark.django_db

CHANGE = "articles.change_article"

type Answer = bool | None
type Register = Callable[[object], None]


class ArticlePolicy:
    """Authors may change and see what they wrote; a banned user may nothing, a chief everything."""

    def before(self, user: User, ability: str) -> Answer:
        return {"banned": False, "chief": True}.get(user.name)

    def change(self, user: User, article: Article) -> Answer:
        return article.author_id == user.pk

    def view(self, user: User, article: Article) -> Answer:
        return True if article.author_id == user.pk else None

    def add(self, user: User) -> Answer:
        return user.name == "writer"


@pytest.fixture
def forgotten() -> Iterator[Register]:
    """Return a function that notes hooks and policies; the gate forgets them after the test."""
    noted: list[object] = []
    yield noted.append
    if noted:
        gate.forget(*noted)


@pytest.fixture
def before(forgotten: Register) -> Callable[[Answer], list[str]]:
    """Return a function that registers a before-hook with a fixed answer and returns what the hook was asked."""

    def register(answer: Answer) -> list[str]:
        asked: list[str] = []

        @gate.before
        def hook(user: User, ability: str, obj: object) -> Answer:
            asked.append(ability)
            return answer

        forgotten(hook)
        return asked

    return register


@pytest.fixture
def after(forgotten: Register) -> Callable[[Answer], list[str]]:
    """Return a function that registers an after-hook with a fixed answer and returns what the hook was asked."""

    def register(answer: Answer) -> list[str]:
        asked: list[str] = []

        @gate.after
        def hook(user: User, ability: str, obj: object) -> Answer:
            asked.append(ability)
            return answer

        forgotten(hook)
        return asked

    return register


@pytest.fixture
def policy(forgotten: Register) -> None:
    """Register the policy of articles."""
    gate.policy(Article)(ArticlePolicy)
    forgotten(ArticlePolicy)


@pytest.fixture
def superuser(world: World) -> User:
    return User.objects.create(email="root@example.com", is_superuser=True)


@pytest.fixture
def article(second_user: User) -> Article:
    """An article that somebody else wrote."""
    return Article.objects.create(title="theirs", author=second_user)


@pytest.fixture
def own_article(user: User) -> Article:
    """An article that the user wrote."""
    return Article.objects.create(title="own", author=user)


# What is given


def test_who_holds_nothing_cannot(user: User) -> None:
    assert user.cannot("edit-articles")


def test_what_is_held_directly_is_allowed(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert user.can("edit-articles")


def test_what_a_role_gives_is_allowed(user: User, role: Role, world: World) -> None:
    role.give_permission_to(world.edit_articles)
    user.assign_role(role)
    assert user.can("edit-articles")


@pytest.mark.parametrize("name", ["non-existing-permission", "admin-permission", "edit-news"])
@pytest.mark.parametrize("is_direct", [True, False])
def test_names_that_are_not_held_are_not_allowed(user: User, role: Role, name: str, is_direct: bool) -> None:
    (user if is_direct else role).give_permission_to("edit-articles")
    user.assign_role(role)
    assert not user.can(name)


def test_enums_are_names(user: User) -> None:
    user.give_permission_to(Permission.find_or_create(PermissionName.VIEW))
    assert user.can(PermissionName.VIEW.value)


def test_any_of_several_abilities_is_enough(user: User) -> None:
    user.give_permission_to(Permission.find_or_create(PermissionName.VIEW))
    assert user.can_any(PermissionName.VIEW, "some other permission")


@pytest.mark.parametrize("abilities", [[PermissionName.VIEW.value], []])
def test_none_of_several_abilities_is_not_enough(user: User, abilities: list[str]) -> None:
    Permission.find_or_create(PermissionName.VIEW)
    assert not user.can_any(abilities)


@pytest.mark.parametrize(
    ("name", "expected"), [("admin-permission", True), ("non-existing-permission", False), ("edit-articles", False)]
)
def test_a_user_of_another_guard_is_asked_in_it(
    admin: User, admin_role: Role, world: World, name: str, expected: bool
) -> None:
    admin_role.give_permission_to(world.admin_permission)
    admin.assign_role(admin_role)
    assert admin.can(name) is expected


# Guards


@pytest.fixture
def of_two_guards(user: User) -> User:
    """A user who holds one permission in each of its guards."""
    return user.give_permission_to(Permission.create("do_this"), Permission.create("do_that", guard="api"))


@pytest.mark.parametrize(
    ("name", "guard", "expected"), [("do_this", "web", True), ("do_that", "api", True), ("do_that", "web", False)]
)
def test_a_user_of_several_guards_holds_permissions_of_each(
    of_two_guards: User, name: str, guard: str, expected: bool
) -> None:
    assert of_two_guards.check_permission_to(name, guard=guard) is expected


@pytest.mark.parametrize(
    ("name", "guard", "expected"),
    [
        ("do_this", "web", True),
        ("do_that", "api", True),
        ("do_that", "web", False),
        ("edit-articles", "admin", False),
        ("admin-permission", "admin", False),
        ("admin-permission", "web", False),
    ],
)
def test_the_gate_is_asked_in_a_named_guard(of_two_guards: User, name: str, guard: str, expected: bool) -> None:
    assert of_two_guards.can(name, guard=guard) is expected


def test_any_of_several_abilities_is_asked_in_a_named_guard(of_two_guards: User) -> None:
    assert of_two_guards.can_any("do_this", "do_that", guard="web")


@pytest.mark.parametrize(
    ("name", "guard", "expected"),
    [
        ("admin-permission", None, True),
        ("admin-permission", "admin", True),
        ("admin-permission", "web", False),
        ("non-existing-permission", None, False),
        ("non-existing-permission", "web", False),
        ("non-existing-permission", "admin", False),
        ("edit-articles", "web", False),
        ("edit-articles", "admin", False),
    ],
)
def test_a_user_of_one_guard_may_nothing_in_others(
    admin: User, admin_role: Role, world: World, *, name: str, guard: str | None, expected: bool
) -> None:
    admin_role.give_permission_to(world.admin_permission)
    admin.assign_role(admin_role)
    assert admin.can(name, guard=guard) is expected


def test_a_computed_guard_goes_before_a_declared_one(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "get_guard_names", lambda self: ("admin",) if self.name == "chief" else ("web", "api"))
    user.name = "chief"
    user.give_permission_to("admin-permission")
    assert user.has_permission_to("admin-permission")


def test_a_guard_that_does_not_exist_is_refused(user: User) -> None:
    with pytest.raises(GuardDoesNotExist):
        user.can("edit-articles", guard="nope")


# Who


def test_strangers_may_nothing(before: Callable[[Answer], list[str]], after: Callable[[Answer], list[str]]) -> None:
    before(True)
    after(True)
    assert not gate.can(AnonymousUser(), "edit-articles")


def test_inactive_users_may_nothing(superuser: User, before: Callable[[Answer], list[str]]) -> None:
    before(True)
    superuser.is_active = False
    assert not superuser.can("edit-articles")


def test_superusers_may_everything(superuser: User) -> None:
    assert superuser.can("non-existing-permission")


def test_superusers_may_what_they_hold_where_the_settings_say_so(superuser: User, configure: Configure) -> None:
    configure(SUPERUSER_BYPASS=False)
    superuser.give_permission_to("edit-articles")
    assert (superuser.can("edit-articles"), superuser.can("edit-news")) == (True, False)


def test_the_raw_question_does_not_know_superusers(superuser: User) -> None:
    assert not superuser.has_permission_to("edit-articles")


def test_holders_of_a_super_admin_role_may_everything(user: User, role: Role, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role(role)
    assert user.can("non-existing-permission")


def test_the_raw_question_does_not_know_super_admin_roles(user: User, role: Role, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role(role)
    assert not user.has_permission_to("edit-articles")


def test_a_super_admin_role_that_is_had_in_one_team_counts_there_alone(
    user: User, role: Role, teams: tuple[Team, Team], configure: Configure
) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role(role, team=teams[0])
    answers = []
    for team in (teams[0], teams[1], None):
        with use_team(team):
            answers.append(user.can("edit-articles"))
    assert answers == [True, False, False]


# Hooks


def test_a_before_hook_may_allow(user: User, before: Callable[[Answer], list[str]]) -> None:
    assert user.cannot("edit-articles")
    before(True)
    assert user.can("edit-articles")


def test_a_before_hook_may_refuse_what_is_held(user: User, before: Callable[[Answer], list[str]]) -> None:
    user.give_permission_to("edit-articles")
    assert user.can("edit-articles")
    before(False)
    assert user.cannot("edit-articles")


def test_a_before_hook_may_refuse_superusers(superuser: User, before: Callable[[Answer], list[str]]) -> None:
    before(False)
    assert superuser.cannot("edit-articles")


def test_a_before_hook_may_allow_what_is_forbidden(user: User, before: Callable[[Answer], list[str]]) -> None:
    before(True)
    user.forbid_permission_to("edit-articles")
    assert user.can("edit-articles")


def test_a_before_hook_may_leave_the_question_open(user: User, before: Callable[[Answer], list[str]]) -> None:
    before(None)
    user.give_permission_to("edit-articles")
    assert (user.can("edit-articles"), user.can("edit-news")) == (True, False)


def test_the_first_hook_that_answers_decides(user: User, before: Callable[[Answer], list[str]]) -> None:
    before(None)
    before(False)
    unheard = before(True)
    assert (user.can("edit-articles"), unheard) == (False, [])


def test_a_hook_is_told_of_the_object(user: User, article: Article, forgotten: Register) -> None:
    @gate.before
    def only_this(user: User, ability: str, obj: object) -> Answer:
        return obj == article

    forgotten(only_this)
    assert (user.can("edit", article), user.can("edit")) == (True, False)


def test_an_ability_without_a_permission_is_a_hook(user: User, forgotten: Register) -> None:
    @gate.before
    def own_ability(user: User, ability: str, obj: object) -> Answer:
        return True if ability == "open the door" else None

    forgotten(own_ability)
    assert (user.can("open the door"), user.can("open the window")) == (True, False)


def test_an_after_hook_may_allow_what_nothing_allowed(user: User, after: Callable[[Answer], list[str]]) -> None:
    assert user.cannot("edit-articles")
    after(True)
    assert user.can("edit-articles")


def test_an_after_hook_is_not_asked_about_what_is_held(user: User, after: Callable[[Answer], list[str]]) -> None:
    asked = after(False)
    user.give_permission_to("edit-articles")
    assert (user.can("edit-articles"), asked) == (True, [])


def test_an_after_hook_is_not_asked_about_what_is_forbidden(user: User, after: Callable[[Answer], list[str]]) -> None:
    asked = after(True)
    user.forbid_permission_to("edit-articles")
    assert (user.can("edit-articles"), asked) == (False, [])


def test_a_forgotten_hook_is_not_asked(user: User, before: Callable[[Answer], list[str]]) -> None:
    user.give_permission_to("edit-articles")
    hook = gate.before(lambda user, ability, obj: False)
    gate.forget(hook)
    assert user.can("edit-articles")


def test_the_raw_question_does_not_know_hooks(user: User, before: Callable[[Answer], list[str]]) -> None:
    before(True)
    assert not user.has_permission_to("edit-articles")


# What is forbidden


def test_what_is_forbidden_wins_over_what_is_given(user: User, role: Role) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role).give_permission_to("edit-articles")
    user.forbid_permission_to("edit-articles")
    assert user.cannot("edit-articles")


def test_what_is_forbidden_wins_over_super_admin_roles(user: User, role: Role, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    user.assign_role(role).forbid_permission_to("edit-articles")
    assert user.cannot("edit-articles")


def test_superusers_may_what_they_are_forbidden(superuser: User) -> None:
    superuser.forbid_permission_to("edit-articles")
    assert superuser.can("edit-articles")


def test_superusers_may_not_what_they_are_forbidden_where_the_settings_say_so(
    superuser: User, configure: Configure
) -> None:
    configure(SUPERUSER_BYPASS=False)
    superuser.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    assert superuser.cannot("edit-articles")


def test_what_is_forbidden_is_forbidden_with_every_object(user: User, own_article: Article, policy: None) -> None:
    user.forbid_permission_to(CHANGE)
    assert user.cannot(CHANGE, own_article)


def test_what_is_no_longer_forbidden_is_allowed_again(user: User) -> None:
    user.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    user.unforbid_permission_to("edit-articles")
    assert user.can("edit-articles")


# Objects and policies


def test_what_is_held_is_allowed_with_every_object(user: User, article: Article, policy: None) -> None:
    user.give_permission_to(CHANGE)
    assert user.can(CHANGE, article)


@pytest.mark.parametrize("ability", ["change", CHANGE])
def test_a_policy_decides_about_its_object(
    user: User, article: Article, own_article: Article, policy: None, ability: str
) -> None:
    assert (user.can(ability, own_article), user.can(ability, article)) == (True, False)


def test_an_ability_that_a_policy_does_not_know_is_not_allowed(user: User, own_article: Article, policy: None) -> None:
    assert user.cannot("delete", own_article)


@pytest.mark.parametrize(("name", "expected"), [("banned", False), ("chief", True)])
def test_before_of_a_policy_decides_first(
    user: User, article: Article, own_article: Article, policy: None, *, name: str, expected: bool
) -> None:
    user.name = name
    assert (user.can(CHANGE, own_article), user.can(CHANGE, article)) == (expected, expected)


def test_before_of_a_policy_may_leave_the_decision(user: User, own_article: Article, policy: None) -> None:
    user.name = "nobody special"
    assert user.can(CHANGE, own_article)


@pytest.mark.parametrize("name", ["before", "scope", "__init__", "_change"])
def test_an_ability_reaches_no_other_attribute_of_a_policy(
    user: User, article: Article, policy: None, name: str
) -> None:
    assert user.cannot(name, article)


def test_a_policy_is_asked_about_the_model_itself(user: User, policy: None) -> None:
    user.name = "writer"
    assert user.can("articles.add_article", Article)


def test_a_policy_that_refuses_wins_over_a_grant_for_the_object(user: User, article: Article, policy: None) -> None:
    assign_perm(CHANGE, user, article)
    assert user.cannot(CHANGE, article)


def test_a_grant_for_the_object_counts_where_the_policy_leaves_it_open(
    user: User, article: Article, policy: None
) -> None:
    assign_perm("articles.view_article", user, article)
    assert user.can("articles.view_article", article)


def test_a_grant_for_one_object_counts_for_it_alone(user: User, article: Article, own_article: Article) -> None:
    assign_perm(CHANGE, user, article)
    assert (user.can(CHANGE, article), user.can(CHANGE, own_article), user.can(CHANGE)) == (True, False, False)


def test_a_role_is_granted_an_object(user: User, role: Role, article: Article) -> None:
    assign_perm(CHANGE, role.group, article)
    user.assign_role(role)
    assert user.can(CHANGE, article)


def test_a_role_is_granted_an_object_through_its_parent(user: User, role: Role, role2: Role, article: Article) -> None:
    assign_perm(CHANGE, role2.group, article)
    user.assign_role(role.inherit_from(role2))
    assert user.can(CHANGE, article)


def test_an_after_hook_may_allow_an_object(user: User, article: Article, after: Callable[[Answer], list[str]]) -> None:
    after(True)
    assert user.can(CHANGE, article)


def test_an_after_hook_does_not_overrule_a_policy(
    user: User, article: Article, policy: None, after: Callable[[Answer], list[str]]
) -> None:
    asked = after(True)
    assert (user.can(CHANGE, article), asked) == (False, [])


def test_an_object_is_decided_in_its_own_team(user: User, article: Article, teams: tuple[Team, Team]) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    article.team = teams[0]
    with use_team(teams[1]):
        assert user.can(CHANGE, article)


def test_a_right_in_the_current_team_does_not_reach_objects_of_another(
    user: User, article: Article, teams: tuple[Team, Team]
) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    article.team = teams[1]
    with use_team(teams[0]):
        assert user.cannot(CHANGE, article)


def test_a_right_in_a_team_does_not_reach_objects_without_one(
    user: User, article: Article, teams: tuple[Team, Team]
) -> None:
    user.give_permission_to(CHANGE, team=teams[0])
    with use_team(teams[0]):
        assert user.cannot(CHANGE, article)


def test_a_team_is_decided_in_itself(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("articles.change_team", team=teams[0])
    assert [user.can("articles.change_team", team) for team in teams] == [True, False]


# Letting nobody on


def test_who_may_is_let_on(user: User) -> None:
    user.give_permission_to("edit-articles")
    gate.authorize(user, "edit-articles")


def test_who_may_not_is_stopped(user: User) -> None:
    with pytest.raises(Unauthorized, match=r"^User does not have the right permissions\.$") as caught:
        gate.authorize(user, "edit-articles")
    assert caught.value.required_permissions == ("edit-articles",)


def test_the_refusal_names_the_permission_where_the_settings_say_so(user: User, configure: Configure) -> None:
    configure(DISPLAY_PERMISSION_IN_EXCEPTION=True)
    with pytest.raises(Unauthorized, match="Necessary permissions are edit-articles"):
        gate.authorize(user, "edit-articles")


def test_the_refusal_is_answered_as_django_answers_its_own(user: User) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.authorize(user, "edit-articles")
    assert isinstance(caught.value, Unauthorized)
    assert caught.value.status == 403


@pytest.mark.parametrize("is_held", [True, False])
def test_async_code_is_let_on_and_stopped_alike(user: User, is_held: bool) -> None:
    user.give_permission_to("edit-articles" if is_held else [])
    if is_held:
        async_to_sync(gate.aauthorize)(user, "edit-articles")
        return
    with pytest.raises(Unauthorized):
        async_to_sync(gate.aauthorize)(user, "edit-articles")


# Why


def rules(decision: gate.Decision) -> list[tuple[str, Answer]]:
    return [(step.rule, step.answer) for step in decision.steps]


def test_a_refusal_is_explained_step_by_step(user: User, article: Article) -> None:
    assert rules(user.explain(CHANGE, article)) == [("held", None), ("policy", None), ("object", None)]


def test_the_steps_end_with_the_one_that_decides(user: User, article: Article, policy: None) -> None:
    assert rules(user.explain(CHANGE, article)) == [("held", None), ("policy", False)]


@pytest.mark.parametrize("is_allowed", [True, False])
def test_an_explanation_says_what_the_gate_says(user: User, is_allowed: bool) -> None:
    user.give_permission_to("edit-articles" if is_allowed else "edit-news")
    assert user.explain("edit-articles").is_allowed is is_allowed


def test_an_explanation_is_true_where_it_allows(user: User) -> None:
    assert not user.explain("edit-articles")


def test_an_explanation_names_the_role_and_its_ancestor(user: User, role: Role, role2: Role) -> None:
    role2.give_permission_to("edit-articles")
    user.assign_role(role.inherit_from(role2))
    assert "`testRole`, which inherits from `testRole2`" in str(user.explain("edit-articles"))


def test_an_explanation_names_the_pattern(user: User, configure: Configure) -> None:
    configure(WILDCARDS=True)
    user.give_permission_to(Permission.create("posts.*"))
    assert "`posts.*` was given directly" in str(user.explain("posts.create"))


def test_an_explanation_names_what_is_forbidden(user: User) -> None:
    user.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    assert rules(user.explain("edit-articles")) == [("forbidden", False)]


def test_the_steps_are_those_of_the_decision_in_its_order(
    user: User,
    article: Article,
    policy: None,
    before: Callable[[Answer], list[str]],
    after: Callable[[Answer], list[str]],
) -> None:
    before(None)
    after(None)
    assert rules(user.explain("articles.view_article", article)) == [
        ("before", None),
        ("held", None),
        ("policy", None),
        ("object", None),
        ("after", None),
    ]


def test_an_explanation_names_the_hook(user: User, before: Callable[[Answer], list[str]]) -> None:
    before(False)
    decision = user.explain("edit-articles")
    assert rules(decision) == [("before", False)]
    assert "hook" in decision.steps[0].reason


def test_an_explanation_says_that_nobody_is_signed_in() -> None:
    assert rules(gate.explain(AnonymousUser(), "edit-articles")) == [("user", False)]


def test_an_explanation_says_that_superusers_may(superuser: User) -> None:
    assert rules(superuser.explain("edit-articles")) == [("superuser", True)]


def test_an_explanation_is_readable_as_text(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert str(user.explain("edit-articles")).splitlines() == [
        "test@example.com may `edit-articles` (guard web)",
        "  yes  held  `edit-articles` was given directly",
    ]


def test_an_explanation_is_readable_as_json(user: User, article: Article) -> None:
    told = json.loads(json.dumps(user.explain(CHANGE, article).as_dict()))
    assert told == {
        "user": "test@example.com",
        "ability": CHANGE,
        "object": f"articles.article {article.pk}",
        "guard": "web",
        "team": None,
        "is_allowed": False,
        "steps": [
            {"rule": "held", "answer": None, "reason": "neither given directly nor through a role"},
            {"rule": "policy", "answer": None, "reason": "what the policy of articles.article says"},
            {"rule": "object", "answer": None, "reason": f"not given for articles.article {article.pk} alone"},
        ],
    }


def test_an_explanation_names_the_team_of_the_object(user: User, article: Article, teams: tuple[Team, Team]) -> None:
    article.team = teams[1]
    assert user.explain(CHANGE, article).team == str(teams[1].pk)


def test_async_code_is_told_the_same(user: User) -> None:
    user.give_permission_to("edit-articles")
    assert async_to_sync(user.aexplain)("edit-articles") == user.explain("edit-articles")


# Many objects


@pytest.fixture
def page(user: User, second_user: User) -> list[Article]:
    """Ten articles of another user; each second one the user may change."""
    articles = [Article.objects.create(title=str(number), author=second_user) for number in range(10)]
    for article in articles[::2]:
        assign_perm(CHANGE, user, article)
    return articles


def test_many_objects_are_read_at_once(
    user: User, page: list[Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = fresh(user)
    # One for all that the user holds, one for all objects.
    with django_assert_num_queries(2):
        gate.prefetch(user, page)
        for name in (CHANGE, "articles.view_article", "articles.delete_article"):
            for article in page:
                user.can(name, article)


def test_objects_that_were_read_at_once_are_decided_as_alone(user: User, page: list[Article]) -> None:
    gate.prefetch(user, page)
    assert [user.can(CHANGE, article) for article in page] == [True, False] * 5


def test_async_code_reads_many_objects_at_once(
    user: User, page: list[Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    async_to_sync(gate.aprefetch)(user, page)
    with django_assert_num_queries(0):
        assert [user.can(CHANGE, article) for article in page] == [True, False] * 5


@pytest.mark.parametrize("is_held", [True, False])
def test_async_code_asks_about_an_object(user: User, article: Article, is_held: bool) -> None:
    if is_held:
        assign_perm(CHANGE, user, article)
    assert async_to_sync(user.acan)(CHANGE, article) is is_held


def test_an_ability_that_is_no_name_is_refused(user: User) -> None:
    with pytest.raises(TypeError):
        user.can(7)  # type: ignore[arg-type]  # the wrong type is what is tested


def test_the_gate_never_raises_about_unknown_names(user: User) -> None:
    with pytest.raises(PermissionDoesNotExist):
        user.has_permission_to("non-existing-permission")
    assert not gate.can(user, "non-existing-permission")


def test_a_method_that_takes_something_else_is_not_asked(user: User) -> None:
    @gate.policy(Article)
    class ArticlePolicy:
        def create(self, user: User) -> bool:
            return True

        def count(self) -> int:
            return 5

    try:
        article = Article.objects.create(title="x")
        assert user.can("articles.create_article", Article)
        assert not user.can("articles.create_article", article)
        assert not user.can("articles.count", article)
        assert not user.can("articles.count", Article)
    finally:
        gate.forget(ArticlePolicy)
