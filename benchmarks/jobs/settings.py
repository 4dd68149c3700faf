"""Production settings, with the jobs that are measured."""

from project.settings.production import *  # noqa: F403 - a settings module is its names
from project.settings.production import JOBS

JOBS["MODULES"] = [*JOBS["MODULES"], "benchmarks.jobs.programs.house_jobs", "benchmarks.jobs.programs.soak_jobs"]
# What RQ's pages show of failed jobs; a week of it would hide whether a soaked store grows.
for _options in JOBS["CONNECTIONS"].values():
    _options["FAILURE_KEPT_SECONDS"] = 5
