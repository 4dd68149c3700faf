"""Clients, and what they were given, in the admin."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from oauth.models import AccessToken, Application, ClientSecret, Consent, DeviceGrant, Grant, PersonalAccessToken
from oauth.services import RegisteredClient, renew_client_secret
from permissions import audit
from tests.oauth.flow import REDIRECT_URI, Flow

type Form = dict[str, Any]  # Any: as a browser sends it

_NEW: Form = {
    "name": "Shop",
    "client_type": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": "https://shop.example/cb\r\nhttp://127.0.0.1/cb",
    "allowed_scopes": ["profile", "users:read"],
    "access_token_format": "jwt",
    "algorithm": "RS256",
    "is_active": "on",
}
_ISSUED = ["accesstoken", "grant", "consent", "devicegrant", "personalaccesstoken"]


@pytest.fixture
def admin(db: None) -> Client:
    user = get_user_model().objects.create_superuser("admin@example.com", "correct horse battery")
    client = Client()
    client.force_login(user)
    return client


def make_staff(*codenames: str) -> Client:
    """Return the browser of a member of staff who has some rights and no other."""
    user = get_user_model().objects.create(email=f"{'-'.join(codenames) or 'none'}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="oauth", codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def show(admin: Client, path: str) -> str:
    """Return a page under a client's own address."""
    response = admin.get(path)
    assert response.status_code == 200, response
    return response.content.decode()


def at(application: Application, page: str) -> str:
    return f"/admin/oauth/application/{application.pk}/{page}/"


def find_secret(page: str) -> str:
    found = re.search(r"<code>([\w-]{43,})</code>", page)
    assert found is not None
    return found[1]


def test_a_new_clients_secret_is_shown_once(admin: Client) -> None:
    page = admin.post("/admin/oauth/application/add/", _NEW, follow=True).content.decode()
    application = Application.objects.get()
    secret = find_secret(page)
    assert Flow(application.client_id, secret).introspect("anything") == {"active": False}
    for path in ("/admin/oauth/application/", at(application, "change"), at(application, "secrets")):
        assert secret not in show(admin, path)


def test_a_public_client_gets_no_secret(admin: Client) -> None:
    page = admin.post("/admin/oauth/application/add/", _NEW | {"client_type": "public"}, follow=True)
    assert b"secret" not in page.content
    assert Application.objects.get().redirect_uris == "https://shop.example/cb http://127.0.0.1/cb"
    assert admin.get(at(Application.objects.get(), "secrets")).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": "http://shop.example/cb"},
        {"redirect_uris": "https://shop.example/cb#x"},
        {"redirect_uris": ""},
        {"allowed_scopes": ["unheard:of"]},
        {"allowed_scopes": []},
        {"grant_types": []},
        {"grant_types": ["implicit"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["client_credentials"], "client_type": "public", "redirect_uris": ""},
        {"allowed_resources": "not-an-address"},
        {"allowed_origins": "https://shop.example/path"},
        {"name": ""},
        {"redirect_uris": "https://shop.example/\x00"},
    ],
    ids=str,
)
def test_a_client_with_a_fault_is_not_stored(admin: Client, changes: Form) -> None:
    response = admin.post("/admin/oauth/application/add/", _NEW | changes)
    assert response.status_code == 200
    assert b"errorlist" in response.content
    assert not Application.objects.exists()


def test_addresses_are_stored_one_by_one_and_shown_one_per_line(admin: Client) -> None:
    resources = "https://api.example/\r\nhttps://other.example/"
    admin.post("/admin/oauth/application/add/", _NEW | {"allowed_resources": resources})
    application = Application.objects.get()
    assert application.allowed_resources == ["https://api.example/", "https://other.example/"]
    page = show(admin, at(application, "change"))
    assert "https://api.example/\nhttps://other.example/" in page
    assert "https://shop.example/cb\nhttp://127.0.0.1/cb" in page


