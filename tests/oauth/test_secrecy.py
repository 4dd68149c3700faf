"""Where no code, token or secret goes: tables, jobs, logs, events, exports, lists."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import Proof, export_account, open_api_session
from oauth.models import Application
from permissions import audit
from tests.accounts.test_receivers import read_database
from tests.oauth.devices import Device
from tests.oauth.flow import VERIFIER, Flow, Json

_SECRET_MEMBERS = {"access_token", "refresh_token", "id_token", "device_code", "user_code", "client_secret", "token"}
_ADMIN = "/admin/oauth/"
_LISTS = ["application", "accesstoken", "grant", "consent", "devicegrant", "personalaccesstoken"]


class _Secrets:
    """What the walk has met and nobody may find."""

    def __init__(self) -> None:
        self.found: list[str] = [VERIFIER]

    def note(self, answer: Json) -> Json:
        self.found += [value for name, value in answer.items() if name in _SECRET_MEMBERS and value]
        return answer

    def add(self, *values: str | None) -> None:
        self.found += [value for value in values if value]


@pytest.fixture
def owner(person: User) -> User:
    """The person, who may do everything with clients."""
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="oauth"))
    return person


def walk_code(flow: Flow, secrets: _Secrets, scope: str) -> None:
    """Go from the request to its end, once used twice and once well."""
    code = flow.get_code(scope=scope)
    tokens = secrets.note(flow.exchange(code).json())
    secrets.add(code, flow.secret)
    if "refresh_token" in tokens:
        secrets.note(flow.refresh(tokens["refresh_token"]).json())
    flow.call_api(tokens["access_token"])
    flow.post("/oauth/introspect", token=tokens["access_token"])
    flow.post("/oauth/introspect", token=code)
    flow.exchange(code)
    flow.post("/oauth/revoke", token=tokens["access_token"])
    waiting = flow.get_code(scope=scope)
    secrets.add(waiting)
    flow.exchange(waiting, code_verifier=VERIFIER[::-1])
    secrets.note(flow.get_tokens(scope=scope))


def walk_device(device: Device, secrets: _Secrets) -> None:
    codes = secrets.note(device.get_allowed())
    secrets.add(codes["user_code"].replace("-", ""))
    secrets.note(device.poll(codes["device_code"]).json())
    device.poll(codes["device_code"])
    secrets.note(device.get_codes())


def walk_clients(api: APIClient, browser: Client, secrets: _Secrets) -> None:
    """Make clients and secrets in each way."""
    body = {"name": "Shop", "client_type": "confidential", "grant_types": ["client_credentials"]}
    made = secrets.note(api.post("/api/v1/oauth/clients", body, format="json").json())
    address = f"/api/v1/oauth/clients/{made['client_id']}"
    secrets.note(api.post(f"{address}/secret", {"overlap_seconds": 60}, format="json").json())
    form = {**body, "name": "Store", "access_token_format": "opaque", "algorithm": "RS256"}
    page = browser.post("/accounts/clients/new/", form).content.decode()
    secrets.add(*re.findall(r'id="client-secret" value="([\w-]+)"', page))
    store = Application.objects.get(name="Store")
    for path in ("secret/", "secret/"):
        page = browser.post(f"/accounts/clients/{store.client_id}/{path}", {"overlap": "3600"}).content.decode()
        secrets.add(*re.findall(r'id="client-secret" value="([\w-]+)"', page))
    service = Flow(store.client_id, secrets.found[-1])
    secrets.note(service.post("/oauth/token", grant_type="client_credentials").json())
    service.post("/oauth/token", grant_type="client_credentials", client_secret="wrong")
    page = browser.post(
        "/accounts/tokens/new/", {"name": "Backup", "days": "30", "scopes": ["profile"]}
    ).content.decode()
    secrets.add(*re.findall(r'id="token" value="(\w+)"', page))


def list_pages(api: APIClient, browser: Client) -> Iterator[str]:
    """Read all that people and programs can list."""
    for path in ("/accounts/clients/", "/accounts/apps/", "/accounts/tokens/", "/accounts/security-events/"):
        yield browser.get(path).content.decode()
    for path in ("clients", "my-clients", "connections", "tokens"):
        yield api.get(f"/api/v1/oauth/{path}").content.decode()
    admin = Client()
    admin.force_login(get_user_model().objects.create(email="admin@example.com", is_staff=True, is_superuser=True))
    for model in _LISTS:
        page = admin.get(f"{_ADMIN}{model}/").content.decode()
        yield page
        for pk in re.findall(rf'href="{_ADMIN}{model}/([\w-]+)/change/', page):
            yield admin.get(f"{_ADMIN}{model}/{pk}/change/").content.decode()


@pytest.fixture
def flows(flow: Flow, web: Flow, rp: Flow, service: Flow) -> tuple[Flow, ...]:
    """Clients of each kind, but the device: public, with opaque tokens, of OpenID Connect, for itself."""
    Application.objects.filter(client_id=web.client_id).update(access_token_format="opaque")
    return flow, web, rp, service


@pytest.mark.compliance("RFC 9700", "4.9.3", "tokens are secrets, and are neither logged nor kept")
@pytest.mark.compliance("Security", "AC14", "no log, table, job, event, export or page holds a code, token or secret")
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)  # it walks every flow and reads every page
def test_no_secret_of_any_flow_is_kept_anywhere(
    flows: tuple[Flow, ...],
    device: Device,
    owner: User,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow, web, rp, service = flows
    secrets, browser, api = _Secrets(), Client(), APIClient()
    browser.force_login(owner)
    now = timezone.now()
    pair = open_api_session(proof=Proof(owner, now), now=now)
    secrets.add(pair.access_token, pair.refresh_token)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    walk_code(flow, secrets, "profile")
    walk_code(rp, secrets, "openid profile offline_access")
    walk_code(web, secrets, "profile")
    walk_device(device, secrets)
    secrets.add(service.secret)
    secrets.note(service.post("/oauth/token", grant_type="client_credentials").json())
    walk_clients(api, browser, secrets)
    places = {
        "tables and jobs": read_database(),
        "pages": "\n".join(list_pages(api, browser)),
        "events": str(list(audit.list_events().values())),
        "export": str(
            [list(part) if not isinstance(part, dict) else part for _, part in export_account(user=owner, now=now)]
        ),
        "log": "\n".join([caplog.text, *capfd.readouterr()]),
    }
    assert len(set(secrets.found)) > 30
    assert [(place, secret) for place, text in places.items() for secret in secrets.found if secret in text] == []


@pytest.mark.django_db
def test_a_command_prints_a_secret_and_logs_none(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    call_command("create_client", "Report", "--grant", "client_credentials")
    out, err = capfd.readouterr()
    found = re.search(r"client_secret: (\S+)", out)
    assert found is not None
    assert out.count(found[1]) == 1
    assert found[1] not in err + caplog.text + read_database()
