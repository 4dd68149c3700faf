"""``docs/jobs.md`` is held to the code: its blocks run, and its tables name what there is."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import settings as django_settings

from jobs import middleware
from jobs.batch import PendingBatch
from jobs.job import Job, PendingDispatch
from jobs.management.commands.queue_work import Command as QueueWork
from jobs.queues import forget_queue
from jobs.schedules import forget_schedule
from jobs.signals import job_failed
from jobs.worker.supervisors import SupervisorOptions
from tests.processes import ROOT

GUIDE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULE = "guide"  # an app of its own, so that its names are free


def table(head: str) -> Iterator[list[str]]:
    """Give the names in the first cell of each row of the table that begins with this head."""
    lines = iter(GUIDE.splitlines())
    assert any(line.startswith(f"| {head} |") for line in lines), f"no table {head}"
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield re.findall(r"`-?-?([\w.-]+)", line.split("|")[1])


@pytest.fixture
def guide(tmp_path: Path) -> Iterator[ModuleType]:
    """A module of all blocks of the guide, not run yet."""
    path = tmp_path / "guide.py"
    path.write_text("\n\n".join(BLOCK.findall(GUIDE)), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    yield module
    del sys.modules[MODULE]
    job_failed.unlisten(module.tell_somebody)
    forget_queue("imports")
    forget_schedule("nightly newsletter")
    forget_schedule("index")


def test_the_blocks_run(guide: ModuleType, job_connection: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = guide.__spec__
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(guide)
    assert "Dear Ada" in capsys.readouterr().out


def test_the_words_of_a_dispatch_are_those_that_there_are() -> None:
    named = {name for names in table("Word") for name in names}
    words = {name for name, _ in inspect.getmembers(PendingDispatch, inspect.isfunction) if not name.startswith("_")}
    assert named == {word for word in words if not word.startswith(("dispatch", "get_"))}


def test_the_options_of_a_class_are_those_that_there_are() -> None:
    named = {name for names in table("On the class") for name in names}
    hidden = {"signs_attempts", "is_internal"}
    declared = {name for name, kind in Job.__annotations__.items() if "ClassVar" in str(kind)}
    assert named == declared - hidden


def test_the_callbacks_of_a_batch_are_those_that_there_are() -> None:
    named = {name for names in table("On a batch") for name in names}
    assert all(hasattr(PendingBatch, name) for name in named)


def test_the_middleware_is_that_which_there_is() -> None:
    named = {name.partition(".")[0] for names in table("Middleware") for name in names}
    shipped = {name for name in middleware.__all__ if inspect.isclass(getattr(middleware, name))}
    kinds = {name for name in shipped if issubclass(getattr(middleware, name), middleware.Middleware)}
    assert kinds - {"Middleware"} <= named


def test_the_options_of_a_worker_are_those_that_there_are() -> None:
    named = {
        name for line in GUIDE.splitlines() if line.startswith("| `--") for name in re.findall(r"--([\w-]+)", line)
    }
    parser = QueueWork().create_parser("manage.py", "queue_work")
    own = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    assert {f"--{name}" for name in named} <= own


def test_the_words_of_a_supervisor_are_those_that_there_are() -> None:
    named = {name for names in table("Of a supervisor") for name in names}
    assert named == {field.name for field in fields(SupervisorOptions)} - {"name"}


def test_the_settings_are_those_that_there_are() -> None:
    named = {name for names in table("Key") for name in names}
    assert named == set(django_settings.JOBS)
