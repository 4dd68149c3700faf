"""The navigation of the pages about one's own account, which other apps add to."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import navigation
from accounts.models import User

pytestmark = pytest.mark.django_db


def test_each_page_names_itself_in_the_navigation(client: Client, user: User) -> None:
    client.force_login(user)
    page = client.get("/accounts/sessions/").content.decode()
    assert '<a href="/accounts/sessions/" aria-current="page">Devices</a>' in page
    assert '<a href="/accounts/profile/">Profile</a>' in page


def test_a_page_that_another_app_adds_comes_last(client: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "_links", dict(navigation._links))
    navigation.register_own_page("docs", "Manual")
    navigation.register_own_page("docs", "Manual")
    assert navigation.list_own_pages()[-1] == navigation.OwnPageLink("docs", "Manual")
    client.force_login(user)
    assert '<a href="/docs">Manual</a></li>\n</ul>' in client.get("/accounts/profile/").content.decode()


def test_a_page_for_some_is_named_to_them_alone(client: Client, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "_links", dict(navigation._links))
    navigation.register_own_page("docs", "Manual", permission="accounts.view_user")
    client.force_login(user)
    assert "Manual" not in client.get("/accounts/profile/").content.decode()
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert "Manual" in client.get("/accounts/profile/").content.decode()


def test_a_page_has_one_label() -> None:
    with pytest.raises(ValueError, match="another label"):
        navigation.register_own_page("accounts:profile", "Me")
