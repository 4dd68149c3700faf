"""The OpenAPI schema: valid, and true whatever a client sends."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.throttles import Door
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token

type AnyCase = schemathesis.Case[Any]  # Any: the operation's own parameters


@pytest.mark.django_db
def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


@pytest.fixture
def admin_token(live_server: LiveServer) -> str:
    """An access token that opens every door."""
    admin = get_user_model().objects.create_superuser("root@example.com", "a long enough password")
    return issue_access_token(
        subject=str(admin.pk), client_id=FIRST_PARTY_CLIENT_ID, now=timezone.now(), lifetime=timedelta(minutes=30)
    )


@pytest.fixture
def no_throttle(settings: Settings) -> None:
    """Let every generated request reach its view: an answer of 429 would show nothing."""
    unlimited = {"ADDRESS": None, "ACCOUNT": None, "PAIR": None}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {door.name: unlimited for door in Door}}


def test_an_address_that_a_client_may_lack_is_not_said_to_be_one() -> None:
    client = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]["Client"]["properties"]
    assert not any("format" in client[name] for name in ("homepage_url", "policy_uri", "tos_uri"))


schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))


@pytest.mark.http
@pytest.mark.timeout(120)
@schema.parametrize()
@hypothesis_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_no_input_gets_a_server_error_or_an_undocumented_answer(
    case: AnyCase, live_server: LiveServer, admin_token: str, no_throttle: None
) -> None:
    response = case.call(base_url=live_server.url, headers={"Authorization": f"Bearer {admin_token}"})
    assert response.status_code < 500
    assert response.status_code != 429
    case.validate_response(
        response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
    )
