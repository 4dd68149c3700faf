"""Run benchmarks by name; without a name all of them, on a database of their own."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection

from benchmarks.harness import Figure, machine


def main() -> int:
    """Prepare a database, run, print; 0 unless a goal was missed."""
    arguments = _arguments()
    folder = tempfile.mkdtemp(prefix="gatehouse-bench-")
    os.environ |= {"DJANGO_SETTINGS_MODULE": "project.settings.dev", "VAR_DIR": folder, "LOG_LEVEL": "ERROR"}
    try:
        _prepare_database()
        return _report(arguments.names, as_json=arguments.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], "tokens", "jobs"], help="What to measure; default: all.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document per benchmark.")
    return parser.parse_args()


def _prepare_database() -> None:
    import django  # noqa: PLC0415 - after the environment is set
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0)


def _report(names: Collection[str], *, as_json: bool) -> int:
    from benchmarks import jobs, tokens  # noqa: PLC0415 - after Django is set up

    benchmarks: dict[str, Callable[[], list[Figure]]] = {"tokens": tokens.measure, "jobs": jobs.measure}
    is_all_met = True
    for name in names or benchmarks:
        figures = benchmarks[name]()
        is_all_met = is_all_met and all(figure.is_met is not False for figure in figures)
        print(_as_json(name, figures) if as_json else _as_text(name, figures))  # noqa: T201 - the program's output
    return 0 if is_all_met else 1


def _as_json(name: str, figures: list[Figure]) -> str:
    rows = [
        {"name": f.name, "value": f.value, "unit": f.unit, "peers": f.peers, "goal": f.goal, "met": f.is_met}
        for f in figures
    ]
    return json.dumps({"benchmark": name, "machine": machine(), "figures": rows})


def _as_text(name: str, figures: list[Figure]) -> str:
    return "\n".join([name, *(f"  {f.name:<40} {f.value:>12,.1f} {f.unit}" for f in figures)])


if __name__ == "__main__":
    sys.exit(main())
