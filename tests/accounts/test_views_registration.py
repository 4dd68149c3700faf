"""Pages: sign up, confirm the address, and have the link sent again."""

import re
from collections.abc import Callable

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import Registration, User
from permissions import audit
from tests.accounts.conftest import PageResponse, get_mailed_link

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db(transaction=True)

REGISTER, RESEND = "/accounts/register/", "/accounts/resend-verification/"
EMAIL, PASSWORD = "new@example.com", "seven violet umbrellas"


def sign_up(client: Client, email: str = EMAIL, **more: str) -> PageResponse:
    return client.post(REGISTER, {"email": email, "password": PASSWORD, "name": "Ada", **more})


def read(response: PageResponse) -> str:
    """Return the page without what differs from one rendering to the next."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


def test_the_whole_way_from_sign_up_to_signed_in(client: Client, run_jobs: RunJobs) -> None:
    response = sign_up(client, "New@Example.com")
    assert (response.status_code, response["Location"]) == (302, "/accounts/registered/")
    assert "Check your mail" in read(client.get("/accounts/registered/"))
    run_jobs()
    link = get_mailed_link(EMAIL)
    assert client.post(link)["Location"] == "/accounts/email-verified/"
    client.post("/accounts/login/", {"username": EMAIL, "password": PASSWORD})
    assert "_auth_user_id" in client.session
    assert User.objects.get().name == "Ada"


def test_the_page_suits_password_managers(client: Client) -> None:
    page = read(client.get(REGISTER))
    assert re.search(r'<input type="email" name="email" autocomplete="username"[^>]*required', page)
    assert re.search(r'<input type="password" name="password" autocomplete="new-password"[^>]*required', page)
    assert re.search(r'<input type="text" name="name" autocomplete="name"', page)
    assert not re.search(r'type="password"[^>]*maxlength', page)


@pytest.mark.compliance("ASVS 5.0", "6.3.8", "pages answer alike for every address")
@pytest.mark.parametrize("path", [REGISTER, RESEND, "/accounts/reset-password/"])
def test_every_address_gets_the_same_answer_from_the_same_work(
    client: Client, user: User, unverified: User, path: str
) -> None:
    User.objects.create_user("off@example.com", PASSWORD, is_active=False)
    answers = set()
    for email in (user.email, unverified.email, "off@example.com", "nobody@example.com"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = client.post(path, {"email": email, "password": PASSWORD})
        # The time of the database is asked for twice a minute, whoever happens to be next.
        count = sum("clock_timestamp()" not in query["sql"] for query in queries)
        work = None if path == REGISTER else count
        answers.add((response.status_code, response["Location"], read(response), work))
    assert len(answers) == 1


@pytest.mark.parametrize("next_url", ["/oauth/authorize?client_id=a&state=b%26c", "http://testserver/docs"])
def test_where_somebody_wanted_to_go_outlives_the_mail(client: Client, run_jobs: RunJobs, next_url: str) -> None:
    assert f'value="{next_url.replace("&", "&amp;")}"' in read(client.get(REGISTER, {"next": next_url}))
    sign_up(client, next=next_url)
    cookie = client.cookies["next"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/accounts/")
    run_jobs()
    page = read(client.post(get_mailed_link(EMAIL), follow=True))
    found = re.search(r'href="(/accounts/login/\?next=[^"]+)"', page)
    assert found
    assert f'value="{next_url.replace("&", "&amp;")}"' in read(client.get(found[1]))
    response = client.post("/accounts/login/", {"username": EMAIL, "password": PASSWORD, "next": next_url})
    assert (response["Location"], client.cookies["next"].value) == (next_url, "")


@pytest.mark.parametrize("next_url", ["https://evil.example/", "//evil.example", "/" + "x" * 4000])
def test_where_nobody_may_be_sent_is_not_kept(client: Client, next_url: str) -> None:
    sign_up(client, next=next_url)
    assert "next" not in client.cookies


def test_the_cookie_travels_by_https_alone_where_the_session_does(client: Client, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True
    sign_up(client, next="/docs")
    assert client.cookies["next"]["secure"]


@pytest.mark.compliance("Security", "AC04", "a mailed link has the host of the house")
def test_the_link_has_the_house_s_own_host_whatever_the_request_says(client: Client, run_jobs: RunJobs) -> None:
    headers = {"Host": "localhost", "X-Forwarded-Host": "evil.example"}
    client.post(REGISTER, {"email": EMAIL, "password": PASSWORD}, headers=headers)
    run_jobs()
    assert get_mailed_link(EMAIL).startswith("http://testserver/accounts/verify-email/")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("fourteen chars", "too short"),
        ("gatehouse gatehouse", "little more than your name"),
        ("x" * 257, "at most 256 characters"),
        ("new@example.com1", "similar"),
    ],
)
def test_a_weak_password_is_told_why_beside_its_field(client: Client, password: str, reason: str) -> None:
    response = client.post(REGISTER, {"email": EMAIL, "password": password})
    errors = re.search(r'<ul class="errors" id="id_password_error">(.*?)</ul>', read(response), re.DOTALL)
    assert errors
    assert reason in errors[1]
    assert "id_password_helptext id_password_error" in read(response)
    assert not User.objects.exists()


def test_a_typed_password_is_not_sent_back(client: Client) -> None:
    assert PASSWORD not in read(client.post(REGISTER, {"email": "x", "password": PASSWORD}))


@pytest.mark.compliance("Security", "AC01", "who signs up on the page takes no rights along")
def test_nobody_gives_themselves_rights(client: Client) -> None:
    rights = ("is_staff", "is_superuser", "is_active", "email_verified_at", "groups", "user_permissions", "roles", "id")
    sign_up(client, **dict.fromkeys(rights, "1"))
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.email_verified_at) == (False, False, None)
    assert user.get_all_permissions() == set()


def test_markup_in_a_name_stays_text(client: Client, user: User) -> None:
    client.force_login(user)
    page = read(client.post("/accounts/profile/", {"name": "<script>alert(1)</script>"}, follow=True))
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_attempts_are_limited(client: Client, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"REGISTER": {"ADDRESS": {"FREE": 1}}}}
    assert sign_up(client).status_code == 302
    response = sign_up(client, "b@example.com")
    assert (response.status_code, int(response["Retry-After"]) > 0) == (429, True)
    assert User.objects.count() == 1


def test_no_session_is_stored_for_a_stranger(client: Client) -> None:
    sign_up(client, next="/docs")
    client.get("/accounts/registered/")
    client.get("/accounts/profile/")
    assert "sessionid" not in client.cookies


def test_asking_for_another_link_is_recorded(client: Client, unverified: User) -> None:
    response = client.post(RESEND, {"email": unverified.email})
    assert response["Location"] == "/accounts/verification-resent/"
    assert audit.list_events(event="user.verification_requested").count() == 1


def test_an_unverified_sign_in_is_shown_the_way_to_another_link(client: Client, unverified: User) -> None:
    page = read(client.post("/accounts/login/", {"username": unverified.email, "password": "correct horse battery"}))
    assert RESEND in page
    assert RESEND not in read(client.post("/accounts/login/", {"username": unverified.email, "password": "wrong"}))


def test_a_link_is_used_once_and_the_second_says_the_way_out(client: Client, run_jobs: RunJobs) -> None:
    sign_up(client)
    run_jobs()
    link = get_mailed_link(EMAIL)
    assert [client.post(link).status_code, client.post(link).status_code] == [302, 400]
    assert RESEND in read(client.get(link))
    assert not Registration.objects.exists()
    assert PASSWORD not in "".join(str(message.body) for message in mail.outbox)
