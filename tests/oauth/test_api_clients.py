"""Clients over HTTP: those of all, and one's own."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import issue_access_token
from oauth.models import Application, ClientSecret
from oauth.services import RegisteredClient, renew_client_secret
from permissions import audit
from tests.oauth.flow import Flow

type Json = dict[str, Any]  # Any: as JSON has it

ALL, OWN = "/api/v1/oauth/clients", "/api/v1/oauth/my-clients"
_NEW: Json = {
    "name": "Shop",
    "client_type": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": ["https://shop.example/cb", "http://127.0.0.1/cb"],
    "allowed_scopes": ["profile", "users:read"],
}


def make_user(*codenames: str, email: str = "") -> User:
    """Return a user who has some rights about clients and no other."""
    user: User = get_user_model().objects.create(email=email or f"{'-'.join(codenames) or 'none'}@example.com")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="oauth", codename__in=codenames))
    return user


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def root(db: None) -> APIClient:
    """Who may do everything with clients."""
    return sign_in(make_user("view_application", "add_application", "change_application", "delete_application"))


@pytest.fixture
def owner(db: None) -> User:
    """Who may have clients."""
    return make_user("add_application", email="owner@example.com")


@pytest.fixture
def own(owner: User) -> APIClient:
    return sign_in(owner)


def ask(client: APIClient, method: str, path: str, body: Json | None = None) -> Any:  # Any: JSON, or nothing
    response = getattr(client, method)(path, body, format="json")
    assert response.status_code in {200, 201, 204}, response.content
    assert response["Cache-Control"] == "no-store"
    return response.json() if response.content else None


def refuse(client: APIClient, method: str, path: str, body: Json | None = None) -> tuple[int, list[str]]:
    """Return status and the fields to blame."""
    response = getattr(client, method)(path, body, format="json")
    assert response["Content-Type"] == "application/problem+json", response
    return response.status_code, sorted(error["field"] for error in response.json().get("errors", ()))


def can_authenticate(client_id: str, secret: str | None) -> bool:
    return Flow(client_id, secret).post("/oauth/introspect", token="anything").status_code == 200


@pytest.mark.parametrize("path", [ALL, OWN])
def test_a_new_client_answers_its_secret_once(root: APIClient, path: str) -> None:
    made = ask(root, "post", path, _NEW)
    assert can_authenticate(made["client_id"], made["client_secret"])
    assert made["redirect_uris"] == _NEW["redirect_uris"]
    shown = ask(root, "get", f"{ALL}/{made['client_id']}")
    assert "client_secret" not in shown
    assert made["client_secret"] not in str(shown)
    assert [secret["hint"] for secret in shown["secrets"]] == [made["client_secret"][:6]]
    maker = get_user_model().objects.get()
    assert audit.list_events(event="client.created").get().actor_id == str(maker.pk)


def test_a_public_client_gets_no_secret(root: APIClient) -> None:
    made = ask(root, "post", ALL, _NEW | {"client_type": "public"})
    assert made["client_secret"] is None
    assert made["secrets"] == []


@pytest.mark.parametrize("path", [ALL, OWN])
@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"redirect_uris": ["http://shop.example/cb"]}, ["redirect_uris"]),
        ({"redirect_uris": "https://shop.example/cb"}, ["redirect_uris"]),
        ({"redirect_uris": [7]}, ["redirect_uris.0"]),
        ({"redirect_uris": []}, ["redirect_uris"]),
        ({"grant_types": ["implicit"]}, ["grant_types.0"]),
        ({"grant_types": []}, ["grant_types", "redirect_uris"]),
        ({"allowed_scopes": ["unheard:of"]}, ["allowed_scopes"]),
        ({"allowed_origins": ["https://shop.example/path"]}, ["allowed_origins"]),
        ({"allowed_origins": ["https://[::::]"]}, ["allowed_origins"]),
        ({"name": " "}, ["name"]),
        ({"homepage_url": "javascript:alert(1)"}, ["homepage_url"]),
        ({"name": "", "redirect_uris": 7, "client_type": "other"}, ["client_type", "name", "redirect_uris"]),
        ({"client_id": "chosen"}, ["client_id"]),
        ({"client_secret": "chosen"}, ["client_secret"]),
        ({"user": 1}, ["user"]),
    ],
    ids=str,
)
def test_faults_are_told_by_field_and_nothing_is_stored(
    root: APIClient, path: str, changes: Json, fields: list[str]
) -> None:
    assert refuse(root, "post", path, _NEW | changes) == (400, fields)
    assert not Application.objects.exists()


def test_an_administrator_decides_all_of_it(root: APIClient, owner: User) -> None:
    decided = {"owner": str(owner.pk), "skip_authorization": True, "is_active": False}
    made = ask(root, "post", ALL, _NEW | decided | {"allowed_resources": ["https://api.example/"]})
    assert {name: made[name] for name in decided} == decided
    assert made["allowed_resources"] == ["https://api.example/"]
    changed = ask(root, "patch", f"{ALL}/{made['client_id']}", {"owner": None, "is_active": True, "name": "Store"})
    assert (changed["owner"], changed["is_active"], changed["name"]) == (None, True, "Store")
    assert changed["redirect_uris"] == _NEW["redirect_uris"]


@pytest.mark.compliance("Security", "AU05", "who may make clients of their own decides nothing that is an admin's")
@pytest.mark.parametrize(
    "changes",
    [
        {"owner": None},
        {"skip_authorization": True},
        {"is_active": True},
        {"allowed_resources": ["https://api.example/"]},
    ],
    ids=str,
)
def test_who_may_only_make_clients_decides_less(db: None, changes: Json) -> None:
    maker = sign_in(make_user("add_application"))
    assert refuse(maker, "post", ALL, _NEW | changes) == (400, list(changes))
    assert refuse(maker, "post", OWN, _NEW | changes) == (400, list(changes))
    assert not Application.objects.exists()


def test_who_may_only_make_clients_makes_none_that_takes_passwords(db: None) -> None:
    maker = sign_in(make_user("add_application"))
    assert refuse(maker, "post", ALL, _NEW | {"grant_types": ["password"]}) == (400, ["grant_types"])
    assert not Application.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": None},
        {"skip_authorization": True},
        {"is_active": True},
        {"allowed_resources": ["https://api.example/"]},
        {"grant_types": ["password"]},
    ],
    ids=str,
)
def test_not_even_an_administrator_decides_more_about_clients_of_their_own(root: APIClient, changes: Json) -> None:
    made = ask(root, "post", OWN, _NEW)
    before = Application.objects.values().get()
    assert refuse(root, "patch", f"{OWN}/{made['client_id']}", changes)[0] == 400
    assert Application.objects.values().get() == before


def test_the_type_of_a_client_is_fixed(root: APIClient) -> None:
    made = ask(root, "post", ALL, _NEW)
    path = f"{ALL}/{made['client_id']}"
    assert refuse(root, "patch", path, {"client_type": "public"}) == (400, ["client_type"])


def test_a_change_ends_what_the_client_may_no_longer_do(root: APIClient, flow: Flow) -> None:
    token = flow.get_tokens(scope="profile roles:read")["access_token"]
    ask(root, "patch", f"{ALL}/{flow.client_id}", {"allowed_scopes": ["profile"]})
    assert flow.call_api(token) == 401
    assert refuse(root, "patch", f"{ALL}/{flow.client_id}", {"redirect_uris": []}) == (400, ["redirect_uris"])


def test_a_deleted_client_is_gone_with_its_tokens(root: APIClient, flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    ask(root, "delete", f"{ALL}/{flow.client_id}")
    assert flow.call_api(token) == 401
    assert refuse(root, "get", f"{ALL}/{flow.client_id}")[0] == 404


@pytest.mark.parametrize("overlap", [0, 3600])
def test_another_secret_takes_over(root: APIClient, confidential: RegisteredClient, overlap: int) -> None:
    client_id = confidential.application.client_id
    answer = ask(root, "post", f"{ALL}/{client_id}/secret", {"overlap_seconds": overlap})
    assert can_authenticate(client_id, answer["client_secret"])
    assert can_authenticate(client_id, confidential.client_secret) is bool(overlap)
    assert len(answer["secrets"]) == 2


@pytest.mark.parametrize("overlap", [-1, 31 * 24 * 3600, "soon"])
def test_no_other_overlap_is_taken(root: APIClient, confidential: RegisteredClient, overlap: object) -> None:
    path = f"{ALL}/{confidential.application.client_id}/secret"
    assert refuse(root, "post", path, {"overlap_seconds": overlap}) == (400, ["overlap_seconds"])


def test_a_public_client_has_no_secret_to_renew(root: APIClient, flow: Flow) -> None:
    assert refuse(root, "post", f"{ALL}/{flow.client_id}/secret", {}) == (400, ["client_type"])


def test_a_secret_is_ended_at_once(root: APIClient, confidential: RegisteredClient, service: Flow) -> None:
    application = confidential.application
    renewed = renew_client_secret(application=application, overlap=timedelta(hours=1))
    first = ClientSecret.objects.filter(application=application).latest("-created_at")
    other = ClientSecret.objects.get(application__client_id=service.client_id)
    path = f"{ALL}/{application.client_id}/secrets"
    assert refuse(root, "delete", f"{path}/{other.pk}")[0] == 404
    ask(root, "delete", f"{path}/{first.pk}")
    assert not can_authenticate(application.client_id, confidential.client_secret)
    assert can_authenticate(application.client_id, renewed.client_secret)
    assert service.introspect("anything") == {"active": False}


# Who may what

_CALLS = [
    ("get", "", "view_application"),
    ("post", "", "add_application"),
    ("get", "/{0}", "view_application"),
    ("patch", "/{0}", "change_application"),
    ("delete", "/{0}", "delete_application"),
    ("post", "/{0}/secret", "change_application"),
    ("delete", "/{0}/secrets/{1}", "change_application"),
]
_RIGHTS = ["view_application", "add_application", "change_application", "delete_application"]


@pytest.mark.parametrize(("method", "path", "right"), _CALLS)
def test_each_call_takes_the_right_for_it_and_no_other(
    confidential: RegisteredClient, method: str, path: str, right: str
) -> None:
    secret = ClientSecret.objects.get()
    address = ALL + path.format(confidential.application.client_id, secret.pk)
    others = sign_in(make_user(*(other for other in _RIGHTS if other != right)))
    assert refuse(others, method, address, _NEW)[0] == 403
    assert refuse(APIClient(), method, address, _NEW)[0] == 401
    body = {"name": "Store"} if method == "patch" else {} if "secret" in path else _NEW
    ask(sign_in(make_user(right)), method, address, body)


@pytest.mark.parametrize(("method", "path", "right"), _CALLS)
def test_clients_of_others_are_not_there_for_an_owner(
    owner: User, confidential: RegisteredClient, method: str, path: str, right: str
) -> None:
    own = sign_in(owner)
    application, secret = confidential.application, ClientSecret.objects.get()
    address = OWN + path.format(application.client_id, secret.pk)
    assert refuse(sign_in(make_user("view_application", "change_application")), method, address, _NEW)[0] == 403
    body = {"name": "Store"} if method == "patch" else {} if "secret" in path else _NEW
    if path:
        assert refuse(own, method, address, body)[0] == 404
        assert Application.objects.get().name == "Example website"
        application.user = owner
        application.save()
    answer = ask(own, method, address, body)
    if not path and method == "get":
        assert answer["results"] == []


def test_what_an_owner_makes_is_theirs(own: APIClient, owner: User, root: APIClient) -> None:
    ask(root, "post", OWN, _NEW)
    made = ask(own, "post", OWN, _NEW | {"name": "Mine"})
    assert made["owner"] == str(owner.pk)
    assert [client["name"] for client in ask(own, "get", OWN)["results"]] == ["Mine"]
    assert len(ask(root, "get", ALL)["results"]) == 2


@pytest.mark.parametrize("path", [ALL, OWN])
def test_a_token_of_a_client_needs_the_scope_and_its_user_the_right(flow: Flow, person: User, path: str) -> None:
    def call(scope: str, method: str) -> int:
        token = issue_access_token(
            subject=str(person.pk),
            client_id=flow.client_id,
            scope=frozenset({scope}),
            lifetime=timedelta(minutes=5),
            now=timezone.now(),
        )
        response = APIClient().generic(
            method, path, json.dumps(_NEW), "application/json", headers={"Authorization": f"Bearer {token}"}
        )
        return int(response.status_code)

    assert call("clients:write", "POST") == 403
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="oauth"))
    assert [call(scope, "GET") for scope in ("profile", "clients:write", "clients:read")] == [403, 403, 200]
    assert [call(scope, "POST") for scope in ("profile", "clients:read", "clients:write")] == [403, 403, 201]


def test_a_client_that_acts_for_itself_gets_nowhere(service: Flow) -> None:
    Application.objects.update(allowed_scopes=["clients:read"])
    token = service.post("/oauth/token", grant_type="client_credentials", scope="clients:read").json()["access_token"]
    assert service.call_api(token, ALL) == 403
    assert service.call_api(token, OWN) == 403


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("path", [ALL, OWN])
def test_a_list_takes_as_many_queries_however_long_it_is(
    path: str, count: int, db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = make_user("view_application", "add_application")
    for place in range(count):
        application = Application.objects.create(name=f"Client {place:02}", user=user)
        ClientSecret.objects.create(application=application, digest=str(place))
    client = sign_in(user)
    with django_assert_num_queries(4):  # the caller's permissions; count, clients, their secrets
        page = ask(client, "get", f"{path}?page_size=25")
    assert (page["count"], len(page["results"])) == (count, min(count, 25))
