"""Write a job class and its test."""

import re
from argparse import ArgumentParser
from pathlib import Path
from textwrap import dedent
from typing import override

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobs.conf import get_job_settings
from jobs.job import get_job_class
from jobs.management.arguments import queue_name

_NAME = re.compile(r"(?:(?P<app>[a-z_][a-z0-9_]*)\.)?(?P<job>[A-Z][A-Za-z0-9]*)")

_HEAD = '''\
"""Jobs of {label}."""

from typing import override

from jobs.job import Job
'''
_JOB = '''

class {job}(Job):
    """Say in one line what it does."""

    queue = "{queue}"

    def __init__(self, text: str) -> None:
        """Take what the work needs; pass ids or rows of models rather than much data."""
        self.text = text

    @override
    {function} handle(self) -> None:
        """Do the work. It may run more than once, so a second time must do no harm."""
        raise NotImplementedError
'''
_TEST = '''\
"""The job {job}."""

import pytest

from {module} import {job}
from jobs.testing import JobsFake


@pytest.mark.django_db
def test_it_is_dispatched_with_what_it_was_given(jobs_fake: JobsFake) -> None:
    {job}.dispatch("something")
    jobs_fake.assert_dispatched({job}, times=1, where=lambda job: job.text == "something")


@pytest.mark.django_db
def test_it_does_its_work() -> None:
    with pytest.raises(NotImplementedError):  # say here what it does, when it does
        {job}.dispatch_now("something")
'''


class Command(BaseCommand):
    """Write a job class and its test."""

    help = (
        "Write a job class into the app's jobs.py, and its test into tests/APP/. NAME is APP.ClassName, or ClassName "
        "with --app. Nothing is overwritten. Exit code: 0, or 1 when something is there already."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="Such as accounts.SendReportJob.")
        parser.add_argument("--app", default="", help="Label of the app, where NAME has none.")
        parser.add_argument("--queue", type=queue_name, default="default", help="Queue that it waits in.")
        parser.add_argument("--async", action="store_true", dest="is_async", help="Make handle() a coroutine.")

    @override
    def handle(self, *, name: str, app: str, queue: str, is_async: bool, **_others: object) -> None:
        found = _NAME.fullmatch(name)
        if found is None:
            message = f"{name!r} is no name of a job; write it like accounts.SendReportJob."
            raise CommandError(message)
        job = found["job"] if found["job"].endswith("Job") else f"{found['job']}Job"
        config = _get_app(found["app"] or app)
        job_file = Path(config.path) / "jobs.py"
        test_file = Path(settings.BASE_DIR) / "tests" / config.label / f"test_{_to_snake(job)}.py"
        _refuse_existing(config, job, job_file, test_file)
        values = {
            "label": config.label,
            "job": job,
            "queue": queue,
            "module": f"{config.name}.jobs",
            "function": "async def" if is_async else "def",
        }
        _append(job_file, _HEAD.format(**values), _JOB.format(**values))
        _write_test(test_file, _TEST.format(**values))
        self.stdout.write(f"Wrote {job} to {_show(job_file)} and its test to {_show(test_file)}.")
        if values["module"] not in get_job_settings().modules:
            self.stdout.write(f"Next: add '{values['module']}' to JOBS['MODULES'], so that workers know it.")
        self.stdout.write(f"Run its test with: python -m pytest {_show(test_file)}")


def _get_app(label: str) -> AppConfig:
    if not label:
        message = "Say which app it belongs to: APP.ClassName, or --app APP."
        raise CommandError(message)
    try:
        return apps.get_app_config(label)
    except LookupError:
        message = f"There is no app {label!r}; installed: {', '.join(sorted(apps.app_configs))}."
        raise CommandError(message) from None


def _refuse_existing(config: AppConfig, job: str, job_file: Path, test_file: Path) -> None:
    if get_job_class(f"{config.label}.{job}") is not None or f"class {job}(" in _read(job_file):
        message = f"There is a job {config.label}.{job} already."
        raise CommandError(message)
    if (Path(config.path) / "jobs").is_dir():
        message = f"{config.label}.jobs is a package; write the class into one of its modules."
        raise CommandError(message)
    if test_file.exists():
        message = f"{_show(test_file)} is there already."
        raise CommandError(message)


def _append(path: Path, head: str, body: str) -> None:
    text = _read(path)
    if not text:
        path.write_text(head + body, encoding="utf-8")
        return
    for module, name in (("jobs.job", "Job"), ("typing", "override")):
        if not re.search(rf"^from {re.escape(module)} import .*\b{name}\b", text, re.MULTILINE):
            text = _add_import(text, f"from {module} import {name}")
    path.write_text(text.rstrip("\n") + "\n" + body, encoding="utf-8")


def _add_import(text: str, line: str) -> str:
    """Put an import before the first one that is there."""
    found = re.search(r"^(?:from|import) ", text, re.MULTILINE)
    position = found.start() if found else len(text)
    return f"{text[:position]}{line}\n{text[position:]}"


def _write_test(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(dedent(text), encoding="utf-8")


def _to_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _show(path: Path) -> str:
    base = Path(settings.BASE_DIR)
    return str(path.relative_to(base) if path.is_relative_to(base) else path)
