"""Programs of other people: where they are installed, and how a test talks with them."""

import hashlib
import json
import shutil
import subprocess
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.interop.person import Person
from tests.processes import ROOT

_SOURCES = Path(__file__).parent / "node"
_FOLDERS = ROOT / ".tools" / "interop"
_INSTALL_SECONDS = 60


def install_node_packages() -> Path:
    """Return a folder with the scripts of ``node/`` and the packages of their lock; skip where they can't be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed here.")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(_SOURCES.iterdir()))).hexdigest()
    folder = _FOLDERS / digest[:16]
    _FOLDERS.mkdir(parents=True, exist_ok=True)
    with (_FOLDERS / "lock").open("w") as lock:
        flock(lock, LOCK_EX)  # one worker of pytest-xdist installs, the others wait
        if not (folder / "installed").exists():
            shutil.copytree(_SOURCES, folder, dirs_exist_ok=True)
            _install(npm, folder)
            (folder / "installed").touch()
    return folder


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr.strip().splitlines() if isinstance(error, subprocess.CalledProcessError) else []
        pytest.skip(f"npm could not install the clients: {' '.join(said[:2]) or error}")


def run_script(script: Path, task: object, person: Person) -> object:
    """Run a script of ``node/`` and let the person open what it asks for.

    Returns:
        What it finishes with.
    """
    with subprocess.Popen(
        ["node", str(script), json.dumps(task)],  # noqa: S607 - whichever Node is installed
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "result" in said:
                    return said["result"]
                process.stdin.write(person.visit(said["visit"], until="https://") + "\n")
                process.stdin.flush()
            pytest.fail(process.stderr.read())
        finally:
            process.kill()
