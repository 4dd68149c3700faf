"""Reading a stored job. Somebody else may have written it, and what makes no sense must stop no worker.

Whatever can't be read gets a value that does no harm, and the claim says so: its job is set apart, and never run.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from jobs.drivers.base import Claim

#: What a job is held for where the store says nothing that can be used, and the most that it may say, in seconds.
LEASE_SECONDS: Final = 75.0
LONGEST_LEASE_SECONDS: Final = 1_000_000_000
MAX_ATTEMPTS: Final = 2**31 - 2
_MAX_PRIORITY: Final = 255
#: As much as a failed job keeps.
_MAX_QUEUE_LENGTH: Final = 100
_MAX_CLASS_LENGTH: Final = 200
_MAX_SHOWN: Final = 60


class Reader:
    """Reads the fields of one job, as the store writes them, and collects what is wrong with them."""

    def __init__(self, fields: Mapping[str, bytes | None]) -> None:
        """Take the fields by their names."""
        self._fields = fields
        self._faults: list[str] = []

    def read_claim(
        self,
        *,
        lease_id: UUID,
        lease_expires_at: datetime,
        worker: str,
        connection: str = "",
        numbers: Sequence[str] = (),
    ) -> Claim:
        """Return the job as a claim, with this try counted.

        Args:
            lease_id: Of the claim.
            lease_expires_at: Of the claim.
            worker: Of the claim.
            connection: Of the claim.
            numbers: Other fields, which must hold numbers.
        """
        for name in ("lease_seconds", *numbers):
            self._read_float(name)
        return Claim(
            job_id=self.read_id(),
            queue=self._read_text("queue", _MAX_QUEUE_LENGTH),
            job_class=self._read_text("job_class", _MAX_CLASS_LENGTH),
            # What isn't text is no record, and is refused where that is read.
            payload=_to_text(self._fields["payload"] or b""),
            priority=self._read_int("priority", _MAX_PRIORITY),
            attempts=self._read_int("attempts", MAX_ATTEMPTS) + 1,
            lease_id=lease_id,
            lease_expires_at=lease_expires_at,
            connection=connection,
            worker=worker,
            fault=" ".join(self._faults),
            waited=self._read_wait(lease_expires_at),
        )

    def read_id(self) -> UUID:
        """Return the id; a new one where it is none, so that the job can be put among the failed ones."""
        value = self._fields["job_id"] or b""
        try:
            return UUID(value.decode())
        except ValueError:
            self._note("job_id")
            return uuid4()

    def read_lease_seconds(self) -> float:
        """Return for how long the job is held."""
        value = _to_float(self._fields["lease_seconds"])
        return value if value is not None and 0 < value <= LONGEST_LEASE_SECONDS else LEASE_SECONDS

    def _read_wait(self, lease_expires_at: datetime) -> timedelta:
        """Return how long the job was due; nothing where the store doesn't say it in a way that can be read."""
        due_at = _to_moment(self._fields.get("due") or self._fields.get("available_at"))
        claimed_at = lease_expires_at - timedelta(seconds=self.read_lease_seconds())
        return timedelta(0) if due_at is None else max(claimed_at - due_at, timedelta(0))

    def _read_float(self, name: str) -> None:
        value = _to_float(self._fields[name])
        is_lease = name == "lease_seconds"
        if value is None or value < 0 or (is_lease and value != self.read_lease_seconds()):
            self._note(name)

    def _read_int(self, name: str, highest: int) -> int:
        value = self._fields[name] or b""
        if value.isdigit() and len(value) <= len(str(highest)) and int(value) <= highest:
            return int(value)
        self._note(name)
        return 0

    def _read_text(self, name: str, longest: int) -> str:
        value = self._fields[name] or b""
        text = _to_text(value)
        if text.encode() != value or not 0 < len(text) <= longest:
            self._note(name)
        return text[:longest]

    def _note(self, name: str) -> None:
        value = self._fields[name]
        shown = "nothing" if value is None else ascii(value[:_MAX_SHOWN])
        self._faults.append(f"The field {name} holds {shown}.")


def _to_text(value: bytes) -> str:
    """Return text that every database can hold."""
    return value.decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _to_float(value: bytes | None) -> float | None:
    try:
        number = float(value or b"")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _to_moment(value: bytes | None) -> datetime | None:
    """Read seconds since 1970, as Redis keeps a moment, or the text that a database makes of one."""
    seconds = _to_float(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, tz=UTC)
        moment = datetime.fromisoformat((value or b"").decode())
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
