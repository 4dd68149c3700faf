"""Passwords that clients are given: what changes between the check and the tokens."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import Session, User
from accounts.services import Device, set_password
from oauth.models import Consent
from oauth.services import RegisteredClient
from oauth.services.passwords import issue_for_password


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
