"""What was stored by the first version of the tables works on with the newest."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import User
from oauth.models import AccessToken, Application, ClientSecret, Grant, RefreshToken
from oauth.tokens import make_secret
from project.crypto import keyed_digest
from tests.oauth.flow import REDIRECT_URI, Flow

type Historical = Any  # a model as a migration sees it has no type

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
_SECRET = make_secret()


@pytest.fixture
def first() -> Iterator[Historical]:
    """The apps as they were at the first migration; afterwards the tables are the newest again."""
    executor = MigrationExecutor(connection)
    newest = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "oauth"]
    executor.migrate([("oauth", "0001_initial")])
    try:
        yield MigrationExecutor(connection).loader.project_state([("oauth", "0001_initial")]).apps
    finally:
        MigrationExecutor(connection).migrate(newest)


def _migrate_to_newest() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([node for node in executor.loader.graph.leaf_nodes() if node[0] == "oauth"])


def _store(first: Historical, kind: str, *, grant_type: str, redirect_uris: str = "", **columns: object) -> Historical:
    """Store a client as the first version did: with one grant type and one digest of a secret."""
    known = first.get_model("oauth", "Application").objects
    client = known.create(
        name=f"{kind} {grant_type}",
        client_type=kind,
        authorization_grant_type=grant_type,
        redirect_uris=redirect_uris,
        allowed_scopes=["profile", "users:read"],
        **columns,
    )
    stored = f"client_secret$keyed${keyed_digest('client-secret', _SECRET)}" if kind == "confidential" else ""
    known.filter(pk=client.pk).update(client_secret=stored)  # past the field, which would hash it
    return client


def test_a_client_that_acts_for_itself_keeps_its_secret(first: Historical) -> None:
    old = _store(first, "confidential", grant_type="client-credentials", homepage_url="https://app.example/")
    _migrate_to_newest()
    client = Application.objects.get()
    assert (client.pk, client.client_id, client.grant_types) == (old.pk, old.client_id, ["client_credentials"])
    assert (client.access_token_format, client.algorithm) == ("jwt", "RS256")
    assert (client.homepage_url, client.allowed_scopes) == ("https://app.example/", ["profile", "users:read"])
    client.full_clean()
    service = Flow(client.client_id, _SECRET)
    assert service.post("/oauth/token", grant_type="client_credentials", scope="users:read").status_code == 200
    assert Flow(client.client_id, "guess").post("/oauth/token", grant_type="client_credentials").status_code == 401


@pytest.mark.parametrize("kind", ["public", "confidential"])
def test_a_client_that_acts_for_people_goes_on_doing_so(first: Historical, kind: str) -> None:
    old = _store(first, kind, grant_type="authorization-code", redirect_uris=REDIRECT_URI)
    person = User.objects.create_user("person@example.com", None, email_verified_at=timezone.now())
    _migrate_to_newest()
    client = Application.objects.get()
    client.full_clean()
    assert client.grant_types == ["authorization_code", "refresh_token"]
    assert ClientSecret.objects.count() == (1 if kind == "confidential" else 0)
    flow = Flow(old.client_id, _SECRET if kind == "confidential" else None)
    flow.browser.force_login(person)
    tokens = flow.get_tokens()
    assert flow.call_api(tokens["access_token"]) == 200
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


def test_codes_and_tokens_of_the_first_version_are_dead(first: Historical) -> None:
    person = User.objects.create_user("person@example.com", None, email_verified_at=timezone.now())
    client = _store(first, "public", grant_type="authorization-code", redirect_uris=REDIRECT_URI)
    common = {"application": client, "user_id": person.pk, "scope": "profile"}
    first.get_model("oauth", "Grant").objects.create(code="digest", expires=timezone.now(), **common)
    refresh = first.get_model("oauth", "RefreshToken").objects.create(
        token="", token_checksum="digest", expires=timezone.now(), **common
    )
    first.get_model("oauth", "AccessToken").objects.create(
        token="", token_checksum="digest", expires=timezone.now(), source_refresh_token=refresh, **common
    )
    _migrate_to_newest()
    assert Application.objects.count() == 1
    assert not Grant.objects.exists()
    assert not RefreshToken.objects.exists()
    assert not AccessToken.objects.exists()
