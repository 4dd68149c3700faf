from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Registration, Session, User
from accounts.services import TokenPair
from permissions.services import create_role
from tests.accounts.conftest import PASSWORD, ApiResponse, Issue, get_mailed_link

type QueryCount = Callable[[int], AbstractContextManager[object]]
type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"


def log_in(client: APIClient, email: str, password: str = PASSWORD) -> ApiResponse:
    return client.post(f"{AUTH}/login", {"email": email, "password": password})


def may_view_users(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(content_type__app_label="accounts", codename="view_user"))


@pytest.mark.django_db(transaction=True)
def test_the_way_from_registration_to_logout(api_client: APIClient, run_jobs: RunJobs) -> None:
    registered = api_client.post(f"{AUTH}/register", {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"})
    assert (registered.status_code, log_in(api_client, "ada@example.com").status_code) == (202, 403)
    run_jobs()
    token = get_mailed_link("ada@example.com").rstrip("/").rpartition("/")[2]
    assert api_client.post(f"{AUTH}/verify-email", {"token": token}).status_code == 200
    tokens = log_in(api_client, "ada@example.com").json()
    renewed = api_client.post(f"{AUTH}/refresh", {"refresh_token": tokens["refresh_token"]}).json()
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {renewed['access_token']}")
    assert api_client.get(f"{AUTH}/me").json()["email"] == "ada@example.com"
    assert api_client.post(f"{AUTH}/logout").status_code == 204
    assert api_client.get(f"{AUTH}/me").status_code == 401


def test_signing_in_answers_a_pair_that_no_cache_keeps(api_client: APIClient, user: User) -> None:
    response = log_in(api_client, user.email)
    body = response.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"], response["Cache-Control"]) == ("Bearer", 600, "no-store")


def test_signing_in_notes_the_device(api_client: APIClient, user: User) -> None:
    body = {"email": user.email, "password": PASSWORD}
    api_client.post(f"{AUTH}/login", body, headers={"User-Agent": "Pocket Browser"}, REMOTE_ADDR="203.0.113.9")
    session = Session.objects.get()
    assert (session.ip_address, session.user_agent) == ("203.0.113.9", "Pocket Browser")


@pytest.mark.django_db(transaction=True)
def test_a_known_address_is_answered_as_an_unknown_one(api_client: APIClient, user: User) -> None:
    answers = [
        api_client.post(f"{AUTH}/register", {"email": email, "password": PASSWORD})
        for email in (user.email, "unknown@example.com")
    ]
    known, unknown = ((answer.status_code, answer.json(), len(answer.content)) for answer in answers)
    assert known == unknown


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("email", ["user@example.com", "unknown@example.com"])
def test_registering_one_address_over_and_over_answers_alike_and_mails_five_times(
    api_client: APIClient, user: User, email: str, run_jobs: RunJobs
) -> None:
    body = {"email": email, "password": PASSWORD}
    assert {api_client.post(f"{AUTH}/register", body).status_code for _ in range(7)} == {202}
    run_jobs()
    assert [message.to for message in mail.outbox] == [[email]] * 5
    assert Registration.objects.count() == (0 if email == user.email else 5)


@pytest.mark.compliance("ASVS 5.0", "8.2.3", "Fields that give rights cannot be written by who has none")
def test_registering_takes_no_rights_from_the_body(api_client: APIClient) -> None:
    extra = {"is_staff": True, "is_superuser": True, "email_verified_at": "2020-01-01", "id": "1", "roles": ["admin"]}
    api_client.post(f"{AUTH}/register", {"email": "ada@example.com", "password": PASSWORD, **extra})
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.email_verified_at) == (False, False, None)
    assert isinstance(user.pk, UUID)


def test_wrong_unknown_and_inactive_are_answered_alike(api_client: APIClient, user: User) -> None:
    User.objects.create_user("off@example.com", PASSWORD, is_active=False, email_verified_at=timezone.now())
    answers = [
        log_in(api_client, user.email, "wrong password"),
        log_in(api_client, "nobody@example.com"),
        log_in(api_client, "off@example.com"),
    ]
    bodies = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "invalid_credentials"


def test_a_401_always_says_how_to_authenticate(api_client: APIClient) -> None:
    response = log_in(api_client, "nobody@example.com")
    assert (response["WWW-Authenticate"], response["Cache-Control"]) == ("Bearer", "no-store")


def test_an_unverified_address_is_answered_403(api_client: APIClient, unverified: User) -> None:
    response = log_in(api_client, unverified.email)
    assert (response.status_code, response.json()["code"]) == (403, "email_not_verified")
    assert response["Content-Type"] == "application/problem+json"


def test_a_weak_password_is_blamed_on_its_field(api_client: APIClient) -> None:
    response = api_client.post(f"{AUTH}/register", {"email": "ada@example.com", "password": "short"})
    errors = response.json()["errors"]
    assert (response.status_code, {error["field"] for error in errors}) == (400, {"password"})
    assert {error["code"] for error in errors} == {"password_refused"}


def test_a_used_link_is_blamed_on_its_field(api_client: APIClient, unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=timezone.now())
    answers = [api_client.post(f"{AUTH}/verify-email", {"token": token}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json()["errors"][0]["field"] == "token"


@pytest.mark.compliance("Security", "JW06", "an access token refreshes nothing, and a refresh token opens nothing")
def test_an_access_token_is_no_refresh_token_and_the_reverse(api_client: APIClient, pair: TokenPair) -> None:
    response = api_client.post(f"{AUTH}/refresh", {"refresh_token": pair.access_token[:500]})
    assert (response.status_code, response.json()["code"]) == (401, "invalid_refresh_token")
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.refresh_token}")
    assert api_client.get(f"{AUTH}/me").status_code == 401


def test_a_second_use_of_a_refresh_token_kills_the_access_token_too(
    signed_in: APIClient, pair: TokenPair, settings: Settings
) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"REFRESH_GRACE_SECONDS": 0}
    body = {"refresh_token": pair.refresh_token}
    assert [signed_in.post(f"{AUTH}/refresh", body).status_code for _ in range(2)] == [200, 401]
    assert signed_in.get(f"{AUTH}/me").status_code == 401


def test_signing_out_kills_session_refresh_token_and_every_access_token(signed_in: APIClient, pair: TokenPair) -> None:
    renewed = signed_in.post(f"{AUTH}/refresh", {"refresh_token": pair.refresh_token}).json()
    assert signed_in.post(f"{AUTH}/logout").status_code == 204
    for access_token in (pair.access_token, renewed["access_token"]):
        signed_in.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token}")
        assert signed_in.get(f"{AUTH}/me").status_code == 401
    signed_in.credentials()
    response = signed_in.post(f"{AUTH}/refresh", {"refresh_token": renewed["refresh_token"]})
    assert response.status_code == 401


