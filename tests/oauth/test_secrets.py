"""The secrets of confidential clients: two may live, each ends on the next request, none is stored in clear."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from oauth.models import Application, ClientSecret
from oauth.registrar import find_client
from oauth.services import check_client_secret, end_client_secret, register_client, renew_client_secret
from permissions import audit
from tests.oauth.flow import Flow
from tests.oauth.passing import set_up

pytestmark = pytest.mark.django_db(transaction=True)
_DAY = timedelta(days=1)


@pytest.fixture
def application(service: Flow) -> Application:
    found: Application = Application.objects.get()
    return found


def _is_known(service: Flow, secret: str | None) -> bool:
    form = {"client_id": service.client_id, "client_secret": str(secret), "grant_type": "client_credentials"}
    status = service.post_anonymously("/oauth/token", **form).status_code
    assert status in {200, 401}
    return status == 200


def test_the_old_secret_works_beside_the_new_one_until_the_overlap_ends(
    service: Flow, application: Application
) -> None:
    assert _is_known(service, service.secret)
    renewed = renew_client_secret(application=application, overlap=_DAY)
    assert _is_known(service, service.secret)
    assert _is_known(service, renewed.client_secret)
    ClientSecret.objects.filter(expires_at__isnull=False).get().delete()
    assert not _is_known(service, service.secret)
    assert _is_known(service, renewed.client_secret)


def test_a_secret_that_has_expired_works_no_more(service: Flow, application: Application) -> None:
    secret = ClientSecret.objects.get()
    secret.expires_at = timezone.now() - timedelta(seconds=1)
    secret.save()
    assert not _is_known(service, service.secret)


def test_without_overlap_the_old_secret_is_dead_on_the_next_request(service: Flow, application: Application) -> None:
    assert _is_known(service, service.secret)
    renewed = renew_client_secret(application=application)
    assert not _is_known(service, service.secret)
    assert _is_known(service, renewed.client_secret)


def test_of_three_secrets_the_oldest_is_dead_whatever_the_overlap(service: Flow, application: Application) -> None:
    second = renew_client_secret(application=application, overlap=_DAY)
    third = renew_client_secret(application=application, overlap=_DAY)
    secrets = (service.secret, second.client_secret, third.client_secret)
    assert [_is_known(service, secret) for secret in secrets] == [False, True, True]


def test_a_secret_that_is_ended_is_dead_on_the_next_request(service: Flow) -> None:
    assert _is_known(service, service.secret)
    end_client_secret(secret=ClientSecret.objects.get(), now=timezone.now())
    assert not _is_known(service, service.secret)


def test_a_secret_opens_its_own_client_only(service: Flow) -> None:
    other = register_client(
        name="Other", client_type="confidential", grant_types=["client_credentials"], allowed_scopes=["users:read"]
    )
    assert not _is_known(service, other.client_secret)


def test_a_client_that_became_public_knows_no_secret(service: Flow) -> None:
    set_up(service.client_id, client_type="public", grant_types=["urn:ietf:params:oauth:grant-type:device_code"])
    assert not _is_known(service, service.secret)
    assert not _is_known(service, "")


def test_the_use_of_a_secret_is_noted(service: Flow) -> None:
    assert ClientSecret.objects.get().last_used_at is None
    assert _is_known(service, service.secret)
    assert ClientSecret.objects.get().last_used_at is not None
    assert str(service.secret) not in repr(list(ClientSecret.objects.values()))


@pytest.mark.compliance("Security", "TK19", "a wrong secret is recorded, and a flood of them records it a few times")
def test_wrong_secrets_are_recorded_but_cannot_fill_the_log(service: Flow, application: Application) -> None:
    now, wrong = timezone.now(), find_client(application.client_id)
    assert wrong is not None
    for minutes in (0, 1, 14, 16, 17, 40):
        assert not check_client_secret(application=wrong, secret="wrong", now=now + timedelta(minutes=minutes))
    events = audit.list_events(event="client.secret_refused")
    assert [(event.subject_id, event.data) for event in events] == [(str(application.pk), {})] * 3
    assert not _is_known(service, "wrong")


def test_a_client_that_there_is_not_records_nothing(service: Flow) -> None:
    form = {"client_id": "nobody", "client_secret": "wrong", "grant_type": "client_credentials"}
    assert service.post_anonymously("/oauth/token", **form).status_code == 401
    assert not audit.list_events(event="client.secret_refused").exists()


def test_every_secret_that_is_made_has_256_random_bits(service: Flow, application: Application) -> None:
    secrets = {service.secret, *(renew_client_secret(application=application).client_secret for _ in range(20))}
    assert len(secrets) == 21
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret or "") for secret in secrets)
