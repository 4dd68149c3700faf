"""npm oidc-provider as a program beside us, where Node.js is there."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import start_valkey, wait_for

_FOLDER = Path(__file__).parent / "node"


@dataclass(frozen=True, slots=True)
class NodePeer:
    """A running oidc-provider."""

    port: int
    #: ``name:password`` of its client.
    login: str
    version: str


@contextmanager
def serve_node_peer() -> Iterator[NodePeer | None]:
    """Serve oidc-provider in one process, its tokens in a Valkey server of its own; None without Node.js."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-node-") as folder, start_valkey() as redis_url:
        for name in ("package.json", "package-lock.json", "server.mjs"):
            shutil.copy(_FOLDER / name, folder)
        subprocess.run([npm, "ci", "--silent", "--ignore-scripts"], cwd=folder, check=True)  # noqa: S603 - ours
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        secret = secrets.token_urlsafe(32)
        environment = {
            "PATH": os.environ["PATH"],
            "NODE_ENV": "production",
            "PORT": str(port),
            "REDIS_URL": redis_url,
            "CLIENT_SECRET": secret,
        }
        with subprocess.Popen([node, "server.mjs"], cwd=folder, env=environment, stderr=subprocess.DEVNULL) as server:  # noqa: S603 - ours
            try:
                wait_for(port)
                yield NodePeer(port, f"service:{secret}", _read_version(folder))
            finally:
                server.kill()


def _read_version(folder: str) -> str:
    package = Path(folder, "node_modules", "oidc-provider", "package.json").read_text()

    return str(json.loads(package)["version"])
