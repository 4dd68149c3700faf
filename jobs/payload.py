"""The wire format of a job: one JSON object, signed.

The signature covers the version, the id, the queue, the class and the arguments, so a record can't be altered, nor
moved to another queue, id or class. The record is read back, written again in one canonical form and compared: what
was verified is what is used.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from uuid import UUID

from jobs.conf import get_job_settings
from jobs.exceptions import JobArgumentError, PayloadError
from project.crypto import derive_keys

VERSION = 1
_PURPOSE = "job-payload"


def encode_payload(*, job_id: UUID, queue: str, job_class: str, arguments: Mapping[str, object]) -> str:
    """Return the signed record.

    Args:
        job_id: The job's own id.
        queue: Queue that it goes to.
        job_class: Registered name of the class.
        arguments: Constructor arguments as ``jobs.arguments.encode_arguments`` returns them.

    Raises:
        JobArgumentError: The record would be longer than ``JOBS["MAX_PAYLOAD_BYTES"]``, or isn't JSON after all.
    """
    signed = {
        "version": VERSION,
        "job_id": str(job_id),
        "queue": queue,
        "job_class": job_class,
        "arguments": dict(arguments),
    }
    try:
        body = _dump(signed)
    except (RecursionError, ValueError) as error:
        message = f"{job_class}: the arguments can't be written as JSON ({type(error).__name__})."
        raise JobArgumentError(message) from None
    text = _dump({**signed, "signature": _sign(derive_keys(_PURPOSE)[0], body)})
    if len(text) > (limit := get_job_settings().max_payload_bytes):
        message = f"{job_class}: the arguments take {len(text)} bytes, at most {limit} are stored; pass an id instead."
        raise JobArgumentError(message)
    return text


def decode_payload(text: str, *, job_id: UUID, queue: str, job_class: str) -> dict[str, object]:
    """Return the encoded arguments of a record whose signature fits the place where it was found.

    Raises:
        PayloadError: The record can't be read, isn't signed with a key of this house, or stood elsewhere.
    """
    record = _load(text)
    signature = record.pop("signature", None)
    if not (isinstance(signature, str) and _is_signed(record, signature)):
        raise PayloadError("The signature doesn't match: the record was changed, or signed with another SECRET_KEY.")
    if record.get("version") != VERSION:
        raise PayloadError("The record has a version that this release doesn't know.")
    found = {"job_id": str(job_id), "queue": queue, "job_class": job_class}
    for field, value in found.items():
        if record.get(field) != value:
            message = f"The {field} of the row is not the one that was signed."
            raise PayloadError(message)
    arguments = record.get("arguments")
    if not isinstance(arguments, dict):
        raise PayloadError("The record holds no arguments.")
    return arguments


def get_argument_names(text: str) -> list[str]:
    """Return the names of the arguments, for people; nothing where the record can't be read. Nothing is verified."""
    try:
        arguments = _load(text).get("arguments")
    except PayloadError:
        return []
    return list(arguments) if isinstance(arguments, dict) else []


def _load(text: str) -> dict[str, object]:
    try:
        record = json.loads(text)
    # TypeError: SQLite may hand out whatever somebody wrote into the column.
    except (ValueError, TypeError, RecursionError):
        raise PayloadError("The record is not JSON.") from None
    if not isinstance(record, dict):
        raise PayloadError("The record is not a JSON object.")
    return record


def _is_signed(record: Mapping[str, object], signature: str) -> bool:
    try:
        body = _dump(record)
    except (RecursionError, ValueError):
        return False
    given = signature.encode("utf-8", "backslashreplace")
    return any(hmac.compare_digest(_sign(key, body).encode(), given) for key in derive_keys(_PURPOSE))


def _dump(value: Mapping[str, object]) -> str:
    # ASCII only: NUL and lone surrogates, which no database takes, travel as escapes.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sign(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
