"""Personal access tokens: how they look, who makes them, what they open, and what ends them."""

import json
import re
import string
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.exceptions import InvalidToken, SessionDoesNotExist
from accounts.models import EmailToken, Session, User
from accounts.opaque import read_bearer_token
from accounts.services import (
    Proof,
    change_password,
    confirm_email_change,
    delete_account,
    make_email_token,
    open_api_session,
    sign_out_everywhere,
)
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from jobs.worker.loop import Worker, WorkerOptions
from oauth.exceptions import PersonalTokenRefused
from oauth.models import PERSONAL_CLIENT_ID, Application, PersonalAccessToken
from oauth.services import create_personal_token, sweep_personal_tokens
from oauth.services.personal_tokens import (
    MAX_PERSONAL_TOKENS,
    is_personal_token,
    make_personal_token,
    use_personal_token,
)
from permissions.audit import list_events

type QueryCount = Callable[..., AbstractContextManager[object]]

pytestmark = pytest.mark.django_db

API, PAGE = "/api/v1/oauth/tokens", "/accounts/tokens/"
PASSWORD = "correct horse battery"
DAY = timedelta(days=1)


@pytest.fixture
def owner(db: None) -> User:
    """A verified user with a password."""
    return User.objects.create_user("owner@example.com", PASSWORD, email_verified_at=timezone.now())


@pytest.fixture
def session(owner: User) -> Session:
    """The owner's sign-in of a moment ago."""
    return open_api_session(proof=Proof(owner, timezone.now()), now=timezone.now()).session


@pytest.fixture
def signed_in(owner: User, session: Session) -> APIClient:
    """A program with an access token from that sign-in."""
    return make_client(issue(owner, session))


@pytest.fixture
def browser(owner: User) -> Client:
    """A browser with another sign-in."""
    client = Client()
    client.force_login(owner)
    return client


def issue(owner: User, session: Session, *, age: timedelta = timedelta(0)) -> str:
    """Return an access token of a session whose sign-in is so old."""
    now = timezone.now()
    return issue_access_token(
        subject=str(owner.pk),
        client_id=FIRST_PARTY_CLIENT_ID,
        now=now,
        lifetime=timedelta(minutes=10),
        session_id=session.pk,
        authenticated_at=now - age,
    )


def make_client(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def make(session: Session, *scopes: str, name: str = "Backup", **changes: Any) -> str:  # Any: arguments of the service
    """Return a new token of the session's owner."""
    values: dict[str, Any] = {"lifetime": 90 * DAY, "now": timezone.now()} | changes  # Any: as above
    made = create_personal_token(
        user_id=session.user_id, session_id=session.pk, name=name, scopes=scopes or ["profile"], **values
    )
    return made.token


def call(token: str, path: str = "/api/v1/auth/me", method: str = "get", **data: object) -> int:
    return int(getattr(make_client(token), method)(path, data or None).status_code)


# How they look


def test_a_scanner_knows_a_token_by_its_checksum_without_asking() -> None:
    token = make_personal_token()
    assert re.fullmatch(r"gpat_[0-9A-Za-z]{49}", token)
    rest, digits = crc32(token[5:48].encode()), ""
    for _ in range(6):
        digits = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[rest % 62] + digits
        rest //= 62
    assert token[48:] == digits


def test_the_guide_tells_how_to_check_one() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "oauth.md").read_text()
    block = next(code for code in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "crc32" in code)
    names: dict[str, Any] = {}  # Any: what the block defines
    exec(block, names)  # noqa: S102 - our own documentation
    token = make_personal_token()
    assert names["is_personal_token"](token)
    assert not names["is_personal_token"](token[:-1] + ("A" if token[-1] != "A" else "B"))


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "0",
        lambda token: token.replace("gpat_", "ghp_"),
        lambda token: token[:5] + ("A" if token[5] != "A" else "B") + token[6:],
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "\n",
        lambda token: token[:5] + "\u0661" + token[6:],
    ],
)
def test_what_is_mistyped_is_refused_without_a_query(
    change: Callable[[str], str], django_assert_num_queries: QueryCount
) -> None:
    token = change(make_personal_token())
    assert not is_personal_token(token)
    with django_assert_num_queries(0), pytest.raises(InvalidToken):
        read_bearer_token(token, now=timezone.now())


