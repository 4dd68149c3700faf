"""Production settings, with the jobs that are measured."""

from project.settings.production import *  # noqa: F403 - a settings module is its names
from project.settings.production import JOBS

JOBS["MODULES"] = [*JOBS["MODULES"], "benchmarks.jobs.programs.house_jobs"]