def test_signing_out_leaves_the_other_device_signed_in(signed_in: APIClient, user: User) -> None:
    other = services.sign_in(email=user.email, password=PASSWORD, now=timezone.now())
    signed_in.post(f"{AUTH}/logout")
    signed_in.credentials(HTTP_AUTHORIZATION=f"Bearer {other.access_token}")
    assert signed_in.get(f"{AUTH}/me").status_code == 200


def test_nobody_signs_out_without_a_token(api_client: APIClient) -> None:
    assert api_client.post(f"{AUTH}/logout").status_code == 401


def test_an_oauth_client_cannot_sign_its_user_out(api_client: APIClient, user: User, issue: Issue) -> None:
    raw = issue(user.pk, client_id="app", scope=["profile"])
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    assert api_client.post(f"{AUTH}/logout").status_code == 403


def test_me_tells_roles_and_permissions(signed_in: APIClient, user: User) -> None:
    create_role(name="reader", permissions=["accounts.view_user"])
    user.assign_role("reader")
    body = signed_in.get(f"{AUTH}/me").json()
    assert (body["id"], body["email"], body["name"]) == (str(user.pk), user.email, "Ada")
    assert (body["roles"], body["permissions"]) == (["reader"], ["accounts.view_user"])
    assert body["email_verified_at"] is not None
    assert "password" not in body


