"""The audit log over HTTP."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from permissions import audit
from permissions.models import AuditEvent
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db
PATH = "/api/v1/audit"
ADA = audit.Reference("accounts.user", "ada", "ada@example.com")
BOB = audit.Reference("accounts.user", "5", "bob@example.com")
EDITOR = audit.Reference("permissions.role", "5", "Zoë's editors")


@pytest.fixture
def reader(superuser: User, api_client: APIClient) -> APIClient:
    """A client whose user may read the log; the log is empty."""
    api_client.force_authenticate(superuser)
    return api_client


@pytest.fixture
def four() -> None:
    """A log of four events."""
    audit.record("role.attached", actor=ADA, subject=BOB, client="web", roles=["editor", "Zoë"])
    audit.record("role.detached", actor=BOB, subject=ADA)
    audit.record("role.created", actor=ADA, subject=EDITOR)
    audit.record("user.signed_in", actor=BOB, subject=BOB, client="mobile", note='say "hi"')


def names(reader: APIClient, **query: str) -> list[str]:
    """Return the names of the events that a query finds."""
    response = reader.get(f"{PATH}?{urlencode(query)}")
    assert response.status_code == 200, response.content
    return [event["event"] for event in response.json()["results"]]


def test_an_event_is_shown_whole(reader: APIClient) -> None:
    audit.record("role.attached", actor=ADA, subject=EDITOR, client="web", roles=["editor"])
    audit.seal()
    event = AuditEvent.objects.get()
    listed: dict[str, Any] = reader.get(PATH).json()["results"][0]  # Any: JSON
    assert listed == {
        "id": event.pk,
        "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
        "event": "role.attached",
        "actor_id": "ada",
        "actor": "ada@example.com",
        "subject_type": "permissions.role",
        "subject_id": "5",
        "subject": "Zoë's editors",
        "client_id": "web",
        "ip_address": "",
        "request_id": "",
        "details": {"roles": ["editor"]},
        "position": 1,
        "hash": event.hash,
    }


def test_the_newest_event_comes_first(reader: APIClient, four: None) -> None:
    assert names(reader) == ["user.signed_in", "role.created", "role.detached", "role.attached"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"event": "role."}, ["role.created", "role.detached", "role.attached"]),
        ({"event": "role.created"}, ["role.created"]),
        ({"event": "ole"}, []),
        ({"event": "role_"}, []),
        ({"actor": "ada"}, ["role.created", "role.attached"]),
        ({"actor": "bob@example.com"}, ["user.signed_in", "role.detached"]),
        ({"subject": "5"}, ["user.signed_in", "role.created", "role.attached"]),
        ({"subject": "permissions.role:5"}, ["role.created"]),
        ({"client": "mobile"}, ["user.signed_in"]),
        ({"actor": "ada", "event": "role.a"}, ["role.attached"]),
        ({"q": "EDITOR"}, ["role.created", "role.attached"]),
        ({"q": "zoë"}, ["role.created", "role.attached"]),
        ({"q": '"hi"'}, ["user.signed_in"]),
        ({"q": "mobile"}, ["user.signed_in"]),
        ({"q": "bob detached"}, ["role.detached"]),
        ({"q": "100%"}, []),
        ({"q": "nothing"}, []),
        ({"q": "", "actor": "", "event": "", "subject": "", "client": ""}, ["user.signed_in", "role.created",
            "role.detached", "role.attached"]),
    ],
)  # fmt: skip
def test_the_list_is_narrowed(reader: APIClient, four: None, query: dict[str, str], found: list[str]) -> None:
    assert names(reader, **query) == found


def test_the_list_is_narrowed_to_a_span_of_time(reader: APIClient, four: None) -> None:
    now = timezone.now()
    past, future = ((now + timedelta(minutes=minutes)).isoformat() for minutes in (-5, 5))
    assert len(names(reader, since=past, until=future)) == 4
    assert names(reader, since=future) == []
    assert names(reader, until=past) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "since"),
        ({"q": "x" * 301}, "q"),
        ({"actor": "x" * 301}, "actor"),
        ({"page": "0"}, "page"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(reader: APIClient, query: dict[str, str], field: str) -> None:
    response = reader.get(f"{PATH}?{urlencode(query)}")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_page_costs_two_queries_however_many_events_there_are(
    reader: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(60):
        audit.record("thing.happened")
    with django_assert_num_queries(2):  # the count and the page; a superuser's rights cost none
        page = reader.get(PATH).json()
    assert (page["count"], len(page["results"])) == (60, 50)


def test_strangers_and_those_without_the_permission_read_nothing(user: User, api_client: APIClient) -> None:
    assert api_client.get(PATH).status_code == 401
    api_client.force_authenticate(user)
    assert api_client.get(PATH).status_code == 403


def test_the_permission_opens_the_list(make_user: MakeUser, api_client: APIClient) -> None:
    api_client.force_authenticate(make_user("permissions.view_auditevent"))
    assert api_client.get(PATH).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_over_http(reader: APIClient, method: str) -> None:
    assert getattr(reader, method)(PATH, {}).status_code == 405


@pytest.mark.parametrize(("scope", "status"), [(None, 200), (["audit:read"], 200), (["roles:read", "profile"], 403)])
def test_an_oauth_token_needs_the_scope_as_well(
    superuser: User, api_client: APIClient, scope: list[str] | None, status: int
) -> None:
    token = issue_access_token(
        subject=str(superuser.pk),
        client_id=FIRST_PARTY_CLIENT_ID if scope is None else "some-client",
        now=timezone.now(),
        lifetime=timedelta(minutes=5),
        scope=scope,
    )
    assert api_client.get(PATH, headers={"Authorization": f"Bearer {token}"}).status_code == status


def test_the_schema_says_what_is_required() -> None:
    operation = SchemaGenerator().get_schema(public=True)["paths"][PATH]["get"]
    assert operation["x-required-permissions"] == ["permissions.view_auditevent"]
    assert {"oauth2": ["audit:read"]} in operation["security"]
