"""Pages: name, address, devices, security events, and leaving."""

import ast
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import EmailToken, Session, User
from accounts.services import (
    Access,
    Device,
    Proof,
    TokenPair,
    make_email_token,
    open_api_session,
    open_client_session,
    refresh,
)
from accounts.views.security_events import WORDS
from permissions import audit
from permissions.services import create_role
from tests.accounts.clients import is_alive, is_open
from tests.accounts.conftest import PASSWORD, PageResponse
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

PROFILE, SESSIONS, EVENTS = "/accounts/profile/", "/accounts/sessions/", "/accounts/security-events/"
IDLE = timedelta(seconds=settings.ACCOUNTS["BROWSER_IDLE_SECONDS"])
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def own(client: Client, user: User) -> Client:
    """A browser in which the user is signed in."""
    client.force_login(user)
    return client


@pytest.fixture
def link(user: User) -> str:
    purpose = EmailToken.Purpose.CHANGE_EMAIL
    token = make_email_token(user=user, purpose=purpose, email="other@example.com", now=timezone.now())
    return reverse("accounts:confirm-email", args=[token])


def read(response: PageResponse) -> str:
    return response.content.decode()


def test_the_profile_shows_and_saves_the_name(own: Client, user: User) -> None:
    assert 'value="Ada"' in read(own.get(PROFILE))
    page = read(own.post(PROFILE, {"name": " Augusta ", "email": "x@example.com", "is_staff": "1"}, follow=True))
    assert "Your name is saved." in page
    user.refresh_from_db()
    assert (user.name, user.email, user.is_staff) == ("Augusta", "user@example.com", False)


def test_a_name_that_could_mislead_is_not_saved(own: Client, user: User) -> None:
    assert "Use letters that can be seen" in read(own.post(PROFILE, {"name": "Pat \u202edekcehc"}))
    user.refresh_from_db()
    assert user.name == "Ada"


def test_another_address_is_asked_for_and_nothing_changes_yet(own: Client, user: User) -> None:
    page = read(own.post("/accounts/change-email/", {"email": "Other@Example.com"}, follow=True))
    assert "We sent a link to the new address." in page
    assert audit.list_events(event="user.email_change_requested").get().data["email"] == "other@example.com"
    assert User.objects.get().email == user.email


def test_whether_an_address_is_taken_shows_in_no_answer(own: Client, unverified: User) -> None:
    answers = [
        own.post("/accounts/change-email/", {"email": email}) for email in (unverified.email, "nobody@example.com")
    ]
    assert len({(one.status_code, one["Location"], read(one)) for one in answers}) == 1


def test_the_link_changes_the_address_and_ends_every_session(own: Client, link: str) -> None:
    assert "other@example.com" in read(Client().get(link))
    response = Client().post(link)
    assert response["Location"] == "/accounts/email-changed/"
    assert User.objects.get().email == "other@example.com"
    assert own.get(PROFILE).status_code == 302
    assert Client().post(link).status_code == 400


def test_an_address_that_somebody_else_took_meanwhile_is_refused(client: Client, user: User, link: str) -> None:
    User.objects.create_user("other@example.com", PASSWORD)
    response = client.post(link)
    assert (response.status_code, response["Referrer-Policy"]) == (409, "strict-origin")
    assert "belongs to another account by now" in read(response)
    assert User.objects.get(pk=user.pk).email == user.email


@pytest.mark.compliance("Security", "AC11", "of sixteen who confirm an address at once one wins, on the page")
@pytest.mark.django_db(transaction=True)
def test_of_sixteen_who_confirm_at_once_one_wins(user: User, link: str) -> None:
    statuses = race(lambda: Client().post(link).status_code)
    assert sorted(statuses) == [302, *[400] * 15]


def test_an_account_is_deleted_at_once_with_its_sessions(own: Client, user: User, pair: TokenPair) -> None:
    response = own.post("/accounts/delete-account/")
    assert response["Location"] == "/accounts/account-deleted/"
    assert "Your account is deleted" in read(own.get("/accounts/account-deleted/"))
    assert not User.objects.exists()
    assert own.get(PROFILE)["Location"].startswith("/accounts/login/")
    assert audit.list_events(event="user.deleted", subject=str(user.pk)).count() == 1


def test_all_that_is_stored_is_downloaded(own: Client, user: User) -> None:
    assert own.get("/accounts/export/").status_code == 200
    response = own.post("/accounts/export/")
    assert response["Content-Disposition"].startswith('attachment; filename="gatehouse-export-')
    assert (response["Content-Type"], "no-store" in response["Cache-Control"]) == ("application/json", True)
    data = json.loads(b"".join(response.streaming_content))  # type: ignore[attr-defined] # of a file
    assert data["profile"]["email"] == user.email
    assert user.password not in json.dumps(data)
    assert audit.list_events(event="user.exported", subject=str(user.pk)).count() == 1


