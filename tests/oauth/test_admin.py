"""Clients and tokens in the admin."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from oauth.models import AccessToken, Application, Grant, RefreshToken
from tests.oauth.flow import Flow

_NEW = {
    "name": "Shop",
    "client_type": "confidential",
    "authorization_grant_type": "authorization-code",
    "redirect_uris": "https://shop.example/cb\r\nhttp://127.0.0.1/cb",
    "allowed_scopes": ["profile", "users:read"],
    "is_active": "on",
}


@pytest.fixture
def admin(db: None) -> Client:
    user = get_user_model().objects.create_superuser("admin@example.com", "correct horse battery")
    client = Client()
    client.force_login(user)
    return client


def test_a_new_clients_secret_is_shown_once(admin: Client) -> None:
    page = admin.post("/admin/oauth/application/add/", _NEW, follow=True).content.decode()
    found = re.search(r"<code>(\w{43,})</code>", page)
    application = Application.objects.get()
    assert found is not None
    flow = Flow(application.client_id, found[1])
    assert flow.introspect("anything") == {"active": False}
    assert found[1] not in admin.get(f"/admin/oauth/application/{application.pk}/change/").content.decode()
    assert found[1] not in admin.get("/admin/oauth/application/").content.decode()


def test_a_public_client_gets_no_secret(admin: Client) -> None:
    page = admin.post("/admin/oauth/application/add/", _NEW | {"client_type": "public"}, follow=True)
    assert b"secret" not in page.content
    assert Application.objects.get().redirect_uris == "https://shop.example/cb http://127.0.0.1/cb"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": "http://shop.example/cb"},
        {"redirect_uris": "https://shop.example/cb#x"},
        {"redirect_uris": ""},
        {"allowed_scopes": ["openid"]},
        {"allowed_scopes": []},
        {"authorization_grant_type": "password"},
        {"authorization_grant_type": "client-credentials"},
        {"name": ""},
        {"redirect_uris": "https://shop.example/\x00"},
    ],
)
def test_a_client_with_a_fault_is_not_stored(admin: Client, changes: dict[str, object]) -> None:
    response = admin.post("/admin/oauth/application/add/", _NEW | changes)
    assert response.status_code == 200
    assert b"errorlist" in response.content
    assert not Application.objects.exists()


def test_switching_a_client_off_ends_its_tokens(admin: Client, flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    application = Application.objects.get()
    form = {key: value for key, value in _NEW.items() if key not in {"is_active", "client_type"}}
    response = admin.post(f"/admin/oauth/application/{application.pk}/change/", form)
    assert response.status_code == 302
    assert flow.call_api(token) == 401


def test_taking_a_scope_from_a_client_ends_the_tokens_that_hold_it(admin: Client, flow: Flow) -> None:
    token = flow.get_tokens(scope="profile roles:read")["access_token"]
    admin.post(f"/admin/oauth/application/{Application.objects.get().pk}/change/", _NEW)
    assert flow.call_api(token) == 401


def test_the_kind_of_a_client_cannot_be_changed(admin: Client, flow: Flow) -> None:
    application = Application.objects.get()
    admin.post(f"/admin/oauth/application/{application.pk}/change/", _NEW)
    application.refresh_from_db()
    assert (application.name, application.client_type) == ("Shop", "public")


@pytest.mark.parametrize("model", ["application", "accesstoken", "refreshtoken", "grant"])
def test_lists_and_pages_show_no_secret(admin: Client, flow: Flow, model: str) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    pages = [admin.get(f"/admin/oauth/{model}/?q=person")]
    models = (Application, AccessToken, RefreshToken, Grant)
    keys = {str(row._meta.model_name): row.pk for row in (each._default_manager.latest("pk") for each in models)}
    pages.append(admin.get(f"/admin/oauth/{model}/{keys[model]}/change/"))
    stored = RefreshToken.objects.get().token_checksum
    for page in pages:
        assert page.status_code == 200
        for secret in (*tokens.values(), code, stored, Grant.objects.latest("pk").code):
            assert len(str(secret)) < 20 or str(secret) not in page.content.decode()


@pytest.mark.parametrize("model", ["accesstoken", "refreshtoken", "grant"])
def test_what_was_issued_cannot_be_made_changed_or_deleted_by_hand(admin: Client, flow: Flow, model: str) -> None:
    flow.get_tokens()
    assert admin.get(f"/admin/oauth/{model}/add/").status_code == 403
    page = admin.get(f"/admin/oauth/{model}/").content.decode()
    assert 'value="revoke"' in page
    assert "delete_selected" not in page


@pytest.mark.parametrize("model", [AccessToken, RefreshToken, Grant])
def test_revoking_in_the_list_ends_the_family(
    admin: Client, flow: Flow, model: type[AccessToken | RefreshToken | Grant]
) -> None:
    tokens = flow.get_tokens()
    path = f"/admin/oauth/{model._meta.model_name}/"
    form = {"action": "revoke", "_selected_action": str(model.objects.get().pk)}
    assert admin.post(path, form, follow=True).status_code == 200
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


def test_the_toolkits_other_tables_are_not_shown(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert "/admin/oauth/application/" in page
    assert "idtoken" not in page
    assert "devicegrant" not in page
