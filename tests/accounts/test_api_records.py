"""What is stored about somebody, over HTTP: all of it, and what was done with the account."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.exports import list_exports, register_export
from accounts.models import EmailToken, RefreshToken, Registration, User
from accounts.services import TokenPair
from permissions import audit
from permissions.services import create_role
from tests.accounts.clients import AUTH, as_holder, log_in
from tests.accounts.conftest import PASSWORD
from tests.oauth.fixtures import flow, person
from tests.oauth.flow import Flow

__all__ = ["flow", "person"]

type QueryCount = Callable[[int], AbstractContextManager[object]]
type Json = dict[str, Any]  # Any: whatever the server answered

pytestmark = pytest.mark.django_db


def export(client: APIClient) -> Json:
    response = client.get(f"{AUTH}/export")
    assert response.status_code == 200
    document: Json = json.loads(response.getvalue())
    return document


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD, name="Root")


# --- The export -------------------------------------------------------------------------------------------------------


def test_the_export_is_a_file_that_no_cache_keeps(signed_in: APIClient) -> None:
    response = signed_in.get(f"{AUTH}/export")
    name = f"gatehouse-export-{timezone.now():%Y-%m-%d}.json"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert (response["Content-Type"], response["Cache-Control"]) == ("application/json", "no-store")
    assert int(response["Content-Length"]) == len(response.getvalue())


def test_the_export_holds_every_part(signed_in: APIClient) -> None:
    assert set(export(signed_in)) == {
        "issuer", "profile", "sessions", "refresh_tokens", "revocations", "registrations", "links", "admin_actions",
        "roles", "groups", "permissions", "object_permissions", "teams", "audit_events", *list_exports(),
    }  # fmt: skip


def test_the_export_tells_profile_and_rights(signed_in: APIClient, user: User) -> None:
    create_role(name="reader", permissions=["accounts.view_user"])
    user.assign_role("reader")
    user.give_permission_to("accounts.change_user")
    document = export(signed_in)
    profile = document["profile"]
    assert (profile["id"], profile["email"], profile["name"]) == (str(user.pk), user.email, "Ada")
    assert [row["role"] for row in document["roles"]] == ["reader"]
    assert [row["permission"] for row in document["permissions"]] == ["accounts.change_user"]


def test_the_export_tells_ended_sessions_too(signed_in: APIClient, user: User) -> None:
    ended = services.sign_in(email=user.email, password=PASSWORD, now=timezone.now()).session
    services.end_session(session=ended, now=timezone.now())
    rows = {row["id"]: row for row in export(signed_in)["sessions"]}
    assert len(rows) == 2
    assert rows[str(ended.pk)]["end_reason"] == "ended_by_admin"


def test_the_export_tells_what_waits_for_a_link(signed_in: APIClient, user: User) -> None:
    Registration.objects.create(user=user, email=user.email, password="md5$salt$digest", name="Someone")
    services.make_email_token(user=user, purpose=EmailToken.Purpose.RESET_PASSWORD, now=timezone.now())
    document = export(signed_in)
    assert [set(row) for row in document["registrations"]] == [{"email", "name", "created_at"}]
    assert [row["purpose"] for row in document["links"]] == ["reset_password"]


@pytest.mark.compliance("ASVS 5.0", "16.2.5", "No password, token, digest or hash is in the export of an account")
@pytest.mark.compliance("Security", "AC14", "no export holds a hash or a token")
def test_the_export_holds_no_secret(signed_in: APIClient, user: User, pair: TokenPair) -> None:
    link = services.make_email_token(user=user, now=timezone.now())
    Registration.objects.create(user=user, email=user.email, password="md5$salt$of-a-registration", name="")
    text = json.dumps(export(signed_in))
    secrets = [PASSWORD, user.password, pair.access_token, pair.refresh_token, link, "of-a-registration"]
    secrets += list(RefreshToken.objects.values_list("digest", flat=True))
    secrets += list(EmailToken.objects.values_list("digest", flat=True))
    assert [secret for secret in secrets if secret in text] == []


def test_the_export_tells_nothing_of_others(signed_in: APIClient, user: User, admin: User) -> None:
    log_in(APIClient(), admin.email)
    audit.record("user.changed", actor=admin, subject=user, fields=["name"])
    audit.record("user.changed", actor=user, subject=admin, note="root@example.com")
    text = json.dumps(export(signed_in))
    assert "root@example.com" not in text
    assert "Root" not in text


def test_the_export_tells_what_was_done_and_by_whom(signed_in: APIClient, user: User, admin: User) -> None:
    audit.record("user.changed", actor=admin, subject=user, fields=["name"])
    events = [(row["event"], row["by"]) for row in export(signed_in)["audit_events"]]
    assert ("user.signed_in", "self") in events
    assert ("user.changed", "other") in events


def test_the_export_tells_no_administrators_address(signed_in: APIClient, user: User, admin: User) -> None:
    there = "198.51.100.7"
    administrator = as_holder(log_in(APIClient(REMOTE_ADDR=there), admin.email).json()["access_token"])
    create_role(name="reader")
    response = administrator.post(f"/api/v1/users/{user.pk}/roles", {"role": "reader"}, REMOTE_ADDR=there)
    assert response.status_code == 200
    pages = Client(REMOTE_ADDR=there)
    pages.force_login(admin)
    pages.post(f"/admin/accounts/user/{user.pk}/start-reset/")
    assert audit.list_events(subject=str(user.pk)).filter(actor_id=str(admin.pk), ip_address=there).count() == 2
    document = export(signed_in)
    told = {row["event"]: row["ip_address"] for row in document["audit_events"] if row["by"] == "other"}
    assert told == {"role.attached": "", "user.password_reset_started": ""}
    assert there not in json.dumps(document)
    assert "127.0.0.1" in json.dumps(document)  # the user's own


def test_the_export_is_recorded(signed_in: APIClient, user: User) -> None:
    export(signed_in)
    assert audit.list_events(event="user.exported", subject=str(user.pk)).count() == 1


def test_the_export_tells_what_clients_were_allowed(flow: Flow) -> None:
    tokens = flow.get_tokens()
    person, now = User.objects.get(), timezone.now()
    pair = services.open_api_session(proof=services.Proof(person, now), now=now)
    document = export(as_holder(pair.access_token))
    for name in ("oauth_consents", "oauth_codes"):
        assert [row["application__client_id"] for row in document[name]] == [flow.client_id]
    assert flow.client_id in [row["client_id"] for row in document["sessions"]]
    text = json.dumps(document)
    assert tokens["access_token"] not in text
    assert tokens["refresh_token"] not in text


def test_the_export_costs_the_same_queries_for_any_number_of_sessions(
    signed_in: APIClient, user: User, django_assert_max_num_queries: QueryCount
) -> None:
    for _ in range(30):
        services.open_api_session(proof=services.Proof(user, timezone.now()), now=timezone.now())
    with django_assert_max_num_queries(25):
        assert len(export(signed_in)["sessions"]) == 31


def test_no_two_parts_have_one_name() -> None:
    name, read = next(iter(list_exports().items()))
    register_export(name, read)  # the same once more is no harm
    with pytest.raises(ValueError, match="already"):
        register_export(name, lambda _user_id: [])


# --- Security events --------------------------------------------------------------------------------------------------


def test_events_tell_what_was_done_with_the_account(signed_in: APIClient, user: User) -> None:
    signed_in.patch(f"{AUTH}/me", {"name": "Ada Lovelace"})
    rows = signed_in.get(f"{AUTH}/security-events").json()["results"]
    assert [(row["event"], row["by"]) for row in rows[:2]] == [("user.changed", "self"), ("user.signed_in", "self")]
    assert set(rows[0]) == {"id", "created_at", "event", "by", "ip_address", "client_id", "details"}


def test_events_of_others_are_left_out(signed_in: APIClient, admin: User) -> None:
    log_in(APIClient(), admin.email)
    body = signed_in.get(f"{AUTH}/security-events").json()
    assert "root@example.com" not in json.dumps(body)


def test_an_administrators_address_is_not_told(signed_in: APIClient, user: User, admin: User) -> None:
    administrator = as_holder(log_in(APIClient(), admin.email).json()["access_token"])
    create_role(name="reader")
    path = f"/api/v1/users/{user.pk}/roles"
    assert administrator.post(path, {"role": "reader"}, REMOTE_ADDR="198.51.100.7").status_code == 200
    row = next(one for one in signed_in.get(f"{AUTH}/security-events").json()["results"] if one["by"] == "other")
    assert (row["event"], row["ip_address"]) == ("role.attached", "")


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_of_events_costs_three_queries_for_any_number(
    signed_in: APIClient, user: User, count: int, django_assert_num_queries: QueryCount
) -> None:
    for _ in range(count):
        audit.record("user.changed", actor=user, subject=user)
    with django_assert_num_queries(3):  # the token's user, the count, the page
        assert signed_in.get(f"{AUTH}/security-events").json()["count"] > count
