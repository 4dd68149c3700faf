"""People and roles that the tests of this app share."""

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from accounts.models import User

type MakeUser = Callable[..., User]


@pytest.fixture
def make_user(db: None) -> MakeUser:
    """Return a function that stores a user who holds the named permissions directly."""

    def make(*permissions: str, email: str = "someone@example.com", **fields: bool) -> User:
        user = get_user_model().objects.create(email=email, **fields)
        for name in permissions:
            app_label, codename = name.split(".", 1)
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
        return user

    return make


@pytest.fixture
def user(make_user: MakeUser) -> User:
    """A user who holds nothing."""
    return make_user(email="user@example.com")


@pytest.fixture
def superuser(make_user: MakeUser) -> User:
    return make_user(email="root@example.com", is_superuser=True, is_staff=True)
