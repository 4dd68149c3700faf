"""The figures at /metrics: who may read them, and what they say."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from prometheus_client.samples import Sample
from pytest_django import Settings

from jobs.drivers.base import get_driver
from jobs.models.metrics import BOUNDS
from jobs.models.queued import EVERY_QUEUE
from jobs.prometheus import render_metrics
from jobs.queues import pause_queue
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, record_heartbeat
from permissions.scope import use_team
from tests.articles.models import Team
from tests.jobs.messages import make, push
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import claim_one, drain

TOKEN = "a-token-of-more-than-32-characters-for-tests"
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "METRICS_TOKEN": TOKEN}


def sign_in(client: Client, *permissions: str) -> None:
    user = get_user_model().objects.create_user(email="p@example.com", name="P", password="x" * 20)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def read() -> list[Sample]:
    text = render_metrics(accept="")[1].decode()
    return [sample for family in parse_plain(text) for sample in family.samples]


def find(samples: Iterable[Sample], name: str, **labels: str) -> list[float]:
    """Return the values of a figure whose labels are these, among others."""
    return [
        one.value for one in samples if one.name == f"gatehouse_jobs_{name}" and labels.items() <= one.labels.items()
    ]


def value(name: str, **labels: str) -> float:
    (found,) = find(read(), name, **labels)
    return found


# --- Who may read them


@pytest.mark.django_db
def test_the_token_opens_the_figures_and_asks_for_no_session(client: Client) -> None:
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == HTTPStatus.OK
    assert response["Content-Type"].startswith("text/plain; version=")
    assert response["Cache-Control"] == "no-store"
    assert b"gatehouse_jobs_up{" in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer é"])
def test_no_other_token_opens_them_not_even_for_who_is_signed_in(client: Client, header: str) -> None:
    sign_in(client, "view_dashboard")
    response = client.get("/metrics", headers={"Authorization": header})
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["Bearer ", "Bearer"])
def test_where_no_token_is_set_none_opens_them(client: Client, settings: Settings, header: str) -> None:
    settings.JOBS = {**settings.JOBS, "METRICS_TOKEN": ""}
    assert client.get("/metrics", headers={"Authorization": header}).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.django_db
def test_who_may_view_the_dashboard_may_read_them_and_nobody_else(client: Client) -> None:
    assert client.get("/metrics").status_code == HTTPStatus.UNAUTHORIZED
    sign_in(client, "view_failedjob")
    refused = client.get("/metrics")
    assert (refused.status_code, refused["Cache-Control"]) == (HTTPStatus.FORBIDDEN, "no-store")
    get_user_model().objects.all().delete()
    sign_in(client, "view_dashboard")
    assert client.get("/metrics").status_code == HTTPStatus.OK


@pytest.mark.django_db
def test_what_one_may_in_a_team_alone_opens_no_figures(client: Client, settings: Settings) -> None:
    resolver = "permissions.middleware.team_from_header"
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team", "TEAM_RESOLVER": resolver}
    team = Team.objects.create(name="north")
    sign_in(client)
    with use_team(team):
        get_user_model().objects.get().give_permission_to("jobs.view_dashboard")
    refused = client.get("/metrics", headers={"X-Team": str(team.pk)})
    assert refused.status_code == HTTPStatus.FORBIDDEN
    get_user_model().objects.get().give_permission_to("jobs.view_dashboard")
    opened = client.get("/metrics", headers={"X-Team": str(team.pk)})
    assert opened.status_code == HTTPStatus.OK


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_they_are_read_and_nothing_else(client: Client, method: str) -> None:
    response = client.generic(method.upper(), "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.django_db
def test_openmetrics_is_answered_to_who_asks_for_it(client: Client) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/openmetrics-text; version=1.0.0"}
    fill_totals("q", "c")
    response = client.get("/metrics", headers=headers)
    assert response["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name: family.type for family in parse_openmetrics(response.content.decode())}  # type: ignore[no-untyped-call] # the library has no types here
    assert families["gatehouse_jobs_tries"] == "counter"
    assert families["gatehouse_jobs_run_seconds"] == "histogram"
    assert families["gatehouse_jobs_waiting"] == "gauge"


# --- What they say


def fill_totals(queue: str, job_class: str) -> None:
    figures = TryFigures(processed=3, released=2, failed=1, timed_out=1)
    for run in (0.004, 0.02, 0.02, 4.0, 4000.0, 0.2):
        figures.note_times(run=run, wait=run / 10)
    add_metrics(gathered={MetricKey(timezone.now(), "database", queue, job_class): figures})


def test_each_queue_tells_what_it_holds(job_connection: str) -> None:
    now = timezone.now()
    push("due", queue="a", at=now - 5 * MINUTE)
    push("due", queue="a", at=now - MINUTE)
    push("later", queue="a", at=now + MINUTE)
    push("run", queue="b", at=now - MINUTE)
    claim_one("b")
    here = {"connection": job_connection, "queue": "a"}
    assert (value("waiting", **here), value("delayed", **here), value("running", **here)) == (2, 1, 0)
    assert 299 <= value("oldest_wait_seconds", **here) < 330  # by the clock of the store
    there = {**here, "queue": "b"}
    assert (value("waiting", **there), value("running", **there)) == (0, 1)
    assert value("oldest_wait_seconds", **there) == 0
    assert value("up", connection=job_connection) == 1


def test_known_queues_that_are_empty_tell_zero(job_connection: str) -> None:
    assert value("waiting", connection=job_connection, queue="emails") == 0


def test_a_queue_that_rests_says_so_and_each_does_where_all_rest(job_connection: str) -> None:
    pause_queue("emails")
    assert value("paused", connection=job_connection, queue="emails") == 1
    assert value("paused", connection=job_connection, queue="default") == 0
    pause_queue(EVERY_QUEUE)
    assert value("paused", connection=job_connection, queue="default") == 1
    assert not find(read(), "paused", queue=EVERY_QUEUE)


def test_failed_jobs_count_until_they_are_put_back(job_connection: str) -> None:
    HopelessJob.dispatch()
    drain()
    assert value("failed_open", connection=job_connection, queue="default") == 1


@pytest.mark.django_db
def test_workers_are_counted_by_their_state() -> None:
    now = timezone.now()
    for name, life, report in (
        ("idle", MINUTE, WorkerReport(connection="database")),
        ("rests", MINUTE, WorkerReport(connection="database", is_resting=True)),
        ("dead", -MINUTE, WorkerReport(connection="database")),
        ("dead too", -MINUTE, WorkerReport(connection="database")),
    ):
        record_heartbeat(
            name=name, queues=[], started_at=now, now=now, alive_until=now + life, current_job_id=None, report=report
        )
    states = {one.labels["state"]: one.value for one in read() if one.name == "gatehouse_jobs_workers"
              and one.labels["connection"] == "database"}  # fmt: skip
    assert states == {"idle": 1, "busy": 0, "resting": 1, "stopping": 0, "dead": 2}


@pytest.mark.django_db
def test_tries_are_counted_by_their_end() -> None:
    fill_totals("q", "app.Job")
    here = {"connection": "database", "queue": "q", "job_class": "app.Job"}
    assert [value("tries_total", end=end, **here) for end in ("processed", "released", "failed")] == [3, 2, 1]
    assert value("tries_timed_out_total", **here) == 1


@pytest.mark.django_db
def test_histograms_count_all_that_took_no_longer_than_a_bound() -> None:
    fill_totals("q", "app.Job")
    samples = read()
    buckets = {
        one.labels["le"]: one.value for one in samples if one.name == "gatehouse_jobs_run_seconds_bucket"
    }  # fmt: skip
    assert [float(bound) for bound in buckets] == [*BOUNDS, float("inf")]
    assert [buckets[le] for le in ("0.005", "0.01", "0.025", "0.25", "5.0", "3600.0", "+Inf")] == [1, 1, 3, 4, 5, 5, 6]
    assert find(samples, "run_seconds_count") == [6]
    assert find(samples, "run_seconds_sum") == [pytest.approx(4004.244)]
    assert find(samples, "wait_seconds_sum") == [pytest.approx(400.4244)]


def test_what_waits_in_the_outbox_is_told_and_the_store_that_is_away_too(server: Server, client: Client) -> None:
    server.kill()
    NoteJob.dispatch("path", "text")
    assert value("up", connection="outbox") == 0
    assert value("up", connection="database") == 1
    assert value("outbox", connection="outbox") == 1
    assert value("outbox", connection="database") == 0
    assert value("outbox_oldest_wait_seconds", connection="outbox") > 0
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == HTTPStatus.OK


def test_a_store_that_stands_still_keeps_nobody_waiting_for_long(server: Server) -> None:
    assert value("up", connection="outbox") == 1
    with server.standing_still():
        started = timezone.now()
        assert value("up", connection="outbox") == 0
        assert timezone.now() - started < timedelta(seconds=4)
    assert value("up", connection="outbox") == 1


@pytest.mark.django_db
def test_a_database_that_is_away_is_told_of_and_asked_once() -> None:
    asked: list[str] = []

    def refuse(_execute: Callable[..., object], sql: str, *_arguments: object) -> object:
        asked.append(sql)
        message = "the server closed the connection"
        raise OperationalError(message)

    with connection.execute_wrapper(refuse):
        samples = read()
    assert find(samples, "database_up") == [0]
    assert find(samples, "up", connection="database") == [0]
    assert not find(samples, "workers")
    assert len(asked) == 1


@pytest.mark.django_db
def test_the_number_of_questions_does_not_grow_with_queues_and_classes() -> None:
    def count(number: int) -> int:
        for one in range(number):
            fill_totals(f"q{number}-{one}", f"c{one}")
            get_driver("database").push([make(queue=f"q{number}-{one}")])
        with CaptureQueriesContext(connection) as queries:
            read()
        return len(queries)

    assert count(1) == count(30) <= 8


HOSTILE = ["new\nline", 'quote"}', "back\\slash", "back\\nslash", "\x1b[31mred", "\u202eturned", "comma,{}=", "é"]


@pytest.mark.django_db
def test_names_of_strangers_are_labels_and_no_more(client: Client) -> None:
    for name in HOSTILE:
        fill_totals(name, name)
    for accept, parse in (("", parse_plain), ("application/openmetrics-text; version=1.0.0", parse_openmetrics)):
        text = render_metrics(accept=accept)[1].decode()
        samples = [one for family in parse(text) for one in family.samples]
        queues = [one.labels["queue"] for one in samples if one.name == "gatehouse_jobs_tries_timed_out_total"]
        assert len(set(queues)) == len(HOSTILE)
        assert all(queue.isprintable() for queue in queues)
        assert {"comma,{}=", "é", 'quote"}'} <= set(queues)


def test_a_name_without_measure_is_cut_and_stays_apart_from_others(job_connection: str) -> None:
    if job_connection == "database" and connection.vendor == "postgresql":
        pytest.skip("no such name fits into the column")
    for last in "ab":
        push(queue="x" * 1_000_000 + last)
    queues = [one.labels["queue"] for one in read() if one.name == "gatehouse_jobs_waiting" and one.value]
    assert len(set(queues)) == 2
    assert max(map(len, queues)) <= 200