@pytest.mark.compliance("Security", "TK19", "10,000 tokens are unique, each of at least 128 random bits")
def test_ten_thousand_tokens_differ() -> None:
    assert len({make_personal_token()[5:48] for _ in range(10_000)}) == 10_000


def test_no_client_can_pass_for_one() -> None:
    application = Application(client_id=PERSONAL_CLIENT_ID, name="Any", grant_types=["client_credentials"])
    with pytest.raises(ValidationError) as refusal:
        application.clean()
    assert "client_id" in refusal.value.message_dict


@pytest.mark.compliance("Security", "AC14", "no table or event holds a personal access token")
def test_only_a_digest_is_stored(session: Session) -> None:
    token = make(session)
    row = PersonalAccessToken.objects.get()
    assert token.endswith(row.hint)
    assert len(row.hint) == 4
    stored = json.dumps([list(PersonalAccessToken.objects.values()), list(list_events().values())], default=str)
    assert token[5:] not in stored
    assert row.digest not in json.dumps(list(list_events().values()), default=str)


# What they open


def test_a_token_opens_what_its_scopes_say(owner: User, session: Session) -> None:
    token = make(session, "profile")
    response = make_client(token).get("/api/v1/auth/me")
    assert (response.status_code, response.json()["id"]) == (200, str(owner.pk))
    assert "permissions" not in response.json()
    assert call(token, "/api/v1/users") == 403


def test_it_allows_no_more_than_its_owner_may_now(owner: User, session: Session) -> None:
    token = make(session, "users:read")
    assert call(token, "/api/v1/users") == 403
    owner.give_permission_to("accounts.view_user")
    assert call(token, "/api/v1/users") == 200
    owner.revoke_permission_to("accounts.view_user")
    assert call(token, "/api/v1/users") == 403


def test_that_of_a_superuser_is_held_to_its_scopes(owner: User, session: Session) -> None:
    User.objects.filter(pk=owner.pk).update(is_superuser=True)
    token = make(session, "users:read")
    assert call(token, "/api/v1/users") == 200
    assert call(token, "/api/v1/roles") == 403
    assert call(token, "/api/v1/roles", "post", name="new") == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", API),
        ("get", API),
        ("get", "/api/v1/oauth/connections"),
        ("get", "/api/v1/auth/sessions"),
        ("get", "/api/v1/auth/export"),
        ("get", "/api/v1/auth/security-events"),
        ("patch", "/api/v1/auth/me"),
        ("delete", "/api/v1/auth/me"),
        ("post", "/api/v1/auth/logout"),
        ("post", "/api/v1/auth/logout-all"),
        ("post", "/api/v1/auth/password/change"),
        ("post", "/api/v1/auth/email/change"),
        ("post", "/api/v1/auth/reauthenticate"),
    ],
)
def test_it_reaches_nothing_that_needs_a_sign_in(owner: User, session: Session, method: str, path: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_superuser=True)
    scopes = ["profile", "email", "users:read", "roles:read", "roles:write", "audit:read"]
    assert call(make(session, *scopes), path, method) == 403


def test_a_scope_that_is_no_more_opens_nothing(session: Session, settings: Settings) -> None:
    token = make(session, "profile")
    settings.OAUTH = settings.OAUTH | {"SCOPES": {"openid": "Know that it is you"}}
    assert call(token) == 403


def test_it_reads_with_one_query_besides_the_owners_facts(
    session: Session, django_assert_num_queries: QueryCount
) -> None:
    token, now = make(session), timezone.now()
    use_personal_token(token, now)
    with django_assert_num_queries(1):
        use_personal_token(token, now)


def test_its_use_is_noted_once_a_minute(session: Session, django_assert_num_queries: QueryCount) -> None:
    token, now = make(session), timezone.now()
    use_personal_token(token, now)
    assert PersonalAccessToken.objects.get().last_used_at == now
    with django_assert_num_queries(1):
        use_personal_token(token, now + timedelta(seconds=59))
    use_personal_token(token, now + timedelta(seconds=60))
    assert PersonalAccessToken.objects.get().last_used_at == now + timedelta(seconds=60)


