"""Shells complete the commands of jobs by the script that ``queue_completion`` prints."""

import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, load_command_class

from tests.jobs.terminal.terminals import run
from tests.processes import ROOT

COMMANDS = sorted(path.stem for path in (ROOT / "jobs" / "management" / "commands").glob("[!_]*.py"))
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_gatehouse_jobs
printf '%s\\n' "${COMPREPLY[@]}"
"""


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell}")


SHELLS = ["bash", *(pytest.param(name, marks=needs(name)) for name in ("zsh", "fish"))]


def find(shell: str) -> str:
    path = shutil.which(shell)
    assert path is not None
    return path


def write(shell: str, path: Path) -> Path:
    out = StringIO()
    call_command("queue_completion", shell, stdout=out)
    script = path / f"completion.{shell}"
    script.write_text(out.getvalue())
    return script


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("bash", tmp_path_factory.mktemp("bash"))


def complete(script: Path, *words: str) -> list[str]:
    """Return what Bash offers for the last word."""
    done = subprocess.run(
        [find("bash"), "-eu", "-c", ASK, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("before", [("manage.py",), ("./manage.py",), ("python", "-W", "error", "/srv/manage.py")])
def test_bash_completes_all_commands(bash_script: Path, before: tuple[str, ...]) -> None:
    assert complete(bash_script, *before, "") == COMMANDS
    assert complete(bash_script, *before, "queue_das") == ["queue_dashboard"]


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_completes_each_option_that_a_command_takes(bash_script: Path, command: str) -> None:
    offered = complete(bash_script, "manage.py", command, "--")
    parser = load_command_class("jobs", command).create_parser("manage.py", command)
    assert set(offered) == {name for name in parser._option_string_actions if name.startswith("--")}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("queue_top", "--sort", "m"), ["memory"]),
        (("queue_top", "--sort", "=", "ti"), ["time"]),
        (("queue_top", "--sort", "="), ["cpu", "memory", "time", "tries", "state", "name"]),
        (("queue_top", "--refresh", ""), []),
        (("queue_completion", "z"), ["zsh"]),
        (("queue_work", "--json", "--thr"), ["--threads"]),
        (("migrate", "--f"), []),
    ],
)
def test_bash_completes_values(bash_script: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert complete(bash_script, "manage.py", *words) == offered


def test_bash_offers_nothing_of_ours_where_nobody_calls_manage_py(bash_script: Path) -> None:
    assert complete(bash_script, "python", "-m", "que") == []


@pytest.mark.django_db
@pytest.mark.process
@pytest.mark.parametrize(
    ("shell", "options", "prepare"),
    [
        pytest.param("bash", ["--norc", "--noprofile", "-i"], ""),
        pytest.param("zsh", ["-f", "-i"], "autoload -Uz compinit && compinit -u -D && ", marks=needs("zsh")),
    ],
)
def test_a_person_types_and_presses_tab(shell: str, options: list[str], prepare: str, tmp_path: Path) -> None:
    script = write(shell, tmp_path)
    with run(shell, *options, size=(200, 24), HOME=str(tmp_path)) as opened:
        opened.press(f"{prepare}source {script} && echo re''ady\n")
        opened.wait_for("ready")
        opened.press("manage.py queue_das\t")
        opened.wait_for("queue_dashboard")
        opened.press("--onc\t")
        opened.wait_for("--once")


@needs("fish")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("manage.py queue_das", ["queue_dashboard"]),
        ("manage.py queue_top --so", ["--sort"]),
        ("manage.py queue_top --sort me", ["memory"]),
        ("manage.py queue_completion z", ["zsh"]),
    ],
)
def test_fish_completes_commands_options_and_values(typed: str, offered: list[str], tmp_path: Path) -> None:
    ask = f"source {write('fish', tmp_path)}; complete -C '{typed}'"
    done = subprocess.run(
        [find("fish"), "--no-config", "-c", ask], capture_output=True, text=True, check=True, timeout=20
    )
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_finds_no_mistake_in_its_script(shell: str, tmp_path: Path) -> None:
    subprocess.run([shell, "-n", str(write(shell, tmp_path))], check=True, timeout=20)


def test_other_shells_are_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("queue_completion", "tcsh")
