"""Jobs in Redis as RQ's own tools meet them."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from jobs.drivers.base import Burial, Claim
from jobs.drivers.failures import store_failure
from jobs.drivers.redis import RedisDriver
from jobs.models import FailedJob
from jobs.services import forget_one, retry_failed_job
from tests.jobs.rq.steps import clean_all, dispatch, fill, run
from tests.jobs.sample_jobs import SelfishJob
from tests.jobs.steps import claim_next, claim_one, drain, soon
from tests.redis_commands import list_commands

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = "/admin/django_rq/dashboard/"
DAY = timedelta(days=1)
BURIAL = Burial(attempts=3, exception="ValueError: x", traceback="the traceback", failed_at=timezone.now())

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
    assert abs(job.created_at - timezone.now()) < timedelta(minutes=1)
    claim_one("default")
    job = queue.fetch_job(str(job_id))
    assert job is not None
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
    forget_one(job_id=job_id)
    assert FailedJobRegistry("default", connection=server).get_job_ids() == []
    assert not server.exists(f"rq:job:{job_id}")


def test_a_failed_job_that_rqs_tools_put_back_runs_with_new_tries(
    driver: RedisDriver, server: Redis, tmp_path: Path
) -> None:
    job_id = fail(driver, tmp_path / "n")
    FailedJobRegistry("default", connection=server, serializer=JSONSerializer).requeue(str(job_id))
    assert claim_one(now=timezone.now()).attempts == 1


# --- Cost ------------------------------------------------------------------------------------------------------------


def name_commands(server: Redis, act: Callable[[], object]) -> list[str]:
    return [command.split()[0].upper() for command in list_commands(server, act)]


def test_each_step_is_one_round_trip(driver: RedisDriver, server: Redis, tmp_path: Path) -> None:
    dispatch(tmp_path / "n", priority=1)
    driver.release(claim_one("default"), available_at=timezone.now())
    driver.finish(claim_one("default"))  # the scripts are on the server now
    dispatch(tmp_path / "n")
    claims: list[Claim] = []
    assert name_commands(server, lambda: claims.append(claim_one("default"))) == ["EVALSHA"]
    assert name_commands(server, lambda: driver.release(claims[0], available_at=timezone.now())) == ["EVALSHA"]
    claims = [claim_one("default")]
    assert name_commands(server, lambda: driver.finish(claims[0])) == ["EVALSHA"]
    record = claims[0]
    assert record.attempts == 2
    sent = name_commands(server, lambda: dispatch(tmp_path / "n"))
    assert [one for one in sent if one != "TIME"] == ["EVALSHA"]


def test_a_job_whose_burial_was_cut_short_and_that_ran_after_all_has_recovered(tmp_path: Path) -> None:
    dispatch(tmp_path / "n")
    store_failure(claim_one("default"), BURIAL)  # and then its worker died
    assert drain("default", now=soon()) == 1
    assert FailedJob.objects.get().state == "recovered"


def test_what_a_job_raises_can_be_stored(driver: RedisDriver) -> None:
    SelfishJob().on_queue("default").dispatch()
    drain("default")
    assert FailedJob.objects.get().exception.startswith("ValueError")
