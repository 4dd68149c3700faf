"""How values that callers hand over are told apart, and how many one query may hold."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import BigIntegerField, Model

#: How many names or ids one query may hold.
_CHUNK = 10_000
_MAX_DIGITS = 19


def sort_arguments[Row: Model](values: Iterable[object], model: type[Row]) -> tuple[list[Row], list[int], list[str]]:
    """Return rows, ids and names.

    Raises:
        TypeError: A value is none of these.
    """
    rows: list[Row] = []
    ids: list[int] = []
    names: list[str] = []
    for value in values:
        if isinstance(value, model):
            rows.append(value)
        elif isinstance(value, str):
            names.append(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            ids.append(value)
        elif isinstance(value, UUID):
            names.append(str(value))
        else:
            message = f"Names, ids and rows of {model.__name__} are understood, not {type(value).__name__}."
            raise TypeError(message)
    return rows, ids, names


def drop_too_large(ids: Iterable[int]) -> list[int]:
    """Return the ids that a column can hold; asking SQLite about others is an error."""
    return [one for one in ids if abs(one) <= BigIntegerField.MAX_BIGINT]


def in_chunks[Value](values: list[Value]) -> Iterable[list[Value]]:
    """Give the values in lists that one query may hold."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def read_key(text: str) -> list[int]:
    """Return the id that an address names, if it is one that a column can hold."""
    is_number = len(text) <= _MAX_DIGITS and text.isascii() and text.isdecimal()
    return drop_too_large([int(text)]) if is_number else []
