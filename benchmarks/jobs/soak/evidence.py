"""What was seen of a soak, and what follows: plain arithmetic, so that tests can show that it tells what is wrong."""

import statistics
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.harness import Figure
from benchmarks.jobs.soak.mix import count_doomed

#: The part of a run that passes before growth counts, and how long it is at least, in seconds.
_WARM_UP_SHARE: Final = 0.1
_WARM_UP_SECONDS: Final = 20.0
#: Of how many samples the beginning and the end of a row of them are made.
_ENDS_SHARE: Final = 0.1
_MOST_GROWTH: Final = 5.0
_LEAST_RATE: Final = 95.0
#: What may wait when the load ends, in seconds of that load.
_MOST_WAITING: Final = 5.0
#: A shorter run says nothing of whether the load was held: a slow minute of the machine is half of it.
_LONG_SECONDS: Final = 600.0
_NUMBER_BYTES: Final = 4
_MOST_COUNTED: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a store holds at one moment."""

    waiting: int
    delayed: int
    #: Jobs whose lease hasn't ended, and leases whether they have ended or not.
    running: int
    leases: int
    outbox: int
    #: Batches that haven't ended.
    batches: int
    failed: int
    store_bytes: int
    #: Keys or rows besides these that belong to a job, a lease or a lock; looked for at the end only.
    left: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as a program tells it."""
        return asdict(self)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:  # Any: JSON
        """Take what a program told."""
        return cls(**told)

    @property
    def jobs(self) -> int:
        """Jobs that have not ended, wherever they are."""
        return self.waiting + self.delayed + self.running + self.outbox

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.jobs or self.leases or self.batches or self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen at one moment under load."""

    #: Seconds since the load began; jobs that were sent, and had ended, since then.
    at: float
    sent: int
    ended: int
    #: Bytes that each process has to itself, by its id.
    memory: Mapping[int, int]
    held: Held


class Ledger:
    """Which jobs have ended, and how often, by the file in which they note their numbers."""

    def __init__(self, path: Path) -> None:
        """Read from the beginning."""
        self._path, self._place, self._counts = path, 0, bytearray()
        #: How many numbers were noted, and how many of these not for the first time.
        self.noted, self.repeated = 0, 0

    def read(self) -> int:
        """Read what is new; return how many jobs have ended at least once."""
        with self._path.open("rb") as file:
            file.seek(self._place)
            text = file.read()
        whole = len(text) - len(text) % _NUMBER_BYTES
        self._place += whole
        numbers = array("I", text[:whole])
        if numbers and (missing := max(numbers) + 1 - len(self._counts)) > 0:
            self._counts.extend(bytes(missing))
        for number in numbers:
            if self._counts[number]:
                self.repeated += 1
            if self._counts[number] < _MOST_COUNTED:
                self._counts[number] += 1
        self.noted += len(numbers)
        return self.noted - self.repeated

    def list_lost(self, sent: int) -> list[int]:
        """Return which of the first numbers were not noted."""
        known = min(sent, len(self._counts))
        return [number for number in range(known) if not self._counts[number]] + list(range(known, sent))

    def list_doubled(self) -> list[int]:
        """Return the numbers that were noted more than once."""
        return [number for number, times in enumerate(self._counts) if times > 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """One run on one store."""

    #: Name of what was soaked.
    name: str
    seconds: float
    #: Jobs a second: what the workers can do, and what was to be sent.
    capacity: float
    wanted: float
    #: Jobs that were sent in all, those of the measurement of the capacity too.
    sent: int
    lost: Sequence[int]
    doubled: Sequence[int]
    #: The parent of the worker processes.
    parent: int
    #: What the store held when everything had ended.
    end: Held
    samples: Sequence[Sample] = field(repr=False)

    @property
    def is_long(self) -> bool:
        """Whether it tells that the load was held."""
        return self.seconds >= _LONG_SECONDS

    def list_warm(self) -> list[Sample]:
        """Return the samples after the time to warm up."""
        begin = max(_WARM_UP_SECONDS, _WARM_UP_SHARE * self.seconds)
        return [one for one in self.samples if one.at >= begin]


def measure_growth(values: Sequence[float]) -> float:
    """Return how much more the last tenth is than the first, each by its median, in per cent."""
    count = max(1, round(len(values) * _ENDS_SHARE))
    first, last = statistics.median(values[:count]), statistics.median(values[-count:])
    return 100 * (last - first) / first


def list_figures(soak: Soak) -> Iterator[Figure]:
    """Yield what the run has shown, with what it should."""
    last = soak.samples[-1]
    yield _tell(soak, "what the workers can do", soak.capacity, "1/s")
    yield _tell(
        soak,
        "jobs sent, of those that were to be sent",
        100 * last.sent / last.at / soak.wanted,
        "%",
        least=_LEAST_RATE if soak.is_long else None,
    )
    yield _tell(
        soak,
        "jobs ended, of those that were to be sent",
        100 * last.ended / last.at / soak.wanted,
        "%",
        least=_LEAST_RATE if soak.is_long else None,
    )
    waiting = _take_last([one.held.waiting for one in soak.samples]) / soak.wanted
    yield _tell(
        soak,
        "jobs that waited at the end of the load, in seconds of it",
        waiting,
        "s",
        most=_MOST_WAITING if soak.is_long else None,
    )
    yield _tell(soak, "jobs sent", soak.sent, "")
    yield _tell(soak, "lost jobs", len(soak.lost), "", most=0)
    yield _tell(soak, "jobs that ended twice", len(soak.doubled), "", most=0)
    yield _tell(
        soak, "failed jobs, more or less than were to fail", abs(soak.end.failed - count_doomed(soak.sent)), "", most=0
    )
    yield _tell(soak, "left: jobs that haven't ended", soak.end.jobs, "", most=0)
    yield _tell(soak, "left: leases", soak.end.leases, "", most=0)
    yield _tell(soak, "left: batches that haven't ended", soak.end.batches, "", most=0)
    yield _tell(soak, "left: other keys and rows of jobs, leases and locks", len(soak.end.left), "", most=0)
    yield from _tell_memory(soak)


def _tell_memory(soak: Soak) -> Iterator[Figure]:
    warm = soak.list_warm()
    ended = {one for sample in soak.samples for one in sample.memory} - set(warm[-1].memory)
    yield _tell(soak, "processes that ended, or were replaced", len(ended), "", most=0)
    number = 0
    for process in warm[0].memory:
        if process == soak.parent:
            name = "the parent"
        else:
            number += 1
            name = f"worker process {number}"
        row = [one.memory[process] for one in warm if process in one.memory]
        peers = {"at first, MB": _take_first(row) / 1e6, "at last, MB": _take_last(row) / 1e6}
        yield _tell(soak, f"growth of {name}", measure_growth(row), "%", most=_MOST_GROWTH, peers=peers)
    row = [one.held.store_bytes for one in warm]
    peers = {"at first, MB": _take_first(row) / 1e6, "at last, MB": _take_last(row) / 1e6}
    yield _tell(soak, "growth of the store", measure_growth(row), "%", peers=peers)


def _take_first(values: Sequence[float]) -> float:
    return statistics.median(values[: max(1, round(len(values) * _ENDS_SHARE))])


def _take_last(values: Sequence[float]) -> float:
    return statistics.median(values[-max(1, round(len(values) * _ENDS_SHARE)) :])


def _tell(
    soak: Soak, what: str, value: float, unit: str, *, least: float | None = None, most: float | None = None,
    peers: Mapping[str, float] | None = None,
) -> Figure:  # fmt: skip
    return Figure(
        name=f"{soak.name}: {what}",
        value=value,
        unit=unit,
        peers=dict(peers or {}),
        goal=least if most is None else most,
        is_less_better=most is not None,
    )
