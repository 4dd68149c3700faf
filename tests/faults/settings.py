"""Settings of the programs under test: those of a first minute, with the jobs, drivers that note, and short leases."""

import os

from project.settings.dev import *  # noqa: F403 - a settings module is its names
from project.settings.dev import DATABASES, JOBS

_FOR_EVER = 365 * 24 * 3600
_mutant = os.environ.get("FAULTS_MUTANT", "")
_module, _prefix = ("mutants", "Fenceless") if _mutant == "fence" else ("witness", "Witnessed")
_drivers = {"redis": f"{_prefix}RedisDriver", "database": f"{_prefix}DatabaseDriver"}

JOBS = {
    **JOBS,
    "MODULES": [*JOBS["MODULES"], "tests.faults.workload"],
    "CONNECTIONS": {
        name: {**options, **({"DRIVER": f"tests.faults.{_module}.{_drivers[name]}"} if name in _drivers else {})}
        for name, options in JOBS["CONNECTIONS"].items()
    },
    "OUTBOX": _mutant != "outbox",
    # Without its end a lease is none: a job is its worker's for good.
    "LEASE_SECONDS": _FOR_EVER if _mutant == "lease" else float(os.environ.get("FAULTS_LEASE", "20")),
    # A job may be hit many times within one run.
    "MAX_CRASHES": 50,
    "SLEEP_SECONDS": 0.2,
}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
