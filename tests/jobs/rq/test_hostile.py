"""Nonsense in Redis: set apart, kept and shown, while workers go on."""

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone
from redis import Redis

from jobs.drivers.base import get_driver
from jobs.models import FailedJob
from jobs.redis_scripts import OURS
from jobs.selectors import get_queue_health
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.rq.steps import dispatch
from tests.jobs.sample_jobs import read_lines
from tests.jobs.steps import claim_one, soon, stored

pytestmark = pytest.mark.django_db(transaction=True)


def _run_next(path: Path, *, tries: int) -> None:
    """Dispatch another job, and make sure that a worker gets to it and runs it alone."""
    dispatch(path, "next")
    assert Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run() == tries
    assert read_lines(path) == ["next"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", b"abc"),
        ("attempts", b"-1"),
        ("attempts", b"99999999999"),
        ("job_class", b"\xff"),
        ("job_class", b"x" * 5000),
        ("crashes", b"many"),
        ("crashes", b"-1"),
        ("crashes", b"99999999999"),
        ("due", b"soon"),
        ("due", b"1e300"),
        ("due", b"inf"),
        ("due", b"-1"),
        ("due", b"253402300800"),
        ("born", b"soon"),
        ("born", b".5"),
        ("sequence", b""),
        ("sequence", b"nan"),
    ],
)
def test_a_field_of_nonsense_is_set_apart_and_the_next_job_runs(
    field: str, value: bytes, server: Redis, tmp_path: Path
) -> None:
    job_id = dispatch(tmp_path / "n", "bad")
    server.hset(f"rq:job:{job_id}", field, value)
    (shown,) = stored()
    assert (shown.job_id, f"The field {field} holds" in shown.fault) == (job_id, True)
    (figures,) = get_driver().measure().values()
    assert (figures.waiting, figures.unreadable) == (1, field == "due")
    assert get_queue_health(now=timezone.now()).waiting_count == 1
    _run_next(tmp_path / "n", tries=2)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.is_quarantined) == (job_id, True)
    assert f"The field {field} holds" in failed.exception
    assert stored() == []


