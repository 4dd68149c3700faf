"""Which mail follows from what happened, and where no secret goes."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.core import mail
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import navigation, services
from accounts.exceptions import InvalidRefreshToken
from accounts.models import EmailToken, RefreshToken, User
from accounts.services import Access, Device, open_client_session, sign_in
from accounts.throttles import Door, note_success
from jobs.models import QueuedJob
from tests.accounts.conftest import NOW, PASSWORD, get_mailed_link

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db(transaction=True)
SPEC = "ASVS 5.0"
NEW_PASSWORD = "another long password"
DAY = timedelta(days=1)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NEWER_FIREFOX = FIREFOX.replace("128", "140")
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"


@pytest.fixture
def sent(run_jobs: RunJobs) -> Callable[[], list[tuple[str, str]]]:
    """Return a function that does the jobs and returns recipients and subjects of the mails since the last call."""

    def collect() -> list[tuple[str, str]]:
        mail.outbox.clear()
        run_jobs()
        return [(message.to[0], str(message.subject)) for message in mail.outbox]

    return collect


type Sent = Callable[[], list[tuple[str, str]]]


def come(user: User, *, at: datetime = NOW, address: str = "192.0.2.1", agent: str = FIREFOX) -> services.TokenPair:
    return sign_in(email=user.email, password=PASSWORD, device=Device(address, agent), now=at)


def get_token(email: str) -> str:
    return get_mailed_link(email).rstrip("/").rpartition("/")[2]


def test_the_first_sign_in_is_from_no_new_device(user: User, sent: Sent) -> None:
    come(user)
    assert sent() == []


@pytest.mark.parametrize(
    ("address", "agent", "later"),
    [
        ("192.0.2.1", FIREFOX, DAY),
        ("192.0.77.9", NEWER_FIREFOX, DAY),
        ("::ffff:192.0.9.9", FIREFOX, DAY),
        ("192.0.2.1", FIREFOX, 90 * DAY),
    ],
)
def test_a_known_device_is_told_of_no_more(user: User, sent: Sent, address: str, agent: str, later: timedelta) -> None:
    come(user)
    come(user, at=NOW + later, address=address, agent=agent)
    assert sent() == []


@pytest.mark.compliance(SPEC, "6.3.5", "the owner is told of a sign-in from a device or network that is new")
@pytest.mark.parametrize(
    ("address", "agent", "later"),
    [
        ("192.0.2.1", CHROME, DAY),
        ("192.1.2.1", FIREFOX, DAY),
        ("2001:db8::1", FIREFOX, DAY),
        ("192.0.2.1", FIREFOX, 91 * DAY),
    ],
)
def test_a_new_device_is_told_of_once(user: User, sent: Sent, address: str, agent: str, later: timedelta) -> None:
    come(user)
    for _ in range(2):
        come(user, at=NOW + later, address=address, agent=agent)
        later += timedelta(minutes=1)
    assert sent() == [(user.email, "Sign-in from a new device")]
    body = str(mail.outbox[0].body)
    assert address in body
    assert (NOW + later - timedelta(minutes=2)).strftime("%B %Y, %H:%M UTC") in body


def test_a_device_is_new_after_all_sessions_were_swept(user: User, sent: Sent) -> None:
    come(user)
    services.sweep(now=NOW + 365 * DAY)
    come(user, at=NOW + 365 * DAY)
    assert sent() == [(user.email, "Sign-in from a new device")]


def log_in(agent: str, address: str = "192.0.2.1") -> list[str]:
    """Sign in over the API; return the statements that look at sessions."""
    body = {"email": "user@example.com", "password": PASSWORD}
    with CaptureQueriesContext(connection) as queries:
        response = APIClient().post("/api/v1/auth/login", body, headers={"User-Agent": agent}, REMOTE_ADDR=address)
    assert response.status_code == 200
    return [query["sql"] for query in queries if re.match(r"SELECT .* FROM .accounts_session", query["sql"])]


def test_who_signs_in_again_from_where_they_did_last_is_known_without_a_look_at_the_database(
    user: User, sent: Sent
) -> None:
    assert log_in(FIREFOX)
    assert not log_in(FIREFOX)
    assert log_in(CHROME)
    assert log_in(CHROME, "198.51.100.1")
    assert [subject for _, subject in sent()] == ["Sign-in from a new device"] * 2
    assert not log_in(CHROME)
    assert log_in(FIREFOX)
    assert sent() == []


@pytest.mark.compliance(SPEC, "6.3.5", "the owner is told of a new device though its address is known")
def test_a_device_that_followed_a_mailed_link_is_new_all_the_same(user: User, sent: Sent) -> None:
    log_in(FIREFOX)
    request = RequestFactory().get("/", headers={"User-Agent": CHROME}, REMOTE_ADDR="192.0.2.1")
    note_success(request, door=Door.CONFIRM, account=user.email, now=timezone.now())
    log_in(CHROME)
    assert sent() == [(user.email, "Sign-in from a new device")]


def test_a_device_cannot_put_an_address_into_the_mail(user: User, sent: Sent) -> None:
    come(user)
    come(user, at=NOW + DAY, agent="evil.example")
    sent()
    assert "evil.example" not in str(mail.outbox[0].body)


def test_of_many_new_devices_a_few_are_told_of(user: User, sent: Sent) -> None:
    come(user)
    for number in range(1, 9):
        come(user, at=NOW + timedelta(seconds=number), agent=f"device{number}/1")
    assert len(sent()) == 5


@pytest.mark.compliance(SPEC, "6.3.7", "the owner is told of a new password")
def test_a_new_password_is_told(user: User, sent: Sent) -> None:
    services.change_password(user=user, current_password=PASSWORD, new_password=NEW_PASSWORD, now=NOW)
    assert sent() == [(user.email, "Your password was changed")]


@pytest.mark.compliance(SPEC, "6.3.7", "the owner is told of a new address, before at the old one and after")
def test_a_new_address_is_told_at_the_old_one(user: User, sent: Sent) -> None:
    session_id = come(user).session.pk
    sent()
    services.request_email_change(user=user, email="Other@example.com", session_id=session_id)
    assert sorted(sent()) == [
        ("other@example.com", "Confirm your new e-mail address"),
        (user.email, "Your e-mail address is about to change"),
    ]
    services.confirm_email_change(token=get_token("other@example.com"), now=timezone.now())
    assert sent() == [(user.email, "Your e-mail address was changed")]


def test_a_reused_token_and_a_deleted_account_are_told(user: User, sent: Sent) -> None:
    pair = come(user)
    services.refresh(refresh_token=pair.refresh_token, started_at=NOW, now=NOW)
    with pytest.raises(InvalidRefreshToken):
        services.refresh(refresh_token=pair.refresh_token, started_at=NOW + DAY, now=NOW + DAY)
    assert sent() == [(user.email, "A device was signed out")]
    assert "Firefox on Linux" in str(mail.outbox[0].body)
    services.delete_account(user=user, now=NOW)
    assert sent() == [("user@example.com", "Your account is deleted")]


@pytest.mark.parametrize("has_page", [True, False])
def test_a_reused_token_of_a_client_is_told_as_an_app_s(
    user: User, sent: Sent, monkeypatch: pytest.MonkeyPatch, has_page: bool
) -> None:
    monkeypatch.setattr(navigation, "_links", dict(navigation._links))
    if not has_page:
        del navigation._links[navigation.APPS_PAGE]
    access = Access(user_id=user.pk, client_id="an.app-4711", scope=("profile",), authenticated_at=NOW)
    _session, first = open_client_session(access=access, device=Device("", FIREFOX), lifetime=DAY, idle=DAY, now=NOW)
    assert first is not None
    refresh = partial(
        services.refresh_client_session, refresh_token=first.refresh_token, client_id="an.app-4711", idle=DAY
    )
    refresh(started_at=NOW, now=NOW)
    later = NOW + timedelta(hours=1)
    with pytest.raises(InvalidRefreshToken):
        refresh(started_at=later, now=later)
    assert sent() == [(user.email, "An app was disconnected")]
    body = str(mail.outbox[0].body)
    assert "App: an app-4711" in body
    assert NOW.strftime("%-d %B %Y, %H:%M UTC") in body
    assert (reverse(navigation.APPS_PAGE) in body) is has_page
    assert "Device" not in body
    client = Client()
    client.force_login(user)
    page = client.get("/accounts/security-events/").content.decode()
    assert "An app&#x27;s key was used twice, and the app was disconnected" in page
    assert "device was signed out" not in page


def test_an_account_that_is_swept_is_told_to_nobody(sent: Sent, db: None) -> None:
    services.register_user(email="new@example.com", password=PASSWORD, now=NOW)
    sent()
    EmailToken.objects.all().delete()
    services.sweep(now=NOW + 8 * DAY)
    assert (sent(), User.objects.count()) == ([], 0)


@pytest.mark.parametrize("email", ["user@example.com", "nobody@example.com", "new@example.com"])
@pytest.mark.parametrize("ask", [services.request_password_reset, services.resend_verification])
def test_asking_makes_one_job_whoever_is_asked_for(
    user: User, unverified: User, ask: Callable[..., None], email: str
) -> None:
    for _ in range(7):
        ask(email=email)
    assert QueuedJob.objects.count() == 5  # what a mailbox can take


def test_notices_hold_no_link_with_a_token(user: User, sent: Sent) -> None:
    come(user)
    come(user, at=NOW + DAY, agent=CHROME)
    services.change_password(user=user, current_password=PASSWORD, new_password=NEW_PASSWORD, now=NOW)
    assert len(sent()) == 2
    links = [word for message in mail.outbox for word in str(message.body).split() if "://" in word]
    assert {link.partition("/accounts/")[2] for link in links} == {"reset-password/", "sessions/"}


def read_database() -> str:
    """Return all that is in all tables of the database, as text."""
    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - names of its own tables
            parts.append(str(cursor.fetchall()))
    return "\n".join(parts)


class _Walk:
    """Goes through every flow of accounts over HTTP, and notes each secret that it meets."""

    def __init__(self, run_jobs: RunJobs) -> None:
        self.client, self.run_jobs = APIClient(), run_jobs
        self.secrets: list[str] = []

    def post(self, path: str, **body: str) -> dict[str, str]:
        response = self.client.post(f"/api/v1/auth/{path}", body)
        assert response.status_code < 300, (path, response.content)
        answer: dict[str, str] = response.json() if response.content else {}
        self.secrets += [value for name, value in body.items() if "password" in name or "token" in name]
        self.secrets += [value for name, value in answer.items() if name in {"access_token", "refresh_token"}]
        return answer

    def follow(self, email: str) -> str:
        self.run_jobs()
        token = get_token(email)
        self.secrets.append(token)
        return token

    def sign_in(self, email: str, password: str) -> dict[str, str]:
        self.client.credentials()
        pair = self.post("login", email=email, password=password)
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access_token']}")
        return pair


@pytest.mark.compliance(SPEC, "16.2.5", "no password, token or link is in any log, table, job or audit event")
@pytest.mark.compliance("Security", "AC14", "no log, table, job or event holds a password or a token")
def test_no_secret_of_any_flow_is_stored_or_logged(
    run_jobs: RunJobs, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, db: None
) -> None:
    walk, email, moved = _Walk(run_jobs), "ada@example.com", "moved@example.com"
    walk.post("register", email=email, password=PASSWORD, name="Ada")
    walk.post("verify-email/resend", email=email)
    stored = [read_database()]  # while the jobs wait
    walk.post("verify-email", token=walk.follow(email))
    walk.post("password/reset", email=email)
    stored.append(read_database())
    walk.post("password/reset/confirm", token=walk.follow(email), password=NEW_PASSWORD)
    pair = walk.sign_in(email, NEW_PASSWORD)
    walk.post("refresh", refresh_token=pair["refresh_token"])
    walk.post("password/change", current_password=NEW_PASSWORD, new_password="a third long password")
    walk.sign_in(email, "a third long password")
    walk.post("email/change", email=moved)
    stored.append(read_database())
    walk.post("email/change/confirm", token=walk.follow(moved))
    pages = Client()
    pages.post("/accounts/login/", {"username": moved, "password": "a third long password"})
    walk.sign_in(moved, "a third long password")
    walk.post("logout")
    user = User.objects.get(email=moved)
    services.start_password_reset(user=user)
    pages.get(f"/accounts/reset-password/{walk.follow(moved)}/")
    run_jobs()
    stored.append(read_database())
    out, err = capfd.readouterr()
    everywhere = "\n".join([*stored, caplog.text, out, err])
    assert len(walk.secrets) > 20
    spots = {everywhere.find(secret): secret for secret in walk.secrets if secret in everywhere}
    assert {secret: everywhere[max(0, at - 300) : at + 300] for at, secret in spots.items()} == {}
    assert RefreshToken.objects.exists()
