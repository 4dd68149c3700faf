"""What ``manage.py`` says of stores that can't be used."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from tests.processes import ROOT, child_environment, database_url

pytestmark = pytest.mark.process


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words],
        env=child_environment(**environment), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def empty_database(tmp_path: Path) -> str:
    if connection.vendor == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    return urlunsplit(urlsplit(database_url())._replace(path="/postgres"))


@pytest.mark.parametrize("command", ["queue_stats", "queue_failed", "queue_prune", "audit_verify"])
def test_a_database_without_tables_is_explained(command: str, tmp_path: Path) -> None:
    ended = run(command, DATABASE_URL=empty_database(tmp_path))
    assert ended.returncode == 1
    assert "Apply them: manage.py migrate" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_health_of_jobs_in_a_database_without_tables_is_told(tmp_path: Path) -> None:
    ended = run("queue_health", DATABASE_URL=empty_database(tmp_path))
    assert ended.returncode == 2
    assert "The database can't be read." in ended.stdout
    assert "manage.py migrate" in ended.stdout


@pytest.mark.parametrize("command", ["queue_stats", "audit_verify"])
def test_a_database_that_is_away_is_explained(command: str) -> None:
    ended = run(command, DATABASE_URL="postgres://house@127.0.0.1:1/house")
    assert ended.returncode == 1
    assert "See that it runs and that DATABASE_URL is right." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["queue_pause default", "queue_monitor default", "queue_clear --no-input"])
def test_a_redis_that_is_away_is_explained(command: str, transactional_db: None) -> None:
    ended = run(*command.split(), REDIS_URL="redis://127.0.0.1:1/0", JOB_CONNECTION="redis")
    assert ended.returncode == 1
    assert "See that it runs and that REDIS_URL is right." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_asks_for_it_gets_the_traceback() -> None:
    ended = run("queue_stats", "--traceback", DATABASE_URL="postgres://house@127.0.0.1:1/house")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
