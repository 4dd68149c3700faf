"""What is done to accounts from a terminal."""

import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.exceptions import InvalidRefreshToken
from accounts.models import User
from accounts.services import refresh, sign_in
from permissions.audit import list_events
from tests.accounts.conftest import PASSWORD
from tests.processes import ROOT, child_environment

STRONG = "purple clouds over seven hills"


def answer(*command: str, lines: list[str]) -> tuple[int, str]:
    """Run a command that asks, without a terminal, so that it reads the answers from its input."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        check=False,
        cwd=ROOT,
        env=child_environment(),
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD, email_verified_at=timezone.now())


@pytest.fixture
def superuser_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "Root@Example.com")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", STRONG)


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_password_that_is_changed_by_command_ends_all_that_was_opened_with_the_old_one(user: User) -> None:
    pair = sign_in(email=user.email, password=PASSWORD, now=timezone.now())
    code, text = answer("changepassword", user.email, lines=["short", "short", STRONG, "other", STRONG, STRONG])
    assert (code, "too short" in text, "The passwords differ." in text) == (0, True, True)
    with pytest.raises(InvalidRefreshToken):
        refresh(refresh_token=pair.refresh_token, started_at=timezone.now(), now=timezone.now())
    sign_in(email=user.email, password=STRONG, now=timezone.now())
    assert list_events().filter(event="user.password_changed").count() == 1


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_command_that_gets_no_password_changes_nothing(user: User) -> None:
    assert answer("changepassword", user.email, lines=[])[0] == 1
    code, text = answer("createsuperuser", "--email", "root@example.com", lines=[])
    assert (code, "Traceback" in text) == (1, False)
    assert answer("createsuperuser", lines=[])[0] == 1
    sign_in(email=user.email, password=PASSWORD, now=timezone.now())
    assert User.objects.count() == 1


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_superuser_is_made_by_answers_and_signs_in_at_once() -> None:
    code, text = answer("createsuperuser", lines=["root@example.com", STRONG, STRONG])
    assert code == 0, text
    assert sign_in(email="root@example.com", password=STRONG, now=timezone.now()).session.user.is_superuser


@pytest.mark.django_db
def test_nobody_s_password_is_changed() -> None:
    with pytest.raises(CommandError, match="no user with the e-mail address"):
        call_command("changepassword", "nobody@example.com")


@pytest.mark.django_db
@pytest.mark.usefixtures("superuser_in_environment")
def test_a_superuser_who_is_made_by_command_is_in_the_audit_log() -> None:
    call_command("createsuperuser", "--no-input")
    root = User.objects.get(email="root@example.com")
    (event,) = list_events().filter(event="user.created")
    assert (event.subject_id, event.data) == (str(root.pk), {"is_staff": True, "is_superuser": True})
    with pytest.raises(CommandError, match="already"):
        call_command("createsuperuser", "--noinput")


@pytest.mark.django_db
@pytest.mark.usefixtures("superuser_in_environment")
def test_a_superuser_who_is_made_by_command_has_no_weak_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "short")
    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD: This password is too short"):
        call_command("createsuperuser", "--no-input")
    monkeypatch.delenv("DJANGO_SUPERUSER_PASSWORD")
    call_command("createsuperuser", "--no-input")
    assert not User.objects.get().has_usable_password()


@pytest.mark.django_db
@pytest.mark.parametrize(("option", "value"), [("--email", "root"), ("--email", ""), ("--name", "x" * 151)])
@pytest.mark.usefixtures("superuser_in_environment")
def test_a_superuser_with_a_wrong_address_or_name_is_not_made(option: str, value: str) -> None:
    with pytest.raises(CommandError, match=option.removeprefix("--")):
        call_command("createsuperuser", "--no-input", f"{option}={value}")
    assert not User.objects.exists()
