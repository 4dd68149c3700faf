"""That pages and mails say how long links work as it is set."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as house
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.jobs import SendInvitationJob, SendPasswordResetJob, SendVerificationEmailJob
from accounts.models import User
from accounts.templatetags.durations import say_duration

pytestmark = pytest.mark.django_db
_FIXED = re.compile(r"\b(an?|one|two|\d+) (second|minute|hour|day|week)s?\b", re.IGNORECASE)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (5400, "90 minutes"),
        (3600, "1 hour"),
        (86_400, "24 hours"),
    ],
)
def test_a_duration_is_said_in_the_longest_unit_that_divides_it(seconds: int, words: str) -> None:
    assert say_duration(timedelta(seconds=seconds)) == words


@pytest.fixture
def odd_lifetimes(settings: Settings) -> None:
    lifetimes = {"EMAIL_VERIFICATION_SECONDS": 7 * 3600, "PASSWORD_RESET_SECONDS": 25 * 60}
    settings.ACCOUNTS = settings.ACCOUNTS | lifetimes


@pytest.mark.usefixtures("odd_lifetimes")
@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("registered", "within 7 hours"),
        ("resend-verification", "work for 7 hours"),
        ("password-reset-requested", "works for 25 minutes"),
    ],
)
def test_a_page_says_how_long_links_work(client: Client, page: str, words: str) -> None:
    assert words in client.get(reverse(f"accounts:{page}")).content.decode()


@pytest.mark.usefixtures("odd_lifetimes")
def test_the_page_of_a_dead_link_says_how_long_links_work(client: Client) -> None:
    response = client.get(reverse("accounts:reset-password", args=["dead"]))
    assert "only for 25 minutes" in response.content.decode()


@pytest.mark.usefixtures("odd_lifetimes")
def test_mails_say_how_long_links_work(user: User, unverified: User) -> None:
    SendVerificationEmailJob(user_id=unverified.pk).handle()
    SendInvitationJob(user_id=unverified.pk).handle()
    SendPasswordResetJob(email=user.email).handle()
    said = [re.findall(r"works once and for ([^.;]+)", str(message.body)) for message in mail.outbox]
    assert said == [["7 hours"], ["7 hours"], ["25 minutes"]]


def test_no_page_or_mail_says_a_duration_in_fixed_words() -> None:
    folder = Path(house.BASE_DIR) / "templates" / "accounts"
    said = {path.name: _FIXED.search(path.read_text()) for path in folder.rglob("*.*") if path.is_file()}
    assert {name: found[0] for name, found in said.items() if found} == {}
