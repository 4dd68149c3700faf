"""Ways to somebody else's account that lead through things done at the same time, late, or in odd order."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.exceptions import InvalidCredentials, WrongPassword
from accounts.models import EmailToken, Session, User
from accounts.services import TokenPair, make_email_token
from tests.accounts.conftest import PASSWORD, get_mailed_link
from tests.accounts.racing import race

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db(transaction=True)
NEW_PASSWORD = "another long password"
OWNERS_PASSWORD = "owner horse battery staple"


def fetch(user: User) -> User:
    return User.objects.get(pk=user.pk)


def change_password(user: User, new_password: str = NEW_PASSWORD) -> None:
    services.change_password(user=fetch(user), current_password=PASSWORD, new_password=new_password, now=timezone.now())


def get_mailed_to(address: str) -> list[str]:
    return [str(message.subject) for message in mail.outbox if message.to == [address]]


@pytest.mark.compliance("ASVS 5.0", "7.4.3", "A changed password ends what was asked for before")
def test_no_link_goes_to_a_new_address_once_the_session_that_asked_was_ended(
    user: User, pair: TokenPair, run_jobs: RunJobs
) -> None:
    services.request_email_change(user=user, email="evil@example.com", session_id=pair.session.pk)
    change_password(user)
    run_jobs()
    assert get_mailed_to("evil@example.com") == []
    assert not EmailToken.objects.filter(purpose="change_email").exists()


def test_who_signs_out_after_asking_still_gets_the_link(user: User, pair: TokenPair, run_jobs: RunJobs) -> None:
    services.request_email_change(user=user, email="new@example.com", session_id=pair.session.pk)
    services.end_session(session=pair.session, reason=Session.EndReason.SIGNED_OUT, now=timezone.now())
    run_jobs()
    assert get_mailed_to("new@example.com") == ["Confirm your new e-mail address"]


def test_a_sign_in_that_a_new_password_overtakes_opens_nothing(user: User) -> None:
    proof = services.Proof(services.check_credentials(email=user.email, password=PASSWORD), timezone.now())
    change_password(user)
    with pytest.raises(InvalidCredentials):
        services.open_api_session(proof=proof, now=timezone.now())
    assert not Session.objects.filter(revoked_at=None).exists()


def test_a_sign_in_that_a_deactivation_overtakes_opens_nothing(user: User) -> None:
    proof = services.Proof(services.check_credentials(email=user.email, password=PASSWORD), timezone.now())
    User.objects.update(is_active=False)
    with pytest.raises(InvalidCredentials):
        services.open_api_session(proof=proof, now=timezone.now())
    assert not Session.objects.exists()


def test_sign_ins_and_a_new_password_at_once_leave_no_session_of_the_old_one(user: User) -> None:
    turns = iter([True] + [False] * 7)

    def act() -> None:
        if next(turns):
            change_password(user)
            return
        with suppress(InvalidCredentials):
            services.sign_in(email=user.email, password=PASSWORD, now=timezone.now())

    race(act, threads=8)
    assert not Session.objects.filter(revoked_at=None).exists()


def test_a_change_of_password_does_not_undo_a_reset_that_came_first(user: User) -> None:
    holder = fetch(user)
    assert holder.check_password(PASSWORD)
    token = make_email_token(user=user, purpose=EmailToken.Purpose.RESET_PASSWORD, now=timezone.now())
    services.reset_password(token=token, password=OWNERS_PASSWORD, now=timezone.now())
    with pytest.raises(WrongPassword):
        services.change_password(user=holder, current_password=PASSWORD, new_password=NEW_PASSWORD, now=timezone.now())
    assert fetch(user).check_password(OWNERS_PASSWORD)


def test_a_registration_does_not_open_an_account_that_somebody_else_made(run_jobs: RunJobs) -> None:
    invited = User.objects.create_user("boss@example.com", None)
    services.register_user(email="boss@example.com", password="a stranger's long choice", now=timezone.now())
    run_jobs()
    link = get_mailed_link("boss@example.com")
    assert "/reset-password/" in link
    assert not EmailToken.objects.filter(registration__isnull=False).exists()
    services.reset_password(token=link.rstrip("/").rpartition("/")[2], password=OWNERS_PASSWORD, now=timezone.now())
    assert fetch(invited).check_password(OWNERS_PASSWORD)


def test_a_registration_from_before_gives_its_password_to_no_member_of_staff(run_jobs: RunJobs) -> None:
    services.register_user(email="boss@example.com", password="a stranger's long choice", now=timezone.now())
    run_jobs()
    User.objects.update(is_staff=True)
    link = get_mailed_link("boss@example.com")
    services.verify_email(token=link.rstrip("/").rpartition("/")[2], now=timezone.now())
    boss = User.objects.get()
    assert (boss.email_verified_at is not None, boss.has_usable_password()) == (True, False)


@pytest.mark.parametrize("target", ["foo", "login", "home", "accounts:profile", "//evil.example"])
def test_an_odd_way_back_is_no_server_error(user: User, client: Client, target: str) -> None:
    client.force_login(user)
    response = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": target})
    assert response.status_code == 302
    assert "evil.example" not in response["Location"].partition("/accounts/")[0]


def test_a_refused_form_leaves_no_token_in_the_log(user: User, caplog: pytest.LogCaptureFixture) -> None:
    token = make_email_token(user=user, purpose=EmailToken.Purpose.RESET_PASSWORD, now=timezone.now())
    response = Client(enforce_csrf_checks=True).post(f"/accounts/reset-password/{token}/", {"password": "x"})
    assert response.status_code == 403
    assert "CSRF cookie not set" in caplog.text
    assert token not in caplog.text
