"""Real child processes of the house, on the database of the running test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[1]


def database_url() -> str:
    """Return the URL of the test database that this process uses."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    host = quote(str(values["HOST"]), safe="")
    login = quote(str(values["USER"]), safe="") + (f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else "")
    port = f":{values['PORT']}" if values["PORT"] else ""
    return f"postgres://{login}@{host}{port}/{values['NAME']}"


def child_environment(**extra: str) -> dict[str, str]:
    """Return an environment in which ``manage.py`` works on the test database with the test secrets."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings.dev",
        "ENV_FILE": os.devnull,
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "VAR_DIR": str(settings.VAR_DIR),
        "PYTHONPATH": str(ROOT),
        **extra,
    }


@contextmanager
def manage(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a management command as a process of its own; it is killed, if need be, at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=environment or child_environment(),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
