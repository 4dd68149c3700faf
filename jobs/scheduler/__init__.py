"""Who looks after the schedule: entries written down, due ones dispatched, whoever looks and however many do."""

from jobs.scheduler.due import ON_TIME, Run, prune_schedule_runs, resend_runs, run_due_schedules, run_schedule_now
from jobs.scheduler.entries import (
    build_scheduled_job,
    disable_schedules,
    enable_schedules,
    get_shown_arguments,
    is_secret,
    open_schedule,
    read_entry,
    reset_schedules,
    save_entry,
)
from jobs.scheduler.sync import synchronise_schedules
from jobs.scheduler.ticker import Ticker

__all__ = [
    "ON_TIME",
    "Run",
    "Ticker",
    "build_scheduled_job",
    "disable_schedules",
    "enable_schedules",
    "get_shown_arguments",
    "is_secret",
    "open_schedule",
    "prune_schedule_runs",
    "read_entry",
    "resend_runs",
    "reset_schedules",
    "run_due_schedules",
    "run_schedule_now",
    "save_entry",
    "synchronise_schedules",
]
