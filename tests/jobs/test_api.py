"""Jobs over HTTP: who may ask, and that nothing which is sent breaks it."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.tokens import issue_access_token
from jobs.models import FailedJob
from tests.jobs.api_calls import ALL, CHANGING, NOBODY, RIGHTS, ROOT, SEE, Operation, fields_of, let
from tests.jobs.api_calls import reader_fixture as _reader  # noqa: F401 - a fixture
from tests.jobs.api_calls import root_fixture as _root  # noqa: F401 - a fixture
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import drain

# --- Who may


@pytest.mark.django_db
@pytest.mark.parametrize("operation", ALL, ids=str)
def test_strangers_and_who_lacks_the_right_are_refused(operation: Operation, api_client: APIClient) -> None:
    assert operation.ask(api_client).status_code == 401
    for lacking in (SEE, operation.right):
        let(api_client, *RIGHTS - {lacking}, "jobs.view_failedjob", "jobs.view_payload")
        assert operation.ask(api_client).status_code == 403
    let(api_client, SEE, operation.right)
    assert operation.ask(api_client).status_code in {200, 204, 400, 404}


@pytest.mark.django_db
@pytest.mark.parametrize("operation", ALL, ids=str)
@pytest.mark.parametrize(("scope", "opened"), [("jobs:read", {"get"}), ("jobs:write", {"post", "delete"})])
def test_a_token_of_a_program_needs_the_scope_as_well(
    operation: Operation, scope: str, opened: set[str], api_client: APIClient
) -> None:
    owner = get_user_model().objects.create_superuser("root@example.com", "x")
    token = issue_access_token(
        subject=str(owner.pk), client_id="app", now=timezone.now(), lifetime=timedelta(minutes=5), scope=[scope]
    )
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert (operation.ask(api_client).status_code != 403) is (operation.method in opened)


@pytest.mark.django_db
@pytest.mark.parametrize("operation", ALL, ids=str)
def test_other_methods_are_not_allowed(operation: Operation, root: APIClient) -> None:
    here = {one.method for one in ALL if one.path == operation.path}
    for method in {"get", "post", "put", "patch", "delete"} - here:
        assert getattr(root, method)(f"{ROOT}{operation.path}").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("operation", [one for one in ALL if str(NOBODY) in one.path], ids=str)
def test_what_is_not_there_is_404(operation: Operation, root: APIClient) -> None:
    response = operation.ask(root)
    assert response.status_code == 404
    assert response.json()["code"].endswith("_not_found")


# --- What is sent


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "name"),
    [("", name) for name in ("queue", "connection", "class", "tag", "exception", "cursor")]
    + [("failed", name) for name in ("queue", "tag", "exception", "cursor")]
    + [("metrics", name) for name in ("queue", "connection", "class")],
)
@pytest.mark.parametrize("value", ["a\x00b", "é" * 1_000_000], ids=["NUL", "long"])
def test_what_no_job_can_be_called_is_refused(path: str, name: str, value: str, reader: APIClient) -> None:
    assert fields_of(reader.get(f"{ROOT}{path}", {name: value})) == {name}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "words", "field"),
    [
        ("", {"status": "lost"}, "status"),
        ("", {"limit": "0"}, "limit"),
        ("", {"limit": "201"}, "limit"),
        ("", {"since": "yesterday"}, "since"),
        ("", {"outcome": "gone"}, "outcome"),
        ("", {"batch": "1"}, "batch"),
        ("metrics", {"step": "61"}, "step"),
        ("metrics", {"step": "5400"}, "step"),
        ("metrics", {"since": "2000-01-01T00:00Z"}, "step"),
        ("metrics", {"since": "0001-01-01T00:00+14:00"}, "since"),
        ("metrics", {"until": "0001-01-01T00:00Z"}, "since"),
        ("metrics", {"since": "9999-12-31T23:59Z"}, "since"),
        ("batches", {"limit": "x"}, "limit"),
        ("schedules", {"limit": "0"}, "limit"),
    ],
)
def test_a_wrong_question_is_refused_with_its_field(
    path: str, words: dict[str, str], field: str, reader: APIClient
) -> None:
    assert fields_of(reader.get(f"{ROOT}{path}", words)) == {field}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("queues/pause", {}, "queue"),
        ("queues/pause", {"queue": 5}, "queue"),
        ("queues/pause", {"queue": "a b"}, "queue"),
        ("queues/pause", {"queue": "a\x00"}, "queue"),
        ("queues/pause", {"queue": "a" * 10_000}, "queue"),
        ("queues/pause", {"queue": "a", "connection": "nowhere"}, "connection"),
        ("queues/pause", {"queue": "a", "until": "2001-01-01T00:00Z"}, "until"),
        ("queues/resume", {"queue": "a\x00"}, "queue"),
        ("queues/resume", {"queue": "a", "connection": "sync"}, "connection"),
        ("workers/w/wish", {"wish": "restart"}, "wish"),
        ("failed/retry", {"continue": "x"}, "continue"),
        ("failed/retry", {"continue": "é\x00"}, "continue"),
        ("failed/retry", {"continue": "x" * 100_000}, "continue"),
        ("failed/discard", {"continue": "x", "queue": "a"}, "continue"),
        ("failed/discard", {"class": "a" * 100_000}, "class"),
        ("failed/discard", {"since": 5}, "since"),
        ("failed/discard", [], ""),
        ("failed/discard", {"job_class": "x"}, "job_class"),
        ("failed/retry", {"exeption": "x", "queue": "a"}, "exeption"),
        ("failed/retry", {"exeption": "x", "all": True}, "exeption"),
        ("failed/retry", {}, "all"),
        ("failed/discard", {}, "all"),
        ("failed/discard", {"all": False, "class": "", "outcome": "all"}, "all"),
        ("failed/discard", {"all": True, "class": "x"}, "all"),
        (f"batches/{NOBODY}/retry", {"exeption": "x"}, "exeption"),
    ],
)
def test_a_wrong_body_is_refused_with_its_field_and_changes_nothing(
    path: str, body: object, field: str, root: APIClient
) -> None:
    HopelessJob.dispatch()
    drain()
    assert fields_of(root.post(f"{ROOT}{path}", body)) == {field}
    assert FailedJob.objects.get().state == "failed"


@pytest.mark.django_db
@pytest.mark.parametrize("operation", [one for one in CHANGING if one.method == "post"], ids=str)
def test_a_body_of_many_megabytes_is_refused(operation: Operation, root: APIClient) -> None:
    response = operation.ask(root, {"queue": "a" * 5_000_000})
    assert response.status_code in {400, 404, 413}
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["%00", "a" * 5000, "a%2Fb", "%EF%BC%91", "../w"])
def test_a_worker_of_any_name_is_looked_for(name: str, root: APIClient) -> None:
    assert root.post(f"{ROOT}workers/{name}/wish", {"wish": "rest"}).status_code in {400, 404}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "failed", "batches", "schedules"])
@pytest.mark.parametrize("cursor", ["x", "WyJhIl0:abc", "é"])
def test_a_forged_cursor_is_refused(cursor: str, path: str, reader: APIClient) -> None:
    response = reader.get(f"{ROOT}{path}", {"cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")
