"""The wire format of a job: one JSON object, signed.

The signature covers everything, so a record can't be altered, nor moved to another queue, id or class. It stands at the
end of the text, and what it covers is the text before it, byte for byte.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final
from uuid import UUID

from jobs.conf import get_job_settings
from jobs.exceptions import JobArgumentError, PayloadError
from project.crypto import derive_keys

VERSION: Final = 3
_PURPOSE: Final = "job-payload"
_DOCUMENT_PURPOSE: Final = "job-document"
#: How much people are shown of a record, which anybody may have written.
MAX_SHOWN_ARGUMENTS: Final = 50
_MAX_SHOWN_NAME: Final = 100


@dataclass(slots=True, kw_only=True)
class Record:
    """A job as it travels: all that a worker and a driver need to know, as JSON values and plain types.

    A value: dispatch notes its moment in it, and else nobody changes one. To make a frozen one takes much longer.
    """

    job_id: UUID
    #: Registered name of the class.
    job_class: str
    queue: str
    connection: str
    #: Constructor arguments as ``Job.serialize`` returns them.
    arguments: Mapping[str, object]
    #: What was said for this job alone (``jobs.options.JobOptions.encode``).
    options: Mapping[str, object] = field(default_factory=dict)
    #: 0 to 255; higher runs first.
    priority: int = 0
    #: Wait before the first try, in seconds; of a link of a chain it begins when its turn comes.
    delay_seconds: float = 0
    #: Or the moment before which it is not tried.
    delay_until: datetime | None = None
    #: How long a try may take when it was dispatched, in seconds, for workers of RQ; 0 means no limit.
    timeout_seconds: float = 60
    #: When it was dispatched; None for a link of a chain whose turn hasn't come.
    created_at: datetime | None = None
    tags: tuple[str, ...] = ()
    batch_id: UUID | None = None
    #: What follows: ``links`` (records, or batches), ``catch`` (callbacks), ``name``; and the ids of the last jobs and
    #: batches before: ``passed``.
    chain: Mapping[str, Any] | None = None  # Any: JSON
    #: Key of a job that may wait or run only once, how long that holds, and until what: ``end`` or ``start``.
    unique: Mapping[str, Any] | None = None  # Any: JSON
    #: Key of a job of which only the last one dispatched runs.
    debounce: Mapping[str, Any] | None = None  # Any: JSON
    #: Key of the user on whose behalf it runs.
    actor_id: str = ""
    #: Team and guard that held for that user at dispatch, in which its rights are asked for again.
    actor_scope: Mapping[str, Any] | None = None  # Any: JSON
    #: Tries that were used when the record was last signed; for jobs that sign their tries.
    attempts: int | None = None
    #: Whether it was put back from the failed jobs.
    is_retry: bool = False

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it as JSON values, without what is empty."""
        return {
            name: _plain(value) for name in _FIELDS if (value := getattr(self, name)) != _DEFAULTS.get(name, _NEVER)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Record":  # Any: checked at once
        """Return what ``as_json`` was called on.

        Raises:
            PayloadError: A value is missing, unknown or of the wrong type.
        """
        try:
            for name in _PLACE:
                if not isinstance(values.get(name), str):
                    message = f"The record has no {name}."
                    raise PayloadError(message)
            if not isinstance(values.get("arguments"), dict) or not isinstance(values.get("options", {}), dict):
                raise PayloadError("The record holds no arguments.")
            return cls(**{name: _READERS[name](one) if name in _READERS else one for name, one in values.items()})
        except (TypeError, ValueError, AttributeError) as error:
            message = f"The record can't be read ({type(error).__name__})."
            raise PayloadError(message) from None


def encode_payload(record: Record) -> str:
    """Return the signed record.

    Raises:
        JobArgumentError: It would be longer than ``JOBS["MAX_PAYLOAD_BYTES"]``, or isn't JSON after all.
    """
    try:
        body = _write(record)
    except (RecursionError, TypeError, ValueError) as error:
        message = f"{record.job_class}: the arguments can't be written as JSON ({type(error).__name__})."
        raise JobArgumentError(message) from None
    # In one piece with its signature, without writing all of it a second time.
    text = f'{body[:-1]},"signature":"{_sign(derive_keys(_PURPOSE)[0], body)}"}}'
    if len(text) > (limit := get_job_settings().max_payload_bytes):
        message = (
            f"{record.job_class}: the arguments take {len(text)} bytes, at most {limit} are stored; pass an id instead."
        )
        raise JobArgumentError(message)
    return text


def decode_payload(text: str, *, job_id: UUID, queue: str, job_class: str) -> Record:
    """Return the record whose signature fits the place where it was found.

    Raises:
        PayloadError: It can't be read, isn't signed with a key of this house, or stood elsewhere.
    """
    values = _verify(text)
    for name, value in (("job_id", str(job_id)), ("queue", queue), ("job_class", job_class)):
        if values.get(name) != value:
            message = f"The {name} of the row is not the one that was signed."
            raise PayloadError(message)
    values["job_id"] = job_id
    return Record.from_json(values)


def read_payload(text: str) -> Record:
    """Return the record, wherever it was found. Raises as ``decode_payload`` does."""
    return Record.from_json(_verify(text))


def _verify(text: str) -> dict[str, Any]:  # Any: JSON
    """Return the values of a record that bears our signature."""
    values = _load(text)
    # What is verified is the text itself, which ends with its signature.
    body, _, ending = text.rpartition(',"signature":"')
    if not _is_signed(f"{body}}}", ending.removesuffix('"}')):
        raise PayloadError("The signature doesn't match: the record was changed, or signed with another SECRET_KEY.")
    del values["signature"]
    if values.pop("version", None) != VERSION:
        raise PayloadError("The record has a version that this release doesn't know.")
    return values


def get_argument_names(text: str) -> list[str]:
    """Return the names of the arguments, for people: as many and as much of each as can be shown. See below."""
    return [to_shown(name, _MAX_SHOWN_NAME) for name in islice(get_raw_arguments(text), MAX_SHOWN_ARGUMENTS)]


def get_raw_arguments(text: str) -> dict[str, Any]:  # Any: JSON
    """Return the arguments as they stand; nothing where the record can't be read. Nothing is verified."""
    try:
        arguments = _load(text).get("arguments")
    except PayloadError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def to_shown(text: str, limit: int) -> str:
    """Return a text of a stranger as a page can take it, cut where it is longer than that."""
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    return shown.encode("utf-8", "backslashreplace").decode()


def sign_document(body: Mapping[str, object], *, about: str) -> str:
    """Return JSON that is signed for one place: ``about`` names it. Batches keep in it what they will call."""
    text = _dump({"about": about, "body": dict(body)})
    return _dump({"document": text, "signature": _sign(derive_keys(_DOCUMENT_PURPOSE)[0], text)})


def read_document(text: str, *, about: str) -> dict[str, Any]:  # Any: JSON
    """Return what ``sign_document`` was given.

    Raises:
        PayloadError: It was changed, or stood elsewhere.
    """
    outer = _load(text)
    document, signature = outer.get("document"), outer.get("signature")
    if not (isinstance(document, str) and isinstance(signature, str)):
        raise PayloadError("The document isn't signed.")
    given = signature.encode("utf-8", "backslashreplace")
    keys = derive_keys(_DOCUMENT_PURPOSE)
    if not any(hmac.compare_digest(_sign(key, document).encode(), given) for key in keys):
        raise PayloadError("The signature of the document doesn't match.")
    inner = _load(document)
    if inner.get("about") != about or not isinstance(inner.get("body"), dict):
        raise PayloadError("The document belongs elsewhere.")
    body: dict[str, Any] = inner["body"]  # Any: JSON
    return body


def _load(text: str) -> dict[str, Any]:  # Any: JSON
    try:
        record, end = _DECODER.raw_decode(text)
    # TypeError: SQLite may hand out whatever somebody wrote into the column.
    except (ValueError, TypeError, RecursionError):
        raise PayloadError("The record is not JSON.") from None
    if not isinstance(record, dict) or end != len(text):
        raise PayloadError("The record is not a JSON object.")
    return record


def _is_signed(body: str, signature: str) -> bool:
    signed, given = body.encode("utf-8", "backslashreplace"), signature.encode("utf-8", "backslashreplace")
    return any(hmac.compare_digest(_digest(key, signed).encode(), given) for key in derive_keys(_PURPOSE))


# ASCII only: NUL and lone surrogates, which no database takes, travel as escapes.
_dump: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _write(record: Record) -> str:
    """Return the record as JSON; what most have in common is written once and kept."""
    arguments = _dump(record.arguments) if record.arguments else "{}"
    body = f'{_write_place(record.job_class, record.queue, record.connection)},"job_id":"{record.job_id}"'
    if record.created_at is not None:
        body += f',"created_at":"{record.created_at.isoformat()}"'
    more = {name: _plain(value) for name, empty in _RARE.items() if (value := getattr(record, name)) != empty}
    rest = f",{_dump(more)[1:]}" if more else "}"
    return f'{body},"arguments":{arguments}{rest}'


@lru_cache(maxsize=1024)
def _write_place(job_class: str, queue: str, connection: str) -> str:
    """Return the beginning of the records of a class: where they belong."""
    return _dump({"version": VERSION, "job_class": job_class, "queue": queue, "connection": connection})[:-1]


def _sign(key: bytes, body: str) -> str:
    return _digest(key, body.encode())


def _digest(key: bytes, data: bytes) -> str:
    """Return the keyed SHA-256 digest; what depends on the key alone is computed once, which is half of it."""
    keyed = _begin_digest(key).copy()
    keyed.update(data)
    return keyed.hexdigest()


@lru_cache(maxsize=16)
def _begin_digest(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case tuple():
            return list(value)
        case _:
            return value


def _to_id(value: str | UUID) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


_NEVER: Final = object()
#: Which looks for no white space around a record: there is none.
_DECODER: Final = json.JSONDecoder()
#: Where a record belongs.
_PLACE: Final = ("job_class", "queue", "connection")
_FIELDS: Final = tuple(one.name for one in fields(Record))
_DEFAULTS: Final[Mapping[str, object]] = {
    "options": {}, "priority": 0, "delay_seconds": 0, "delay_until": None, "timeout_seconds": 60, "created_at": None,
    "tags": (), "batch_id": None, "chain": None, "unique": None, "debounce": None, "actor_id": "",
    "actor_scope": None, "attempts": None, "is_retry": False,
}  # fmt: skip
_RARE: Final = {name: empty for name, empty in _DEFAULTS.items() if name != "created_at"}
_READERS: Final[Mapping[str, Any]] = {  # Any: each makes another type of JSON
    "job_id": _to_id,
    "batch_id": UUID,
    "created_at": datetime.fromisoformat,
    "delay_until": datetime.fromisoformat,
    "tags": tuple,
}