def test_switching_a_client_off_ends_its_tokens(admin: Client, flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    form = {key: value for key, value in _NEW.items() if key not in {"is_active", "client_type"}}
    response = admin.post(at(Application.objects.get(), "change"), form)
    assert response.status_code == 302
    assert flow.call_api(token) == 401


def test_taking_a_scope_from_a_client_ends_the_tokens_that_hold_it(admin: Client, flow: Flow) -> None:
    token = flow.get_tokens(scope="profile roles:read")["access_token"]
    admin.post(at(Application.objects.get(), "change"), _NEW)
    assert flow.call_api(token) == 401


def test_the_kind_of_a_client_cannot_be_changed(admin: Client, flow: Flow) -> None:
    application = Application.objects.get()
    admin.post(at(application, "change"), _NEW)
    application.refresh_from_db()
    assert (application.name, application.client_type) == ("Shop", "public")


def test_deleting_a_client_kills_its_tokens_and_is_recorded(admin: Client, flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    response = admin.post(at(Application.objects.get(), "delete"), {"post": "yes"})
    assert response.status_code == 302
    assert flow.call_api(token) == 401
    assert audit.list_events(event="client.deleted").get().actor_label == "admin@example.com"


@pytest.mark.parametrize("overlap", [0, 3600, 86400, 604800])
def test_another_secret_takes_over_when_the_admin_says(
    admin: Client, confidential: RegisteredClient, overlap: int
) -> None:
    application = confidential.application
    page = admin.post(at(application, "secrets"), {"overlap": overlap}, follow=True).content.decode()
    old, new = (Flow(application.client_id, secret) for secret in (confidential.client_secret, find_secret(page)))
    assert new.introspect("anything") == {"active": False}
    assert old.post("/oauth/introspect", token="anything").status_code == (200 if overlap else 401)
    former = ClientSecret.objects.latest("-created_at")
    assert former.expires_at is not None
    assert abs(former.expires_at - timezone.now() - timedelta(seconds=overlap)) < timedelta(minutes=1)
    assert audit.list_events(event="client.secret_renewed").get().data == {"overlap_seconds": overlap}


@pytest.mark.parametrize("overlap", ["", "5", "-1", "x"])
def test_no_other_overlap_is_taken(admin: Client, confidential: RegisteredClient, overlap: str) -> None:
    response = admin.post(at(confidential.application, "secrets"), {"overlap": overlap})
    assert response.status_code == 200
    assert ClientSecret.objects.count() == 1


def test_a_secret_can_be_ended_at_once(admin: Client, confidential: RegisteredClient) -> None:
    application = confidential.application
    renewed = renew_client_secret(application=application, overlap=timedelta(days=1))
    former = ClientSecret.objects.latest("-created_at")
    admin.post(at(application, f"secrets/{former.pk}/end"))
    old, new = (Flow(application.client_id, secret) for secret in (confidential.client_secret, renewed.client_secret))
    assert old.post("/oauth/introspect", token="anything").status_code == 401
    assert new.post("/oauth/introspect", token="anything").status_code == 200
    assert audit.list_events(event="client.secret_ended").get().data == {"hint": former.hint}


def test_a_secret_of_another_client_is_not_found(admin: Client, confidential: RegisteredClient, service: Flow) -> None:
    other = ClientSecret.objects.get(application__client_id=service.client_id)
    assert admin.post(at(confidential.application, f"secrets/{other.pk}/end")).status_code == 404
    other.refresh_from_db()
    assert other.expires_at is None


def test_the_page_of_a_client_lists_its_secrets_to_look_at(admin: Client, confidential: RegisteredClient) -> None:
    secret = ClientSecret.objects.get()
    page = show(admin, at(confidential.application, "change"))
    assert secret.hint in page
    assert secret.digest not in page
    assert 'name="secrets-0-hint"' not in page
    assert 'name="secrets-0-DELETE"' not in page


def test_an_address_that_is_registered_is_accepted(admin: Client, flow: Flow) -> None:
    page = show(admin, at(Application.objects.get(), "redirect-test") + f"?uri={REDIRECT_URI}")
    assert "<h2>Accepted</h2>" in page


def test_an_address_that_differs_is_refused_with_the_difference(admin: Client, flow: Flow) -> None:
    page = show(admin, at(Application.objects.get(), "redirect-test") + f"?uri={REDIRECT_URI}/")
    assert "<h2>Refused</h2>" in page
    assert f'<pre class="client-difference">{REDIRECT_URI}<ins>/</ins>' in page
    assert flow.open(redirect_uri=f"{REDIRECT_URI}/").status_code == 400


def test_usage_tells_for_whom_the_client_acts_and_ends_it(admin: Client, flow: Flow, person: User) -> None:
    application = Application.objects.get()
    assert "<dd>never</dd>" in show(admin, at(application, "usage"))
    tokens = flow.get_tokens()
    page = show(admin, at(application, "usage"))
    assert page.count(person.email) == 2  # who consented; whose session lives
    assert "<dd>never</dd>" not in page
    assert admin.post(at(application, "revoke")).status_code == 302
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert audit.list_events(event="client.revoked").get().actor_label == "admin@example.com"


def issue_all(flow: Flow, person: User) -> dict[str, str]:
    """Give out one of each thing, and return what nobody may see of it."""
    application = Application.objects.get(client_id=flow.client_id)
    application.access_token_format = Application.AccessTokenFormat.OPAQUE
    application.save()
    tokens, now = flow.get_tokens(), timezone.now()
    code = flow.get_code()
    DeviceGrant.objects.create(
        application=application, user=person, device_code="d" * 64, user_code="u" * 64, expires=now, scope="profile"
    )
    PersonalAccessToken.objects.create(user=person, name="Backup", digest="p" * 64, hint="abcd")
    secrets = [tokens["access_token"], tokens["refresh_token"], code]
    rows = [
        *AccessToken.objects.values_list("token_checksum", flat=True),
        *Grant.objects.values_list("code", flat=True),
    ]
    return {str(place): value for place, value in enumerate([*secrets, *rows, "d" * 64, "u" * 64, "p" * 64])}


@pytest.mark.parametrize("model", ["application", *_ISSUED])
def test_lists_and_pages_show_no_secret(admin: Client, flow: Flow, person: User, model: str) -> None:
    hidden = issue_all(flow, person)
    models = (Application, AccessToken, Grant, Consent, DeviceGrant, PersonalAccessToken)
    keys = {str(row._meta.model_name): row.pk for row in (each._default_manager.latest("pk") for each in models)}
    for path in (f"/admin/oauth/{model}/?q=person", f"/admin/oauth/{model}/{keys[model]}/change/"):
        page = show(admin, path)
        assert not [secret for secret in hidden.values() if secret in page]


@pytest.mark.parametrize("model", _ISSUED)
def test_what_was_issued_cannot_be_made_changed_or_deleted_by_hand(
    admin: Client, flow: Flow, person: User, model: str
) -> None:
    issue_all(flow, person)
    assert admin.get(f"/admin/oauth/{model}/add/").status_code == 403
    page = show(admin, f"/admin/oauth/{model}/")
    assert 'value="revoke"' in page
    assert "delete_selected" not in page


@pytest.mark.parametrize("model", [AccessToken, Grant, Consent])
def test_revoking_in_the_list_ends_what_followed(
    admin: Client, flow: Flow, model: type[AccessToken | Grant | Consent]
) -> None:
    Application.objects.update(access_token_format="opaque")
    tokens = flow.get_tokens()
    path = f"/admin/oauth/{model._meta.model_name}/"
    form = {"action": "revoke", "_selected_action": str(model.objects.get().pk)}
    assert admin.post(path, form, follow=True).status_code == 200
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


def test_a_device_and_a_personal_token_are_revoked_in_their_lists(admin: Client, flow: Flow, person: User) -> None:
    issue_all(flow, person)
    for model in (DeviceGrant, PersonalAccessToken):
        form = {"action": "revoke", "_selected_action": str(model._default_manager.get().pk)}
        admin.post(f"/admin/oauth/{model._meta.model_name}/", form)
    assert DeviceGrant.objects.get().status == DeviceGrant.DENIED
    assert PersonalAccessToken.objects.get().revoked_at is not None
    assert audit.list_events(event="device.revoked").count() == 1
    assert audit.list_events(event="personal_token.revoked").count() == 1


def test_only_our_own_pages_are_there(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    shown = set(re.findall(r'href="/admin/oauth/(\w+)/"', page))
    assert shown == {"application", *_ISSUED}
    assert "/admin/oauth2_provider/" not in page


# What one may without the right to change (AU05)


@pytest.mark.parametrize("codenames", [(), ("view_application",), ("add_application",), ("delete_application",)])
@pytest.mark.parametrize("page", ["secrets", "revoke", "secrets/{}/end"])
def test_whoever_may_not_change_a_client_changes_nothing(
    confidential: RegisteredClient, codenames: tuple[str, ...], page: str
) -> None:
    path = at(confidential.application, page.format(ClientSecret.objects.get().pk))
    response = make_staff(*codenames).post(path, {"overlap": "0"})
    assert response.status_code == 403
    assert ClientSecret.objects.get().expires_at is None
    assert not audit.list_events(event="client.revoked").exists()


def test_whoever_may_only_make_clients_of_their_own_makes_none_here(db: None) -> None:
    maker = make_staff("add_application")
    assert maker.get("/admin/oauth/application/add/").status_code == 403
    assert maker.post("/admin/oauth/application/add/", _NEW | {"skip_authorization": "on"}).status_code == 403
    assert not Application.objects.exists()
    assert make_staff("add_application", "change_application").get("/admin/oauth/application/add/").status_code == 200


def test_whoever_may_see_a_client_sees_it_and_no_more(flow: Flow) -> None:
    viewer, application = make_staff("view_application"), Application.objects.get()
    assert viewer.get(at(application, "usage")).status_code == 200
    assert b'<form method="post" action="/admin/oauth' not in viewer.get(at(application, "usage")).content
    assert viewer.get(at(application, "redirect-test")).status_code == 200
    assert viewer.get(at(application, "secrets")).status_code == 403
    assert viewer.post(at(application, "change"), _NEW).status_code == 403
    assert make_staff().get(at(application, "usage")).status_code == 403


@pytest.mark.parametrize("model", _ISSUED)
def test_the_right_to_see_does_not_suffice_to_revoke(flow: Flow, person: User, model: str) -> None:
    issue_all(flow, person)
    rows = {"accesstoken": AccessToken, "grant": Grant, "consent": Consent, "devicegrant": DeviceGrant}
    row = rows.get(model, PersonalAccessToken)._default_manager.latest("pk")
    viewer = make_staff(f"view_{model}")
    before = list(type(row)._default_manager.values())
    viewer.post(f"/admin/oauth/{model}/", {"action": "revoke", "_selected_action": str(row.pk)})
    assert b'value="revoke"' not in viewer.get(f"/admin/oauth/{model}/").content
    assert list(type(row)._default_manager.values()) == before


@pytest.mark.parametrize("page", ["usage", "secrets", "revoke", "redirect-test"])
def test_a_client_that_is_not_there_is_not_found(admin: Client, page: str) -> None:
    ask = admin.post if page == "revoke" else admin.get
    assert ask(f"/admin/oauth/application/999/{page}/").status_code == 404


# No list asks once per row


def count_queries(admin: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert admin.get(path).status_code == 200
    return len(queries)


def test_no_list_and_no_page_asks_once_per_row(admin: Client, flow: Flow, person: User) -> None:
    issue_all(flow, person)
    application, now = Application.objects.get(), timezone.now()
    paths = [f"/admin/oauth/{model}/" for model in ("application", *_ISSUED)]
    paths += [at(application, page) for page in ("usage", "change")]
    few = [count_queries(admin, path) for path in paths for _ in range(2)][1::2]
    for place in range(5):
        user = get_user_model().objects.create(email=f"person-{place}@example.com")
        Consent.objects.create(user=user, application=application)
        Grant.objects.create(user=user, application=application, code=str(place), expires=now)
        AccessToken.objects.create(user=user, application=application, expires=now, token_checksum=str(place))
        DeviceGrant.objects.create(
            user=user, application=application, expires=now, user_code=str(place), device_code=str(place)
        )
        PersonalAccessToken.objects.create(user=user, name="More", digest=str(place))
        Application.objects.create(name=f"More {place}", user=user)
    many = [count_queries(admin, path) for path in paths]
    assert dict(zip(paths, many, strict=True)) == dict(zip(paths, few, strict=True))
    assert max(many) <= 15
