"""Jobs in Redis as RQ's own tools and workers meet them. Collected where the run has a Redis only."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import django_rq
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue
from rq.job import Job as RQJob
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from jobs.batch import batch
from jobs.chain import chain
from jobs.drivers.base import Burial, Claim, get_driver
from jobs.drivers.redis import RedisDriver
from jobs.models import Batch, FailedJob
from jobs.services import forget_failed_job, retry_failed_job
from tests.jobs.conftest import empty
from tests.jobs.sample_jobs import FailingJob, HopelessJob, MemberJob, NoteJob, SelfishJob, read_lines
from tests.jobs.steps import claim_next, claim_one, drain, worker_environment
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = "/admin/django_rq/dashboard/"
DAY = timedelta(days=1)
BURIAL = Burial(attempts=3, exception="ValueError: x", traceback="the traceback", failed_at=timezone.now())

STOCK_WORKERS = {
    "rqworker": [sys.executable, "manage.py", "rqworker", "--burst"],
    "rq worker": [
        sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", django_settings.REDIS_URL,
        "--worker-class", "rq.SimpleWorker", "--serializer", "json",
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _redis(settings: Settings, transactional_db: None) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    empty("redis")


@pytest.fixture
def server() -> Redis:
    return django_rq.get_connection("default")


@pytest.fixture
def driver() -> RedisDriver:
    driver = get_driver("redis")
    assert isinstance(driver, RedisDriver)
    return driver


@pytest.fixture
def queue(server: Redis) -> Queue:
    return Queue("default", connection=server, serializer=JSONSerializer)


def note(path: Path, text: str = "done") -> NoteJob:
    return NoteJob(str(path), text)


def dispatch(path: Path, text: str = "done", *, delay: float = 0, priority: int = 0) -> UUID:
    return note(path, text).on_queue("default").delay_until(delay).with_priority(priority).dispatch()


def run(*command: str) -> str:
    """Run a program of RQ's to its end; return what it says."""
    done = subprocess.run(
        command, cwd=ROOT, env=worker_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def work_off(*queues: str, by: str = "rqworker") -> str:
    """Let a worker of RQ's run what is due."""
    return run(*STOCK_WORKERS[by], *(queues or ("default",)))


def fill(path: Path) -> Claim:
    """Put one job into each state: two waiting, one delayed, one running, one failed. Return the running one."""
    HopelessJob().on_queue("default").dispatch()
    drain("default")
    dispatch(path, "running")
    claim = claim_one("default")
    dispatch(path)
    dispatch(path)
    dispatch(path, delay=3600)
    return claim


# --- Tools -----------------------------------------------------------------------------------------------------------


def test_rq_info_counts_our_jobs(tmp_path: Path) -> None:
    fill(tmp_path / "n")
    dispatch(tmp_path / "n", priority=7)
    shown = run(sys.executable, "-m", "rq.cli", "info", "--raw", "--only-queues", "--url", django_settings.REDIS_URL)
    lines = [line.split() for line in shown.splitlines()]
    counts = {line[1]: line[2].strip(",") for line in lines if line[:1] == ["queue"]}
    assert counts["default"] == "2"
    assert counts["default:p7"] == "1"


def test_rqstats_counts_our_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "n")
    call_command("rqstats", "--json")
    (figures,) = [one for one in json.loads(capsys.readouterr().out)["queues"] if one["name"] == "default"]
    names = ("jobs", "started_jobs", "scheduled_jobs", "failed_jobs")
    assert [figures[name] for name in names] == [2, 1, 1, 1]


