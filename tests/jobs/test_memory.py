"""What workers do not keep: what a job has held is free when it has ended, and processes share what was there."""

import gc
import os
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, override

import pytest

from jobs.job import Job, dispatch_many
from jobs.worker.forking import fork
from jobs.worker.loop import Worker, WorkerOptions

pytestmark = pytest.mark.django_db(transaction=True)


class _Load:
    """Something large."""


class HoldingJob(Job):
    tries: ClassVar[int | None] = 2
    backoff = 0
    seen: ClassVar[list["weakref.ref[_Load]"]] = []

    def __init__(self, is_to_fail: bool) -> None:
        self.is_to_fail = is_to_fail

    @override
    def handle(self) -> None:
        load = _Load()
        self.seen.append(weakref.ref(load))
        if self.is_to_fail:
            raise RuntimeError


class HoldingCoroutineJob(HoldingJob):
    @override
    async def handle(self) -> None:  # type: ignore[override] # a job's handle may be either
        self.load = _Load()
        self.seen.append(weakref.ref(self.load))
        if self.is_to_fail:
            raise RuntimeError


class HoldingFinalJob(HoldingJob):
    tries = 1

    @override
    def handle(self) -> None:
        load = _Load()
        self.seen.append(weakref.ref(load))
        if self.is_to_fail:
            self.fail("for good")


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Let nothing be freed but what nobody refers to."""
    HoldingJob.seen.clear()
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("job_class", [HoldingJob, HoldingCoroutineJob, HoldingFinalJob])
@pytest.mark.parametrize("is_to_fail", [True, False])
def test_what_a_job_has_held_is_free_when_it_has_ended(job_class: type[HoldingJob], is_to_fail: bool) -> None:
    dispatch_many([job_class(is_to_fail)])
    Worker(WorkerOptions(sleep=timedelta(seconds=0.05), has_keeper=True, stop_when_empty=True)).run()

    assert len(HoldingJob.seen) == (job_class.tries if is_to_fail else 1)
    assert [one for one in HoldingJob.seen if one() is not None] == []


def test_a_process_leaves_alone_what_its_parent_has_made(tmp_path: Path) -> None:
    told = tmp_path / "told"

    def tell(_let_through: Callable[[], None]) -> int:
        told.write_text(f"{gc.get_freeze_count()} {len(gc.get_objects())}")
        return 0

    _, status = os.waitpid(fork(tell), 0)

    assert status == 0
    frozen, own = map(int, told.read_text().split())
    assert own < frozen / 10
    assert gc.get_freeze_count() == 0
