"""What giving a role permissions writes, tells and costs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models.signals import m2m_changed
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions.exceptions import Escalation, GuardDoesNotMatch, PermissionDoesNotExist
from permissions.models import AuditEvent, Permission, Role, Version

pytestmark = pytest.mark.django_db

#: What begins and ends a transaction.
_TRANSACTION = 2


@pytest.fixture
def role() -> Role:
    """A role that permits nothing yet, as a request would load it."""
    return Role.objects.get(pk=Role.create("editor").pk)


@pytest.fixture
def knock() -> Permission:
    return Permission.create("knock")


@pytest.fixture
def heard() -> Iterator[list[tuple[str, set[int], bool]]]:
    """Listen to Django's own signal: what is said, about which permissions, and whether the role has them by then."""
    said: list[tuple[str, set[int], bool]] = []

    def listen(*, instance: Group, action: str, pk_set: set[int], **_: object) -> None:
        said.append((action, pk_set, instance.permissions.filter(pk__in=pk_set).exists()))

    m2m_changed.connect(listen, sender=Group.permissions.through)
    yield said
    m2m_changed.disconnect(listen, sender=Group.permissions.through)


def _list_recorded() -> list[object]:
    return [
        event.data["permissions"] for event in AuditEvent.objects.filter(event="permission.attached").order_by("pk")
    ]


@pytest.mark.usefixtures("knock")
def test_giving_one_permission_by_its_name_takes_three_statements(
    role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(3 + _TRANSACTION) as captured:  # the row, the stamps, the audit log
        role.give_permission_to("knock")
    assert sum("INSERT" in query["sql"] for query in captured) == 3
    assert role.has_permission_to("knock")


@pytest.mark.parametrize("form", ["name", "row"])
def test_what_a_role_has_is_neither_given_nor_recorded_again(role: Role, knock: Permission, form: str) -> None:
    role.give_permission_to("knock")
    stamps = set(Version.objects.values_list("key", "stamp"))
    role.give_permission_to("knock" if form == "name" else knock)
    assert _list_recorded() == [["knock"]]
    assert set(Version.objects.values_list("key", "stamp")) == stamps


def test_of_several_permissions_those_are_recorded_that_are_new(role: Role, knock: Permission) -> None:
    Permission.create("enter")
    role.give_permission_to(knock)
    role.give_permission_to(knock, Permission.find_by_name("enter"))
    assert _list_recorded() == [["knock"], ["enter"]]


@pytest.mark.usefixtures("knock")
def test_an_unknown_name_is_refused_before_anything_is_written_or_said(
    role: Role, heard: list[tuple[str, set[int], bool]]
) -> None:
    for names in (["unknown"], ["knock", "unknown"], ["knock\0"]):
        with pytest.raises(PermissionDoesNotExist):
            role.give_permission_to(*names)
    assert (heard, _list_recorded(), list(role.group.permissions.all())) == ([], [], [])


def test_a_name_of_another_guard_is_refused(role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        Role(name="api", guard="api", group=role.group).give_permission_to("knock", guard="web")


def test_a_name_that_means_two_permissions_gives_both(role: Role) -> None:
    """Django's own one, and a free one that was made behind our back."""
    free = Permission.objects.create(
        codename="accounts.view_user", content_type=Permission.create("knock").content_type
    )
    own = Permission.objects.get(content_type=ContentType.objects.get_for_model(User), codename="view_user")
    role.give_permission_to("accounts.view_user")
    assert set(role.group.permissions.values_list("pk", flat=True)) == {free.pk, own.pk}


@pytest.mark.usefixtures("knock")
def test_who_gives_a_role_by_name_what_they_lack_is_refused(role: Role) -> None:
    user = User.objects.create(email="user@example.com")
    user.assign_role(role)
    with pytest.raises(Escalation):
        role.give_permission_to("knock", granted_by=user)
    assert not role.group.permissions.exists()


@pytest.mark.parametrize("form", ["name", "row"])
def test_whoever_listens_to_django_is_told_before_and_after(
    role: Role, knock: Permission, heard: list[tuple[str, set[int], bool]], form: str
) -> None:
    role.give_permission_to("knock" if form == "name" else knock)
    assert heard == [("pre_add", {knock.pk}, False), ("post_add", {knock.pk}, True)]


def test_a_listener_who_refuses_leaves_nothing(role: Role, knock: Permission) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError

    m2m_changed.connect(refuse)  # without a sender: it hears of every relation
    try:
        with pytest.raises(PermissionError), transaction.atomic():
            role.give_permission_to("knock")
    finally:
        m2m_changed.disconnect(refuse)
    assert not role.group.permissions.filter(pk=knock.pk).exists()


@pytest.mark.parametrize("form", ["name", "row"])
@pytest.mark.django_db(transaction=True)
def test_of_eight_threads_that_give_a_role_one_permission_one_is_recorded(
    role: Role, knock: Permission, form: str
) -> None:
    gate = Barrier(8)

    def give(_: int) -> None:
        own = Role.objects.get(pk=role.pk)
        gate.wait()
        try:
            own.give_permission_to("knock" if form == "name" else knock)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give, range(8)))
    assert list(role.group.permissions.values_list("pk", flat=True)) == [knock.pk]
    assert _list_recorded() == [["knock"]]
