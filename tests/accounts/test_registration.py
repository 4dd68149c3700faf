"""Several people may register one address; the link that is followed settles whose password counts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts import services
from accounts.exceptions import InvalidCredentials, InvalidEmailToken
from accounts.jobs import AnswerRegistrationJob
from accounts.models import EmailToken, Registration, User
from jobs.models import QueuedJob
from tests.accounts.conftest import NOW, PASSWORD
from tests.accounts.racing import race

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL = "victim@example.com"
THEIRS = "password of a stranger"


def register(password: str, name: str = "") -> None:
    services.register_user(email=EMAIL, password=password, name=name, now=timezone.now())


def mailed_tokens() -> list[str]:
    """Return the tokens of all mailed links, oldest first."""
    words = " ".join(str(message.body) for message in mail.outbox).split()
    return [word.rstrip("/").rpartition("/")[2] for word in words if "/verify-email/" in word]


def follow(token: str) -> bool:
    try:
        services.verify_email(token=token, now=timezone.now())
    except InvalidEmailToken:
        return False
    return True


def can_sign_in(password: str) -> bool:
    try:
        services.sign_in(email=EMAIL, password=password, now=timezone.now())
    except InvalidCredentials:
        return False
    return True


def test_who_registered_an_address_first_gets_nothing_when_its_owner_follows_the_own_link(run_jobs: RunJobs) -> None:
    register(THEIRS, "Stranger")
    run_jobs()
    register(PASSWORD, "Owner")
    run_jobs()
    assert follow(mailed_tokens()[-1])
    assert (can_sign_in(THEIRS), can_sign_in(PASSWORD)) == (False, True)
    assert User.objects.get().name == "Owner"


def test_who_registers_an_address_again_gets_nothing_when_its_owner_follows_the_own_link(run_jobs: RunJobs) -> None:
    register(PASSWORD, "Owner")
    run_jobs()
    register(THEIRS, "Stranger")
    run_jobs()
    assert follow(mailed_tokens()[0])
    assert (can_sign_in(THEIRS), can_sign_in(PASSWORD)) == (False, True)
    assert User.objects.get().name == "Owner"


def test_following_one_link_kills_the_other_registrations_and_forgets_their_passwords(run_jobs: RunJobs) -> None:
    register(THEIRS)
    register(PASSWORD)
    run_jobs()
    theirs, own = mailed_tokens()
    assert (follow(own), follow(theirs)) == (True, False)
    assert not Registration.objects.exists()


def test_a_registration_whose_mail_comes_too_late_sends_none(run_jobs: RunJobs) -> None:
    register(PASSWORD)
    run_jobs()
    register(THEIRS)
    follow(mailed_tokens()[0])
    run_jobs()
    assert [message.subject for message in mail.outbox] == ["Confirm your e-mail address", "Welcome to Gatehouse"]


def test_of_two_links_followed_at_once_one_wins_with_its_own_password(run_jobs: RunJobs) -> None:
    for number in range(5):
        register(f"long password number {number}", f"{number}")
    run_jobs()
    waiting = mailed_tokens()
    assert race(lambda: follow(waiting.pop()), threads=5).count(True) == 1
    user = User.objects.get()
    assert user.check_password(f"long password number {user.name}")


def test_a_stranger_s_registration_leaves_an_account_made_by_an_admin_alone(run_jobs: RunJobs) -> None:
    made = User.objects.create_user(EMAIL, PASSWORD, name="Made")
    services.request_email_verification(user=made)
    run_jobs()
    register(THEIRS, "Stranger")
    run_jobs()
    assert follow(mailed_tokens()[0])
    user = User.objects.get()
    assert (user.name, user.check_password(PASSWORD)) == ("Made", True)


def test_a_verified_account_keeps_its_password_and_the_other_is_forgotten(run_jobs: RunJobs, user: User) -> None:
    services.register_user(email=user.email, password=THEIRS, name="Stranger", now=NOW)
    run_jobs()
    known = User.objects.get()
    assert (known.name, known.check_password(PASSWORD)) == ("Ada", True)
    assert not Registration.objects.exists()


def test_a_registration_of_an_address_that_the_account_has_no_more_sends_nothing(run_jobs: RunJobs) -> None:
    register(THEIRS)
    User.objects.update(email="moved@example.com")
    run_jobs()
    assert not mail.outbox


def test_a_registration_does_not_take_a_used_account_over(run_jobs: RunJobs, user: User) -> None:
    services.sign_in(email=user.email, password=PASSWORD, now=NOW)
    User.objects.update(email=EMAIL, email_verified_at=None)
    register("another long password")
    run_jobs()
    assert mailed_tokens() == []
    assert User.objects.get().check_password(PASSWORD)


def test_each_try_of_the_mail_makes_a_link_of_its_own(run_jobs: RunJobs) -> None:
    register(PASSWORD)
    for _ in range(2):
        AnswerRegistrationJob(registration_id=Registration.objects.get().pk).handle()
    assert EmailToken.objects.count() == len(set(mailed_tokens())) == 2


@pytest.mark.compliance("Security", "AC14", "no waiting job holds a password or its hash")
def test_the_queue_holds_neither_the_password_nor_its_hash() -> None:
    register(PASSWORD)
    payload = QueuedJob.objects.get().payload
    assert PASSWORD not in payload
    assert Registration.objects.get().password not in payload


@pytest.mark.compliance("Security", "AC12", "an expired link of a registration opens no account")
def test_a_link_of_a_registration_is_dead_after_a_day(run_jobs: RunJobs) -> None:
    register(PASSWORD)
    run_jobs()
    with pytest.raises(InvalidEmailToken):
        services.verify_email(token=mailed_tokens()[0], now=timezone.now() + timedelta(hours=24, minutes=1))
