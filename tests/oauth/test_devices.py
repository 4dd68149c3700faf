"""Devices: who decides, what ends them, what is stored and recorded, and what happens at once."""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain, repeat

import pytest
from django.contrib.auth import get_user_model
from django.core import signing
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from accounts.models import Session, User
from accounts.services import delete_account, set_password
from oauth.models import AccessToken, Application, Consent, DeviceGrant
from oauth.services import delete_client, end_consent
from permissions import audit
from tests.accounts.racing import ROUNDS
from tests.oauth.devices import DEVICE_CODE, PAGE, Device, get_error
from tests.oauth.flow import Answer, Flow, get_hidden

_PARALLEL = 16


@pytest.fixture
def application(device: Device) -> Application:
    """The client on the device."""
    found: Application = Application.objects.get(client_id=device.flow.client_id)
    return found


@pytest.fixture
def stranger(db: None) -> Client:
    """The browser of another person."""
    other = get_user_model().objects.create(email="other@example.com", email_verified_at=timezone.now())
    browser = Client()
    browser.force_login(other)
    return browser


def list_client_sessions() -> QuerySet[Session]:
    return Session.objects.filter(kind=Session.Kind.CLIENT)


# --- What is stored


@pytest.mark.compliance("Security", "B2", "device codes are not stored in clear")
def test_neither_code_is_stored(device: Device) -> None:
    codes = device.get_codes()
    row = str(DeviceGrant.objects.values().get())
    assert codes["device_code"] not in row
    assert codes["user_code"] not in row
    assert codes["user_code"].replace("-", "") not in row


def test_codes_work_on_after_a_change_of_the_secret_key(device: Device, settings: Settings) -> None:
    codes = device.get_codes()
    signed = get_hidden(device.enter(codes["user_code"]), "request")
    assert signed
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret key of the house, long enough for all"
    assert "Example TV" in device.enter(codes["user_code"]).content.decode()
    assert get_error(device.poll(codes["device_code"])) == "authorization_pending"


