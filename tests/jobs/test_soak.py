"""What a soak tells of: losses, leaks and growth. The soak itself is `make bench-soak`, `make soak-check`."""

from array import array
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from benchmarks.harness import Figure
from benchmarks.jobs.soak.evidence import Held, Ledger, Sample, Soak, list_figures, measure_growth
from benchmarks.jobs.soak.mix import CYCLE, DOOMED_CYCLE, PARTS, count_doomed, is_doomed, list_numbers
from benchmarks.jobs.soak.store import look
from jobs.coordination import get_coordinator
from jobs.drivers.base import QueueDriver
from tests.jobs.messages import push

_EMPTY = Held(waiting=0, delayed=0, running=0, leases=0, outbox=0, batches=0, failed=0, store_bytes=1_000_000)
_PARENT, _WORKER = 1, 2
_RATE, _SECONDS = 100, 600


def _note(path: Path, *numbers: int) -> None:
    with path.open("ab") as file:
        file.write(array("I", numbers).tobytes())


def _soak(
    *,
    end: Held = _EMPTY,
    lost: Sequence[int] = (),
    doubled: Sequence[int] = (),
    growth: float = 0,
    pace: float = 1,
    waiting: int = 0,
    worker: int = _WORKER,
    seconds: float = _SECONDS,
) -> Soak:
    """Return a run of ten minutes in which all went well but for what is said."""
    samples = [
        Sample(
            at=at,
            sent=round(at * _RATE * pace),
            ended=round(at * _RATE * pace) - waiting,
            memory={_PARENT: 20_000_000, (worker if at > _SECONDS / 2 else _WORKER): round(20_000_000 + growth * at)},
            held=Held(waiting=waiting, delayed=0, running=9, leases=9, outbox=0, batches=3, failed=0, store_bytes=1),
        )
        for at in range(5, _SECONDS + 5, 5)
    ]
    return Soak(
        name="Ours", seconds=seconds, capacity=2 * _RATE, wanted=_RATE, sent=0, lost=lost, doubled=doubled,
        parent=_PARENT, end=end, samples=samples,
    )  # fmt: skip


def _list_missed(soak: Soak) -> list[str]:
    return [figure.name.removeprefix("Ours: ") for figure in list_figures(soak) if figure.is_met is False]


def test_a_run_in_which_all_goes_well_meets_every_goal() -> None:
    assert _list_missed(_soak()) == []


def test_a_lost_job_is_told() -> None:
    assert _list_missed(_soak(lost=[7])) == ["lost jobs"]


def test_a_job_that_ended_twice_is_told() -> None:
    assert _list_missed(_soak(doubled=[7])) == ["jobs that ended twice"]


@pytest.mark.parametrize(
    ("end", "missed"),
    [
        ({"leases": 1}, ["left: leases"]),
        ({"waiting": 1}, ["left: jobs that haven't ended"]),
        ({"outbox": 1}, ["left: jobs that haven't ended"]),
        ({"batches": 1}, ["left: batches that haven't ended"]),
        ({"left": ["rq:job:1"]}, ["left: other keys and rows of jobs, leases and locks"]),
        ({"failed": 1}, ["failed jobs, more or less than were to fail"]),
    ],
)
def test_what_is_left_is_told(end: dict[str, int], missed: list[str]) -> None:
    assert _list_missed(_soak(end=Held.read({**_EMPTY.as_json(), **end}))) == missed


def test_a_process_that_grows_is_told_and_one_that_hardly_does_is_not() -> None:
    assert _list_missed(_soak(growth=1_000)) == []  # bytes a second: 0.54 MB of 20
    assert _list_missed(_soak(growth=3_000)) == ["growth of worker process 1"]


def test_what_a_process_takes_while_it_warms_up_is_no_growth() -> None:
    assert _soak().list_warm()[0].at == _SECONDS / 10


def test_a_process_that_was_replaced_is_told() -> None:
    assert _list_missed(_soak(worker=3)) == ["processes that ended, or were replaced"]


def test_a_load_that_was_not_held_is_told() -> None:
    assert _list_missed(_soak(pace=0.9)) == [
        "jobs sent, of those that were to be sent", "jobs ended, of those that were to be sent",
    ]  # fmt: skip


def test_a_short_run_judges_nothing_that_a_slow_minute_of_the_machine_may_change() -> None:
    assert _list_missed(_soak(pace=0.9, waiting=10 * _RATE, seconds=120)) == []
    assert _list_missed(_soak(lost=[7], seconds=120)) == ["lost jobs"]


def test_a_queue_that_grew_is_told() -> None:
    assert _list_missed(_soak(waiting=10 * _RATE)) == ["jobs that waited at the end of the load, in seconds of it"]


def test_growth_is_from_the_median_of_the_first_tenth_to_that_of_the_last() -> None:
    assert measure_growth([100, 100, 900, *[500] * 24, 110, 110, 0]) == pytest.approx(10)
    assert measure_growth([100]) == 0


def test_the_ledger_knows_what_was_lost_and_what_ended_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    _note(path, 0, 4)
    assert ledger.read() == 2
    _note(path, 1, 4, 4)

    assert ledger.read() == 3
    assert ledger.list_lost(7) == [2, 3, 5, 6]
    assert ledger.list_doubled() == [4]


def test_the_ledger_waits_for_a_number_that_is_only_half_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(array("I", [0, 1]).tobytes()[:6])
    ledger = Ledger(path)
    assert ledger.read() == 1

    path.write_bytes(array("I", [0, 1]).tobytes())
    assert ledger.read() == 2
    assert ledger.list_lost(2) == []


def test_each_number_of_a_cycle_is_of_one_part() -> None:
    numbers = [number for part in PARTS for number in list_numbers(part, 300)]
    assert numbers == list(range(300, 300 + CYCLE))


def test_those_that_fail_are_among_those_that_stand_for_themselves() -> None:
    doomed = [number for number in range(2 * DOOMED_CYCLE) if is_doomed(number)]
    assert all(number % CYCLE in list_numbers("noop", 0) for number in doomed)
    assert [count_doomed(count) for count in (0, doomed[0], doomed[0] + 1, doomed[1], doomed[1] + 1)] == [0, 0, 1, 1, 2]


def test_a_store_is_empty_when_every_job_has_ended(driver: QueueDriver) -> None:
    push()
    assert look(is_whole=True).jobs == 1
    [claim] = driver.claim(queues=[], worker="ada")
    driver.finish(claim)

    assert look(is_whole=True).is_empty


def test_a_lease_that_nobody_gives_back_is_seen(driver: QueueDriver) -> None:
    push()
    driver.claim(queues=[], worker="ada", now=timezone.now() - timedelta(hours=1))

    held = look()
    assert (held.leases, held.running) == (1, 0)
    assert not held.is_empty


def test_a_lock_that_nobody_gives_back_is_seen(driver: QueueDriver) -> None:
    get_coordinator().acquire("somebody", owner="ada", lifetime=timedelta(minutes=1))

    assert len(look(is_whole=True).left) == 1
    assert look().left == []


def test_figures_tell_of_each_process_how_much_it_has() -> None:
    figures: dict[str, Figure] = {figure.name: figure for figure in list_figures(_soak())}
    assert figures["Ours: growth of the parent"].peers == {"at first, MB": 20, "at last, MB": 20}
