"""The auth backend."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions.backends import RoleBackend
from permissions.services import create_role
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


def test_async_and_sync_share_one_set_of_permissions(make_user: MakeUser) -> None:
    user = make_user("accounts.view_user")
    backend = RoleBackend()
    assert async_to_sync(backend.aget_all_permissions)(user) == {"accounts.view_user"}
    assert backend.get_all_permissions(user) == {"accounts.view_user"}


def test_a_warm_async_check_asks_nothing(
    make_user: MakeUser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = make_user("accounts.view_user")
    async_to_sync(user.ahas_perm)("accounts.view_user")
    with django_assert_num_queries(0):
        assert async_to_sync(user.ahas_perm)("accounts.view_user")
        assert not async_to_sync(user.ahas_perm)("accounts.add_user")


@pytest.mark.parametrize("is_superuser", [False, True])
def test_an_inactive_user_has_no_permissions_in_async_code_either(make_user: MakeUser, is_superuser: bool) -> None:
    user = make_user("accounts.view_user", is_active=False, is_superuser=is_superuser)
    assert async_to_sync(user.aget_all_permissions)() == set()
    assert not async_to_sync(user.ahas_perm)("accounts.view_user")


def test_nobody_has_no_permissions() -> None:
    assert async_to_sync(RoleBackend().aget_all_permissions)(AnonymousUser()) == set()


def test_what_one_may_at_all_one_may_with_every_object(make_user: MakeUser) -> None:
    user = make_user("accounts.view_user")
    assert async_to_sync(user.ahas_perm)("accounts.view_user", user)
    assert not async_to_sync(user.ahas_perm)("accounts.delete_user", user)


def test_what_a_role_permits_is_seen_by_djangos_own_queries(user: User) -> None:
    create_role(name="editor", permissions=["accounts.view_user"])
    user.assign_role("editor")
    assert list(RoleBackend().with_perm("accounts.view_user")) == [user]