@pytest.mark.compliance("Security", "B2", "no two devices have one user code")
def test_two_devices_never_show_the_same_code(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = chain(repeat("B", 16), repeat("C"))
    monkeypatch.setattr(secrets, "choice", lambda _: next(letters))
    assert [device.get_codes()["user_code"] for _ in range(2)] == ["BBBB-BBBB", "CCCC-CCCC"]


def test_the_audience_that_was_asked_for_is_kept(device: Device, application: Application) -> None:
    application.allowed_resources = ["https://api.example/"]
    application.save()
    assert get_error(device.start(resource="https://other.example/")) == "invalid_target"
    codes = device.get_codes(resource="https://api.example/")
    assert "api.example" in device.enter(codes["user_code"]).content.decode()
    device.decide(codes["user_code"])
    assert get_error(device.poll(codes["device_code"], resource="https://other.example/")) == "invalid_target"
    assert device.poll(codes["device_code"]).status_code == 200
    assert list_client_sessions().get().resource == ["https://api.example/"]


# --- Who decides


@pytest.mark.compliance("Security", "AZ23", "a device that somebody decided on can't be decided on again")
@pytest.mark.parametrize("second", ["allow", "deny"])
@pytest.mark.parametrize("first", ["allow", "deny"])
def test_the_first_decision_stays(device: Device, stranger: Client, first: str, second: str) -> None:
    codes = device.get_codes()
    theirs = Device(device.flow, stranger)
    signed = get_hidden(theirs.enter(codes["user_code"]), "request")
    device.decide(codes["user_code"], first)
    row = DeviceGrant.objects.values().get()
    response = stranger.post(f"{PAGE}/decision", {"request": signed, "decision": second}, follow=True)
    assert "waits no longer" in response.content.decode()
    assert DeviceGrant.objects.values().get() == row


@pytest.mark.compliance("Security", "AZ23", "one person's page can't be sent by another")
def test_the_page_of_one_person_is_nothing_to_another(device: Device, stranger: Client) -> None:
    codes = device.get_codes()
    signed = get_hidden(device.enter(codes["user_code"]), "request")
    response = stranger.post(f"{PAGE}/decision", {"request": signed, "decision": "allow"})
    assert response["Location"] == PAGE
    assert get_error(device.poll(codes["device_code"])) == "authorization_pending"


@pytest.mark.parametrize("form", [{}, {"decision": "maybe"}, {"decision": "allow", "request": "forged"}])
def test_without_a_decision_on_what_was_shown_nothing_happens(device: Device, form: dict[str, str]) -> None:
    codes = device.get_codes()
    signed = get_hidden(device.enter(codes["user_code"]), "request")
    assert device.browser.post(f"{PAGE}/decision", {"request": signed, **form})["Location"] == PAGE
    assert get_error(device.poll(codes["device_code"])) == "authorization_pending"


def test_what_another_page_of_the_house_signed_decides_nothing(device: Device, person: User) -> None:
    device.get_codes()
    shown = {"device": DeviceGrant.objects.get().pk, "user": str(person.pk)}
    signed = signing.dumps(shown, salt="oauth.consent", compress=True)
    device.browser.post(f"{PAGE}/decision", {"request": signed, "decision": "allow"})
    assert DeviceGrant.objects.get().status == DeviceGrant.AUTHORIZATION_PENDING


@pytest.mark.compliance("Security", "AZ13", "the device page refuses forms from elsewhere, and frames")
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/decision"])
def test_a_form_from_elsewhere_is_refused(device: Device, person: User, path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    assert browser.post(path, {"user_code": "BCDF-GHJK", "decision": "allow"}).status_code == 403
    assert "frame-ancestors 'none'" in browser.get(PAGE)["Content-Security-Policy"]


def test_pages_are_not_cached(device: Device) -> None:
    assert device.browser.get(PAGE)["Cache-Control"] == "no-store"
    assert device.enter(device.get_codes()["user_code"])["Cache-Control"] == "no-store"


def test_markup_in_names_and_codes_is_shown_as_text(device: Device, application: Application) -> None:
    application.name = "<script>alert(1)</script>"
    application.save()
    for page in (
        device.browser.get(PAGE, {"user_code": '"><script>'}),
        device.enter('"><script>'),
        device.enter(device.get_codes()["user_code"]),
    ):
        assert b"<script" not in page.content


def test_enter_does_not_allow_by_surprise(device: Device) -> None:
    text = device.enter(device.get_codes()["user_code"]).content.decode()
    form = text[text.index(f'action="{PAGE}/decision"') :]
    assert form.index('value="deny"') < form.index('value="allow"')
    assert "autofocus" not in text


@pytest.mark.compliance(
    "Security", "AZ23", "a wrong code tells nothing: whatever became of a device, the answer is one"
)
def test_of_all_wrong_codes_the_page_says_the_same(device: Device, application: Application) -> None:
    allowed, denied, used = device.get_allowed(), device.get_codes(), device.get_allowed()
    device.decide(denied["user_code"], "deny")
    device.poll(used["device_code"])
    answers = [device.enter(codes["user_code"]) for codes in (allowed, denied, used)]
    expired = device.get_codes()
    DeviceGrant.objects.update(expires=timezone.now())
    answers += [device.enter(code) for code in (expired["user_code"], "BCDF-GHJK", "0000-0000")]
    texts = {get_error_text(answer) for answer in answers}
    assert len(texts) == 1


def get_error_text(response: Answer) -> str:
    assert response.status_code == 200
    text = response.content.decode()
    return text[text.index('role="alert"') : text.index("</div>", text.index('role="alert"'))]


# --- Limits


@pytest.mark.compliance("Security", "AZ23", "guesses from one address are limited, whoever makes them")
def test_guesses_from_one_address_are_limited(device: Device) -> None:
    browsers = []
    for number in range(4):
        user = get_user_model().objects.create(email=f"{number}@example.com", email_verified_at=timezone.now())
        browsers.append(Client())
        browsers[-1].force_login(user)
    statuses = [browser.post(PAGE, {"user_code": "BCDF-GHJK"}).status_code for browser in browsers for _ in range(9)]
    assert statuses[:30] == [200] * 30
    assert 429 in statuses[30:]


def test_devices_that_one_address_starts_are_limited(device: Device, settings: Settings) -> None:
    limit = {"ADDRESS": {"FREE": 3, "RECOVERY_SECONDS": 900}}  # of which no slow machine forgives one meanwhile
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"START_DEVICE": limit}}
    answers = [device.start() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["error"] == "temporarily_unavailable"
    assert int(answers[3]["Retry-After"]) > 0
    assert DeviceGrant.objects.count() == 3


# --- What ends a device


def switch_user_off(device: Device, person: User) -> None:
    person.is_active = False
    person.save()


def switch_user_off_in_bulk(device: Device, person: User) -> None:
    User.objects.update(is_active=False)


def change_password(device: Device, person: User) -> None:
    set_password(user=person, password="quite another horse battery", now=timezone.now())


def revoke_consent(device: Device, person: User) -> None:
    client = Application.objects.get(client_id=device.flow.client_id)
    end_consent(user_id=person.pk, application=client, now=timezone.now())


@pytest.mark.parametrize("end", [switch_user_off, switch_user_off_in_bulk, change_password, revoke_consent])
def test_what_ends_a_persons_tokens_ends_a_device_that_they_allowed(
    device: Device,
    person: User,
    end: Callable[[Device, User], None],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    codes = device.get_allowed()
    with django_capture_on_commit_callbacks(execute=True):
        end(device, person)
    assert get_error(device.poll(codes["device_code"])) == "access_denied"
    assert not list_client_sessions().exists()


def test_a_client_that_is_switched_off_gets_nothing_even_afterwards(device: Device, application: Application) -> None:
    allowed, waiting = device.get_allowed(), device.get_codes()
    page = get_hidden(device.enter(waiting["user_code"]), "request")
    application.is_active = False
    application.save()
    assert device.poll(allowed["device_code"]).json()["error"] == "invalid_client"
    assert device.start().status_code == 401
    device.browser.post(f"{PAGE}/decision", {"request": page, "decision": "allow"})
    application.is_active = True
    application.save()
    for codes in (allowed, waiting):
        assert get_error(device.poll(codes["device_code"])) == "access_denied"


def test_a_client_that_loses_the_grant_loses_its_devices(device: Device, application: Application) -> None:
    codes = device.get_allowed()
    application.grant_types = ["authorization_code"]
    application.save()
    assert get_error(device.poll(codes["device_code"])) == "unauthorized_client"


def test_a_scope_that_the_client_lost_is_not_given(device: Device, application: Application) -> None:
    codes = device.get_allowed(scope="profile roles:write")
    application.allowed_scopes = ["profile"]
    application.save()
    assert device.poll(codes["device_code"]).json()["scope"] == "profile"


def test_without_any_scope_left_nothing_is_given(device: Device, application: Application) -> None:
    codes = device.get_allowed(scope="roles:write")
    application.allowed_scopes = ["profile"]
    application.save()
    assert get_error(device.poll(codes["device_code"])) == "invalid_grant"


# --- What is recorded


def test_a_decision_is_recorded_with_who_made_it(device: Device, person: User) -> None:
    device.decide(device.get_codes()["user_code"], "deny")
    denied = audit.list_events(event="device.").get()
    assert (denied.event, denied.actor_id, denied.subject_label) == ("device.denied", str(person.pk), "Example TV")
    assert not Consent.objects.exists()
    codes = device.get_allowed(scope="users:read")
    allowed = audit.list_events(event="device.allowed").get()
    assert allowed.data["scopes"] == ["users:read"]
    assert codes["device_code"] not in str(list(audit.list_events().values()))
    assert codes["user_code"] not in str(list(audit.list_events().values()))


def test_a_consent_is_given(device: Device, person: User) -> None:
    device.get_tokens(scope="users:read")
    consent = Consent.objects.get()
    assert (consent.user, consent.scope) == (person, "users:read")
    assert consent.last_used_at is not None


def test_the_tokens_say_when_and_how_the_person_signed_in(device: Device, person: User) -> None:
    device.get_tokens()
    session, browsing = list_client_sessions().get(), Session.objects.get(kind=Session.Kind.BROWSER)
    assert session.authenticated_at == browsing.authenticated_at
    assert (session.amr, session.opened_in) == (browsing.amr, browsing)


# --- What it costs, and what happens at once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_early", [False, True])
def test_a_poll_of_a_waiting_device_reads_its_row_and_writes_it(
    device: Device, is_early: bool, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    device_code = device.get_codes()["device_code"]
    device.poll(device_code)
    if not is_early:
        DeviceGrant.objects.update(last_polled_at=timezone.now() - timedelta(seconds=5))
    with django_assert_num_queries(2 if settings.REDIS_URL else 3):  # without a shared cache, the client's row too
        device.poll(device_code)


def _run_at_once(device: Device, call: Callable[[Device], Answer]) -> list[Answer]:
    gate = threading.Barrier(_PARALLEL)

    def run(_: int) -> Answer:
        flow = Flow(device.flow.client_id, device.flow.secret, program=Client())
        gate.wait()
        try:
            return call(Device(flow, device.browser))
        finally:
            connection.close()

    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(run, range(_PARALLEL)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_parallel_polls_one_gets_the_tokens(device: Device, _round: int) -> None:
    codes = device.get_allowed()
    answers = _run_at_once(device, lambda own: own.poll(codes["device_code"]))
    tokens = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(tokens) == 1
    assert {get_error(answer) for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    assert list_client_sessions().count() == 1
    assert not AccessToken.objects.exists()
    assert device.flow.refresh(tokens[0]["refresh_token"]).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_parallel_polls_while_it_waits_one_is_in_time(device: Device) -> None:
    codes = device.get_codes()
    answers = _run_at_once(device, lambda own: own.poll(codes["device_code"]))
    errors = sorted(map(get_error, answers))
    assert errors == ["authorization_pending"] + ["slow_down"] * (_PARALLEL - 1)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_decisions_one_counts(device: Device) -> None:
    codes = device.get_codes()
    signed = get_hidden(device.enter(codes["user_code"]), "request")

    def decide(own: Device) -> Answer:
        browser = Client()
        browser.cookies = device.browser.cookies
        return browser.post(f"{PAGE}/decision", {"request": signed, "decision": "allow"})

    answers = _run_at_once(device, decide)
    assert [answer["Location"] for answer in answers].count(f"{PAGE}/decided") == 1
    assert audit.list_events(event="device.allowed").count() == 1


def delete_person(device: Device) -> None:
    delete_account(user=User.objects.get(email="person@example.com"), now=timezone.now())


def delete_client_of(device: Device) -> None:
    delete_client(application=Application.objects.get(client_id=device.flow.client_id))


def deactivate_person(device: Device) -> None:
    user = User.objects.get(email="person@example.com")
    user.is_active = False
    user.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [delete_person, delete_client_of, deactivate_person])
def test_what_ends_a_device_meanwhile_leaves_nothing_behind(device: Device, end: Callable[[Device], None]) -> None:
    Application.objects.update(access_token_format=Application.AccessTokenFormat.OPAQUE)
    codes, turns = device.get_allowed(), iter(range(_PARALLEL))

    def poll_or_end(own: Device) -> Answer:
        if next(turns) == 0:
            end(own)
        return own.poll(codes["device_code"])

    answers = _run_at_once(device, poll_or_end)
    assert {answer.status_code for answer in answers} <= {200, 400, 401}
    assert [answer.status_code for answer in answers].count(200) <= 1
    assert not list_client_sessions().filter(revoked_at=None).exists()
    for answer in answers:
        if answer.status_code == 200:
            assert device.flow.call_api(answer.json()["access_token"]) == 401


def end_session(device: Device) -> None:
    Session.objects.all().delete()


def delete_user(device: Device) -> None:
    User.objects.filter(email="person@example.com").delete()


def delete_application(device: Device) -> None:
    Application.objects.filter(client_id=device.flow.client_id).delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.compliance("Security", "D12", "a decision about what is gone by now is no error of the server")
@pytest.mark.parametrize(
    ("end", "moment", "decision"),
    [
        (delete_user, "SELECT", "allow"),
        (delete_user, "SELECT", "deny"),
        (end_session, "SELECT", "allow"),
        (delete_application, "SELECT", "allow"),
        (delete_application, "SELECT", "deny"),
        (delete_application, "UPDATE", "allow"),
    ],
)
def test_a_decision_comes_too_late_for_what_was_deleted_meanwhile(
    device: Device, end: Callable[[Device], None], moment: str, decision: str
) -> None:
    codes = device.get_codes()
    signed = get_hidden(device.enter(codes["user_code"]), "request")
    left = [end]

    def end_after[R](execute: Callable[..., R], sql: str, *rest: object) -> R:
        result = execute(sql, *rest)
        if left and sql.startswith(moment) and DeviceGrant._meta.db_table in sql:
            left.pop()(device)
        return result

    with connection.execute_wrapper(end_after):
        response = device.browser.post(f"{PAGE}/decision", {"request": signed, "decision": decision})
    assert not left
    assert response["Location"] == PAGE
    assert not Consent.objects.exists()
    assert not DeviceGrant.objects.filter(status=DeviceGrant.AUTHORIZED).exists()


def test_a_device_needs_the_grant_type_by_its_full_name(device: Device) -> None:
    codes = device.get_allowed()
    form = {"grant_type": "device_code", "device_code": codes["device_code"]}
    assert get_error(device.flow.post("/oauth/token", **form)) == "unsupported_grant_type"
    assert device.flow.post("/oauth/token", **{**form, "grant_type": DEVICE_CODE}).status_code == 200
