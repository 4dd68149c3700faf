"""Connected apps: who may act for a person, seen and ended by that person."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Session, User
from accounts.services import Access, Device, Proof, open_api_session, open_client_session
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from oauth.exceptions import ConnectionDoesNotExist
from oauth.models import Application, Consent
from oauth.selectors import describe_connections, list_connected_clients
from oauth.services import RegisteredClient, give_consent, register_client, revoke_connection
from permissions.audit import list_events
from tests.oauth.flow import REDIRECT_URI, Flow

type QueryCount = Callable[..., AbstractContextManager[object]]

pytestmark = pytest.mark.django_db

API, PAGE = "/api/v1/oauth/connections", "/accounts/apps/"
#: Who asks, how many clients, those of a page, consents, sessions.
_QUERIES = 5
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


@pytest.fixture
def api(person: User) -> APIClient:
    """A program with an access token from the person's sign-in."""
    now = timezone.now()
    session = open_api_session(proof=Proof(person, now), now=now).session
    token = issue_access_token(
        subject=str(person.pk),
        client_id=FIRST_PARTY_CLIENT_ID,
        now=now,
        lifetime=timedelta(minutes=10),
        session_id=session.pk,
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def make_app(name: str) -> Application:
    return register_client(
        name=name,
        client_type="public",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=["profile", "users:read"],
    ).application


def let_in(person: User, application: Application, *, user_agent: str = PHONE) -> Session:
    """Begin a session of a client, as its exchange of a code does."""
    now = timezone.now()
    access = Access(user_id=person.pk, client_id=application.client_id, scope=("profile",), authenticated_at=now)
    device = Device("192.0.2.7", user_agent)
    return open_client_session(access=access, device=device, lifetime=timedelta(days=1), idle=None, now=now)[0]


def allow(person: User, application: Application) -> Consent:
    return give_consent(user_id=person.pk, application=application, scopes=["profile"], now=timezone.now())


@pytest.mark.compliance("ASVS 5.0", "10.7.3", "people see which apps may use their account, and what for")
def test_the_api_tells_what_an_app_may_do(flow: Flow, api: APIClient) -> None:
    before = timezone.now()
    flow.get_tokens(scope="profile roles:write")
    answer = api.get(API)
    (told,) = answer.json()["results"]
    assert (told["client_id"], told["name"], told["is_active"]) == (flow.client_id, "Example app", True)
    assert told["scopes"] == [
        {"scope": "roles:write", "sentence": "Create roles, and change who has which role", "is_dangerous": True},
        {"scope": "profile", "sentence": "See your name and your e-mail address", "is_dangerous": False},
    ]
    assert told["granted_at"] > before.isoformat()[:19]
    assert told["last_used_at"] > before.isoformat()[:19]
    assert (told["session_count"], told["sessions"][0]["ip_address"]) == (1, "127.0.0.1")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.compliance("ASVS 5.0", "10.4.9", "people revoke refresh and reference tokens themselves")
@pytest.mark.compliance("ASVS 5.0", "10.7.3", "people take back what they allowed to an app")
@pytest.mark.compliance("Security", "TK11", "access and refresh tokens are dead once consent is revoked")
def test_to_take_back_ends_all_at_once(flow: Flow, api: APIClient) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    assert flow.call_api(tokens["access_token"]) == 200
    assert api.delete(f"{API}/{flow.client_id}").status_code == 204
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.exchange(code).json()["error"] == "invalid_grant"
    assert api.get(API).json()["results"] == []
    assert not Consent.objects.exists()
    assert api.delete(f"{API}/{flow.client_id}").json()["code"] == "connection_not_found"
    event = list_events(event="consent.revoked").get()
    assert (event.client_id, event.data["sessions"]) == (flow.client_id, 1)


def test_to_take_back_ends_opaque_tokens_too(flow: Flow, api: APIClient) -> None:
    application = Application.objects.get()
    application.access_token_format = Application.AccessTokenFormat.OPAQUE
    application.save()
    tokens = flow.get_tokens()
    assert flow.call_api(tokens["access_token"]) == 200
    api.delete(f"{API}/{flow.client_id}")
    assert flow.call_api(tokens["access_token"]) == 401


def test_to_take_back_from_one_leaves_the_others(flow: Flow, web: Flow, api: APIClient) -> None:
    kept, ended = flow.get_tokens(), web.get_tokens()
    api.delete(f"{API}/{web.client_id}")
    assert flow.call_api(kept["access_token"]) == 200
    assert web.call_api(ended["access_token"]) == 401


def test_nobody_reaches_the_apps_of_others(flow: Flow, api: APIClient) -> None:
    other = User.objects.create_user("other@example.com", "correct horse battery")
    application = make_app("Theirs")
    allow(other, application)
    let_in(other, application)
    assert api.get(API).json()["results"] == []
    assert api.delete(f"{API}/{application.client_id}").status_code == 404
    assert Session.objects.filter(user=other, revoked_at=None).exists()


def test_an_app_that_acts_without_having_asked_is_seen_and_ended(person: User, api: APIClient) -> None:
    application = make_app("Trusted")
    session = let_in(person, application)
    (told,) = api.get(API).json()["results"]
    assert [one["scope"] for one in told["scopes"]] == ["profile"]
    assert told["sessions"][0]["device"] == "Firefox on Android"
    api.delete(f"{API}/{application.client_id}")
    session.refresh_from_db()
    assert session.revoked_at is not None
    assert api.get(API).json()["results"] == []


def test_an_app_that_is_switched_off_is_told_as_such(flow: Flow, person: User, api: APIClient) -> None:
    flow.get_tokens()
    application = Application.objects.get()
    application.is_active = False
    application.save()
    (told,) = api.get(API).json()["results"]
    assert (told["is_active"], told["session_count"]) == (False, 0)
    assert "switched off" in flow.browser.get(PAGE).content.decode()
    assert api.delete(f"{API}/{application.client_id}").status_code == 204


def test_an_app_that_was_deleted_is_gone(flow: Flow, api: APIClient) -> None:
    flow.get_tokens()
    Application.objects.get().delete()
    assert api.get(API).json()["results"] == []
    assert "No app can use your account." in flow.browser.get(PAGE).content.decode()


@pytest.mark.compliance("Security", "B20", "what has ended is not shown as living")
def test_a_consent_that_has_ended_is_told_as_such(flow: Flow, api: APIClient) -> None:
    flow.get_tokens()
    Consent.objects.update(expires_at=timezone.now())
    assert "has to ask again" in flow.browser.get(PAGE).content.decode()
    assert api.get(API).json()["results"][0]["expires_at"] is not None


@pytest.mark.compliance("Security", "B20", "the page of apps says when each was used last")
def test_the_last_use_is_the_newest_that_is_known(person: User) -> None:
    application, now = make_app("App"), timezone.now()

    def find() -> object:
        (found,) = describe_connections(
            user_id=person.pk, clients=list_connected_clients(user_id=person.pk, now=now), now=now
        )
        return found.last_used_at

    allow(person, application)
    assert find() is None
    Consent.objects.update(last_used_at=now - timedelta(days=2))
    assert find() == now - timedelta(days=2)
    older, newer = let_in(person, application), let_in(person, application)
    Session.objects.filter(pk=older.pk).update(last_used_at=now - timedelta(days=3))
    Session.objects.filter(pk=newer.pk).update(last_used_at=now - timedelta(days=1))
    assert find() == now - timedelta(days=1)
    Consent.objects.update(last_used_at=now)
    assert find() == now


@pytest.mark.compliance("Security", "B20", "apps are listed once each, however many tokens they have")
def test_any_number_takes_the_same_queries_and_few_rows(
    person: User, api: APIClient, django_assert_num_queries: QueryCount
) -> None:
    def fill(names: str) -> None:
        for name in names:
            application = make_app(name)
            allow(person, application)
            for _ in range(12):
                let_in(person, application)

    fill("a")
    with django_assert_num_queries(_QUERIES):
        (told,) = api.get(API).json()["results"]
    assert (len(told["sessions"]), told["session_count"]) == (10, 12)
    fill("dbec")
    with django_assert_num_queries(_QUERIES):
        found = api.get(API).json()["results"]
    assert [one["name"] for one in found] == list("abcde")
    assert {one["session_count"] for one in found} == {12}
    assert [one["name"] for one in api.get(f"{API}?page_size=2&page=2").json()["results"]] == ["c", "d"]


@pytest.mark.parametrize("scope", ["profile users:read", "profile"])
def test_no_app_sees_or_ends_the_others(flow: Flow, scope: str) -> None:
    token = flow.get_tokens(scope=scope)["access_token"]
    assert flow.call_api(token, API) == 403
    headers = {"Authorization": f"Bearer {token}"}
    assert flow.program.delete(f"{API}/{flow.client_id}", headers=headers).status_code == 403
    assert Consent.objects.exists()


@pytest.mark.compliance("ASVS 5.0", "10.7.3", "a page shows the apps that may use the account, and takes it back")
def test_the_page_tells_and_takes_back(flow: Flow) -> None:
    tokens = flow.get_tokens()
    Session.objects.filter(client_id=flow.client_id).update(user_agent=PHONE)
    page = flow.browser.get(PAGE).content.decode()
    for words in ("Example app", "See your name and your e-mail address", "Firefox on Android", "from 127.0.0.1"):
        assert words in page
    Session.objects.filter(client_id="").update(authenticated_at=timezone.now() - timedelta(hours=1))
    answer = flow.browser.post(f"{PAGE}{flow.client_id}/revoke/")
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert flow.call_api(tokens["access_token"]) == 401
    page = flow.browser.get(PAGE).content.decode()
    assert "That app can no longer use your account." in page
    assert "No app can use your account." in page
    assert flow.browser.post(f"{PAGE}{flow.client_id}/revoke/").status_code == 302
    assert "Took back what an app was allowed" in flow.browser.get("/accounts/security-events/").content.decode()


def test_the_page_goes_on_on_further_pages(flow: Flow, person: User) -> None:
    for number in range(27):
        allow(person, make_app(f"App {number:02}"))
    page = flow.browser.get(PAGE).content.decode()
    assert "App 24" in page
    assert "App 25" not in page
    assert 'href="?page=2"' in page
    second = flow.browser.get(f"{PAGE}?page=2").content.decode()
    assert "App 25" in second
    assert "App 24" not in second
    for odd in ("0", "-1", "x", "99", ""):
        assert flow.browser.get(PAGE, {"page": odd}).status_code == 200


@pytest.mark.parametrize("client_id", ["unknown", "a b", "\u00e9"])
def test_an_unknown_app_is_no_mistake_on_the_page(flow: Flow, client_id: str) -> None:
    assert flow.browser.post(f"{PAGE}{client_id}/revoke/").status_code == 302


def test_strangers_see_nothing(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/accounts/login/")
    assert APIClient().get(API).status_code == 401


def test_a_client_that_acts_for_itself_has_no_apps(confidential: RegisteredClient, person: User) -> None:
    with pytest.raises(ConnectionDoesNotExist):
        revoke_connection(user_id=person.pk, client_id=confidential.application.client_id, now=timezone.now())


def test_the_export_holds_what_was_allowed(flow: Flow) -> None:
    flow.get_tokens()
    file = b"".join(flow.browser.post("/accounts/export/").streaming_content)  # type: ignore[attr-defined]  # a file
    (row,) = json.loads(file)["oauth_consents"]
    assert (row["application__client_id"], row["scope"]) == (flow.client_id, "profile")