@pytest.mark.compliance("ASVS 5.0", "8.2.3", "Fields are shown to those alone who may see them")
def test_me_tells_an_oauth_client_what_the_consent_page_says_and_no_more(
    api_client: APIClient, user: User, issue: Issue
) -> None:
    raw = issue(user.pk, client_id="app", scope=["profile", "users:read"])
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    body = api_client.get(f"{AUTH}/me").json()
    assert set(body) == {"id", "email", "name", "email_verified_at"}
    assert (body["id"], body["email"], body["name"]) == (str(user.pk), user.email, user.name)


def test_the_schema_requires_of_me_what_every_token_gets(api_client: APIClient) -> None:
    schemas = api_client.get(reverse("schema"), headers={"Accept": "application/json"}).json()["components"]["schemas"]
    assert schemas["Me"]["required"] == ["email", "email_verified_at", "id", "name"]
    assert {"roles", "permissions", "is_staff"} < set(schemas["Me"]["properties"])


def test_me_costs_three_queries(signed_in: APIClient, django_assert_num_queries: QueryCount) -> None:
    with django_assert_num_queries(3):  # the token's user, and the permissions directly and by role
        signed_in.get(f"{AUTH}/me")


def test_me_opens_to_oauth_with_the_scope_profile_alone(api_client: APIClient, user: User, issue: Issue) -> None:
    statuses = []
    for scope in (["profile"], ["users:read"], []):
        raw = issue(user.pk, client_id="app", scope=scope)
        api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        statuses.append(api_client.get(f"{AUTH}/me").status_code)
    assert statuses == [200, 403, 403]


def test_me_is_for_users_and_not_for_clients(api_client: APIClient, issue: Issue) -> None:
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue('app', client_id='app', scope=['profile'])}")
    assert api_client.get(f"{AUTH}/me").status_code == 403


def test_the_list_of_users_needs_the_permission(signed_in: APIClient, user: User) -> None:
    assert signed_in.get("/api/v1/users").status_code == 403
    may_view_users(user)
    assert signed_in.get("/api/v1/users").status_code == 200
    signed_in.credentials()
    assert signed_in.get("/api/v1/users").status_code == 401


def test_the_list_of_users_needs_the_scope_as_well(api_client: APIClient, user: User, issue: Issue) -> None:
    may_view_users(user)
    statuses = []
    for scope in (["users:read"], ["profile"]):
        raw = issue(user.pk, client_id="app", scope=scope)
        api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        statuses.append(api_client.get("/api/v1/users").status_code)
    assert statuses == [200, 403]


def test_a_client_of_its_own_gets_no_list_of_users(api_client: APIClient, issue: Issue) -> None:
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue('app', client_id='app', scope=['users:read'])}")
    assert api_client.get("/api/v1/users").status_code == 403


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_of_users_costs_the_same_for_any_number(
    signed_in: APIClient, user: User, count: int, django_assert_num_queries: QueryCount
) -> None:
    may_view_users(user)
    create_role(name="reader")
    for number in range(count):
        User.objects.create_user(f"user{number}@example.com").assign_role("reader")
    with django_assert_num_queries(6):  # the caller, its permissions, the count, the page, roles of Django and others
        body = signed_in.get("/api/v1/users").json()
    assert (body["count"], body["results"][-1]["roles"]) == (count + 1, ["reader"])


@pytest.mark.parametrize("query", ["page=2", "page=9999999999999999999999"])
def test_a_page_that_does_not_exist_is_answered_404(signed_in: APIClient, user: User, query: str) -> None:
    may_view_users(user)
    response = signed_in.get(f"/api/v1/users?{query}")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
