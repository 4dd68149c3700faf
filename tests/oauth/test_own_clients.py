"""The pages on which people see to the clients that belong to them."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Session, User
from oauth.models import Application, ClientSecret
from oauth.services import RegisteredClient
from permissions import audit
from tests.articles.models import Team
from tests.oauth.flow import Answer, Flow

pytestmark = pytest.mark.django_db

_PAGE = "/accounts/clients/"
_NEW: dict[str, Any] = {  # Any: as a browser sends it
    "name": "Shop",
    "client_type": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": "https://shop.example/cb\r\nhttp://127.0.0.1/cb",
    "allowed_scopes": ["profile", "users:read"],
    "access_token_format": "jwt",
    "algorithm": "RS256",
}


@pytest.fixture
def owner(db: None) -> User:
    owner = User.objects.create_user("owner@example.com", "correct horse battery")
    owner.user_permissions.add(Permission.objects.get(codename="add_application"))
    return owner


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def own(confidential: RegisteredClient, owner: User) -> Application:
    """A client of the owner's own."""
    application = confidential.application
    application.user = owner
    application.save()
    return application


def read(response: Answer, status: int = 200) -> str:
    assert response.status_code == status, response
    return response.content.decode()


def test_who_may_have_clients_in_one_team_alone_has_no_pages_for_them(settings: Settings) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team", "TEAM_RESOLVER": "permissions.middleware.team_from_header"}
    red = Team.objects.create(name="red")
    user = User.objects.create_user("red@example.com", "correct horse battery")
    user.give_permission_to("oauth.add_application", team=red)
    browser = Client(headers={"X-Team": str(red.pk)})
    browser.force_login(user)
    assert browser.post(f"{_PAGE}new/", _NEW).status_code == 403
    assert not Application.objects.exists()
    assert f'href="{_PAGE}"' not in read(browser.get("/accounts/profile/"))


def find_secret(page: str) -> str:
    found = re.search(r'id="client-secret" value="([\w-]{43,})"', page)
    assert found is not None
    return found[1]


def can_authenticate(client_id: str, secret: str | None) -> bool:
    return Flow(client_id, secret).post("/oauth/introspect", token="anything").status_code == 200


def test_a_new_clients_secret_is_shown_once(browser: Client, owner: User) -> None:
    answer = browser.post(f"{_PAGE}new/", _NEW)
    secret, made = find_secret(read(answer)), Application.objects.get()
    assert "no-store" in answer["Cache-Control"]
    assert (made.user, made.redirect_uris) == (owner, "https://shop.example/cb http://127.0.0.1/cb")
    assert can_authenticate(made.client_id, secret)
    for path in (_PAGE, f"{_PAGE}{made.client_id}/"):
        page = read(browser.get(path))
        assert made.client_id in page
        assert secret not in page
    assert audit.list_events(event="client.created").get().actor_label == owner.email


def test_the_same_form_once_more_makes_no_other_client(browser: Client) -> None:
    browser.post(f"{_PAGE}new/", _NEW)
    page = read(browser.post(f"{_PAGE}new/", _NEW))
    assert "You have a client of this name" in page
    assert Application.objects.count() == 1


def test_a_public_client_has_no_secret(browser: Client) -> None:
    assert "secret" not in read(browser.post(f"{_PAGE}new/", _NEW | {"client_type": "public"})).lower()
    client_id = Application.objects.get().client_id
    assert "Secrets" not in read(browser.get(f"{_PAGE}{client_id}/"))
    page = read(browser.post(f"{_PAGE}{client_id}/secret/", {"overlap": "0"}))
    assert "A public client has no secret" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": "http://shop.example/cb"},
        {"redirect_uris": ""},
        {"grant_types": ["password"]},
        {"grant_types": ["client_credentials"], "client_type": "public", "redirect_uris": ""},
        {"allowed_scopes": ["unheard:of"]},
        {"allowed_origins": "https://shop.example/path"},
        {"name": ""},
        {"name": "x" * 256},
    ],
    ids=str,
)
def test_a_client_with_a_fault_is_not_stored(browser: Client, changes: dict[str, Any]) -> None:
    page = read(browser.post(f"{_PAGE}new/", _NEW | changes))
    assert 'class="errors"' in page
    assert "<title>Error: " in page
    assert not Application.objects.exists()


def test_a_client_is_changed_and_what_an_administrator_decided_stays(browser: Client, own: Application) -> None:
    own.grant_types = [*own.grant_types, "password"]
    own.allowed_resources, own.skip_authorization = ["https://api.example/"], True
    own.save()
    form = _NEW | {"skip_authorization": "", "is_active": "", "user": "", "allowed_resources": "", "client_id": "x"}
    assert browser.post(f"{_PAGE}{own.client_id}/", form).status_code == 302
    changed = Application.objects.get()
    assert (changed.name, changed.allowed_scopes) == ("Shop", ["profile", "users:read"])
    assert (changed.client_id, changed.user, changed.is_active) == (own.client_id, own.user, True)
    assert (changed.allowed_resources, changed.skip_authorization) == (["https://api.example/"], True)
    assert changed.grant_types == ["authorization_code", "refresh_token", "password"]