@pytest.mark.compliance("ASVS 5.0", "7.5.2", "people see their sessions on a page")
def test_devices_are_shown_with_this_one_first(own: Client, user: User) -> None:
    later = timezone.now() + timedelta(minutes=1)
    device = Device("192.0.2.7", FIREFOX)
    open_api_session(proof=Proof(user, later), device=device, now=later)
    page = read(own.get(SESSIONS))
    assert "Firefox on Linux" in page
    assert "192.0.2.7" in page
    assert page.count("this device") == 1
    assert page.index("this device") < page.index("Firefox on Linux")


def test_devices_of_others_are_not_shown(own: Client, unverified: User) -> None:
    now = timezone.now()
    open_api_session(proof=Proof(unverified, now), device=Device("192.0.2.7", FIREFOX), now=now)
    assert "Firefox" not in read(own.get(SESSIONS))


def test_devices_cost_the_same_queries_however_many_there_are(own: Client, user: User) -> None:
    own.get(SESSIONS)  # from here on the process remembers which entries of the navigation are theirs
    counts = set()
    for _ in range(3):
        open_api_session(proof=Proof(user, timezone.now()), now=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            own.get(SESSIONS)
        counts.add(len(queries))
    assert len(counts) == 1


@pytest.mark.compliance("ASVS 5.0", "7.5.2", "people end one of their sessions on a page")
def test_one_device_is_signed_out(own: Client, pair: TokenPair) -> None:
    page = read(own.post(reverse("accounts:end-session", args=[pair.session.pk]), follow=True))
    assert "That device is signed out." in page
    pair.session.refresh_from_db()
    assert pair.session.end_reason == Session.EndReason.ENDED_BY_USER
    assert own.get(PROFILE).status_code == 200


@pytest.mark.compliance("ASVS 5.0", "10.4.9", "people kill refresh and access tokens of a session on a page")
@pytest.mark.parametrize("name", ["end-session", "end-other-sessions", "end-all-sessions"])
def test_the_tokens_of_a_device_that_is_signed_out_are_dead(own: Client, pair: TokenPair, name: str) -> None:
    assert is_open(pair.access_token)
    own.post(reverse(f"accounts:{name}", args=[pair.session.pk] if name == "end-session" else []))
    assert not is_alive(pair)


def test_another_s_device_stays_signed_in(own: Client, unverified: User) -> None:
    other = open_api_session(proof=Proof(unverified, timezone.now()), now=timezone.now()).session
    own.post(reverse("accounts:end-session", args=[other.pk]))
    other.refresh_from_db()
    assert other.revoked_at is None


def test_signing_this_device_out_among_the_devices_signs_out(own: Client) -> None:
    session = Session.objects.get()
    response = own.post(reverse("accounts:end-session", args=[session.pk]))
    assert response["Location"] == "/accounts/login/"
    session.refresh_from_db()
    assert (session.end_reason, own.get(PROFILE).status_code) == (Session.EndReason.SIGNED_OUT, 302)


def test_all_others_are_signed_out(own: Client, user: User, pair: TokenPair) -> None:
    other = Client()
    other.force_login(user)
    page = read(own.post("/accounts/sessions/end-others/", follow=True))
    assert "All other devices are signed out." in page
    assert "Sign out all others" not in page
    assert (other.get(PROFILE).status_code, own.get(PROFILE).status_code) == (302, 200)
    pair.session.refresh_from_db()
    assert pair.session.revoked_at is not None


def test_everything_is_signed_out(own: Client, user: User, pair: TokenPair) -> None:
    response = own.post("/accounts/sessions/end-all/")
    assert response["Location"] == "/accounts/login/"
    assert "You are signed out on all devices." in read(own.get("/accounts/login/"))
    assert not Session.objects.filter(revoked_at=None).exists()


@pytest.mark.compliance("Security", "AC08", "a cookie opens nothing once its session was ended elsewhere")
def test_a_session_ended_elsewhere_is_signed_out_on_its_next_request(own: Client) -> None:
    Session.objects.update(revoked_at=timezone.now())
    assert own.get(PROFILE)["Location"].startswith("/accounts/login/")


@pytest.mark.compliance("ASVS 5.0", "7.3.1", "a session on the pages ends when nothing is done in it for too long")
@pytest.mark.compliance("Security", "AC08", "a cookie opens nothing once its session lay idle for too long")
def test_a_session_in_which_nothing_is_done_for_too_long_is_signed_out(own: Client) -> None:
    moment = timedelta(seconds=30)
    Session.objects.update(last_used_at=timezone.now() - IDLE + moment)
    assert own.get(PROFILE).status_code == 200
    Session.objects.update(last_used_at=timezone.now() - IDLE)
    assert own.get(PROFILE)["Location"].startswith("/accounts/login/")
    Session.objects.update(last_used_at=timezone.now())  # and that is for good, for this browser
    assert own.get(PROFILE).status_code == 302


def test_what_is_done_keeps_a_session_from_lying_idle(own: Client) -> None:
    Session.objects.update(last_used_at=timezone.now() - IDLE / 2)
    assert own.get(PROFILE).status_code == 200
    assert Session.objects.get().last_used_at > timezone.now() - timedelta(minutes=1)


@pytest.mark.compliance("ASVS 5.0", "7.3.2", "a session on the pages ends after a time, however often it is used")
@pytest.mark.compliance("Security", "AC08", "a cookie opens nothing after the end of its session")
def test_a_session_past_its_end_is_signed_out_however_often_it_is_used(own: Client) -> None:
    assert own.get(PROFILE).status_code == 200
    Session.objects.update(expires_at=timezone.now())
    assert own.get(PROFILE).status_code == 302


def test_a_sign_in_that_waits_for_another_factor_opens_nothing(own: Client) -> None:
    Session.objects.update(authenticated_at=None)
    assert own.get(PROFILE).status_code == 302
    assert own.post(PROFILE, {"name": "Mallory"}).status_code == 302
    assert User.objects.get().name == "Ada"


def test_security_events_are_told_in_plain_words_newest_first(own: Client, user: User) -> None:
    Client().post("/accounts/login/", {"username": user.email, "password": "wrong"}, REMOTE_ADDR="192.0.2.9")
    page = read(own.get(EVENTS))
    assert page.index("Tried to sign in, and was refused") < page.index("<strong>Signed in<")
    assert "from 192.0.2.9" in page


def test_security_events_of_others_are_not_shown(own: Client, user: User, unverified: User) -> None:
    audit.record("user.password_changed", subject=unverified)
    audit.record("user.password_changed", actor=user, subject=unverified)
    assert "Changed the password" not in read(own.get(EVENTS))


def test_what_an_administrator_did_names_neither_them_nor_their_network(own: Client, user: User) -> None:
    admin = User.objects.create_superuser("root@example.com", PASSWORD)
    browser = Client()
    browser.force_login(admin)
    user.assign_role(create_role(name="reader"))
    audit.record("user.sessions_ended", actor=admin, subject=user, count=1)
    page = read(own.get(EVENTS))
    assert "by an administrator" in page
    assert "root@example.com" not in page


def test_security_events_come_in_pages(own: Client, user: User) -> None:
    for _ in range(30):
        audit.record("user.changed", actor=user, subject=user)
    first = read(own.get(EVENTS))
    assert first.count("Changed the profile") == 25
    last = audit.list_events(event="user.changed")[24].pk
    assert f'href="?before={last}"' in first
    second = read(own.get(EVENTS, {"before": last}))
    assert second.count("Changed the profile") == 5
    assert "Older" not in second


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "99999999999999999999", "1.5", "%00"])
def test_a_page_that_is_none_is_not_found(own: Client, before: str) -> None:
    assert own.get(f"{EVENTS}?before={before}").status_code in {400, 404}


