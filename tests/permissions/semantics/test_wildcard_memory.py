"""What a process keeps of the names that patterns have matched, and what takes such an answer back."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import override

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import User
from permissions import gate, registrar
from permissions.models import Permission, Role
from permissions.scope import Scope, use_team
from permissions.snapshots import MATCHED_LENGTH, MATCHED_SIZE, Snapshot
from permissions.wildcard import WildcardPermission
from tests.articles.models import Team
from tests.permissions.semantics.conftest import Configure, World, fresh
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

type Question = Callable[[User, str], bool]
type Change = Callable[[User, Role], object]

QUESTIONS: dict[str, Question] = {
    "can": lambda user, name: user.can(name),
    "acan": lambda user, name: async_to_sync(user.acan)(name),
    "has_perm": lambda user, name: user.has_perm(name),
    "gate.can": gate.can,
    "gate.acan": async_to_sync(gate.acan),
}

ASKED = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


class NotedPermission(WildcardPermission):
    """Notes what it is asked."""

    asked: list[str]

    @override
    def matches(self, query: str) -> bool:
        self.asked.append(query)
        return super().matches(query)


@pytest.fixture(autouse=True)
def wildcards(world: World, configure: Configure) -> None:
    configure(WILDCARDS=True)


@pytest.fixture
def asked(configure: Configure) -> list[str]:
    """What patterns are held against."""
    NotedPermission.asked = []
    configure(WILDCARD_CLASS=f"{__name__}.NotedPermission")
    return NotedPermission.asked


@pytest.fixture
def holder(user: User, role: Role) -> User:
    """A user who may everything with posts through a role, and was asked so often that the answer is at hand."""
    give(role, "posts.*")
    user.assign_role(role)
    for _ in range(3):
        assert user.can("posts.edit")
    return user


@pytest.fixture
def no_hooks() -> Iterator[None]:
    """Forget the hooks of the test."""
    yield
    gate.forget()


def give(to: User | Role, *names: str) -> None:
    """Make the permissions and give them."""
    to.give_permission_to([Permission.create(name) for name in names])


def snapshot_of(user: User) -> Snapshot:
    return registrar.get_snapshot(user, Scope("web", None))


# What is kept


@ASKED
def test_what_a_pattern_has_matched_is_not_held_against_it_again(
    user: User, role: Role, asked: list[str], question: Question
) -> None:
    give(role, "posts.*")
    user.assign_role(role)
    for _ in range(5):
        assert question(user, "posts.edit")
    assert asked == ["posts.edit"]


def test_what_was_matched_for_one_is_known_of_all_who_have_the_same_roles(
    holder: User, second_user: User, role: Role, asked: list[str]
) -> None:
    second_user.assign_role(role)
    assert holder.can("posts.edit")
    assert second_user.can("posts.edit")
    assert asked == ["posts.edit"]


def test_what_a_pattern_has_matched_is_answered_at_once(holder: User) -> None:
    assert "posts.edit" in snapshot_of(holder).quick


def test_what_a_pattern_that_is_held_directly_has_matched_is_answered_at_once(user: User) -> None:
    give(user, "posts.*")
    assert user.can("posts.edit")
    assert "posts.edit" in snapshot_of(user).quick


@ASKED
def test_what_no_pattern_matches_is_refused_however_often_it_is_asked(holder: User, question: Question) -> None:
    assert [question(holder, "pages.edit") for _ in range(4)] == [False] * 4


@ASKED
@pytest.mark.parametrize("is_direct", [True, False], ids=["directly", "through a role"])
def test_a_pattern_that_does_not_match_itself_is_never_allowed(
    user: User, role: Role, question: Question, *, is_direct: bool
) -> None:
    user.assign_role(role)
    give(user if is_direct else role, "posts.edit,view")
    for name, is_allowed in (("posts.edit,view", False), ("posts.edit", True)) * 3:
        assert question(user, name) is is_allowed


def test_a_name_behind_its_guard_says_nothing_about_the_name_alone(user: User) -> None:
    give(user, "*.edit")
    # The guard in front is Django's spelling: the first asks for `web.edit`, the second for `edit`.
    for _ in range(3):
        assert user.can("web.web.edit")
        assert not user.can("web.edit")


def test_a_right_in_one_team_is_answered_there_alone(user: User, role: Role, teams: tuple[Team, Team]) -> None:
    give(role, "posts.*")
    user.assign_role(role, team=teams[0])
    answers = []
    for team in (teams[0], teams[1], None) * 3:
        with use_team(team):
            answers.append(user.can("posts.edit"))
    assert answers == [True, False, False] * 3


# How much of it


def test_no_more_than_so_many_names_are_kept(holder: User) -> None:
    for number in range(MATCHED_SIZE * 2 + 10):
        assert holder.can(f"posts.edit.{number}")
        assert len(snapshot_of(holder).quick) <= MATCHED_SIZE
    assert holder.can("posts.edit")


def test_long_names_are_not_kept(holder: User) -> None:
    name = "posts." + "x" * MATCHED_LENGTH
    assert [holder.can(name) for _ in range(3)] == [True] * 3
    assert name not in snapshot_of(holder).quick


def test_what_is_not_held_is_not_kept(holder: User) -> None:
    for number in range(10):
        assert not holder.can(f"pages.{number}")
    assert set(snapshot_of(holder).quick) == {"posts.edit"}


# What takes it back


CHANGES: dict[str, Change] = {
    "the pattern is taken from the role": lambda user, role: role.revoke_permission_to("posts.*"),
    "Django takes the pattern from the group": lambda user, role: role.group.permissions.clear(),
    "the role is taken from the user": lambda user, role: user.remove_role(role),
    "Django takes the user out of the group": lambda user, role: fresh(user).groups.clear(),
    "the role is deleted": lambda user, role: role.delete(),
    "the group is deleted": lambda user, role: Group.objects.get(pk=role.pk).delete(),
    "the permission is deleted": lambda user, role: Permission.find_by_name("posts.*").delete(),
    "the name is forbidden": lambda user, role: user.forbid_permission_to(Permission.create("posts.edit")),
    "all of it is forbidden": lambda user, role: user.forbid_permission_to("posts.*"),
    "a hook refuses": lambda user, role: gate.before(lambda user, ability, obj: False),
    "the user is inactive": lambda user, role: setattr(user, "is_active", False),
}


@ASKED
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_answer_at_hand_is_taken_back(
    holder: User, role: Role, no_hooks: None, question: Question, change: Change
) -> None:
    assert question(holder, "posts.edit")
    change(holder, role)
    assert [question(holder, "posts.edit") for _ in range(3)] == [False] * 3


def test_an_answer_at_hand_ends_with_the_role(user: User, role: Role) -> None:
    give(role, "posts.*")
    end = timezone.now() + timedelta(seconds=1)
    user.assign_role(role, expires_at=end)
    assert [user.can("posts.edit") for _ in range(3)] == [True] * 3 or timezone.now() >= end
    wait_until(lambda: not user.can("posts.edit"))
    assert timezone.now() >= end


def test_an_answer_at_hand_ends_where_wildcards_are_turned_off(holder: User, configure: Configure) -> None:
    configure(WILDCARDS=False)
    assert not holder.can("posts.edit")
    configure(WILDCARDS=True)
    assert holder.can("posts.edit")


def test_a_role_that_may_everything_still_may_what_no_pattern_matches(holder: User, configure: Configure) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    assert [holder.can(name) for name in ("posts.edit", "pages.edit") * 2] == [True] * 4


def test_an_after_hook_is_still_asked_about_what_no_pattern_matches(holder: User, no_hooks: None) -> None:
    gate.after(lambda user, ability, obj: ability == "pages.edit")
    assert [holder.can(name) for name in ("posts.edit", "pages.edit", "pages.list") * 2] == [True, True, False] * 2
