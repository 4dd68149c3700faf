"""Production settings but for two things: no limit refuses the load, and there is one address that only reads."""

from project.settings.production import *  # noqa: F403 - a settings module is its names
from project.settings.production import ACCOUNTS

ROOT_URLCONF = "benchmarks.accounts.urls"
ACCOUNTS["LIMITS"] = {door: dict.fromkeys(("ADDRESS", "ACCOUNT", "PAIR")) for door in ("LOGIN", "REFRESH")}