def test_the_audit_log_tells_that_it_was_used(owner: User, session: Session) -> None:
    for name in ("permissions.add_role", "permissions.view_role"):
        owner.give_permission_to(name)
    assert call(make(session, "roles:write"), "/api/v1/roles", "post", name="new") == 201
    event = list_events(event="role.created").first()
    assert event is not None
    assert (event.actor_id, event.client_id) == (str(owner.pk), PERSONAL_CLIENT_ID)


# What ends them


@pytest.mark.parametrize("lifetime", [30 * DAY, 365 * DAY])
def test_it_ends_in_time(session: Session, lifetime: timedelta) -> None:
    now = timezone.now()
    token = make(session, lifetime=lifetime, now=now)
    assert use_personal_token(token, now + lifetime - timedelta(seconds=1)).expires_at == now + lifetime
    with pytest.raises(InvalidToken):
        use_personal_token(token, now + lifetime)


def test_one_without_an_end_stays(session: Session) -> None:
    token = make(session, lifetime=None)
    assert use_personal_token(token, timezone.now() + 10_000 * DAY).scope == frozenset({"profile"})


@pytest.mark.parametrize("change", ["password", "address"])
def test_they_end_in_the_transaction_of_the_change_and_not_after_it(owner: User, session: Session, change: str) -> None:
    token, now = make(session), timezone.now()
    if change == "password":
        change_password(user=owner, current_password=PASSWORD, new_password="seven violet umbrellas", now=now)
    else:
        link = make_email_token(user=owner, purpose=EmailToken.Purpose.CHANGE_EMAIL, email="new@example.com", now=now)
        confirm_email_change(token=link, now=now)
    assert call(token) == 401
    assert list_events(event="user.consents_revoked").count() == 1


@pytest.mark.compliance("Security", "TK11", "a personal access token is dead after a change of the password")
def test_another_password_ends_all(owner: User, session: Session, django_capture_on_commit_callbacks: Any) -> None:
    token = make(session)
    with django_capture_on_commit_callbacks(execute=True):
        change_password(
            user=owner, current_password=PASSWORD, new_password="seven violet umbrellas", now=timezone.now()
        )
    assert call(token) == 401


def test_another_address_ends_all(owner: User, session: Session, django_capture_on_commit_callbacks: Any) -> None:
    token = make(session)
    link = make_email_token(
        user=owner, purpose=EmailToken.Purpose.CHANGE_EMAIL, email="new@example.com", now=timezone.now()
    )
    with django_capture_on_commit_callbacks(execute=True):
        confirm_email_change(token=link, now=timezone.now())
    assert call(token) == 401


@pytest.mark.compliance("Security", "TK11", "a personal access token is dead once its owner is deactivated, for good")
def test_an_inactive_owner_ends_all(owner: User, session: Session) -> None:
    token = make(session)
    owner.is_active = False
    owner.save()
    assert call(token) == 401
    owner.is_active = True
    owner.save()
    assert call(token) == 401


def test_an_owner_who_was_deactivated_in_bulk_is_out_too(owner: User, session: Session) -> None:
    token = make(session)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert call(token) == 401


def test_it_goes_with_its_owner(owner: User, session: Session) -> None:
    token = make(session)
    delete_account(user=owner, now=timezone.now())
    assert call(token) == 401
    assert not PersonalAccessToken.objects.exists()


def test_signing_out_everywhere_leaves_it_alone(owner: User, session: Session) -> None:
    token = make(session)
    sign_out_everywhere(user=owner, now=timezone.now())
    assert call(token) == 200


def test_none_is_made_in_a_session_that_has_ended(owner: User, session: Session) -> None:
    sign_out_everywhere(user=owner, now=timezone.now())
    with pytest.raises(SessionDoesNotExist):
        make(session)
    assert not PersonalAccessToken.objects.exists()


