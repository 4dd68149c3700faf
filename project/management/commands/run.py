"""Start the whole house: database, first data, web server, worker, sealer of the audit log."""

import http.client
import math
import os
import socket
import sys
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import override
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from project.process_lock import ProcessLock, RunningElsewhereError
from project.processors import count_processors
from project.seed import Credentials, credentials_path, seed
from project.supervisor import Child, ChildDiedError, Supervisor

_READY_WITHIN_SECONDS = 30
_WATCHED = {".py", ".html", ".css", ".js", ".txt", ".svg"}


class Command(BaseCommand):
    """Prepare the database, make the first data, and run web server, worker and sealer until Ctrl-C."""

    help = (
        "Prepare the database, make the first data, and run the web server, one worker and the sealer of the audit log "
        "until Ctrl-C."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reload", action="store_true", help="Restart all of them when the code changes.")

    @override
    def handle(self, *args: object, reload: bool, **options: object) -> None:
        self._check_folder()
        try:
            with ProcessLock() as lock:
                self._check_port()
                lock.describe(f"process {os.getpid()}, {settings.BASE_URL}")
                credentials = self._prepare()
                self._run(credentials, reload=reload)
        except (RunningElsewhereError, ChildDiedError, ValueError) as error:
            raise CommandError(str(error)) from error
        self._say("Stopped.")

    def _check_folder(self) -> None:
        folder = Path(settings.VAR_DIR)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "run.lock").touch()
        except OSError as error:
            message = f"{folder} cannot be written ({error.strerror}); make it writable or set VAR_DIR."
            raise CommandError(message) from error

    def _check_port(self) -> None:
        try:
            (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
                settings.HOST, settings.PORT, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as error:
            message = f"HOST={settings.HOST} is no address of this machine ({error.strerror})."
            raise CommandError(message) from error
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                message = (
                    f"Port {settings.PORT} on {settings.HOST} cannot be used ({error.strerror}). "
                    f"Choose another one: make run PORT={settings.PORT % 65535 + 1}"
                )
                raise CommandError(message) from error

    def _prepare(self) -> Credentials | None:
        self._say("Preparing the database ...")
        call_command("migrate", verbosity=0, interactive=False)
        if not settings.DEV_PAGES:
            return None
        return seed()

    def _run(self, credentials: Credentials | None, *, reload: bool) -> None:
        supervisor = Supervisor([_web_server(), _worker(), _sealer()], say=self._say)
        if reload:
            threading.Thread(target=_watch, args=(supervisor,), daemon=True).start()

        warn_at = time.monotonic() + _READY_WITHIN_SECONDS

        def announce_when_ready() -> bool:
            nonlocal warn_at
            if reason := _why_not_ready():
                if time.monotonic() > warn_at:
                    self._say(f"Not ready after {_READY_WITHIN_SECONDS} s, still trying. /readyz says: {reason}")
                    warn_at = math.inf
                return False
            self._announce(credentials)
            return True

        supervisor.run(on_started=announce_when_ready)

    def _announce(self, credentials: Credentials | None) -> None:
        url = settings.BASE_URL
        lines = [
            "",
            f"Gatehouse is running:  {url}",
            f"  API docs  {url}/docs     admin  {url}/admin/",
        ]
        if credentials is not None:
            lines += [f"  mail      {url}/dev/mail", "", "Users"]
            lines += [f"  {user.email:<20}  {user.password}" for user in credentials.users]
            lines += ["", "OAuth clients"]
            for client in credentials.clients:
                secret = client.client_secret or "(public: no secret, PKCE instead)"
                lines += [f"  {client.name}", f"    client_id      {client.client_id}", f"    client_secret  {secret}"]
            admin = credentials.users[0]
            body = f'{{"email": "{admin.email}", "password": "{admin.password}"}}'
            lines += [
                "",
                "Try it",
                f"  curl {url}/api/v1/auth/login -H 'Content-Type: application/json' -d '{body}'",
                "",
                f"These are kept in {credentials_path()}.",
            ]
        lines += ["Ctrl-C stops everything.", ""]
        self._say("\n".join(lines))

    def _say(self, text: str) -> None:
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except OSError:
            # The terminal is gone; stopping cleanly matters more than saying so.
            sys.stdout = None  # what Python itself uses where there is no terminal


def _web_server() -> Child:
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", settings.HOST, "--port", str(settings.PORT),
        "--workers", "1", "--blocking-threads", str(2 * count_processors()), "--no-ws", "--log-level", "warning",
        "project.wsgi:application",
    ]  # fmt: skip
    return Child("web server", command, is_restarted=False)


def _worker() -> Child:
    return Child("worker", [sys.executable, str(settings.BASE_DIR / "manage.py"), "queue_work"], is_restarted=True)


def _sealer() -> Child:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "audit_seal", "--follow"]
    return Child("sealer of the audit log", command, is_restarted=True, is_deferred=True)


def _why_not_ready() -> str:
    """Return what /readyz complains about; empty when all is ready."""
    host = "127.0.0.1" if settings.HOST in {"0.0.0.0", "127.0.0.1"} else settings.HOST  # noqa: S104 - compared, not bound
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": urlsplit(settings.BASE_URL).netloc})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if answer.status == http.HTTPStatus.OK else body


def _watch(supervisor: Supervisor) -> None:
    from watchfiles import watch  # noqa: PLC0415 - a development dependency

    folders = [
        settings.BASE_DIR / name
        for name in ("project", "accounts", "oauth", "permissions", "jobs", "templates", "static")
    ]
    for changes in watch(*folders, raise_interrupt=False):
        if supervisor.is_stopping:
            return
        if any(Path(path).suffix in _WATCHED for _, path in changes):
            supervisor.request_restart()
