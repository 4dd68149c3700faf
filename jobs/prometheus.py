"""The figures of jobs as Prometheus reads them. They are read from the stores at each scrape; no process counts any."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Final, override

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from jobs.models.metrics import BOUNDS
from jobs.selectors import (
    WORKER_STATES,
    ConnectionState,
    OutboxFigures,
    QueueState,
    Total,
    WorkerStatus,
    count_open_failures,
    list_connection_states,
    list_outbox_figures,
    list_totals,
    list_workers,
)
from project.printable import to_printable

_PREFIX: Final = "gatehouse_jobs"
_CONNECTION: Final = ("connection",)
_QUEUE: Final = (*_CONNECTION, "queue")
_CLASS: Final = (*_QUEUE, "job_class")
#: What is told of each queue.
_GAUGES: Final[Mapping[str, tuple[str, Callable[[QueueState], float]]]] = {
    "waiting": ("Jobs that are due and in nobody's hands.", lambda queue: queue.figures.waiting),
    "delayed": ("Jobs that are not due yet.", lambda queue: queue.figures.delayed),
    "running": ("Jobs in a worker's hands.", lambda queue: queue.figures.running),
    "oldest_wait_seconds": (
        "How long the oldest job that is due waits; 0 where none does.",
        lambda queue: (queue.oldest_wait or timedelta(0)).total_seconds(),
    ),
    "paused": (
        "Whether no worker takes jobs from a queue, because it was told to rest.",
        lambda queue: queue.is_paused,
    ),
}
#: Upper bounds as Prometheus writes them.
_LIMITS: Final = (*(str(float(bound)) for bound in BOUNDS), "+Inf")
#: Characters of a label; what is longer is no name of ours.
_MAX_LENGTH: Final = 200
_log: Final = structlog.get_logger("gatehouse.jobs")


def render_metrics(*, accept: str) -> tuple[str, bytes]:
    """Return content type and text: OpenMetrics where the header ``Accept`` asks for it, else Prometheus' format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(JobCollector())
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


class JobCollector(Collector):
    """Reads the stores when it is asked; how many questions that takes depends on the connections alone."""

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield all figures. Those of a store that is away are missing, which its gauge says."""
        kept = _read_database()
        states = list_connection_states(is_database_up=kept is not None)
        ups = {(state.connection,): state.is_up for state in states}
        yield _make_gauge("up", "Whether a connection answers.", _CONNECTION, ups)
        about = "Whether the database answers, which keeps failed jobs, workers, the outbox and the figures of tries."
        yield _make_gauge("database_up", about, (), {(): kept is not None})
        queues = {(state.connection, queue.queue): queue for state in states for queue in state.queues}
        for name, (about, get_value) in _GAUGES.items():
            yield _make_gauge(name, about, _QUEUE, {key: get_value(queue) for key, queue in queues.items()})
        if kept is not None:
            yield _make_gauge("failed_open", "Failed jobs that nobody has put back.", _QUEUE, kept.failures)
            yield from _tell_outbox(kept.outbox, states)
            yield _tell_workers(kept.workers, states)
            yield from _tell_tries(kept.totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the database tells."""

    failures: Mapping[tuple[str, str], int]
    outbox: Sequence[OutboxFigures]
    workers: Sequence[WorkerStatus]
    totals: Sequence[Total]


def _read_database() -> _Kept | None:
    """Return what the database tells; None where it is away."""
    now = timezone.now()
    try:
        return _Kept(
            failures=count_open_failures(),
            outbox=list_outbox_figures(now=now),
            workers=list_workers(now=now),
            totals=list_totals(),
        )
    except (OperationalError, InterfaceError) as error:
        _log.warning("database_left_out", error=type(error).__qualname__)
        return None


def _tell_outbox(outbox: Iterable[OutboxFigures], states: Iterable[ConnectionState]) -> Iterator[Metric]:
    # A connection for which nothing waits is told of too: an alert needs a zero, not a gap.
    counts = {(state.connection,): 0 for state in states}
    ages = {(state.connection,): 0.0 for state in states}
    for one in outbox:
        counts[one.connection,], ages[one.connection,] = one.count, one.oldest_wait.total_seconds()
    yield _make_gauge("outbox", "Jobs in the outbox, which their store doesn't have yet.", _CONNECTION, counts)
    about = "How long the oldest job of the outbox waits there; 0 where none does."
    yield _make_gauge("outbox_oldest_wait_seconds", about, _CONNECTION, ages)


def _tell_workers(workers: Iterable[WorkerStatus], states: Iterable[ConnectionState]) -> Metric:
    counts = {(state.connection, word): 0 for state in states for word in WORKER_STATES}
    for worker in workers:
        key = worker.connection, worker.state
        counts[key] = counts.get(key, 0) + 1
    about = "Worker processes by their state; those that died stay for an hour."
    return _make_gauge("workers", about, (*_CONNECTION, "state"), counts)


def _tell_tries(totals: Iterable[Total]) -> Iterator[Metric]:
    ends = CounterMetricFamily(
        f"{_PREFIX}_tries", "Tries by how they ended: processed, released for another try, or failed.",
        labels=[*_CLASS, "end"],
    )  # fmt: skip
    late = CounterMetricFamily(
        f"{_PREFIX}_tries_timed_out", "Tries that took too long; they were released or failed.", labels=_CLASS
    )
    runs = HistogramMetricFamily(f"{_PREFIX}_run_seconds", "How long tries ran.", labels=_CLASS)
    waits = HistogramMetricFamily(f"{_PREFIX}_wait_seconds", "From due until claim, of each try.", labels=_CLASS)
    for total in totals:
        key, tries = [_to_label(name) for name in (total.connection, total.queue, total.job_class)], total.tries
        ends.add_metric([*key, "processed"], tries.processed_count)
        ends.add_metric([*key, "released"], tries.released_count)
        ends.add_metric([*key, "failed"], tries.failed_count)
        late.add_metric(key, tries.timed_out_count)
        runs.add_metric(key, _to_buckets(tries.run_buckets), tries.total_run.total_seconds())
        waits.add_metric(key, _to_buckets(tries.wait_buckets), tries.total_wait.total_seconds())
    yield from (ends, late, runs, waits)


def _to_buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return counts of what is no longer than each bound: ours are of what is longer than the bound before as well."""
    return list(zip(_LIMITS, accumulate(counts), strict=True))


def _make_gauge[K: tuple[str, ...]](
    name: str, about: str, labels: Sequence[str], values: Mapping[K, float]
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", about, labels=labels)
    for key, value in values.items():
        gauge.add_metric([_to_label(name) for name in key], float(value))
    return gauge


def _to_label(name: str) -> str:
    """Return a name, which strangers may have written into a store, as a label: printable, short, and no other's."""
    if len(name) > _MAX_LENGTH:
        digest = sha256(name.encode(errors="surrogatepass")).hexdigest()
        name = f"{name[: _MAX_LENGTH - len(digest)]}{digest}"
    return to_printable(name.replace("\\", r"\\"))
