"""Passwords that clients are given: what changes between the check and the tokens."""

from collections.abc import Callable

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Session, User
from accounts.services import Device, set_password
from oauth.models import Consent
from oauth.services import RegisteredClient, register_client
from oauth.services.passwords import issue_for_password
from tests.accounts.conftest import run_jobs
from tests.oauth.flow import Flow

__all__ = ["run_jobs"]


def change_password(user: User) -> None:
    set_password(user=User.objects.get(pk=user.pk), password="quite another horse battery", now=timezone.now())


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def delete(user: User) -> None:
    User.objects.filter(pk=user.pk).delete()


@pytest.mark.parametrize("change", [change_password, deactivate, delete])
def test_a_password_that_was_right_a_moment_ago_gives_nothing(
    confidential: RegisteredClient, person: User, change: Callable[[User], None]
) -> None:
    change(person)  # `person` is what the check has found before
    issued = issue_for_password(
        application=confidential.application,
        user=person,
        scopes=["profile"],
        resource=[],
        device=Device(),
        now=timezone.now(),
    )
    assert issued is None
    assert not Session.objects.exists()
    assert not Consent.objects.exists()


PASSWORD = "correct horse battery staple"
type RunJobs = Callable[[], int]
MAIL = "Sign-in from a new device"


@pytest.fixture
def old(person: User, settings: Settings, run_jobs: RunJobs) -> Flow:
    """A program that takes passwords, and a person who has signed in on the pages once."""
    settings.OAUTH = settings.OAUTH | {"ALLOW_PASSWORD_GRANT": True}
    set_password(user=person, password=PASSWORD, now=timezone.now())
    Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140"}).post(
        "/accounts/login/", {"username": person.email, "password": PASSWORD}
    )
    client = register_client(name="Old", client_type="public", grant_types=["password"], allowed_scopes=["profile"])
    run_jobs()
    mail.outbox.clear()
    return Flow(client.application.client_id)


def _sign_in(old: Flow, person: User, run_jobs: RunJobs, *, agent: str) -> None:
    old.program = Client(headers={"User-Agent": agent})
    form = {"grant_type": "password", "username": person.email, "password": PASSWORD, "scope": "profile"}
    assert old.post("/oauth/token", **form).status_code == 200
    run_jobs()


@pytest.mark.compliance("ASVS 5.0", "6.3.5", "the owner is told of a new device that comes by an old program, too")
@pytest.mark.django_db(transaction=True)
def test_a_new_device_is_told_of_once(old: Flow, person: User, run_jobs: RunJobs) -> None:
    for _ in range(3):
        _sign_in(old, person, run_jobs, agent="OldProgram/1")
    assert [(message.to, message.subject) for message in mail.outbox] == [([person.email], MAIL)]
    assert "OldProgram" in str(mail.outbox[0].body)
    _sign_in(old, person, run_jobs, agent="Elsewhere/2")
    assert [message.subject for message in mail.outbox] == [MAIL] * 2


@pytest.mark.django_db(transaction=True)
def test_a_device_that_is_known_from_the_pages_is_told_of_no_more(old: Flow, person: User, run_jobs: RunJobs) -> None:
    _sign_in(old, person, run_jobs, agent="Mozilla/5.0 (X11; Linux) Firefox/141")
    assert mail.outbox == []
