"""What is done to jobs, queues, workers and batches over HTTP."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from jobs.batch import batch
from jobs.models import FailedJob, WorkerHeartbeat
from jobs.queues import list_pauses
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer, plan_steering, record_heartbeat, seal_plan, steering
from permissions import audit
from tests.jobs.api_calls import ROOT, SEE, fields_of, let
from tests.jobs.api_calls import root_fixture as _root  # noqa: F401 - a fixture
from tests.jobs.batch_jobs import NOTES, StepJob, UniqueStepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import claim_one, drain, stored, stored_one


def fail(count: int = 1, *tags: str) -> list[UUID]:
    """Let so many jobs fail; return their ids."""
    ids = [HopelessJob().with_tags(*tags).dispatch() for _ in range(count)]
    drain()
    return ids


def told(event: str) -> list[str]:
    """Return who is recorded to have caused an event."""
    return list(audit.list_events(event=event).values_list("actor_label", flat=True))


# --- One job


def test_a_failed_job_is_put_back_once(root: APIClient, job_connection: str) -> None:
    (job_id,) = fail()
    assert root.post(f"{ROOT}{job_id}/retry").status_code == 204
    assert stored_one().job_id == job_id
    assert root.post(f"{ROOT}{job_id}/retry").json()["code"] == "failed_job_not_found"
    assert told("job.retry_by_hand") == ["root@example.com"]


def test_a_unique_job_of_which_another_waits_is_a_conflict(root: APIClient, job_connection: str) -> None:
    job_id = UniqueStepJob("broken").dispatch()
    drain()
    UniqueStepJob("broken").dispatch()
    response = root.post(f"{ROOT}{job_id}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "job_is_unique")


@pytest.mark.django_db
def test_a_job_whose_connection_is_gone_is_a_conflict(root: APIClient) -> None:
    (job_id,) = fail()
    FailedJob.objects.update(connection="gone")
    response = root.post(f"{ROOT}{job_id}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "connection_gone")


def test_a_failed_job_is_forgotten(root: APIClient, job_connection: str) -> None:
    first, second = fail(2)
    assert root.delete(f"{ROOT}{first}").status_code == 204
    assert FailedJob.objects.get().job_id == second
    assert root.delete(f"{ROOT}{first}").status_code == 404
    assert told("job.discard_by_hand") == ["root@example.com"]


def test_a_job_that_waits_is_cancelled_and_one_that_runs_is_not(
    root: APIClient, job_connection: str, tmp_path: Path
) -> None:
    first = NoteJob(str(tmp_path), "x").dispatch()
    assert root.post(f"{ROOT}{first}/cancel").status_code == 204
    assert stored() == []
    second = NoteJob(str(tmp_path), "x").dispatch()
    claim_one(now=timezone.now())
    response = root.post(f"{ROOT}{second}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "job_not_waiting")
    assert told("job.cancel_by_hand") == ["root@example.com"]


# --- Many jobs


def go_through(client: APIClient, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:  # Any (twice): JSON
    """Call until all is done; return each answer."""
    answers = []
    while True:
        response = client.post(f"{ROOT}{path}", body)
        assert response.status_code == 200, response.content[:500]
        answers.append(response.json())
        if answers[-1]["is_complete"]:
            assert answers[-1]["continue"] is None
            return answers
        body = {"continue": answers[-1]["continue"]}


@pytest.mark.parametrize("path", ["failed/retry", "failed/discard"])
def test_many_failed_jobs_are_done_step_by_step(
    path: str, root: APIClient, job_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(5, "green")
    fail(2, "red")
    monkeypatch.setattr(steering, "_AT_ONCE", 2)
    answers = go_through(root, path, {"tag": "green"})
    assert [(one["total"], one["done"], one["skipped"]) for one in answers] == [(5, 2, 0), (5, 4, 0), (5, 5, 0)]
    assert FailedJob.objects.filter(retried_at=None).count() == 2
    assert len(stored()) == (5 if path == "failed/retry" else 0)


def test_all_failed_jobs_are_meant_where_the_body_says_so(root: APIClient, job_connection: str) -> None:
    fail(3)
    (answer,) = go_through(root, "failed/discard", {"all": True})
    assert (answer["total"], answer["done"]) == (3, 3)


@pytest.mark.django_db
def test_what_is_answered_for_one_thing_opens_nothing_else(root: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(3)
    found = [batch([StepJob("broken") for _ in range(3)]).allow_failures().dispatch() for _ in range(2)]
    drain()
    monkeypatch.setattr(steering, "_AT_ONCE", 1)
    of_all = root.post(f"{ROOT}failed/retry", {"all": True}).json()["continue"]
    of_batch = root.post(f"{ROOT}batches/{found[0].id}/retry").json()["continue"]
    waiting = plan_steering(JobQuery(status=JobStatus.WAITING), Steer.DISCARD)
    for path, text in [
        ("failed/discard", of_all),
        ("failed/discard", seal_plan(waiting)),
        ("failed/retry", of_all[:-1]),
        (f"batches/{found[1].id}/retry", of_batch),
        (f"batches/{found[1].id}/retry", of_all),
    ]:
        assert fields_of(root.post(f"{ROOT}{path}", {"continue": text})) == {"continue"}
    assert root.post(f"{ROOT}batches/{found[0].id}/retry", {"continue": of_batch}).json()["done"] == 2


@pytest.mark.django_db
def test_a_right_that_is_lost_stops_what_has_begun(api_client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(3)
    monkeypatch.setattr(steering, "_AT_ONCE", 1)
    client = let(api_client, SEE, "jobs.delete_failedjob")
    text = client.post(f"{ROOT}failed/discard", {"all": True}).json()["continue"]
    assert let(api_client, SEE).post(f"{ROOT}failed/discard", {"continue": text}).status_code == 403
    assert FailedJob.objects.count() == 2


# --- Queues and workers


def test_a_queue_rests_and_goes_on(root: APIClient, job_connection: str) -> None:
    until = timezone.now() + timedelta(hours=1)
    body = {"queue": "imports", "connection": job_connection, "until": until.isoformat()}
    assert root.post(f"{ROOT}queues/pause", body).status_code == 204
    assert root.post(f"{ROOT}queues/pause", {"queue": "*"}).status_code == 204
    pauses = list_pauses(connection=job_connection)
    assert (pauses["imports"], pauses["*"]) == (until, None)
    (shown,) = (one for one in root.get(f"{ROOT}queues").json()["results"] if one["queue"] == "imports")
    assert (shown["is_paused"], datetime.fromisoformat(shown["paused_until"])) == (True, until)
    for queue in ("imports", "imports", "*", "never"):
        assert root.post(f"{ROOT}queues/resume", {"queue": queue}).status_code == 204
    assert list_pauses(connection=job_connection) == {}
    assert told("queue.") == ["root@example.com"] * 4


@pytest.mark.django_db
@pytest.mark.parametrize("wish", ["rest", "go_on", "stop"])
def test_a_worker_is_told(wish: str, root: APIClient) -> None:
    now = timezone.now()
    for name, minutes in [("eu/web 1:5", 1), ("dead", -1)]:
        record_heartbeat(
            name=name, queues=[], started_at=now, now=now, alive_until=now + timedelta(minutes=minutes),
            current_job_id=None,
        )  # fmt: skip
    assert root.post(f"{ROOT}workers/eu/web%201:5/wish", {"wish": wish}).status_code == 204
    assert WorkerHeartbeat.objects.get(name="eu/web 1:5").wish == wish
    assert root.post(f"{ROOT}workers/dead/wish", {"wish": wish}).json()["code"] == "worker_not_found"
    assert told("worker.") == ["root@example.com"]


# --- Batches


def test_a_batch_is_shown_with_its_jobs(root: APIClient, job_connection: str) -> None:
    found = batch([StepJob("broken"), StepJob("a"), StepJob("b")]).name("Album").allow_failures().dispatch()
    drain()
    batch([StepJob("c")]).dispatch()
    assert [one["state"] for one in root.get(f"{ROOT}batches").json()["results"]] == ["open", "ended_with_failures"]
    shown = root.get(f"{ROOT}batches/{found.id}").json()
    assert (shown["name"], shown["total_jobs"], shown["progress"]) == ("Album", 3, 67)
    assert shown["members"] == {"pending": 0, "processed": 2, "failed": 1, "retrying": 0, "skipped": 0}
    assert [one["error"] for one in shown["failed"]] == ["ValueError: broken"]


def test_what_failed_in_a_batch_is_put_back_and_nothing_else(root: APIClient, job_connection: str) -> None:
    found = batch([StepJob("broken1"), StepJob("broken2"), StepJob("a")]).allow_failures().dispatch()
    drain()
    fail(1)
    (answer,) = go_through(root, f"batches/{found.id}/retry", {})
    assert (answer["total"], answer["done"]) == (2, 2)
    assert root.get(f"{ROOT}batches/{found.id}").json()["members"]["retrying"] == 2
    assert len(stored()) == 2


def test_a_batch_is_cancelled_once_or_more(root: APIClient, job_connection: str) -> None:
    found = batch([StepJob("a")]).dispatch()
    for _ in range(2):
        shown = root.post(f"{ROOT}batches/{found.id}/cancel").json()
        assert (shown["state"], shown["id"]) == ("cancelled", str(found.id))
    assert NOTES == []
