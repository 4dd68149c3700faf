"""``python -m tests.faults --store redis --seconds 600``; exit code 1 where an invariant is broken."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict, replace
from pathlib import Path

from tests.faults.faults import SCRIPT
from tests.faults.invariants import tell
from tests.faults.kills import run_kills
from tests.faults.run import MUTANTS, Plan, Report, run
from tests.faults.stores import STORES


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "all"], default="all", help="Where jobs are kept; all in turn.")
    parser.add_argument("--seconds", type=float, default=600, help="How long the script of faults takes.")
    parser.add_argument("--rate", type=float, default=15, help="Jobs dispatched in a second.")
    parser.add_argument("--mutate", choices=MUTANTS, default="", help="Take this out of the engine.")
    names = [fault.name for fault in SCRIPT]
    parser.add_argument("--only", nargs="*", choices=names, default=[], help="These faults alone.")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="Only kill N processes; count what is lost.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Leave a copy of the ledger there.")
    parser.add_argument("--json", action="store_true", help="Print a line of JSON for each store.")
    arguments = parser.parse_args()
    stores = list(STORES) if arguments.store == "all" else [arguments.store]
    is_sound = True
    for store in stores:
        if arguments.kills:
            report = run_kills(store=store, kills=arguments.kills, mutant=arguments.mutate)
        else:
            report = run(
                Plan(
                    store=store,
                    seconds=arguments.seconds,
                    rate=arguments.rate,
                    mutant=arguments.mutate,
                    only=arguments.only,
                    kept_in=arguments.keep,
                )
            )
        _show(report, is_json=arguments.json)
        is_sound = is_sound and report.holds
    sys.exit(0 if is_sound else 1)


def _show(report: Report, *, is_json: bool) -> None:
    plan = report.plan
    if is_json:
        machine = {"system": platform.platform(), "python": platform.python_version(), "processors": os.cpu_count()}
        findings = [{**asdict(one), "holds": one.holds} for one in report.findings]
        told = asdict(replace(plan, kept_in=None))
        found = {"machine": machine, "plan": told, "drained_in": report.drained_in, "findings": findings}
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        what = f" without its {plan.mutant}" if plan.mutant else ""
        sys.stdout.write(f"{plan.store}{what}: {plan.seconds:.0f} s, drained in {report.drained_in:.1f} s\n")
        for line in tell(report.findings):
            sys.stdout.write(f"  {line}\n")
        if not report.holds:
            sys.stdout.write(report.log + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
