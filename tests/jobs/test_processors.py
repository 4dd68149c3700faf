"""Worker processes that keep to a processor each."""

import os
import signal
from collections import Counter

import psutil
import pytest
from django.core.management import CommandError, call_command

from jobs.exceptions import JobOptionError
from jobs.worker.processors import choose_processor
from jobs.worker.supervisors import Supervisor, SupervisorOptions
from project.processors import list_processors
from tests.jobs.steps import worker_environment
from tests.processes import manage
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not list_processors(), reason="only Linux lets a process keep to a processor")


def test_the_one_of_which_least_is_taken_is_chosen() -> None:
    first, *others = list_processors()
    assert choose_processor([]) == first
    assert choose_processor([first, None]) == (others[0] if others else first)
    assert choose_processor([*others, None]) == first
    assert choose_processor([-1] * 9) == first


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_each_process_has_a_processor_and_who_follows_a_dead_one_has_that_of_it() -> None:
    def list_taken() -> Counter[tuple[int, ...]]:
        children = psutil.Process(pool.pid).children()
        return Counter(tuple(child.cpu_affinity()) for child in children)

    count = len(list_processors()) + 1
    with manage("queue_work", "--processes", str(count), "--cpu-affinity", environment=worker_environment()) as pool:
        first, *others = list_processors()
        wanted = Counter({(first,): 2} | {(other,): 1 for other in others})
        wait_until(lambda: list_taken() == wanted, seconds=30)
        dead = psutil.Process(pool.pid).children()[-1].pid
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: dead not in {child.pid for child in psutil.Process(pool.pid).children()}, seconds=30)
        wait_until(lambda: list_taken() == wanted, seconds=30)
        assert psutil.Process(pool.pid).cpu_affinity() == list(list_processors())


def test_without_processes_there_is_none_to_keep_to() -> None:
    with pytest.raises(CommandError, match="--processes"):
        call_command("queue_work", "--cpu-affinity", "--once")


def test_a_supervisor_can_be_told() -> None:
    for is_wanted in (True, False):
        group = Supervisor(SupervisorOptions(name="s", queues=["a"], cpu_affinity=is_wanted)).groups["a"]
        assert group.options.cpu_affinity is is_wanted
    SupervisorOptions(name="s", queues=["a"], cpu_affinity=True).check()
    with pytest.raises(JobOptionError, match="cpu_affinity"):
        SupervisorOptions(name="s", queues=["a"], cpu_affinity="yes").check()  # type: ignore[arg-type]  # as settings may
