"""What accounts write into the audit log."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.exceptions import InvalidRefreshToken
from accounts.models import Session, User
from accounts.services import TokenPair
from permissions import audit
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login"
LOGIN_PAGE = "/accounts/login/"


def events(subject: User | None = None) -> list[str]:
    """Return the names of what was recorded, of everybody or about one user, oldest first."""
    found = audit.list_events(subject=str(subject.pk) if subject else "").order_by("pk")
    return list(found.values_list("event", flat=True))


def only(event: str) -> dict[str, object]:
    """Return what the one event of that name says."""
    row = audit.list_events(event=event).get()
    return {"actor": row.actor_label, "subject": row.subject_label, "client": row.client_id, **row.data}


@pytest.mark.compliance("ASVS 5.0", "16.3.1", "Authentication is logged, with its method")
def test_a_sign_in_is_recorded_with_its_session(user: User, api_client: APIClient) -> None:
    api_client.post(LOGIN, {"email": user.email, "password": PASSWORD})
    session = str(Session.objects.get().pk)
    about = {"actor": user.email, "subject": user.email, "client": ""}
    assert only("user.signed_in") == about | {"session": session, "kind": "api"}


def test_a_sign_in_on_the_pages_is_recorded(user: User, client: Client) -> None:
    client.post(LOGIN_PAGE, {"username": user.email, "password": PASSWORD})
    assert events() == ["user.signed_in"]
    signed_in = only("user.signed_in")
    assert (signed_in["actor"], signed_in["kind"]) == (user.email, "browser")


@pytest.mark.compliance("ASVS 5.0", "16.3.1", "Refused authentication is logged, without the secret")
@pytest.mark.parametrize("email", ["user@example.com", "nobody@example.com"])
def test_a_refused_sign_in_is_recorded_without_the_password(user: User, api_client: APIClient, email: str) -> None:
    api_client.post(LOGIN, {"email": email, "password": "hunter2hunter2"})
    known = user.email if email == user.email else ""
    refused = only("user.sign_in_refused")
    assert refused == {"actor": "", "subject": known, "client": "", "email": email, "reason": "credentials"}


def test_a_refused_sign_in_on_the_pages_is_recorded(user: User, client: Client) -> None:
    client.post(LOGIN_PAGE, {"username": user.email, "password": "hunter2hunter2"})
    assert events(user) == ["user.sign_in_refused"]


def test_a_sign_in_before_the_address_is_verified_is_recorded(unverified: User, api_client: APIClient) -> None:
    api_client.post(LOGIN, {"email": unverified.email, "password": PASSWORD})
    assert only("user.sign_in_refused")["reason"] == "not verified"


def test_a_sign_out_is_recorded_with_the_end_of_the_session(signed_in: APIClient, user: User) -> None:
    signed_in.post("/api/v1/auth/logout")
    assert events() == ["user.signed_in", "user.signed_out", "session.ended"]
    assert only("user.signed_out")["actor"] == user.email


def test_a_sign_out_on_the_pages_is_recorded(user: User, client: Client) -> None:
    client.force_login(user)
    client.post("/accounts/logout/")
    assert only("user.signed_out")["actor"] == user.email


def test_the_sign_out_of_a_stranger_is_no_event(client: Client) -> None:
    client.post("/accounts/logout/")
    assert events() == []


def test_a_session_that_ended_is_recorded_once(pair: TokenPair) -> None:
    for _ in range(2):
        services.end_session(session=Session.objects.get(), now=timezone.now())
    assert events().count("session.ended") == 1


def test_a_refresh_token_that_is_used_twice_is_recorded(user: User, pair: TokenPair) -> None:
    now = timezone.now()
    services.refresh(refresh_token=pair.refresh_token, started_at=now, now=now)
    later = now + timedelta(seconds=11)
    with pytest.raises(InvalidRefreshToken):
        services.refresh(refresh_token=pair.refresh_token, started_at=later, now=later)
    assert events()[-2:] == ["session.ended", "refresh_token.reused"]
    assert only("refresh_token.reused")["subject"] == user.email


def test_a_new_password_is_recorded_with_the_end_of_the_sessions(user: User, pair: TokenPair) -> None:
    services.set_password(user=user, password="another long password", now=timezone.now())
    assert events(user)[-2:] == ["user.sessions_ended", "user.password_changed"]
    assert only("user.sessions_ended")["count"] == 1


def test_what_an_admin_does_with_an_account_names_the_admin(user: User, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    client.post(f"/admin/accounts/user/{user.pk}/start-reset/")
    client.post(f"/admin/accounts/user/{user.pk}/end-sessions/")
    assert events(user) == ["user.password_reset_started", "user.sessions_ended"]
    for event in events(user):
        assert (only(event)["actor"], only(event)["subject"]) == ("root@example.com", user.email)
    assert only("user.sessions_ended")["reason"] == "ended_by_admin"


def test_an_account_that_an_admin_makes_is_recorded_with_the_invitation(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    client.post("/admin/accounts/user/add/", {"email": "new@example.com", "name": "New"})
    made = User.objects.get(email="new@example.com")
    assert events(made) == ["user.created", "user.invited"]
    assert only("user.invited")["actor"] == "root@example.com"


def test_a_registration_and_its_confirmation_are_recorded(api_client: APIClient) -> None:
    body = {"email": "new@example.com", "password": PASSWORD}
    for _ in range(2):
        api_client.post("/api/v1/auth/register", body)
    user = User.objects.get()
    services.verify_email(token=services.make_email_token(user=user, now=timezone.now()), now=timezone.now())
    assert events(user) == ["user.registered", "user.registered", "user.email_verified"]


def test_rights_that_an_admin_gives_by_the_form_are_recorded(user: User, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    fields = {"email": user.email, "name": user.name, "is_active": "on", "is_staff": "on"}
    rows = {f"role_assignments-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    client.post(f"/admin/accounts/user/{user.pk}/change/", fields | rows)
    changed = only("user.changed")
    assert (changed["actor"], changed["subject"]) == ("root@example.com", user.email)
    assert (changed["fields"], changed["is_staff"]) == (["is_staff"], True)


def test_a_user_who_is_deleted_stays_in_the_log(user: User) -> None:
    pk, email = str(user.pk), user.email
    user.delete()
    deleted = audit.list_events(event="user.deleted").get()
    assert (deleted.subject_id, deleted.subject_label) == (pk, email)


def test_no_secret_of_a_whole_life_is_in_the_log(user: User, api_client: APIClient) -> None:
    pair = api_client.post(LOGIN, {"email": user.email, "password": PASSWORD}).json()
    api_client.post("/api/v1/auth/refresh", {"refresh_token": pair["refresh_token"]})
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access_token']}")
    api_client.post("/api/v1/auth/logout")
    written = str(list(audit.list_events().values()))
    assert not [secret for secret in (PASSWORD, pair["access_token"], pair["refresh_token"]) if secret in written]
