"""Nobody hands out what they don't hold."""

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync

from accounts.models import User
from permissions.exceptions import Escalation
from permissions.models import Permission, Role, RoleAssignment, RoleLink, UserGrant
from tests.permissions.semantics.conftest import Configure, fresh

type Hand = Callable[[User, User], object]


#: Every verb by which a right to edit articles is handed out: by an actor, to a target. testRole2 has that right.
VERBS: dict[str, Hand] = {
    "user.give_permission_to": lambda actor, target: target.give_permission_to("edit-articles", granted_by=actor),
    "user.agive_permission_to": lambda actor, target: async_to_sync(target.agive_permission_to)(
        "edit-articles", granted_by=actor
    ),
    "user.sync_permissions": lambda actor, target: target.sync_permissions("edit-articles", granted_by=actor),
    "user.assign_role": lambda actor, target: target.assign_role("testRole2", granted_by=actor),
    "user.aassign_role": lambda actor, target: async_to_sync(target.aassign_role)("testRole2", granted_by=actor),
    "user.sync_roles": lambda actor, target: target.sync_roles("testRole2", granted_by=actor),
    "role.give_permission_to": lambda actor, target: target.roles.get().give_permission_to(
        "edit-articles", granted_by=actor
    ),
    "role.sync_permissions": lambda actor, target: target.roles.get().sync_permissions(
        "edit-articles", granted_by=actor
    ),
    "role.inherit_from": lambda actor, target: target.roles.get().inherit_from("testRole2", granted_by=actor),
    "role.assign_to_models": lambda actor, target: Role.find_by_name("testRole2").assign_to_models(
        target, granted_by=actor
    ),
    "role.sync_models": lambda actor, target: Role.find_by_name("testRole2").sync_models([target], granted_by=actor),
    "permission.assign_role": lambda actor, target: Permission.find_by_name("edit-articles").assign_role(
        target.roles.get(), granted_by=actor
    ),
    "permission.sync_roles": lambda actor, target: Permission.find_by_name("edit-articles").sync_roles(
        target.roles.get(), "testRole2", granted_by=actor
    ),
}
HANDED = pytest.mark.parametrize("hand", VERBS.values(), ids=VERBS.keys())


@pytest.fixture(autouse=True)
def rights(role2: Role) -> None:
    """Let testRole2 edit articles."""
    role2.give_permission_to("edit-articles")


@pytest.fixture
def actor(user: User) -> User:
    """Who hands out."""
    return user


@pytest.fixture
def target(second_user: User) -> User:
    """Who gets it: a user with testRole, which permits nothing."""
    return second_user.assign_role("testRole")


@HANDED
def test_who_holds_nothing_hands_out_nothing(actor: User, target: User, hand: Hand) -> None:
    with pytest.raises(Escalation):
        hand(actor, target)
    assert not fresh(target).can("edit-articles")


@HANDED
def test_a_refusal_leaves_everything_as_it_was(actor: User, target: User, hand: Hand) -> None:
    with pytest.raises(Escalation):
        hand(actor, target)
    assert fresh(target).get_role_names() == ["testRole"]
    assert not UserGrant.objects.exists()
    assert not target.user_permissions.exists()
    assert not RoleLink.objects.exists()
    assert not Role.find_by_name("testRole").get_all_permission_objects()


@HANDED
def test_who_holds_it_directly_hands_it_out(actor: User, target: User, hand: Hand) -> None:
    hand(actor.give_permission_to("edit-articles"), target)
    assert target.can("edit-articles")


@HANDED
def test_who_holds_it_through_a_role_hands_it_out(actor: User, target: User, hand: Hand) -> None:
    holding = Role.create("holding").give_permission_to("edit-articles")
    hand(actor.assign_role(holding), target)
    assert target.can("edit-articles")


