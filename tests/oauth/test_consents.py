"""What a consent holds after a person was asked several times."""

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from oauth.models import Application, Consent
from oauth.selectors import covers
from oauth.services import RegisteredClient, give_consent

RS, OTHER = "https://rs.example/", "https://other.example/"


@pytest.fixture
def consents(confidential: RegisteredClient, person: User) -> "Ask":
    return Ask(confidential.application, person)


class Ask:
    """One person and one client."""

    def __init__(self, application: Application, person: User) -> None:
        self.application, self.person = application, person

    def allow(self, scope: str, *resource: str) -> None:
        give_consent(
            user_id=self.person.pk,
            application=self.application,
            scopes=scope.split(),
            resource=resource,
            now=timezone.now(),
        )

    def covers(self, scope: str, *resource: str) -> bool:
        return covers(consent=Consent.objects.get(), scopes=scope.split(), resource=resource)


def test_scopes_add_up(consents: Ask) -> None:
    consents.allow("profile")
    consents.allow("users:read")
    assert consents.covers("profile users:read")
    assert consents.covers("profile", settings.BASE_URL)
    assert not consents.covers("profile", RS)


@pytest.mark.compliance("Security", "AZ14", "nothing is held that the person was not asked for together")
def test_a_scope_is_held_only_where_it_was_allowed(consents: Ask) -> None:
    consents.allow("profile", RS)
    consents.allow("roles:write")
    assert not consents.covers("roles:write", RS)
    consents.allow("users:read", OTHER)
    assert consents.covers("users:read", OTHER)
    assert not consents.covers("roles:write", OTHER)
    assert not consents.covers("users:read", RS)


def test_the_same_scopes_are_held_at_each_audience_in_turn(consents: Ask) -> None:
    consents.allow("profile users:read", RS)
    consents.allow("profile", OTHER)
    assert consents.covers("profile", RS, OTHER)
    assert not consents.covers("users:read", OTHER)
