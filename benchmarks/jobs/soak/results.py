"""Keeps what a soak found in ``benchmarks/results/``: JSON for programs, Markdown for people."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from benchmarks.jobs.results import FOLDER, make_goal, make_table
from benchmarks.jobs.soak.evidence import Sample, Soak, list_figures

#: Samples of a run that the table shows, and that the JSON keeps.
_ROWS: Final = 12
_KEPT: Final = 120


def write_results(
    soaks: Sequence[Soak], *, share: float, where: Mapping[str, object], versions: Mapping[str, str]
) -> None:
    """Write both files anew.

    Args:
        soaks: What was seen, a store each.
        share: Of the capacity, that was sent.
        where: The machine.
        versions: Those of the stores.
    """
    made_at = datetime.now(UTC).isoformat(timespec="minutes")
    document = {
        "benchmark": "soak",
        "made_at": made_at,
        "machine": where,
        "versions": versions,
        "load": share,
        "soaks": [
            asdict(soak)
            | {"samples": [asdict(one) for one in _thin(soak.samples, _KEPT)]}
            | {"figures": [asdict(one) | {"met": one.is_met} for one in list_figures(soak)]}
            for soak in soaks
        ],
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "soak.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    lines = [
        "# Soak",
        "",
        "Written by `make bench-soak`; the top of `benchmarks/jobs/soak/__init__.py` tells what is measured, and how.",
        "",
        f"- Made at {made_at}, at {100 * share:g} % of the capacity.",
        *(f"- {name}: {value}" for name, value in where.items()),
        f"- Stores: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        *(line for soak in soaks for line in _tell(soak)),
    ]
    (FOLDER / "soak.md").write_text("\n".join(lines) + "\n")


def _tell(soak: Soak) -> Iterator[str]:
    yield ""
    yield f"## {soak.name}, {soak.seconds / 60:g} minutes"
    yield ""
    yield from make_table(("", "measured", "goal", ""), [make_goal(one) for one in list_figures(soak)])
    yield ""
    processes = list(soak.samples[-1].memory)
    head = (
        "minute", "sent", "ended", "waiting", "leases", "failed",
        *(f"{'parent' if one == soak.parent else 'worker'}, MB" for one in processes), "store, MB",
    )  # fmt: skip
    yield from make_table(head, [_make_row(one, processes) for one in _thin(soak.samples, _ROWS)])


def _thin(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return some of them at even distances, the first and the last too."""
    count = min(most, len(samples))
    return [samples[round(place * (len(samples) - 1) / max(1, count - 1))] for place in range(count)]


def _make_row(sample: Sample, processes: Sequence[int]) -> list[str]:
    held = sample.held
    return [
        f"{sample.at / 60:.1f}",
        *(f"{one:,}" for one in (sample.sent, sample.ended, held.waiting, held.leases, held.failed)),
        *(f"{sample.memory.get(one, 0) / 1e6:.1f}" for one in processes),
        f"{held.store_bytes / 1e6:.1f}",
    ]