def test_rqs_objects_read_our_jobs(tmp_path: Path, queue: Queue) -> None:
    job_id = dispatch(tmp_path / "n")
    job = queue.fetch_job(str(job_id))
    assert job is not None
    assert (job.func_name, job.description, job.origin) == ("jobs.rq_entry.perform", "tests.NoteJob", "default")
    assert job.get_status() == "queued"
    assert job.created_at is not None
    assert abs(job.created_at - timezone.now()) < timedelta(minutes=1)
    claim_one("default")
    job.refresh()
    assert (job.get_status(), job.worker_name) == ("started", "test")
    assert job.started_at is not None
    assert abs(job.started_at - timezone.now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("", 0),
        ("queues/{0}/", 2),
        ("queues/{0}/scheduled/", 1),
        ("queues/{0}/failed/", 1),
        ("workers/{0}/", 0),
    ],
)
def test_the_pages_of_django_rq_show_our_jobs(client: Client, tmp_path: Path, address: str, count: int) -> None:
    fill(tmp_path / "n")
    client.force_login(get_user_model().objects.create_superuser(email="r@example.com", name="R", password="x" * 20))
    number = sorted(django_settings.RQ_QUEUES).index("default")
    response = client.get(PAGES + address.format(number))
    assert response.status_code == 200
    assert response.content.decode().count("jobs.rq_entry.perform") == count


def test_the_page_of_started_jobs_shows_ours(client: Client, tmp_path: Path) -> None:
    claim = fill(tmp_path / "n")
    client.force_login(get_user_model().objects.create_superuser(email="r@example.com", name="R", password="x" * 20))
    number = sorted(django_settings.RQ_QUEUES).index("default")
    assert str(claim.lease_id) in client.get(f"{PAGES}queues/{number}/started/").content.decode()


