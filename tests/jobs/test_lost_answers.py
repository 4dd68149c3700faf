"""Ends of jobs that Redis has done, and of which its answer was lost: asked again, it says the same."""

import threading
from collections.abc import Callable, Iterator
from typing import ClassVar, override
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs.chain import chain
from jobs.drivers.base import Burial, Claim, QueueDriver, get_driver
from jobs.job import Job
from jobs.models import FailedJob
from jobs.redis_scripts import OUTAGES
from jobs.signals import job_failed, job_processed, job_released
from jobs.worker.runner import attempt, settle
from tests.jobs.lossy_proxy import LossyProxy, lossy_way
from tests.jobs.steps import claim_one, drain, heard, soon, stored

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis"),
]


class EndingJob(Job):
    """Ends as it is told, and notes what it is told itself."""

    tries = 1
    told: ClassVar[list[str]] = []

    def __init__(self, how: str) -> None:
        self.how = how

    @override
    def handle(self) -> None:
        if self.how == "fail":
            raise ValueError
        if self.how == "release":
            self.release(3600)

    @override
    def failed(self, error: Exception) -> None:
        self.told.append("failed")


class LockedEndingJob(EndingJob):
    """With a lock, which makes its end several commands."""

    unique_for = 3600


def _finish(driver: QueueDriver, claim: Claim) -> bool:
    return driver.finish(claim)


def _release(driver: QueueDriver, claim: Claim) -> bool:
    return driver.release(claim, available_at=soon())


def _bury(driver: QueueDriver, claim: Claim) -> bool:
    return driver.bury(claim, Burial(attempts=1, exception="x", traceback="x", failed_at=timezone.now()))


def _load_scripts() -> None:
    """Let the server know each script, so that none is sent twice while commands are counted."""
    EndingJob.dispatch("finish")
    claim = claim_one(now=soon(0.1))
    assert get_driver().renew(claim, lease_expires_at=soon())
    assert _finish(get_driver(), claim)
    assert not _release(get_driver(), claim)
    assert not _bury(get_driver(), claim)


@pytest.fixture
def proxy(settings: Settings) -> Iterator[LossyProxy]:
    """The way to Redis on which answers get lost, which all jobs take."""
    EndingJob.told.clear()
    with lossy_way(settings) as proxy:
        _load_scripts()
        yield proxy


#: How a job ends, and which of the commands that show its lease does it: a failure is written down between two.
ENDS = pytest.mark.parametrize(
    ("how", "signal", "commands"),
    [("finish", job_processed, 0), ("fail", job_failed, 1), ("release", job_released, 0)],
    ids=["finish", "fail", "release"],
)


def test_a_claim_of_which_nobody_heard_is_not_made_again(proxy: LossyProxy, settings: Settings) -> None:
    # A client that is told of host and port tries again by itself.
    database = urlsplit(settings.RQ_QUEUES["default"]["URL"]).path.lstrip("/")
    entry = {"HOST": "127.0.0.1", "PORT": proxy.port, "DB": int(database), "SERIALIZER": "json"}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "default": entry}
    for _ in range(3):
        EndingJob.dispatch("finish")
    with proxy.losing("a-worker"), pytest.raises(OUTAGES):
        get_driver().claim(queues=[], worker="a-worker")
    assert [job.state for job in stored()].count("running") == 1


@ENDS
@pytest.mark.parametrize("job_class", [EndingJob, LockedEndingJob])
def test_an_end_is_told_though_the_answer_was_lost(
    job_class: type[EndingJob], how: str, signal: object, commands: int, proxy: LossyProxy
) -> None:
    job_class(how).dispatch()
    claim = claim_one(now=soon(0.1))
    outcome = attempt(claim)
    renewals = int(job_class is LockedEndingJob and how != "release")
    with heard(job_processed, job_failed, job_released) as seen:
        with proxy.losing(str(claim.lease_id), after=commands + renewals), pytest.raises(RedisConnectionError):
            settle(claim, outcome, now=timezone.now())
        assert seen == []
        assert len(stored()) == (how == "release")
        assert settle(claim, outcome, now=timezone.now())
    assert [one for one, _ in seen] == [signal]
    assert EndingJob.told == ["failed"] * (how == "fail")
    assert FailedJob.objects.count() == (how == "fail")
    assert len(stored()) == (how == "release")


def test_what_follows_is_stored_once_though_the_answer_was_lost(proxy: LossyProxy) -> None:
    chain([EndingJob("finish"), EndingJob("fail")]).dispatch()
    claim = claim_one(now=soon(0.1))
    outcome = attempt(claim)
    with proxy.losing(str(claim.lease_id), after=1), pytest.raises(RedisConnectionError):
        settle(claim, outcome, now=timezone.now())
    assert settle(claim, outcome, now=timezone.now())
    assert drain(now=soon(0.1)) == 1
    assert stored() == []
    assert EndingJob.told == ["failed"]


OPERATIONS = [_finish, _release, _bury]


@pytest.mark.parametrize("second", OPERATIONS)
@pytest.mark.parametrize("first", OPERATIONS)
def test_whoever_asks_again_is_told_the_same_and_whoever_asks_for_another_end_is_denied(
    first: Callable[[QueueDriver, Claim], bool], second: Callable[[QueueDriver, Claim], bool], proxy: LossyProxy
) -> None:
    EndingJob.dispatch("finish")
    claim = claim_one(now=soon(0.1))
    assert first(get_driver(), claim)
    assert second(get_driver(), claim) is (first is second)
    assert len(stored()) == (first is _release)
    assert FailedJob.objects.count() == (first is _bury)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whoever_asks_again_is_told_the_same_though_another_thread_has_ended_a_job_meanwhile(
    operation: Callable[[QueueDriver, Claim], bool], proxy: LossyProxy
) -> None:
    for _ in range(2):
        EndingJob.dispatch("finish")
    one, other = claim_one(now=soon(0.1)), claim_one(now=soon(0.1))
    assert one.worker == other.worker
    assert operation(get_driver(), one)
    kept = FailedJob.objects.count()
    thread = threading.Thread(target=lambda: _finish(get_driver(), other))
    thread.start()
    thread.join()
    assert operation(get_driver(), one)
    assert FailedJob.objects.count() == kept


def test_what_another_worker_ended_is_denied_to_the_first(proxy: LossyProxy) -> None:
    EndingJob("finish").dispatch()
    late = claim_one(now=soon(0.1))
    assert get_driver().finish(claim_one(now=late.lease_expires_at))
    assert not get_driver().finish(late)


def test_of_each_thread_of_a_worker_one_end_is_kept(proxy: LossyProxy) -> None:
    for _ in range(3):
        EndingJob.dispatch("finish")
        assert get_driver().finish(claim_one(now=soon(0.1)))
    from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

    server = get_connection("default")
    (name,) = server.keys("*:ended:*")
    assert 0 < server.ttl(name) <= 24 * 3600