def test_none_is_made_in_the_session_of_somebody_else(session: Session) -> None:
    other = User.objects.create_user("other@example.com", PASSWORD)
    with pytest.raises(SessionDoesNotExist):
        create_personal_token(
            user_id=other.pk, session_id=session.pk, name="x", scopes=["profile"], lifetime=None, now=timezone.now()
        )


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [
        ("", ["profile"], "name"),
        ("   ", ["profile"], "name"),
        ("a\nb", ["profile"], "name"),
        ("x" * 101, ["profile"], "name"),
        ("taken", ["profile"], "name"),
        ("new", [], "scopes"),
        ("new", ["nothing"], "scopes"),
        ("new", ["profile", "nothing"], "scopes"),
        ("new", ["openid"], "scopes"),
        ("new", ["profile", "offline_access"], "scopes"),
    ],
)
def test_what_will_not_do_is_refused(session: Session, name: str, scopes: list[str], field: str) -> None:
    make(session, name="taken")
    with pytest.raises(PersonalTokenRefused) as refusal:
        create_personal_token(
            user_id=session.user_id,
            session_id=session.pk,
            name=name,
            scopes=scopes,
            lifetime=None,
            now=timezone.now(),
        )
    assert list(refusal.value.fields) == [field]
    assert PersonalAccessToken.objects.count() == 1


def test_there_is_a_limit_to_how_many(session: Session) -> None:
    rows = [
        PersonalAccessToken(user_id=session.user_id, name=str(number), digest=str(number), hint="x")
        for number in range(MAX_PERSONAL_TOKENS)
    ]
    PersonalAccessToken.objects.bulk_create(rows)
    with pytest.raises(PersonalTokenRefused, match="100 tokens"):
        make(session)
    PersonalAccessToken.objects.filter(name="0").update(revoked_at=timezone.now())
    make(session)


def test_the_sweep_takes_what_ended_a_month_ago(session: Session) -> None:
    now = timezone.now()
    ends: dict[str, dict[str, datetime | None]] = {
        "living": {},
        "endless": {"expires_at": None},
        "expired lately": {"expires_at": now - 29 * DAY},
        "expired": {"expires_at": now - 30 * DAY},
        "revoked lately": {"revoked_at": now - 29 * DAY},
        "revoked": {"revoked_at": now - 31 * DAY},
        "both": {"revoked_at": now - 31 * DAY, "expires_at": now - 40 * DAY},
    }
    for name, changes in ends.items():
        make(session, name=name)
        PersonalAccessToken.objects.filter(name=name).update(**changes)
    assert sweep_personal_tokens(now=now, limit=2) == 2
    assert sweep_personal_tokens(now=now, limit=2) == 1
    assert sweep_personal_tokens(now=now, limit=2) == 0
    left = set(PersonalAccessToken.objects.values_list("name", flat=True))
    assert left == {"living", "endless", "expired lately", "revoked lately"}


# Over HTTP


def test_the_api_makes_lists_and_revokes(signed_in: APIClient, owner: User) -> None:
    answer = signed_in.post(API, {"name": "Backup", "scopes": ["users:read", "profile"]})
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    assert made["scopes"] == ["profile", "users:read"]
    row = PersonalAccessToken.objects.get()
    assert row.expires_at is not None
    assert row.expires_at - row.created_at == 90 * DAY
    assert call(made["token"]) == 200
    listed = signed_in.get(API).json()["results"]
    assert [one.keys() & {"token", "digest"} for one in listed] == [set()]
    assert (listed[0]["id"], listed[0]["name"], listed[0]["last_used_at"] is not None) == (made["id"], "Backup", True)
    assert signed_in.delete(f"{API}/{made['id']}").status_code == 204
    assert call(made["token"]) == 401
    assert signed_in.delete(f"{API}/{made['id']}").json()["code"] == "personal_token_not_found"
    assert signed_in.get(API).json()["results"] == []


@pytest.mark.parametrize(("days", "status"), [(30, 201), (365, 201), (None, 201), (31, 400), (0, 400), ("90", 400)])
def test_the_api_offers_four_lifetimes(signed_in: APIClient, days: object, status: int) -> None:
    body = {"name": "Backup", "scopes": ["profile"], "expires_in_days": days}
    assert signed_in.post(API, body, format="json").status_code == status
    if status == 201:
        row = PersonalAccessToken.objects.get()
        assert (row.expires_at and row.expires_at - row.created_at) == (days and timedelta(days=int(str(days))))