#: What no page of an account tells: about the house and its roles, by programs alone, or of an account that is gone.
UNTOLD = {
    "client.secret_refused", "permission.created", "permission.defined", "permission.deleted", "role.created",
    "role.deleted", "role.disinherited", "role.inherited", "role.renamed", "signing_keys.rotated", "team.forgotten",
    "token.revoked", "user.deleted",
}  # fmt: skip


def list_recorded_events() -> set[str]:
    """Return the names of events that the code records, in calls or in a table beside one, but for those of jobs."""
    found: set[str] = set()
    for app in ("accounts", "oauth", "permissions"):
        for path in Path(app).rglob("*.py"):
            tree = ast.parse(path.read_text())
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            named = [call for call in calls if ast.unparse(call.func) in {"audit.record", "audit.record_each"}]
            are_all_in_calls = all(list_names(call.args[0]) for call in named)
            found.update(*(list_names(call.args[0]) for call in named))
            if not are_all_in_calls:
                found |= list_names(tree)
    return found


def list_names(tree: ast.AST) -> set[str]:
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {text for text in texts if re.fullmatch(r"[a-z_]+\.[a-z_]+", text)}


def test_every_event_about_an_account_has_words() -> None:
    recorded = list_recorded_events()
    assert len(recorded) > 50
    assert recorded - set(WORDS) == UNTOLD
    assert set(WORDS) <= recorded


def test_that_an_app_was_disconnected_is_told_as_such(own: Client, user: User) -> None:
    now = timezone.now()
    access = Access(user_id=user.pk, client_id="app", scope=(), authenticated_at=now)
    open_client_session(access=access, lifetime=timedelta(days=1), idle=None, now=now)
    own.post("/accounts/sessions/end-others/")
    page = read(own.get(EVENTS))
    assert "Disconnected an app" in page
    assert "Signed a device out" not in page


def test_every_word_is_about_an_event() -> None:
    assert all(words[0].isupper() and not words.endswith(".") for words in WORDS.values())


def test_a_session_that_is_refreshed_no_more_is_not_shown(own: Client, pair: TokenPair) -> None:
    now = timezone.now()
    assert refresh(refresh_token=pair.refresh_token, started_at=now, now=now).session == pair.session
    assert "Sign out all others" in read(own.get(SESSIONS))
