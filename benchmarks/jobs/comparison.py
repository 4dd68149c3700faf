"""Jobs: ours on three stores beside the queues of others, in one run and in turns.

Every peer gets the same work, two processes (RQ's pool, Celery's prefork and so on), and the settings that its own
documentation recommends for many short jobs. While jobs are sent the workers stand still (SIGSTOP), so that a turn
begins with warm workers and all jobs enqueued; it ends when the last job has noted, in a file and apart from its queue,
that it is done. The millisecond of the kind ``nap`` is slept, as it would be while another service is asked: whoever
runs several jobs at once in a process gains by it.

Who can't do all jobs of a turn in a few seconds is given fewer, in all rounds the same number. Many are dispatched at
once by what a peer offers for it; ours is what batches and chains call. The latency of a dispatch is that of single
jobs, with pauses of up to 40 ms between them. Round trips are counted by a proxy between workers and store, commands by
Redis. The delay is added by such a proxy, to the store alone: jobs without work show what it costs the queue.

Where processes are bound each keeps to a processor of its own: ours by ``--cpu-affinity``, the fastest of the others,
in Python and outside of it, because this program sees to it. Bound ones are held against bound ones.

Beside them stand loops without any queue, which show what machine and interpreter allow at most.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import Figure
from benchmarks.jobs.figures import list_bounds, list_figures, list_flatness
from benchmarks.jobs.peers import Peer, make_peers
from benchmarks.jobs.results import describe_machine, write_results
from benchmarks.jobs.rounds import Plan, compare
from benchmarks.jobs.stores import Stores, open_stores

_ROOT = Path(__file__).parents[2]
_MANY = 1_000_000


def measure(plan: Plan) -> list[Figure]:
    """Measure everything, and keep it in ``benchmarks/results/``."""
    where, peers = describe_machine(), make_peers()
    with open_stores() as stores:
        versions = stores.tell_versions()
        scores = compare(peers, stores, plan)
        figures = [*list_figures(scores), *list_bounds(_measure_bare(peers, stores, plan))]
        if plan.is_large:
            for peer in peers:
                figures += _measure_flatness(peer, stores) if peer.is_ours and peer.is_whole else []
    where["load_after"] = describe_machine()["load_before"]
    write_results(figures=figures, scores=scores, plan=plan, where=where, versions=versions)
    return figures


def _measure_bare(peers: Sequence[Peer], stores: Stores, plan: Plan) -> list[dict[str, float]]:
    stores.empty()
    ours = next(peer for peer in peers if peer.is_ours and peer.store == "redis")
    command = [sys.executable, "-m", "benchmarks.jobs.programs.bare", str(plan.jobs)]
    environment = stores.make_environment(ours)
    return [
        json.loads(subprocess.run(command, cwd=_ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603 - ours
        for _ in range(plan.rounds)
    ]


def _measure_flatness(peer: Peer, stores: Stores) -> Iterator[Figure]:
    stores.empty()
    output = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "benchmarks.jobs.programs.flatness", str(_MANY)],
        cwd=_ROOT, env=stores.make_environment(peer), check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    return list_flatness(peer.name, _MANY, json.loads(output))