def test_what_the_page_has_no_box_for_is_said_above_all(browser: Client, own: Application) -> None:
    Application.objects.update(client_type="public")
    form = _NEW | {"grant_types": ["client_credentials"], "redirect_uris": ""}
    page = read(browser.post(f"{_PAGE}{own.client_id}/", form))
    assert "Only a confidential client can act for itself" in page


def test_a_change_ends_what_the_client_may_no_longer_do(browser: Client, web: Flow, own: Application) -> None:
    token = web.get_tokens(scope="profile roles:read")["access_token"]
    browser.post(f"{_PAGE}{own.client_id}/", _NEW)
    assert web.call_api(token) == 401


@pytest.mark.parametrize(("overlap", "works"), [("0", False), ("3600", True)])
def test_another_secret_takes_over(
    browser: Client, confidential: RegisteredClient, own: Application, overlap: str, works: bool
) -> None:
    page = read(browser.post(f"{_PAGE}{own.client_id}/secret/", {"overlap": overlap}))
    assert can_authenticate(own.client_id, find_secret(page))
    assert can_authenticate(own.client_id, confidential.client_secret) is works
    assert find_secret(page) not in read(browser.get(f"{_PAGE}{own.client_id}/"))


def test_a_secret_is_ended_at_once(browser: Client, confidential: RegisteredClient, own: Application) -> None:
    path = f"{_PAGE}{own.client_id}/secrets/{ClientSecret.objects.get().pk}/end/"
    assert browser.get(path).status_code == 405
    assert browser.post(path).status_code == 302
    assert not can_authenticate(own.client_id, confidential.client_secret)
    assert '<span class="badge">ended</span>' in read(browser.get(f"{_PAGE}{own.client_id}/"))


def test_a_client_is_deleted_after_one_more_question(browser: Client, web: Flow, own: Application) -> None:
    token = web.get_tokens()["access_token"]
    path = f"{_PAGE}{own.client_id}/delete/"
    assert "Delete Example website?" in read(browser.get(path))
    assert Application.objects.exists()
    assert browser.post(path).status_code == 302
    assert not Application.objects.exists()
    assert web.call_api(token) == 401


# Who may


_PAGES = ["", "new/", "{0}/", "{0}/secret/", "{0}/delete/", "{0}/secrets/{1}/end/"]


@pytest.mark.parametrize("page", _PAGES)
def test_whoever_may_have_no_clients_sees_and_changes_nothing(
    confidential: RegisteredClient, person: User, page: str
) -> None:
    application, secret = confidential.application, ClientSecret.objects.get()
    Application.objects.update(user=person)
    client = Client()
    path = _PAGE + page.format(application.client_id, secret.pk)
    assert client.post(path, _NEW)["Location"].startswith("/accounts/login/")
    client.force_login(person)
    assert client.get(path).status_code == 403
    assert client.post(path, _NEW | {"overlap": "0"}).status_code == 403
    assert Application.objects.get().name == "Example website"
    assert ClientSecret.objects.get().expires_at is None
    assert _PAGE not in read(client.get("/accounts/profile/"))


@pytest.mark.parametrize("page", [page for page in _PAGES if "{0}" in page])
def test_a_client_of_somebody_else_is_not_there(browser: Client, confidential: RegisteredClient, page: str) -> None:
    path = _PAGE + page.format(confidential.application.client_id, ClientSecret.objects.get().pk)
    assert browser.post(path, _NEW | {"overlap": "0"}).status_code == 404
    assert Application.objects.get().name == "Example website"
    assert ClientSecret.objects.get().expires_at is None
    assert "Example website" not in read(browser.get(_PAGE))


@pytest.mark.parametrize("page", ["new/", "{0}/secret/"])
def test_a_secret_is_shown_to_those_alone_who_showed_lately_who_they_are(
    browser: Client, own: Application, page: str
) -> None:
    session = Session.objects.get()
    session.authenticated_at = own.created.replace(year=2020)
    session.save()
    answer = browser.post(_PAGE + page.format(own.client_id), _NEW | {"overlap": "0"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert (Application.objects.count(), ClientSecret.objects.count()) == (1, 1)


def test_the_navigation_leads_there(browser: Client) -> None:
    assert f'<a href="{_PAGE}">Clients</a>' in read(browser.get("/accounts/profile/"))
    assert f'<a href="{_PAGE}" aria-current="page">Clients</a>' in read(browser.get(_PAGE))


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_takes_as_many_queries_however_long_it_is(
    browser: Client, owner: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    browser.get(_PAGE)
    for place in range(count):
        application = Application.objects.create(name=f"Client {place:02}", user=owner)
        ClientSecret.objects.create(application=application, digest=str(place))
    with django_assert_num_queries(5) as queries:  # page session, user, session; clients, their secrets
        read(browser.get(_PAGE))
    assert queries