@HANDED
def test_who_holds_it_through_a_role_above_hands_it_out(actor: User, target: User, hand: Hand) -> None:
    above = Role.create("above").give_permission_to("edit-articles")
    hand(actor.assign_role(Role.create("holding").inherit_from(above)), target)
    assert target.can("edit-articles")


@HANDED
def test_who_may_escalate_hands_out_what_they_do_not_hold(actor: User, target: User, hand: Hand) -> None:
    hand(actor.give_permission_to("permissions.escalate"), target)
    assert target.can("edit-articles")


@HANDED
def test_a_superuser_hands_out_everything(actor: User, target: User, hand: Hand) -> None:
    actor.is_superuser = True
    hand(actor, target)
    assert target.can("edit-articles")


@HANDED
def test_code_that_names_nobody_hands_out_everything(target: User, hand: Hand) -> None:
    hand(None, target)  # type: ignore[arg-type] # the point of the test
    assert target.can("edit-articles")


@HANDED
def test_who_is_forbidden_it_does_not_hand_it_out(actor: User, target: User, hand: Hand) -> None:
    actor.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    with pytest.raises(Escalation):
        hand(actor, target)


@HANDED
def test_an_inactive_holder_hands_out_nothing(actor: User, target: User, hand: Hand) -> None:
    actor.give_permission_to("edit-articles", "permissions.escalate").is_active = False
    with pytest.raises(Escalation):
        hand(actor, target)


@HANDED
def test_an_inactive_superuser_hands_out_nothing(actor: User, target: User, hand: Hand) -> None:
    actor.is_superuser, actor.is_active = True, False
    with pytest.raises(Escalation):
        hand(actor, target)


@HANDED
def test_who_is_forbidden_to_escalate_does_not(actor: User, target: User, hand: Hand) -> None:
    actor.give_permission_to("permissions.escalate").forbid_permission_to("permissions.escalate")
    with pytest.raises(Escalation):
        hand(actor, target)


# More than one right at a time


def test_one_missing_right_among_several_hands_out_none(actor: User, target: User) -> None:
    actor.give_permission_to("edit-articles")
    with pytest.raises(Escalation):
        target.give_permission_to("edit-articles", "edit-blog", granted_by=actor)
    assert not target.user_permissions.exists()


def test_one_missing_role_among_several_hands_out_none(actor: User, target: User) -> None:
    Role.create("testRole3").give_permission_to("edit-blog")
    actor.give_permission_to("edit-articles")
    with pytest.raises(Escalation):
        target.assign_role("testRole2", "testRole3", granted_by=actor)
    assert fresh(target).get_role_names() == ["testRole"]


def test_a_role_counts_with_what_is_above_it(actor: User, target: User) -> None:
    Role.create("testRole3").inherit_from("testRole2")
    with pytest.raises(Escalation):
        target.assign_role("testRole3", granted_by=actor)


def test_an_empty_role_is_handed_out_by_everybody(actor: User, target: User) -> None:
    Role.create("empty")
    assert target.assign_role("empty", granted_by=actor).has_role("empty")


def test_exchanging_keeps_what_the_target_had_though_the_actor_lacks_it(actor: User, target: User) -> None:
    target.assign_role("testRole2")
    target.sync_roles("testRole2", granted_by=actor)
    assert fresh(target).get_role_names() == ["testRole2"]


def test_exchanging_keeps_permissions_of_a_role_that_the_actor_lacks(actor: User, role2: Role) -> None:
    role2.sync_permissions("edit-articles", granted_by=actor)
    assert role2.get_permission_names() == ["edit-articles"]


def test_taking_away_needs_no_right(actor: User, target: User) -> None:
    target.assign_role("testRole2").remove_role("testRole2", taken_by=actor)
    assert not target.can("edit-articles")


def test_forbidding_needs_no_right(actor: User, target: User) -> None:
    target.forbid_permission_to("edit-articles", granted_by=actor)
    assert UserGrant.objects.filter(user=target, is_denied=True).exists()


