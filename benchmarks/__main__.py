"""Run benchmarks by name; without a name all of them, on a database of their own. Fails where a goal is missed."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Final

from benchmarks.harness import Figure, machine


def main() -> int:
    """Prepare a database, run, print; 0 unless a goal was missed."""
    arguments = _arguments()
    folder = tempfile.mkdtemp(prefix="gatehouse-bench-")
    os.environ |= {"DJANGO_SETTINGS_MODULE": "project.settings.dev", "VAR_DIR": folder, "LOG_LEVEL": "ERROR"}
    # Not the stores of the developer, whatever .env or the shell say.
    os.environ["ENV_FILE"] = os.devnull
    for name in ("DATABASE_URL", "REDIS_URL", "DEBUG"):
        os.environ.pop(name, None)
    try:
        _prepare_database()
        return _report(arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[[], *_BENCHMARKS, *_LONG],
        help="What to measure; without it all but soak, which takes an hour.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON document per benchmark.")
    parser.add_argument("--users", type=int, default=1_000_000, help="permissions: users in the listing on PostgreSQL.")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs: how many in one turn of a peer, at most.")
    parser.add_argument("--rounds", type=int, default=3, help="jobs: how often each peer has its turn.")
    parser.add_argument("--large", action="store_true", help="jobs: measure claims among a million jobs, too.")
    parser.add_argument("--minutes", type=_read_minutes, default=60, help="soak: how long, at least 1.")
    parser.add_argument(
        "--store", action="append", choices=["redis", "postgresql", "sqlite"], help="soak: where; redis without it."
    )
    parser.add_argument("--load", type=float, default=0.6, help="soak: how much of the capacity is sent.")
    parser.add_argument("--no-results", action="store_true", help="soak: leave the published results as they are.")
    return parser.parse_args()


def _read_minutes(text: str) -> float:
    minutes = float(text)
    if minutes < 1:
        message = "a soak of less than a minute shows no growth"
        raise argparse.ArgumentTypeError(message)
    return minutes


def _prepare_database() -> None:
    import django  # noqa: PLC0415 - after the environment is set
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0)


def _report(arguments: argparse.Namespace) -> int:
    is_all_met = True
    for name in arguments.names or _BENCHMARKS:
        figures = (_BENCHMARKS | _LONG)[name](arguments)
        is_all_met = is_all_met and all(figure.is_met is not False for figure in figures)
        print(_as_json(name, figures) if arguments.json else _as_text(name, figures))  # noqa: T201 - the program's output
    return 0 if is_all_met else 1


# Each imports its own after Django is set up, and only when it is run: the soak does without the peers of the others.
def _measure_tokens(_arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks import tokens  # noqa: PLC0415 - see above

    return tokens.measure()


def _measure_jobs(arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks.jobs import comparison  # noqa: PLC0415 - see above
    from benchmarks.jobs.rounds import Plan  # noqa: PLC0415 - see above

    return comparison.measure(Plan(jobs=arguments.jobs, rounds=arguments.rounds, is_large=arguments.large))


def _measure_accounts(_arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks.accounts import comparison  # noqa: PLC0415 - see above

    return comparison.measure()


def _measure_timing(_arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks.accounts import timing  # noqa: PLC0415 - see above

    return timing.measure()


def _measure_oauth(_arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks.oauth import comparison  # noqa: PLC0415 - see above

    return comparison.measure()


def _measure_permissions(arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks import permissions  # noqa: PLC0415 - see above

    return permissions.measure(user_count=arguments.users)


def _measure_dashboards(_arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks import dashboards  # noqa: PLC0415 - see above

    return dashboards.measure()


def _measure_soak(arguments: argparse.Namespace) -> list[Figure]:
    from benchmarks.jobs.soak.run import SoakPlan, measure  # noqa: PLC0415 - see above

    return measure(
        SoakPlan(
            minutes=arguments.minutes,
            stores=arguments.store or ["redis"],
            load=arguments.load,
            is_published=not arguments.no_results,
        )
    )


_BENCHMARKS: Final[dict[str, Callable[[argparse.Namespace], list[Figure]]]] = {
    "tokens": _measure_tokens,
    "jobs": _measure_jobs,
    "accounts": _measure_accounts,
    "timing": _measure_timing,
    "oauth": _measure_oauth,
    "permissions": _measure_permissions,
    "dashboards": _measure_dashboards,
}
#: Run only where it is asked for.
_LONG: Final = {"soak": _measure_soak}


def _as_json(name: str, figures: list[Figure]) -> str:
    rows = [
        {"name": f.name, "value": f.value, "unit": f.unit, "peers": f.peers, "goal": f.goal, "met": f.is_met}
        for f in figures
    ]
    return json.dumps({"benchmark": name, "machine": machine(), "figures": rows})


def _as_text(name: str, figures: list[Figure]) -> str:
    lines = [name]
    for figure in figures:
        lines.append(f"  {figure.name:<64} {_number(figure.value):>12} {figure.unit:<6}{_verdict(figure)}".rstrip())
        lines += [f"      {peer:<60} {_number(value):>12}" for peer, value in figure.peers.items()]
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"


def _verdict(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    limit = f"goal {'at most' if figure.is_less_better else 'at least'} {_number(figure.goal)}"
    return f"  {limit}: {'met' if figure.is_met else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