@pytest.mark.compliance("ASVS 5.0", "7.5.3", "a personal access token is made only after a recent sign-in")
def test_the_api_asks_for_a_recent_sign_in_to_make_one(owner: User, session: Session) -> None:
    client = make_client(issue(owner, session, age=timedelta(minutes=6)))
    answer = client.post(API, {"name": "Backup", "scopes": ["profile"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "insufficient_user_authentication")
    assert client.get(API).status_code == 200


def test_nobody_reaches_the_tokens_of_others(signed_in: APIClient) -> None:
    other = User.objects.create_user("other@example.com", PASSWORD)
    theirs = open_api_session(proof=Proof(other, timezone.now()), now=timezone.now()).session
    token = make(theirs)
    row = PersonalAccessToken.objects.get()
    assert signed_in.get(API).json()["results"] == []
    assert signed_in.delete(f"{API}/{row.pk}").status_code == 404
    assert call(token) == 200


def test_the_page_makes_one_and_shows_it_once(browser: Client) -> None:
    assert browser.get(f"{PAGE}new/").status_code == 200
    form = {"name": "Backup", "days": "30", "scopes": ["profile"]}
    answer = browser.post(f"{PAGE}new/", form)
    found = re.search(r'value="(gpat_\w+)"', answer.content.decode())
    assert found is not None
    assert "no-store" in answer["Cache-Control"]
    assert call(found[1]) == 200
    page = browser.get(PAGE).content.decode()
    assert found[1] not in page
    assert f"…{found[1][-4:]}" in page
    again = browser.post(f"{PAGE}new/", form).content.decode()
    assert "You have a token of this name" in again
    row = PersonalAccessToken.objects.get()
    assert browser.post(f"{PAGE}{row.pk}/revoke/").status_code == 302
    assert browser.post(f"{PAGE}{row.pk}/revoke/").status_code == 302
    assert call(found[1]) == 401
    assert "You have none." in browser.get(PAGE).content.decode()


@pytest.mark.parametrize("missing", ["name", "days", "scopes"])
def test_the_page_says_what_is_missing(browser: Client, missing: str) -> None:
    form = {"name": "Backup", "days": "30", "scopes": ["profile"]}
    del form[missing]
    assert 'role="alert"' in browser.post(f"{PAGE}new/", form).content.decode()
    assert not PersonalAccessToken.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_page_asks_for_the_password_after_a_while(browser: Client, owner: User, method: str) -> None:
    Session.objects.filter(user=owner).update(authenticated_at=timezone.now() - timedelta(hours=1))
    answer = getattr(browser, method)(f"{PAGE}new/", {"name": "Backup", "days": "30", "scopes": ["profile"]})
    assert answer["Location"] == "/accounts/reauthenticate/?next=%2Faccounts%2Ftokens%2Fnew%2F"
    assert not PersonalAccessToken.objects.exists()
    assert browser.get(PAGE).status_code == 200


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}new/"])
def test_strangers_are_sent_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/accounts/login/")


# Who is told


@pytest.mark.compliance("ASVS 5.0", "6.3.7", "the owner is told of a new personal access token")
def test_the_owner_is_told_by_mail(
    owner: User, session: Session, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        token = make(session, "roles:write", name="Visit evil.example & <b>")
    Worker(WorkerOptions(sleep=timedelta(0), stop_when_empty=True)).run()
    sent = mail.outbox[-1]
    assert sent.to == [owner.email]
    assert "- Create roles, and change who has which role" in sent.body
    assert "It is called: Visit evil example & <b>" in sent.body
    assert token not in sent.body


def test_events_tell_of_making_and_revoking(signed_in: APIClient, browser: Client, owner: User) -> None:
    made = signed_in.post(API, {"name": "Backup", "scopes": ["profile"]}).json()
    signed_in.delete(f"{API}/{made['id']}")
    for event in ("personal_token.created", "personal_token.revoked"):
        recorded = list_events(event=event).get()
        assert (recorded.actor_id, recorded.subject_id) == (str(owner.pk), str(owner.pk))
        assert (recorded.data["name"], recorded.data["token_id"]) == ("Backup", made["id"])
    page = browser.get("/accounts/security-events/").content.decode()
    assert "Made a personal access token" in page
    assert "Revoked a personal access token" in page


def test_the_export_holds_them_without_digests(browser: Client, session: Session) -> None:
    token = make(session)
    file = b"".join(browser.post("/accounts/export/").streaming_content)  # type: ignore[attr-defined]  # a file
    rows = json.loads(file)["personal_access_tokens"]
    assert [(row["name"], row["scope"], row["hint"]) for row in rows] == [("Backup", "profile", token[-4:])]
    assert PersonalAccessToken.objects.get().digest.encode() not in file