def test_lifting_what_is_forbidden_needs_the_right(actor: User, target: User) -> None:
    target.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    with pytest.raises(Escalation):
        target.unforbid_permission_to("edit-articles", granted_by=actor)
    assert not target.can("edit-articles")


def test_nobody_lifts_what_they_themselves_are_forbidden(actor: User) -> None:
    actor.give_permission_to("edit-articles").forbid_permission_to("edit-articles")
    with pytest.raises(Escalation):
        actor.unforbid_permission_to("edit-articles", granted_by=actor)
    assert not actor.can("edit-articles")


def test_prolonging_a_role_needs_the_right(actor: User, target: User) -> None:
    target.assign_role("testRole2")
    with pytest.raises(Escalation):
        target.assign_role("testRole2", granted_by=actor)


def test_who_handed_out_is_recorded(actor: User, target: User) -> None:
    actor.give_permission_to("edit-articles")
    target.assign_role("testRole2", granted_by=actor)
    assert RoleAssignment.objects.get(user=target, role__name="testRole2").granted_by == actor


def test_a_role_that_opens_everything_is_handed_out_by_those_who_may_everything(
    actor: User, target: User, configure: Configure
) -> None:
    Role.create("root")
    configure(SUPER_ADMIN_ROLES=["root"])
    with pytest.raises(Escalation):
        target.assign_role("root", granted_by=actor)


def test_who_has_a_role_that_opens_everything_hands_out_everything(
    actor: User, target: User, configure: Configure
) -> None:
    configure(SUPER_ADMIN_ROLES=["testRole"])
    actor.assign_role("testRole")
    assert target.give_permission_to("edit-articles", granted_by=actor).can("edit-articles")


def test_a_permission_of_another_guard_is_not_the_one_that_is_held(actor: User, target: User) -> None:
    Permission.create("edit-articles", guard="api")
    actor.give_permission_to("edit-articles")
    with pytest.raises(Escalation):
        target.give_permission_to("edit-articles", guard="api", granted_by=actor)


# Patterns


@pytest.fixture
def patterns(configure: Configure) -> None:
    """Turn patterns on, and make some."""
    configure(WILDCARDS=True)
    for name in ("*", "posts.*", "posts.view", "posts.delete", "posts.view,delete"):
        Permission.create(name)


@pytest.mark.usefixtures("patterns")
@pytest.mark.parametrize("name", ["posts.*", "posts.view"])
def test_who_holds_a_pattern_hands_out_what_it_covers(actor: User, target: User, name: str) -> None:
    actor.give_permission_to("posts.*")
    assert target.give_permission_to(name, granted_by=actor).can("posts.view")


@pytest.mark.usefixtures("patterns")
def test_who_holds_a_pattern_with_commas_hands_it_out(actor: User, target: User) -> None:
    actor.give_permission_to("posts.view,delete")
    assert target.give_permission_to("posts.view,delete", granted_by=actor).can("posts.view")


@pytest.mark.usefixtures("patterns")
def test_who_holds_one_name_does_not_hand_out_a_pattern_over_it(actor: User, target: User) -> None:
    actor.give_permission_to("posts.view")
    with pytest.raises(Escalation):
        target.give_permission_to("posts.*", granted_by=actor)


@pytest.mark.usefixtures("patterns")
@pytest.mark.parametrize("name", ["*", "posts.view,delete"])
def test_who_holds_less_than_a_pattern_does_not_hand_it_out(actor: User, target: User, name: str) -> None:
    actor.give_permission_to("posts.view")
    with pytest.raises(Escalation):
        target.give_permission_to(name, granted_by=actor)


@pytest.mark.usefixtures("patterns")
def test_a_pattern_is_not_handed_out_by_who_is_forbidden_a_part_of_it(actor: User, target: User) -> None:
    actor.give_permission_to("posts.*").forbid_permission_to("posts.delete")
    with pytest.raises(Escalation):
        target.give_permission_to("posts.*", granted_by=actor)
