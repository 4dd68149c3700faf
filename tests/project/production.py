"""The house under production settings, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

GOOD = {
    "SECRET_KEY": "q7Vd2LmX0pRz9sTb4KfYc8HwJu1NgEa6oQiBvZtMnCxDyWrPlSk3h5jGFU",
    "BASE_URL": "https://id.example.org",
    "ALLOWED_HOSTS": "id.example.org",
    "EMAIL_URL": "smtp://mail.example.org:587?tls=1",
}


def make_environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    """Return a good environment with changes; what the house writes is below the folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    own = {"DJANGO_SETTINGS_MODULE": "project.settings.production", "ENV_FILE": os.devnull}
    return kept | GOOD | own | {"VAR_DIR": str(tmp_path / "made" / "by" / "it")} | changes


def run_in_production(tmp_path: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python under production settings with a changed environment."""
    environment = make_environment(tmp_path, **changes)
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
