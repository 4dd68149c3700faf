"""What really happened, written down outside of the store that is tested: one line of JSON for each fact, on disk."""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

#: Names the folder, in the environment of each program.
FOLDER: Final = "FAULTS_LEDGER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact."""

    #: Monotonic time of the machine, in seconds: the same for all its processes.
    at: float = field(default_factory=time.monotonic)
    pid: int = field(default_factory=os.getpid)
    #: What happened; of an execution ``start``, then ``end`` or ``raise``.
    phase: str
    #: Id of the job.
    job: str = ""
    attempt: int = 0
    #: Lease under which the store was asked.
    fence: str = ""
    #: What the producer calls the job.
    key: str = ""
    #: What it belongs to: a batch, a chain, a limit.
    group: str = ""
    detail: dict[str, Any] = field(default_factory=dict)  # Any: JSON


class Ledger:
    """A folder with a file for each process, so that none waits for another."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which must be there."""
        self._folder = folder
        self._file: tuple[int, int] | None = None
        self._read_up_to: dict[Path, int] = {}

    def note(self, *entries: Entry) -> None:
        """Write facts down; they are on disk when this returns."""
        if not entries:
            return
        pid = os.getpid()
        if self._file is None or self._file[0] != pid:  # after a fork
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = pid, os.open(self._folder / f"{pid}.jsonl", flags, 0o600)
        lines = "".join(json.dumps(asdict(entry), separators=(",", ":")) + "\n" for entry in entries)
        os.write(self._file[1], lines.encode())
        os.fsync(self._file[1])

    def read_new(self) -> list[Entry]:
        """Return what was written since the last call, in order; a line that was cut off by a kill tells nothing."""
        found = []
        for path in self._folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read_up_to.get(path, 0))
                lines = file.read().rpartition(b"\n")[0]
            self._read_up_to[path] = self._read_up_to.get(path, 0) + len(lines) + bool(lines)
            found += [Entry(**json.loads(line)) for line in lines.splitlines()]
        return sorted(found, key=lambda entry: entry.at)

    def read(self) -> list[Entry]:
        """Return all that was written so far, in order."""
        return Ledger(self._folder).read_new()


@cache
def get_ledger() -> Ledger:
    """Return the ledger of this program."""
    return Ledger(Path(os.environ[FOLDER]))
