"""Walk the main job of the house over real HTTP."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import override

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project.demo.story import Story, WrongAnswerError
from project.seed import Credentials, credentials_path, read_credentials

_START_DEADLINE_SECONDS = 90


class Command(BaseCommand):
    """Walk the main job over real HTTP and stop at the first wrong answer."""

    help = (
        "Walk the main job over real HTTP and stop at the first wrong answer. Uses the server at BASE_URL; without a "
        "BASE_URL the one that runs from this folder, or one of its own in a temporary folder."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base-url", default=os.environ.get("BASE_URL", ""), help="Where the server answers.")

    @override
    def handle(self, *args: object, base_url: str, **options: object) -> None:
        wanted = base_url.rstrip("/")
        try:
            if _answers(wanted or settings.BASE_URL):
                self._walk(wanted or settings.BASE_URL, read_credentials(credentials_path()))
            elif wanted:
                message = f"No server answers at {wanted}. Start it, or leave BASE_URL out to walk one of its own."
                raise CommandError(message)
            else:
                with _own_server() as (own_url, credentials):
                    self._walk(own_url, credentials)
        except WrongAnswerError as error:
            message = f"Wrong answer: {error}"
            raise CommandError(message) from error
        except (LookupError, ValueError, requests.RequestException) as error:
            message = f"The walk stopped: {error}"
            raise CommandError(message) from error
        self.stdout.write(self.style.SUCCESS("Everything answered as it should."))

    def _walk(self, base_url: str, credentials: Credentials) -> None:
        if not credentials.users:
            message = f"The server at {base_url} wasn't seeded from this folder; run: make db-seed"
            raise CommandError(message)
        self.stdout.write(f"Walking {base_url} with the accounts and clients of this folder's installation")
        Story(base_url=base_url, credentials=credentials, say=self._say).tell()

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _answers(base_url: str) -> bool:
    try:
        return requests.get(f"{base_url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def _own_server() -> Iterator[tuple[str, Credentials]]:
    """Run the whole house in a folder of its own, and end it with the block."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-demo-") as folder:
        port = _free_port()
        base_url = f"http://127.0.0.1:{port}"
        log = Path(folder) / "run.log"
        environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        environment |= {"VAR_DIR": folder, "PORT": str(port), "BASE_URL": base_url, "ENV_FILE": os.devnull}
        with log.open("w") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, str(settings.BASE_DIR / "manage.py"), "run"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_ready(base_url, process, log)
            yield base_url, read_credentials(Path(folder) / "credentials.json")
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(base_url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{base_url}/readyz", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    message = f"The server did not become ready:\n{log.read_text()[-2000:]}"
    raise CommandError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
