"""What a worker process holds, written where its parent can read it after its death.

The memory is shared, and made before the process is; one row for each job in hand: its id, the lease, how far it is,
its connection and its queue. So when a process is killed its parent knows which job it died of, which ones were never
begun, and which are done though the store wasn't told.
"""

import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final
from uuid import UUID

from jobs.drivers.base import UNKNOWN, Claim

#: How many jobs a process may hold at once that runs one at a time: twice what it claims.
ROWS: Final = 256
#: Id of the job, of the lease, how far it is, length of the names of connection and queue, the names.
_ROW: Final = struct.Struct("16s16sBH")
_NAMES_BYTES: Final = 600
_ROW_BYTES: Final = _ROW.size + _NAMES_BYTES
_STAGE_AT: Final = 32
#: How many jobs were begun, behind the rows.
_BEGUN: Final = struct.Struct("Q")


class Stage(IntEnum):
    """How far a job is."""

    GONE = 0
    UNBEGUN = 1
    RUNNING = 2
    DONE = 3


@dataclass(slots=True)
class Rows:
    """What was found in a ledger."""

    unbegun: list[Claim] = field(default_factory=list)
    running: list[Claim] = field(default_factory=list)
    done: list[Claim] = field(default_factory=list)


#: A job under one lease: a job that another thread has put back may be in the same hand again before the first is gone.
type Key = tuple[int, int]


def get_key(claim: Claim) -> Key:
    """Return by what a claim is known."""
    return claim.job_id.int, claim.lease_id.int  # an ``UUID`` takes long to be looked up


class Ledger:
    """The rows of one process; written by it alone, and read by its parent when it is dead."""

    def __init__(self, rows: int = ROWS) -> None:
        """Make the memory for so many jobs; a process that is forked afterwards shares it."""
        self._begun = 0
        self._begun_at = rows * _ROW_BYTES
        self._memory = mmap.mmap(-1, self._begun_at + _BEGUN.size)
        self._places: dict[Key, int] = {}
        self._free = list(range(rows))

    def add(self, claims: Iterable[Claim]) -> None:
        """Write down jobs that were claimed. The stage comes last, so a row that is half written counts for nothing."""
        for claim in claims:
            names = f"{claim.connection}\n{claim.queue}".encode()
            if not self._free or len(names) > _NAMES_BYTES:
                continue  # the lease still tells of it, later
            place = self._places[get_key(claim)] = self._free.pop()
            at = place * _ROW_BYTES
            _ROW.pack_into(self._memory, at, claim.job_id.bytes, claim.lease_id.bytes, Stage.GONE, len(names))
            self._memory[at + _ROW.size : at + _ROW.size + len(names)] = names
            self._memory[at + _STAGE_AT] = Stage.UNBEGUN

    def note(self, claim: Claim, stage: Stage) -> None:
        """Write down how far a job is."""
        if stage is Stage.RUNNING:
            self._begun += 1
            _BEGUN.pack_into(self._memory, self._begun_at, self._begun)
        place = self._places.get(get_key(claim))
        if place is not None:
            self._memory[place * _ROW_BYTES + _STAGE_AT] = stage

    def drop(self, claims: Iterable[Claim]) -> None:
        """Forget jobs that are in nobody's hand any more."""
        for claim in claims:
            if (place := self._places.pop(get_key(claim), None)) is not None:
                self._memory[place * _ROW_BYTES + _STAGE_AT] = Stage.GONE
                self._free.append(place)

    def count_begun(self) -> int:
        """Return how many jobs the process has begun."""
        (count,) = _BEGUN.unpack_from(self._memory, self._begun_at)
        return int(count)

    def read(self) -> Rows:
        """Return what the dead process held."""
        rows = Rows()
        lists = {Stage.UNBEGUN: rows.unbegun, Stage.RUNNING: rows.running, Stage.DONE: rows.done}
        for at in range(0, self._begun_at, _ROW_BYTES):
            job_id, lease_id, stage, length = _ROW.unpack_from(self._memory, at)
            if stage == Stage.GONE:
                continue
            names = self._memory[at + _ROW.size : at + _ROW.size + length].decode(errors="replace")
            connection, _, queue = names.partition("\n")
            lists[Stage(stage)].append(
                Claim(
                    job_id=UUID(bytes=job_id),
                    lease_id=UUID(bytes=lease_id),
                    queue=queue,
                    connection=connection,
                    worker="",
                    # What nobody needs who lets go of a job.
                    job_class="",
                    payload="",
                    priority=0,
                    attempts=0,
                    lease_expires_at=UNKNOWN,
                )
            )
        return rows

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
