"""Reading a stored job. Somebody else may have written it, and what makes no sense must stop no worker and no page.

Whatever can't be read gets a value that does no harm, and the claim says so: its job is set apart, and never run.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from jobs.drivers.base import UNKNOWN, Claim
from jobs.drivers.inventory import JobState, StoredJob
from project.printable import to_storable

MAX_ATTEMPTS: Final = 2**31 - 2
MAX_CRASHES: Final = 2**15 - 2
_MAX_PRIORITY: Final = 255
_MOST_DIGITS: Final = 10
#: As much as a failed job keeps.
_MAX_QUEUE_LENGTH: Final = 100
_MAX_CLASS_LENGTH: Final = 200
_MAX_WORKER_LENGTH: Final = 200
_MAX_SHOWN: Final = 60
_SHORTEST_MOMENT: Final = len("2000-01-01 00:00:00")
_LONGEST_STAMP: Final = 30
#: Of a fraction of a second.
_DIGITS: Final = 6
_NO_TIME: Final = timedelta(0)
#: Names of queues and classes that were read before, which are few, and how many are kept.
_known_names: Final[dict[bytes, str]] = {}
_MAX_KNOWN: Final = 1_000


class Reader:
    """Reads the fields of one job, as the store writes them, and collects what is wrong with them."""

    def __init__(self, fields: Mapping[str, bytes | None], *, has_seconds: bool = False) -> None:
        """Take the fields by their names; moments are seconds since 1970, as in Redis, or texts of a database."""
        self._fields = fields
        self._to_moment = _from_seconds if has_seconds else _from_text
        self._due, self._born = ("due", "born") if has_seconds else ("available_at", "created_at")
        self._faults: list[str] = []

    def read_claim(
        self,
        *,
        lease_id: UUID,
        claimed_at: datetime,
        lease_expires_at: datetime,
        worker: str,
        connection: str,
        numbers: Sequence[str] = (),
    ) -> Claim:
        """Return the job as a claim, with this try counted.

        Args:
            lease_id: Of the claim.
            claimed_at: Of the claim.
            lease_expires_at: Of the claim.
            worker: Of the claim.
            connection: Of the claim.
            numbers: Other fields, which must hold numbers.
        """
        for name in numbers:
            self._read_float(name)
        due_at = self._read_moment(self._due)
        self._read_moment(self._born)
        return Claim(
            job_id=self.read_id(),
            queue=self._read_text("queue", _MAX_QUEUE_LENGTH),
            job_class=self._read_text("job_class", _MAX_CLASS_LENGTH),
            # What isn't text is no record, and is refused where that is read.
            payload=to_text(self._fields["payload"] or b""),
            priority=self._read_int("priority", _MAX_PRIORITY),
            attempts=self._read_int("attempts", MAX_ATTEMPTS) + 1,
            lease_id=lease_id,
            lease_expires_at=lease_expires_at,
            connection=connection,
            worker=worker,
            claimed_at=claimed_at,
            waited=claimed_at - due_at if due_at is not None and due_at < claimed_at else _NO_TIME,
            crashes=self._read_int("crashes", MAX_CRASHES),
            fault=" ".join(self._faults),
        )

    def read_stored(self, *, state: JobState, numbers: Sequence[str] = ()) -> StoredJob:
        """Return the job as it is shown; ``numbers`` are other fields, which must hold numbers."""
        for name in numbers:
            self._read_float(name)
        due_at, created_at = self._read_moment(self._due), self._read_moment(self._born)
        self._read_int("crashes", MAX_CRASHES)
        return StoredJob(
            job_id=self.read_id(),
            queue=self._read_text("queue", _MAX_QUEUE_LENGTH),
            job_class=self._read_text("job_class", _MAX_CLASS_LENGTH),
            payload=to_text(self._fields["payload"] or b""),
            priority=self._read_int("priority", _MAX_PRIORITY),
            attempts=self._read_int("attempts", MAX_ATTEMPTS),
            state=state,
            available_at=due_at or UNKNOWN,
            created_at=created_at or UNKNOWN,
            worker=to_text(self._fields["worker"] or b"")[:_MAX_WORKER_LENGTH],
            fault=" ".join(self._faults),
        )

    def read_id(self) -> UUID:
        """Return the id; a new one where it is none, so that the job can be put among the failed ones."""
        value = self._fields["job_id"] or b""
        try:
            return UUID(value.decode())
        except ValueError:
            self._note("job_id")
            return uuid4()

    def _read_moment(self, name: str) -> datetime | None:
        moment = self._to_moment(self._fields[name] or b"")
        if moment is None:
            self._note(name)
        return moment

    def _read_float(self, name: str) -> None:
        value = read_number(self._fields[name])
        if value is None or value < 0:
            self._note(name)

    def _read_int(self, name: str, highest: int) -> int:
        value = self._fields[name] or b""
        if value.isdigit() and len(value) <= _MOST_DIGITS and (number := int(value)) <= highest:
            return number
        self._note(name)
        return 0

    def _read_text(self, name: str, longest: int) -> str:
        value = self._fields[name] or b""
        if (known := _known_names.get(value)) is not None:
            return known
        text = to_text(value)
        if text.encode() != value or not 0 < len(text) <= longest:
            self._note(name)
        elif len(text) <= _MAX_QUEUE_LENGTH:
            if len(_known_names) >= _MAX_KNOWN:  # several threads may add one at a time
                _known_names.clear()
            _known_names[value] = text
        return text[:longest]

    def _note(self, name: str) -> None:
        value = self._fields[name]
        shown = "nothing" if value is None else ascii(value[:_MAX_SHOWN])
        self._faults.append(f"The field {name} holds {shown}.")


def read_moment(value: bytes | None) -> datetime | None:
    """Return the moment that a database wrote as text; None where it is none, or one that Python doesn't know."""
    return _from_text(value or b"")


def read_seconds(value: bytes | None) -> datetime | None:
    """Return the moment that is so many seconds after the begin of 1970; None where it is none that Python knows."""
    return _from_seconds(value or b"")


def to_text(value: bytes) -> str:
    """Return text that every database can hold."""
    if value.isascii() and b"\0" not in value:
        return value.decode("ascii")
    return to_storable(value.decode(errors="replace"))


def read_number(value: bytes | None) -> float | None:
    """Return the number that a text is; None where it is none that can be counted with."""
    try:
        number = float(value or b"")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _from_seconds(value: bytes) -> datetime | None:
    seconds, _, fraction = value.partition(b".")
    if not seconds.isdigit() or not (seconds + fraction).isdigit() or len(value) > _LONGEST_STAMP:
        return None
    if len(fraction) != _DIGITS:
        fraction = fraction[:_DIGITS].ljust(_DIGITS, b"0")
    try:
        return UNKNOWN + timedelta(0, int(seconds), int(fraction))
    except OverflowError:
        return None


def _from_text(value: bytes) -> datetime | None:
    try:
        text = value.decode()
        # A shorter text would be a day, or a moment in a form that no database writes.
        moment = datetime.fromisoformat(text) if len(text) >= _SHORTEST_MOMENT else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