def test_rqs_tools_show_why_a_job_failed(driver: RedisDriver, queue: Queue, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n")
    driver.bury(claim_one("default"), BURIAL)
    job = queue.fetch_job(str(job_id))
    assert job is not None
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == "the traceback"


@pytest.mark.parametrize("address", ["", "queues/0/", "workers/0/"])
@pytest.mark.parametrize("is_known", [False, True])
def test_the_pages_of_django_rq_are_for_staff(client: Client, address: str, is_known: bool) -> None:
    if is_known:
        client.force_login(get_user_model().objects.create_user(email="u@example.com", name="U", password="x" * 20))
    response = client.get(PAGES + address)
    assert response.status_code == 302
    assert "login" in response["Location"]


def test_the_figures_of_django_rq_are_for_staff(client: Client) -> None:
    assert client.get(f"{PAGES}stats.json").status_code == 401


# --- RQ's maintenance ------------------------------------------------------------------------------------------------


def clean_all(server: Redis) -> None:
    """Let RQ clean its registries, as its workers and pages do, at a time when everything has expired."""
    for kind in (StartedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry):
        registry = kind("default", connection=server, serializer=JSONSerializer)
        registry.cleanup(timestamp=time.time() + 10 * DAY.total_seconds())
        assert len(registry) >= 0


def test_rqs_cleanup_leaves_a_running_job_to_its_worker(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n")
    claim = claim_one("default")
    clean_all(server)
    assert driver.measure()["default"].running == 1
    assert len(StartedJobRegistry("default", connection=server)) == 1
    assert driver.finish(claim)
    assert len(StartedJobRegistry("default", connection=server)) == 0


def test_rqs_cleanup_leaves_a_lapsed_job_to_our_workers(server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n")
    claim = claim_one("default")
    clean_all(server)
    assert claim_one("default", now=claim.lease_expires_at).attempts == 2


def test_nothing_of_a_job_that_is_done_stays(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n", priority=3)
    driver.finish(claim_one("default"))
    assert not [key for key in server.scan_iter() if str(job_id).encode() in key]


def test_jobs_of_others_in_our_queues_are_left_to_them(queue: Queue, tmp_path: Path) -> None:
    foreign = queue.enqueue("os.getpid")
    dispatch(tmp_path / "n")
    assert claim_one("default").job_class == "tests.NoteJob"
    assert claim_next("default") is None
    assert queue.job_ids == [foreign.id]


def test_a_job_that_rqs_tools_deleted_is_passed_over(queue: Queue, server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n", "deleted")
    dispatch(tmp_path / "n", "left")
    server.delete(f"rq:job:{job_id}")
    assert claim_one("default").job_id != job_id
    assert claim_next("default") is None


# --- Failed jobs -----------------------------------------------------------------------------------------------------


def fail(driver: RedisDriver, path: Path, *, priority: int = 0) -> UUID:
    job_id = dispatch(path, priority=priority)
    assert driver.bury(claim_one("default"), BURIAL)
    return job_id


def test_a_failed_job_is_in_rqs_registry_until_it_is_retried(
    driver: RedisDriver, server: Redis, tmp_path: Path
) -> None:
    job_id = fail(driver, tmp_path / "n", priority=2)
    registry = FailedJobRegistry("default", connection=server)
    assert registry.get_job_ids() == [str(job_id)]
    retry_failed_job(job_id=job_id)
    assert registry.get_job_ids() == []
    assert drain("default") == 1
    assert FailedJob.objects.get().recovered_at is not None


def test_a_failed_job_leaves_rqs_registry_when_it_is_forgotten(
    driver: RedisDriver, server: Redis, tmp_path: Path
) -> None:
    job_id = fail(driver, tmp_path / "n")
    forget_failed_job(job_id=job_id)
    assert FailedJobRegistry("default", connection=server).get_job_ids() == []
    assert not server.exists(f"rq:job:{job_id}")


def test_a_failed_job_that_rqs_tools_put_back_runs_with_new_tries(
    driver: RedisDriver, server: Redis, tmp_path: Path
) -> None:
    job_id = fail(driver, tmp_path / "n")
    FailedJobRegistry("default", connection=server, serializer=JSONSerializer).requeue(str(job_id))
    assert claim_one(now=timezone.now()).attempts == 1


# --- RQ's workers ----------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_worker_of_rqs_runs_a_job(server: Redis, tmp_path: Path, by: str) -> None:
    job_id = dispatch(tmp_path / "notes", "one")
    dispatch(tmp_path / "notes", "two")
    said = work_off(by=by)
    assert read_lines(tmp_path / "notes") == ["one", "two"]
    assert "rror" not in said
    assert get_driver().measure() == {}
    assert not [key for key in server.scan_iter() if str(job_id).encode() in key]


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_worker_of_rqs_tries_a_job_as_often_as_it_may(server: Redis, tmp_path: Path, by: str) -> None:
    job_id = FailingJob(str(tmp_path / "failed"), "secret").on_queue("default").with_backoff(0).dispatch()
    said = work_off(by=by)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.attempts, failed.exception) == (job_id, 3, "ValueError: secret")
    assert read_lines(tmp_path / "failed") == ["ValueError: secret"]
    assert get_driver().measure() == {}
    assert FailedJobRegistry("default", connection=server).get_job_ids() == [str(job_id)]
    assert "secret" not in said


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_puts_a_job_back_for_a_later_try(server: Redis, tmp_path: Path) -> None:
    job_id = FailingJob(str(tmp_path / "failed")).on_queue("default").dispatch()
    work_off()
    assert ScheduledJobRegistry("default", connection=server).get_job_ids() == [str(job_id)]
    (stored,) = get_driver().list_jobs()
    assert (stored.attempts, stored.state) == (1, "delayed")
    assert timedelta(seconds=1) < stored.available_at - timezone.now() < timedelta(seconds=11)
    assert claim_one("default", now=timezone.now() + timedelta(seconds=12)).attempts == 2


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_runs_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    chain([note(path, "first"), note(path, "second")]).on_queue("default").dispatch()
    members = [MemberJob(str(path), "member") for _ in range(3)]
    batch(members).on_queue("default").then(note(path, "then").on_queue("default").get_job()).dispatch()
    work_off()
    lines = read_lines(path)
    assert sorted(lines) == ["first", "member", "member", "member", "second", "then"]
    assert lines.index("first") < lines.index("second")
    assert Batch.objects.get().finished_at is not None


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_takes_high_priorities_from_queues_of_their_own(tmp_path: Path) -> None:
    dispatch(tmp_path / "notes", "low")
    dispatch(tmp_path / "notes", "high", priority=9)
    run(*STOCK_WORKERS["rq worker"], "default:p9", "default")
    assert read_lines(tmp_path / "notes") == ["high", "low"]


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_record_that_was_changed_is_quarantined_by_a_worker_of_rqs(server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "notes", "as it was")
    record = server.hget(f"rq:job:{job_id}", "payload")
    assert record is not None
    server.hset(f"rq:job:{job_id}", "payload", record.replace(b"as it was", b"changed"))
    work_off()
    assert FailedJob.objects.get().is_quarantined
    assert not read_lines(tmp_path / "notes")


def take_as_rq_does(queue: Queue) -> RQJob:
    """Take a job from its list, and mark it, as a worker of RQ does before it calls the job."""
    found = Queue.dequeue_any([queue], None, connection=queue.connection, serializer=JSONSerializer)
    assert found is not None
    with queue.connection.pipeline() as pipeline:
        found[0].prepare_for_execution("theirs", pipeline=pipeline)
        pipeline.execute()
    return found[0]


def test_a_job_whose_rq_worker_died_is_tried_again(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    job_id = dispatch(tmp_path / "n")
    take_as_rq_does(queue)
    held = driver.adopt(job_id, worker="theirs")
    assert held is not None
    assert claim_next("default") is None
    clean_all(server)
    again = claim_one("default", now=held.lease_expires_at)
    assert (again.attempts, again.payload) == (2, held.payload)


def test_a_job_that_its_rq_worker_never_put_back_is_tried_again(
    driver: RedisDriver, queue: Queue, tmp_path: Path
) -> None:
    job_id = dispatch(tmp_path / "n")
    take_as_rq_does(queue)
    held = driver.adopt(job_id, worker="theirs")
    assert held is not None
    assert driver.release(held, available_at=timezone.now())
    assert claim_next("default") is None
    assert claim_one("default", now=timezone.now() + timedelta(minutes=2)).attempts == 2


def test_a_job_in_somebodys_hands_is_refused_to_a_worker_of_rqs(driver: RedisDriver, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n")
    claim_one("default")
    with pytest.raises(LookupError, match="held by another worker"):
        driver.adopt(job_id, worker="theirs")
    assert driver.adopt(uuid4(), worker="theirs") is None


# --- Cost ------------------------------------------------------------------------------------------------------------


def count_commands(server: Redis, act: Callable[[], object]) -> Sequence[str]:
    """Return the commands that reach the server while something is done; those within scripts don't count."""
    server.ping()  # it is connected now
    with django_rq.get_connection("default").monitor() as monitor:
        act()
        server.echo("the end")
        commands = []
        for one in monitor.listen():
            if one["command"] == "ECHO the end":
                return commands
            if one["client_type"] != "lua":
                commands.append(one["command"].split()[0].upper())
    return commands


def test_each_step_is_one_round_trip(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n", priority=1)  # the scripts are on the server now
    driver.finish(claim_one("default"))
    dispatch(tmp_path / "n")
    claims: list[Claim] = []
    assert count_commands(server, lambda: claims.append(claim_one("default"))) == ["EVALSHA"]
    assert count_commands(server, lambda: driver.release(claims[0], available_at=timezone.now())) == ["EVALSHA"]
    claims = [claim_one("default")]
    assert count_commands(server, lambda: driver.finish(claims[0])) == ["EVALSHA"]
    record = claims[0]
    assert record.attempts == 2
    sent = count_commands(server, lambda: dispatch(tmp_path / "n"))
    assert [one for one in sent if one != "TIME"] == ["EVALSHA"]


def test_what_a_job_raises_can_be_stored(driver: RedisDriver) -> None:
    SelfishJob().on_queue("default").dispatch()
    drain("default")
    assert FailedJob.objects.get().exception.startswith("ValueError")
