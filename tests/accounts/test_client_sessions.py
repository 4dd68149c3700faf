"""Sessions of OAuth clients, where people and their own programs meet them."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import rotation
from accounts.models import Session, User
from accounts.selectors import is_new_device, list_client_sessions
from accounts.services import Access, Device, Proof, TokenPair, open_api_session, open_client_session
from project.crypto import keyed_digest
from tests.accounts.clients import AUTH, read_problem
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
DAY = timedelta(days=1)
HERE = "192.0.2.1"


@pytest.fixture
def let_in(user: User) -> rotation.Rotation:
    """What a client may do for the user, with its refresh token."""
    now = timezone.now()
    access = Access(user_id=user.pk, client_id="app", scope=("profile",), authenticated_at=now)
    device = Device(HERE, CHROME)
    _session, first = open_client_session(access=access, device=device, lifetime=DAY, idle=DAY, now=now)
    assert first is not None
    return first


def is_at_work(first: rotation.Rotation) -> bool:
    """Say whether the client can still refresh."""
    now = timezone.now()
    return rotation.find_living(first.refresh_token, client_id="app", now=now) is not None


# --- The refresh token of a client opens nothing for the user's own programs ------------------------------------------


@pytest.mark.compliance("RFC 6749", "6", "the refresh token of a client gives nobody else tokens")
@pytest.mark.parametrize("in_cookie", [False, True])
def test_the_refresh_token_of_a_client_gives_no_pair_of_the_user(let_in: rotation.Rotation, in_cookie: bool) -> None:
    client, body = APIClient(), {"refresh_token": let_in.refresh_token}
    if in_cookie:
        client.cookies["gatehouse-refresh"] = body.pop("refresh_token")
    csrf = keyed_digest("refresh-cookie-csrf", str(let_in.session.pk))
    response = client.post(f"{AUTH}/refresh", body, headers={"X-CSRF-Token": csrf})
    assert read_problem(response) == (401, "invalid_refresh_token")
    assert is_at_work(let_in)


# --- The list, and ending what is in it -------------------------------------------------------------------------------


def test_clients_are_not_among_the_devices(signed_in: APIClient, pair: TokenPair, let_in: rotation.Rotation) -> None:
    rows = signed_in.get(f"{AUTH}/sessions").json()["results"]
    assert [row["id"] for row in rows] == [str(pair.session.pk)]


def test_clients_are_not_on_the_page_of_devices(client: Client, user: User, let_in: rotation.Rotation) -> None:
    client.force_login(user)
    page = client.get("/accounts/sessions/").content.decode()
    assert "Chrome" not in page
    assert str(let_in.session.pk) not in page


def test_only_what_is_listed_is_ended_by_its_id(signed_in: APIClient, let_in: rotation.Rotation) -> None:
    response = signed_in.delete(f"{AUTH}/sessions/{let_in.session.pk}")
    assert read_problem(response) == (404, "session_not_found")
    assert is_at_work(let_in)


def test_the_page_of_devices_ends_no_client_by_its_id(client: Client, user: User, let_in: rotation.Rotation) -> None:
    client.force_login(user)
    page = client.post(f"/accounts/sessions/{let_in.session.pk}/end/", follow=True).content.decode()
    assert "That device is signed out." not in page
    assert is_at_work(let_in)


def test_all_others_are_clients_too_and_the_page_says_so(
    client: Client, user: User, pair: TokenPair, let_in: rotation.Rotation
) -> None:
    client.force_login(user)
    assert "“Sign out all others” also disconnects all apps." in client.get("/accounts/sessions/").content.decode()
    client.post("/accounts/sessions/end-others/")
    assert not list_client_sessions(user_id=user.pk, now=timezone.now()).exists()


def test_all_others_can_be_ended_where_a_client_is_all_there_is(
    client: Client, user: User, let_in: rotation.Rotation
) -> None:
    client.force_login(user)
    page = client.get("/accounts/sessions/").content.decode()
    assert 'action="/accounts/sessions/end-others/"' in page


def test_ending_a_device_leaves_clients_alone_that_were_let_in_from_it(client: Client, user: User) -> None:
    client.force_login(user)
    now, browser = timezone.now(), Session.objects.get()
    access = Access(user_id=user.pk, client_id="app", scope=(), authenticated_at=now, opened_in=browser.pk)
    _session, first = open_client_session(access=access, lifetime=DAY, idle=DAY, now=now)
    client.post(f"/accounts/sessions/{browser.pk}/end/")
    assert first is not None
    assert is_at_work(first)


def test_the_page_that_deletes_the_account_tells_what_becomes_of_clients(client: Client, user: User) -> None:
    client.force_login(user)
    page = client.get("/accounts/delete-account/").content.decode()
    assert "OAuth clients that you own are deleted with it" in page


# --- Devices that are known -------------------------------------------------------------------------------------------


def test_a_client_makes_no_device_known(user: User, let_in: rotation.Rotation) -> None:
    def come(at: datetime, agent: str) -> Session:
        return open_api_session(proof=Proof(user, at), device=Device(HERE, agent), now=at).session

    come(timezone.now() - timedelta(hours=1), FIREFOX)
    assert is_new_device(session=come(timezone.now() + timedelta(hours=1), CHROME))


# --- What is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "client_id"), [("client", ""), ("api", "app"), ("browser", "app")])
def test_a_session_of_a_client_has_its_id_and_no_other_has(user: User, kind: str, client_id: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Session.objects.create(user=user, kind=kind, client_id=client_id, expires_at=timezone.now() + DAY)


def test_administrators_see_which_client_may_do_what(let_in: rotation.Rotation) -> None:
    User.objects.create_superuser("root@example.com", PASSWORD, email_verified_at=timezone.now())
    client = Client()
    client.force_login(User.objects.get(email="root@example.com"))
    Session.objects.filter(pk=let_in.session.pk).update(client_id="an-app-of-theirs", scope="profile audit:read")
    assert "an-app-of-theirs" in client.get("/admin/accounts/session/").content.decode()
    page = client.get(f"/admin/accounts/session/{let_in.session.pk}/change/").content.decode()
    assert all(words in page for words in ("an-app-of-theirs", "profile audit:read"))