@pytest.mark.parametrize(
    "field", ["attempts", "job_class", "lease_id", "due", "sequence", "payload", "failure_ttl", "data", "queue"]
)
def test_a_field_that_is_missing_stops_nobody(field: str, server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n", "bad")
    server.hdel(f"rq:job:{job_id}", field)
    assert len(stored()) == (field != "job_class")
    assert len(get_driver().measure()) == 1
    dispatch(tmp_path / "n", "next")
    Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()
    assert "next" in read_lines(tmp_path / "n")


@pytest.mark.parametrize("value", [b"soon", b"inf", b""])
def test_a_lapsed_or_delayed_job_with_nonsense_stops_nobody(value: bytes, server: Redis, tmp_path: Path) -> None:
    held, delayed = dispatch(tmp_path / "n", "lapsed"), dispatch(tmp_path / "n", "delayed", delay=60)
    claim = claim_one("default")
    for job_id in (held, delayed):
        server.hset(f"rq:job:{job_id}", mapping={"due": value, "priority": value, "sequence": value, "lease_id": value})
    now = claim.lease_expires_at + timedelta(minutes=1)
    assert {one.job_id for one in (claim_one("default", now=now), claim_one("default", now=now))} == {held, delayed}


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "-5"])
def test_a_delayed_job_whose_time_is_none_is_shown_and_set_apart(score: str, server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n", "delayed", delay=60)
    server.zadd("rq:scheduled:default", {str(job_id): score})
    server.hset(f"rq:job:{job_id}", "due", score)
    (figures,) = get_driver().measure().values()
    assert (figures.waiting, figures.delayed, figures.unreadable, figures.oldest_due_at) == (1, 0, 1, None)
    (shown,) = stored()
    assert (shown.state, "The field due holds" in shown.fault) == ("waiting", True)
    _run_next(tmp_path / "n", tries=2)
    assert FailedJob.objects.get().is_quarantined


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "-5"])
def test_a_hold_whose_end_is_none_has_lapsed(score: str, server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n", "held")
    claim_one("default")
    server.zadd(f"{OURS}leases:default", {str(job_id): score})
    (figures,) = get_driver().measure().values()
    assert (figures.waiting, figures.running, figures.unreadable, figures.oldest_due_at) == (1, 0, 1, None)
    assert [job.state for job in stored()] == ["waiting"]
    assert claim_one("default").attempts == 2


def _push_foreign_id(server: Redis) -> str:
    for field in ("job_class", "data", "due", "sequence", "priority"):
        server.hset("rq:job:evil", field, "1")
    server.lpush("rq:queue:default", "evil")
    return "evil"


def _push_foreign_type(server: Redis) -> str:
    name = str(uuid4())
    server.set(f"rq:job:{name}", "no hash")
    server.lpush("rq:queue:default", name)
    return name


@pytest.mark.parametrize("push", [_push_foreign_id, _push_foreign_type])
def test_an_entry_that_is_no_job_is_kept_in_the_quarantine_and_logged(
    push: Callable[[Redis], str],
    server: Redis,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = push(server)
    assert get_driver().measure() == {}
    assert stored() == []
    with caplog.at_level(logging.ERROR):
        _run_next(tmp_path / "n", tries=1)
    assert server.lrange(f"{OURS}quarantine", 0, -1) == [name.encode()]
    assert server.exists(f"rq:job:{name}")
    call_command("queue_failed", set_apart=True)
    call_command("queue_failed", set_apart=True, connection="redis")
    assert capsys.readouterr().out == f"{name}\n" * 2
    call_command("queue_failed", set_apart=True, connection="database")
    assert capsys.readouterr().out == "Nothing was set apart.\n"
    assert "entry_set_apart" in caplog.text


@pytest.mark.parametrize(
    "key",
    [
        f"{OURS}leases:default", f"{OURS}returned:default", f"{OURS}lines:default", f"{OURS}paused",
        "rq:scheduled:default", "rq:wip:default", "rq:failed:default",
    ],
)  # fmt: skip
def test_a_key_of_another_type_is_renamed_and_jobs_run(key: str, server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n", "next")
    server.delete(key)
    server.set(key, "kept")
    for read in (get_driver().measure, get_driver().list_jobs, get_driver().list_pauses):
        read()
    assert Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run() == 1
    assert read_lines(tmp_path / "n") == ["next"]
    assert server.get(f"{OURS}quarantine:{key}") == b"kept"


@pytest.mark.parametrize(
    "key",
    [f"{OURS}leases:default", f"{OURS}returned:default", "rq:scheduled:default", "rq:wip:default", "rq:failed:default"],
)
def test_a_key_of_another_type_stops_nobody_who_has_done_a_job(key: str, server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n", "done")
    claim = claim_one("default")
    server.delete(key)
    server.set(key, "kept")
    next_id = dispatch(tmp_path / "n", "next")
    lost, claims = get_driver().exchange([claim], queues=["default"], worker="w", count=2, now=soon())
    assert (lost, [one.job_id for one in claims]) == (0, [next_id])
    assert server.get(f"{OURS}quarantine:{key}") == b"kept"
    assert not server.exists(f"rq:job:{claim.job_id}")


def test_names_of_nonsense_stop_nobody(server: Redis, tmp_path: Path) -> None:
    server.sadd(f"{OURS}queues", b"\xff")
    server.zadd(b"rq:scheduled:\xff", {"nobody": 5})
    assert list(get_driver().measure()) == ["\N{REPLACEMENT CHARACTER}"]
    server.hset(f"{OURS}paused", "default", "for ever")
    server.zadd(f"{OURS}lines:default", {"abc": 5, "1e300": 6, "-1": 7})
    _run_next(tmp_path / "n", tries=1)
    assert get_driver().measure() == {}
