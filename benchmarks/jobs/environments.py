"""Where the peers are installed: folders of their own under ``var/``, so that none comes near the product."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "var" / "bench"
_LOCK = _ROOT / "requirements" / "job-peers.lock"
_NODE = Path(__file__).parent / "node"


def make_python() -> Path:
    """Return the interpreter under which the Python peers run, with what the lock names, each by its hash."""
    folder = _FOLDER / "job-peers"
    python, stamp = folder / "bin" / "python", folder / "installed.lock"
    wanted = f"{sys.base_prefix} {sys.version}\n{_LOCK.read_text()}"  # another interpreter makes it anew
    if not (stamp.exists() and stamp.read_text() == wanted):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run(  # noqa: S603 - ours
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
             "-r", _LOCK],
            check=True,
        )  # fmt: skip
        stamp.write_text(wanted)
    return python


def make_node() -> tuple[str, Path] | None:
    """Return Node.js and the folder in which BullMQ is installed; None without Node.js."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        sys.stderr.write("There is no Node.js here, so BullMQ is left out.\n")
        return None
    folder = _FOLDER / "bullmq"
    stamp = folder / "installed.json"
    if not _is_same(stamp, _NODE / "package-lock.json"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_NODE / name, folder)
        subprocess.run([npm, "ci", "--silent", "--ignore-scripts"], cwd=folder, check=True)  # noqa: S603 - ours
        shutil.copy(_NODE / "package-lock.json", stamp)
    shutil.copy(_NODE / "bullmq.mjs", folder)
    return node, folder


def _is_same(stamp: Path, lock: Path) -> bool:
    return stamp.exists() and stamp.read_bytes() == lock.read_bytes()
