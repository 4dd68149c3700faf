"""Run benchmarks by name; without a name all of them, on a database of their own. Fails where a goal is missed."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial

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
        choices=[[], "tokens", "jobs", "permissions", "accounts", "timing", "oauth"],
        help="What to measure.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON document per benchmark.")
    parser.add_argument("--users", type=int, default=1_000_000, help="permissions: users in the listing on PostgreSQL.")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs: how many in one turn of a peer, at most.")
    parser.add_argument("--rounds", type=int, default=3, help="jobs: how often each peer has its turn.")
    parser.add_argument("--large", action="store_true", help="jobs: measure claims among a million jobs, too.")
    return parser.parse_args()


def _prepare_database() -> None:
    import django  # noqa: PLC0415 - after the environment is set
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0)


def _report(arguments: argparse.Namespace) -> int:
    from benchmarks import permissions, tokens  # noqa: PLC0415 - after Django is set up
    from benchmarks.accounts import comparison as accounts  # noqa: PLC0415 - as above
    from benchmarks.accounts import timing  # noqa: PLC0415 - as above
    from benchmarks.jobs import comparison as jobs  # noqa: PLC0415 - as above
    from benchmarks.jobs.rounds import Plan  # noqa: PLC0415 - as above
    from benchmarks.oauth import comparison as oauth  # noqa: PLC0415 - as above

    benchmarks: dict[str, Callable[[], list[Figure]]] = {
        "tokens": tokens.measure,
        "jobs": partial(jobs.measure, Plan(jobs=arguments.jobs, rounds=arguments.rounds, is_large=arguments.large)),
        "accounts": accounts.measure,
        "timing": timing.measure,
        "oauth": oauth.measure,
        "permissions": partial(permissions.measure, user_count=arguments.users),
    }
    is_all_met = True
    for name in arguments.names or benchmarks:
        figures = benchmarks[name]()
        is_all_met = is_all_met and all(figure.is_met is not False for figure in figures)
        print(_as_json(name, figures) if arguments.json else _as_text(name, figures))  # noqa: T201 - the program's output
    return 0 if is_all_met else 1


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
