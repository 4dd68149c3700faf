"""Clients: how they are registered and seeded."""

import json

import pytest
from django.core.management import call_command

from oauth.exceptions import InvalidClientMetadata
from oauth.models import Application
from oauth.services import ensure_client, register_client, seed_clients
from tests.oauth.flow import Flow

BASE_URL = "http://127.0.0.1:8000"

pytestmark = pytest.mark.django_db

_GOOD = {
    "name": "App",
    "client_type": "public",
    "grant_types": ["authorization_code"],
    "redirect_uris": ["https://app.example/cb"],
    "allowed_scopes": ["profile"],
}


@pytest.mark.compliance("RFC 6749", "3.1.2.2", "who asks people must have registered where answers go")
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": " "}),
        ("client_type", {"client_type": "secret"}),
        ("grant_types", {"grant_types": ["implicit"], "redirect_uris": []}),
        ("grant_types", {"grant_types": []}),
        ("grant_types", {"grant_types": ["refresh_token"], "redirect_uris": []}),
        ("redirect_uris", {"redirect_uris": []}),
        ("redirect_uris", {"redirect_uris": ["http://app.example/cb"]}),
        ("allowed_scopes", {"allowed_scopes": ["introspection"]}),
        ("allowed_scopes", {"allowed_scopes": []}),
        ("client_type", {"grant_types": ["client_credentials"], "redirect_uris": []}),
        ("redirect_uris", {"grant_types": ["client_credentials"], "client_type": "confidential"}),
        ("client_id", {"client_id": "gatehouse"}),
        ("client_id", {"client_id": "a:b"}),
        ("client_id", {"client_id": ""}),
        ("homepage_url", {"homepage_url": "javascript:alert(1)"}),
    ],
)
def test_a_client_with_a_fault_is_refused_by_field(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidClientMetadata) as caught:
        register_client(**(_GOOD | changes))  # type: ignore[arg-type] # wrong values are the point
    assert field in caught.value.fields
    assert not Application.objects.exists()


def test_a_public_client_has_no_secret() -> None:
    assert register_client(**_GOOD).client_secret is None  # type: ignore[arg-type] # one dict for many types


def test_a_confidential_client_has_a_long_secret_that_repr_does_not_show() -> None:
    client = register_client(**(_GOOD | {"client_type": "confidential"}))  # type: ignore[arg-type] # as above
    assert client.client_secret is not None
    assert len(client.client_secret) >= 43
    assert client.client_secret not in repr(client)


def test_ensuring_a_client_twice_makes_one_and_tells_the_secret_once() -> None:
    values = _GOOD | {"client_type": "confidential"}
    first = ensure_client(**values)  # type: ignore[arg-type] # one dict for many types
    second = ensure_client(**values)  # type: ignore[arg-type] # as above
    assert first.application == second.application
    assert first.client_secret is not None
    assert second.client_secret is None


def test_ensuring_a_client_adds_the_redirect_uris_that_it_lacks() -> None:
    ensure_client(**_GOOD)  # type: ignore[arg-type] # one dict for many types
    ensure_client(**(_GOOD | {"redirect_uris": ["https://new.example/cb"]}))  # type: ignore[arg-type] # as above
    assert Application.objects.get().redirect_uris == "https://app.example/cb https://new.example/cb"


def test_the_seed_makes_a_public_and_a_confidential_client() -> None:
    docs, service = seed_clients(base_url=BASE_URL)
    assert docs.client_secret is None
    assert docs.application.redirect_uris.split() == [
        "http://127.0.0.1:8000/docs/oauth2-redirect",
        "http://localhost:8000/docs/oauth2-redirect",
        "http://127.0.0.1/callback",
    ]
    assert service.client_secret is not None
    assert service.application.allowed_scopes == ["users:read", "roles:read"]


@pytest.mark.parametrize("base_url", ["https://id.example.com", "http://testserver"])
def test_the_seed_knows_one_address_of_a_house_on_the_net(base_url: str) -> None:
    docs = seed_clients(base_url=base_url)[0].application
    assert docs.redirect_uris.split() == [f"{base_url}/docs/oauth2-redirect", "http://127.0.0.1/callback"]


def test_the_seeded_service_gets_tokens() -> None:
    service = seed_clients(base_url=BASE_URL)[1]
    flow = Flow(service.application.client_id, service.client_secret)
    assert flow.post("/oauth/token", grant_type="client_credentials", scope="users:read").status_code == 200


def test_the_command_seeds_once_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("db_seed_oauth2", "--json")
    first = json.loads(capsys.readouterr().out)["clients"]
    call_command("db_seed_oauth2", "--json")
    second = json.loads(capsys.readouterr().out)["clients"]
    assert [client["client_id"] for client in first] == [client["client_id"] for client in second]
    assert [client["client_secret"] is None for client in first] == [True, False]
    assert [client["client_secret"] for client in second] == [None, None]


def test_the_command_prints_a_line_for_each_client(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("db_seed_oauth2")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Gatehouse API docs", "Gatehouse demo service"]
