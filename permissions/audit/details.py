"""What else an event says: made fit for JSON, for both databases, and free of secrets, before anything is written."""

import json
import math
import re
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from django.utils.functional import Promise

from project.logging import is_secret_key
from project.printable import to_storable

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

#: Longest details of one event, in bytes of JSON.
MAX_DETAIL_BYTES = 65_536
_MAX_DEPTH = 8
_MAX_INTEGER = 2**63
#: To how many characters a text, and to how many entries a list, is cut where the details are too long.
_SHORTER = (1000, 100, 10)
_REDACTED = "[redacted]"
#: A signed token, or what follows the word Bearer, wherever it stands in a text.
_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*|(?<=\bBearer )[\w.~+/=-]{8,}", re.ASCII | re.IGNORECASE)


def to_details(data: Mapping[str, object]) -> dict[str, Json]:
    """Return details as they are stored: secrets redacted, and what is too long cut.

    Raises:
        TypeError: There is something among them that JSON has no form for, such as a model object; it says where.
    """
    details = {key: _REDACTED if is_secret_key(key) else _convert(value, key) for key, value in data.items()}
    if _measure(details) <= MAX_DETAIL_BYTES:
        return details
    for limit in _SHORTER:
        shorter = {key: _shorten(value, limit) for key, value in details.items()}
        if _measure(shorter) <= MAX_DETAIL_BYTES:
            return shorter
    return {"dropped": f"{_measure(details)} bytes of details"}


def to_text(value: object, length: int) -> str:
    """Return a text for a column of that length, without what PostgreSQL or UTF-8 can't hold, and without tokens."""
    # What a text can't keep is written out, so that nothing that was said is lost.
    return _cut(_TOKEN.sub(_REDACTED, to_storable(str(value))), length)


def _convert(value: object, path: str, depth: int = 1) -> Json:
    if depth > _MAX_DEPTH:
        message = f"The detail {path} is nested too deeply for the audit log."
        raise TypeError(message)
    match value:
        case Enum():
            return _convert(value.value, path, depth)
        case Mapping():
            return {
                _check_key(key, path): _REDACTED if is_secret_key(key) else _convert(inner, f"{path}.{key}", depth + 1)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [_convert(inner, f"{path}.{index}", depth + 1) for index, inner in enumerate(value)]
        case Set():
            return [_convert(inner, path, depth + 1) for inner in sorted(value, key=str)]
        case _:
            return _convert_one(value, path)


def _convert_one(value: object, path: str) -> Json:
    match value:
        case None | bool():
            return value
        case int() if abs(value) < _MAX_INTEGER:
            return int(value)
        case float() if math.isfinite(value):
            # PostgreSQL keeps digits, but neither an exponent nor the sign of zero.
            return repr(value) if "e" in repr(value) else value + 0.0
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat()
        case date() if not isinstance(value, datetime):
            return value.isoformat()
        case str() | Promise() | UUID() | Decimal():
            return to_text(value, MAX_DETAIL_BYTES)
        case _:
            message = (
                f"The detail {path} is a {type(value).__qualname__} that the audit log can't keep: give text, finite "
                "numbers, aware times, UUIDs, enums, or lists, sets and mappings of them."
            )
            raise TypeError(message)


def _check_key(key: object, path: str) -> str:
    if isinstance(key, str):
        return to_text(key, MAX_DETAIL_BYTES)
    message = f"The detail {path} has a key that is a {type(key).__qualname__}, not a text."
    raise TypeError(message)


def _shorten(value: Json, limit: int) -> Json:
    match value:
        case str():
            return _cut(value, limit)
        case list():
            rest = [f"… and {len(value) - limit} more"] if len(value) > limit else []
            return [*(_shorten(inner, limit) for inner in value[:limit]), *rest]
        case dict():
            return {key: _shorten(inner, limit) for key, inner in list(value.items())[:limit]}
        case _:
            return value


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _measure(details: Mapping[str, Json]) -> int:
    return len(json.dumps(details, ensure_ascii=False).encode())
