"""What the guide to deployment shows, and what the image holds."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from granian.cli import cli
from packaging.specifiers import SpecifierSet

from tests.processes import ROOT
from tests.project.production import make_environment

GUIDE = (ROOT / "docs/deployment.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def list_blocks(language: str) -> list[str]:
    """Return the blocks of the guide in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def list_commands() -> Iterator[Sequence[str]]:
    """Yield each command that a unit, a container, the image or the guide runs, split into words."""
    for unit in list_blocks("ini"):
        yield from (shlex.split(line) for line in re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE))
    for text in (*list_blocks("yaml"), DOCKERFILE):
        yield from (json.loads(line) for line in re.findall(r"^(?:CMD|\s+command:) (\[.*\])$", text, re.MULTILINE))
    for text in list_blocks("sh"):
        yield from (
            ["manage.py", *shlex.split(line, comments=True)]
            for line in re.findall(r"^gatehouse (.*)$", text, re.MULTILINE)
        )
        yield from (shlex.split(line) for line in re.findall(r"(python manage\.py [a-z].*)$", text, re.MULTILINE))


def test_every_command_of_the_guide_and_the_image_is_one() -> None:
    programs = set()
    for command in list_commands():
        if "granian" in command:
            program, options = "granian", command[command.index("granian") + 1 :]
            cli.make_context(program, list(options))
        else:
            program, *options = command[command.index("manage.py") + 1 :]
            load_command_class(get_commands()[program], program).create_parser("manage.py", program).parse_args(options)
        programs.add(program)
    assert programs >= {
        "granian",
        "queue_supervise",
        "audit_seal",
        "migrate",
        "collectstatic",
        "db_seed",
        "queue_restart",
    }


def test_every_variable_of_the_guide_is_one() -> None:
    environment = next(block for block in list_blocks("text") if "SECRET_KEY" in block)
    known = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"^([A-Z_]+)=", environment, re.MULTILINE)) <= known | {"DJANGO_SETTINGS_MODULE"}


def test_the_image_has_a_python_that_the_project_takes() -> None:
    wanted = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    bases = re.findall(r"^FROM python:([0-9.]+)-slim", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(wanted.contains(base) for base in bases)


@pytest.mark.process
def test_what_the_image_holds_is_enough_and_no_more(tmp_path: Path) -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    house = tmp_path / "house"
    for name in (rule.removeprefix("!") for rule in rules if rule.startswith("!")):
        source, target = ROOT / name, house / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    environment = make_environment(tmp_path)
    look = (
        "from django.test import Client; [Client().get(path, secure=True, headers={'host': 'id.example.org'})"
        ".content for path in ('/accounts/login/', '/admin/login/', '/docs', '/oauth/jwks')]"
    )
    for options in (
        ["collectstatic", "--no-input"], ["migrate", "--verbosity", "0"], ["db_seed"], ["check", "--deploy"],
        ["shell", "--no-imports", "-c", look],
    ):  # fmt: skip
        command = [sys.executable, "manage.py", *options]
        ended = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    assert not [path for path in house.rglob("*") if path.name.startswith((".env", "test_", "conftest"))]
