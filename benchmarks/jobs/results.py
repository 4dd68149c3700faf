"""Keeps what a run found in ``benchmarks/results/``: JSON for programs, Markdown for people."""

import json
import os
import platform
import statistics
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from benchmarks.harness import Figure, machine
from benchmarks.jobs.peers import KINDS
from benchmarks.jobs.rounds import DELAY, Plan, Scores

#: Where results are kept.
FOLDER: Final = Path(__file__).parents[1] / "results"
_COLUMNS: Final = (
    "", "no-op, 1/s", "INCR, 1/s", "1 ms, 1/s", f"no-op at {2 * DELAY * 1e3:.0f} ms, 1/s", "dispatch, 1/s", "bulk, 1/s",
    "start p50, ms", "p99, ms", "idle, %", "round trips", "commands", "jobs a turn",
)  # fmt: skip


def describe_machine() -> dict[str, object]:
    """Return the machine, and how busy it is with other things before a run."""
    return machine() | {
        "python_build": _describe_build(),
        "model": _read_model(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "load_before": [round(one, 1) for one in os.getloadavg()],
    }


def _describe_build() -> str:
    """Tell how the interpreter was built: most distributions optimise it by profiles, which makes it much faster."""
    said = str(sysconfig.get_config_var("CONFIG_ARGS"))
    found = [word for word in ("--enable-optimizations", "--with-lto") if word in said]
    return " ".join(found) or "without --enable-optimizations"


def _read_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def write_results(
    *,
    figures: Sequence[Figure],
    scores: Sequence[Scores],
    plan: Plan,
    where: Mapping[str, object],
    versions: Mapping[str, str],
) -> None:
    """Write both files anew."""
    made_at = datetime.now(UTC).isoformat(timespec="minutes")
    FOLDER.mkdir(exist_ok=True)
    document = {
        "benchmark": "jobs",
        "made_at": made_at,
        "machine": where,
        "versions": versions,
        "plan": asdict(plan),
        "figures": [asdict(figure) | {"met": figure.is_met} for figure in figures],
        "peers": [_tell_scores(one) for one in scores],
    }
    (FOLDER / "jobs.json").write_text(json.dumps(document, indent=1) + "\n")
    lines = [
        "# Jobs",
        "",
        "Written by `make bench-jobs`; the top of `benchmarks/jobs/comparison.py` tells what is measured, and how.",
        "",
        f"- Made at {made_at}, in {plan.rounds} rounds of at most {plan.jobs:,} jobs or {plan.seconds:g} s a turn.",
        *(f"- {name}: {value}" for name, value in where.items()),
        f"- Stores: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        "",
        *make_table(_COLUMNS, [_make_row(one) for one in scores]),
        "",
        *make_table(("", "measured", "goal", ""), [make_goal(one) for one in figures]),
    ]
    (FOLDER / "jobs.md").write_text("\n".join(lines) + "\n")


def _tell_scores(scores: Scores) -> dict[str, object]:
    latencies = {f"p{share * 100:.0f}_ms": _get_latency(scores, share) for share in (0.5, 0.99)}
    told = asdict(scores)
    del told["peer"], told["latencies"]
    return {"name": scores.peer.name, **told, **latencies}


def _make_row(scores: Scores) -> list[str]:
    return [
        f"{scores.peer.name} {scores.version}".strip(),
        *(
            _write(statistics.median(rates) if rates else None)
            for rates in (*(scores.done[kind] for kind in KINDS), scores.delayed, scores.single, scores.bulk)
        ),
        *(_write(_get_latency(scores, share)) for share in (0.5, 0.99)),
        _write(scores.idle_share),
        _write(scores.round_trips),
        _write(scores.commands),
        " / ".join(f"{scores.jobs[kind]:,}" for kind in scores.peer.kinds),
    ]


def _get_latency(scores: Scores, share: float) -> float | None:
    return scores.get_latency(share) if scores.latencies else None


def make_goal(figure: Figure) -> list[str]:
    """Return the row of a figure: its name, what was measured, the goal, and whether it is met."""
    goal = ""
    if figure.goal is not None:
        goal = f"{'≤' if figure.is_less_better else '≥'} {_write(figure.goal)} {figure.unit}".rstrip()
    verdict = {True: "met", False: "missed", None: ""}[figure.is_met]
    return [figure.name, f"{_write(figure.value)} {figure.unit}".rstrip(), goal, verdict]


def make_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of Markdown."""
    lines = [head, ["---", *("--:" for _ in head[1:])], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _write(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
