"""Jobs that Redis has stored, and whose answer was lost: sent again, each is stored once, though it has ended."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connections
from pytest_django import Settings

from jobs.drivers.base import STEP, get_driver
from jobs.drivers.senders import Senders
from jobs.job import dispatch_many
from jobs.models import OutboxJob
from jobs.queues import define_queue, forget_queue
from jobs.services import relay_outbox
from tests.jobs.lossy_proxy import LossyProxy, lossy_way
from tests.jobs.messages import make
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import drain, soon, stored
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis"),
]

#: A call, in the record of which the path of the notes stands.
NEEDLE = "/notes"


@pytest.fixture
def proxy(settings: Settings) -> Iterator[LossyProxy]:
    """The way to Redis on which answers get lost, which all jobs take."""
    with lossy_way(settings) as proxy:
        yield proxy


def _dispatch_one(path: str) -> int:
    NoteJob.dispatch(path, "x")
    return 1


def _dispatch_some(path: str) -> int:
    return len(dispatch_many(NoteJob(path, "x") for _ in range(3)))


def _dispatch_steps(path: str) -> int:
    return len(dispatch_many(NoteJob(path, "x") for _ in range(STEP + 2)))


def _dispatch_to_a_narrow_queue(path: str) -> int:
    define_queue("narrow", max_jobs=1)
    try:
        NoteJob(path, "x").on_queue("narrow").dispatch()
    finally:
        forget_queue("narrow")
    return 1


WAYS = pytest.mark.parametrize(
    "dispatch", [_dispatch_one, _dispatch_some, _dispatch_steps, _dispatch_to_a_narrow_queue]
)

type _Dispatch = Callable[[str], int]


def _run_what_is_there() -> bool:
    """Run jobs, in the proxy's thread; say whether there were any."""
    try:
        return drain(now=soon(0.1)) > 0
    finally:
        connections.close_all()


def _load_scripts(dispatch: _Dispatch, folder: Path) -> None:
    """Let the server know each script, so that none is sent twice while commands are counted."""
    dispatch(str(folder / "before"))
    drain(now=soon(0.1))


@WAYS
def test_a_connection_that_breaks_before_the_answer_doubles_no_job(
    dispatch: _Dispatch, proxy: LossyProxy, tmp_path: Path
) -> None:
    _load_scripts(dispatch, tmp_path)
    with proxy.losing(NEEDLE, until=_run_what_is_there):
        count = dispatch(str(tmp_path / "notes"))
    relay_outbox()
    drain(now=soon(0.1))
    assert len(read_lines(tmp_path / "notes")) == count
    assert stored() == []


@WAYS
def test_an_answer_that_does_not_come_in_time_doubles_no_job(
    dispatch: _Dispatch, proxy: LossyProxy, tmp_path: Path
) -> None:
    _load_scripts(dispatch, tmp_path)
    waits = list[bool]()

    def is_kept() -> bool:
        if not waits and _run_what_is_there():
            waits.append(True)
        try:
            return OutboxJob.objects.exists()
        finally:
            connections.close_all()

    with proxy.losing(NEEDLE, until=is_kept):
        count = dispatch(str(tmp_path / "notes"))
        wait_until(lambda: waits)  # jobs may take longer than the patience of who sent them
        assert OutboxJob.objects.exists()
    relay_outbox()
    assert not OutboxJob.objects.exists()
    drain(now=soon(0.1))
    assert len(read_lines(tmp_path / "notes")) == count
    assert stored() == []


def _list_senders() -> list[bytes | str]:
    """Return the keys that Redis keeps of senders; each for an hour."""
    from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

    server = get_connection("default")
    names = server.keys("*:pushed:*")
    assert all(0 < server.ttl(name) <= 3600 for name in names)
    return list(names)


def test_of_all_that_one_thread_dispatches_one_number_is_kept(proxy: LossyProxy, tmp_path: Path) -> None:
    for _ in range(5):
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
    assert len(_list_senders()) == 1


def test_no_step_of_many_jobs_counts_as_sent_because_the_next_one_was(proxy: LossyProxy, tmp_path: Path) -> None:
    dispatch_many(NoteJob(str(tmp_path / "notes"), "x") for _ in range(3 * STEP))
    assert len(_list_senders()) == 3


def test_a_job_that_is_put_back_after_its_end_is_stored_again(proxy: LossyProxy) -> None:
    message, driver = make(), get_driver()
    for _ in range(2):
        driver.push([message])
        (claim,) = driver.claim(queues=[], worker="w", now=soon())
        assert driver.finish(claim)


def test_a_sender_that_heard_no_answer_is_used_no_more_and_its_jobs_have_keys() -> None:
    senders, messages = Senders(), [make(), make()]
    with senders.sending([make()]) as first:
        pass
    with pytest.raises(TimeoutError), senders.sending(messages) as same:
        raise TimeoutError
    assert same is first
    with senders.sending([make()]) as other:
        assert other.name != first.name
    assert [str(message.key) for message in messages] == [f"{first.name}{number:08x}" for number in (2, 3)]
