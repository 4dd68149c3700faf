"""What the authorization server writes into the audit log."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from accounts.services import set_password
from oauth.models import Application, Consent
from oauth.services import RegisteredClient, renew_client_secret, revoke_consent
from permissions import audit
from tests.oauth.flow import VERIFIER, Flow
from tests.oauth.passing import let_grace_pass


def events(start: str = "") -> list[str]:
    """Return the names of what was recorded, oldest first."""
    return list(audit.list_events(event=start).order_by("pk").values_list("event", flat=True))


@pytest.fixture
def application(flow: Flow) -> Application:
    found: Application = Application.objects.get(client_id=flow.client_id)
    return found


def test_a_new_client_is_recorded_with_what_it_may(confidential: RegisteredClient) -> None:
    event = audit.list_events(event="client.").get()
    assert (event.event, event.subject_label) == ("client.created", "Example website")
    assert event.data["redirect_uris"] == ["https://client.example/callback"]
    assert "roles:write" in event.data["allowed_scopes"]


def test_a_change_of_a_client_is_recorded(application: Application) -> None:
    application.allowed_scopes = ["profile"]
    application.save()
    assert events("client.") == ["client.created", "client.changed"]
    assert audit.list_events(event="client.changed").get().data["allowed_scopes"] == ["profile"]


def test_a_client_that_is_switched_off_is_recorded_as_revoked(application: Application) -> None:
    application.is_active = False
    application.save()
    assert events("client.") == ["client.created", "client.changed", "client.revoked"]


def test_a_new_secret_is_recorded_but_not_its_value(confidential: RegisteredClient) -> None:
    renewed = renew_client_secret(application=confidential.application)
    assert events("client.")[-1] == "client.secret_renewed"
    assert str(renewed.client_secret) not in str(list(audit.list_events().values()))


def test_a_client_that_is_deleted_stays_in_the_log(application: Application) -> None:
    pk = str(application.pk)
    application.delete()
    deleted = audit.list_events(event="client.deleted").get()
    assert (deleted.subject_id, deleted.subject_label) == (pk, "Example app")


def test_a_client_that_a_dump_brings_back_is_no_event(application: Application, tmp_path: Path) -> None:
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "oauth.application", output=str(dump), verbosity=0)
    call_command("loaddata", str(dump), stdout=StringIO())
    assert events("client.") == ["client.created"]


def test_consent_is_recorded_with_person_client_and_scopes(flow: Flow, person: User) -> None:
    flow.get_code(scope="profile roles:read")
    event = audit.list_events(event="consent.").get()
    assert (event.event, event.actor_label, event.client_id) == ("consent.given", person.email, flow.client_id)
    told = {"user_id": str(person.pk), "scopes": ["profile", "roles:read"], "resource": [], "is_asked": True}
    assert event.data == told


def test_consent_that_is_refused_gives_nothing_to_record(flow: Flow) -> None:
    flow.decide(flow.open(), "deny")
    assert events("consent.") == []


def test_a_token_that_its_client_revokes_ends_the_session_once_and_leaves_the_consent(flow: Flow) -> None:
    tokens = flow.get_tokens()
    for _ in range(2):
        flow.post("/oauth/revoke", token=tokens["refresh_token"])
    assert events("consent.") == ["consent.given"]
    assert audit.list_events(event="session.ended").get().data == {"reason": "ended_by_client"}


def test_a_consent_that_is_revoked_is_recorded_with_person_and_client(flow: Flow, person: User) -> None:
    flow.get_tokens()
    revoke_consent(consent=Consent.objects.get(), now=timezone.now())
    revoked = audit.list_events(event="consent.revoked").get()
    assert (revoked.client_id, revoked.data) == (flow.client_id, {"user_id": str(person.pk), "sessions": 1})


def test_a_refresh_token_that_is_used_twice_is_recorded(flow: Flow, person: User) -> None:
    first = flow.get_tokens()["refresh_token"]
    flow.refresh(first)
    let_grace_pass()
    assert flow.refresh(first).status_code == 400
    assert events()[-2:] == ["session.ended", "refresh_token.reused"]
    assert audit.list_events(event="refresh_token.reused").get().subject_label == person.email


def test_a_code_that_is_used_twice_is_recorded(flow: Flow) -> None:
    code = flow.get_code()
    assert flow.exchange(code).status_code == 200
    let_grace_pass()
    assert flow.exchange(code).status_code == 400
    assert events()[-2:] == ["authorization_code.reused", "session.ended"]
    assert audit.list_events(event="session.ended").get().data == {"reason": "code_reused"}


@pytest.mark.django_db(transaction=True)
def test_a_new_password_ends_what_the_person_allowed(flow: Flow, person: User) -> None:
    flow.get_code()
    set_password(user=person, password="another long password", now=timezone.now())
    assert "user.consents_revoked" in events()


def test_no_secret_of_a_whole_flow_is_in_the_log(web: Flow) -> None:
    code = web.get_code()
    tokens = web.exchange(code).json()
    web.refresh(tokens["refresh_token"])
    web.post("/oauth/revoke", token=tokens["access_token"])
    written = str(list(audit.list_events().values()))
    secrets = [code, tokens["access_token"], tokens["refresh_token"], str(web.secret), VERIFIER]
    assert not [secret for secret in secrets if secret in written]
