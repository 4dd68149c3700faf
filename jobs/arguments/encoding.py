"""Arguments as JSON values and back."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.utils.connection import ConnectionDoesNotExist

from jobs.callables import find_callable, name_callable
from jobs.exceptions import JobArgumentError, JobDefinitionError, ModelMissingError, PayloadError


def encode_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments as JSON values.

    Raises:
        JobArgumentError: A value can't be stored.
    """
    encoded = {}
    for name, value in arguments.items():
        try:
            encoded[name] = _encode(value)
        except RecursionError:
            message = f"The argument {name!r} is nested too deeply to be stored."
            raise JobArgumentError(message) from None
        except JobArgumentError as error:
            message = f"The argument {name!r} can't be stored: {error}"
            raise JobArgumentError(message) from None
    return encoded


def decode_arguments(encoded: Mapping[str, object]) -> dict[str, object]:
    """Return what ``encode_arguments`` was given.

    Raises:
        JobArgumentError: A value is not one that ``encode_arguments`` writes.
    """
    try:
        return {name: _decode(value) for name, value in encoded.items()}
    except JobArgumentError:
        raise
    except (RecursionError, ValueError, TypeError, AttributeError, ArithmeticError, PayloadError) as error:
        message = f"An argument can't be read back ({type(error).__name__})."
        raise JobArgumentError(message) from None


def _encode(value: object) -> object:
    if value.__class__ in _PLAIN:
        return value
    encode = next((encode for kinds, encode in _ENCODERS if isinstance(value, kinds)), None)
    if encode is None:
        message = f"{type(value).__name__} is no JSON type, UUID, date, Decimal, enum or row; pass an id instead."
        raise JobArgumentError(message)
    return encode(value)


def _decode(value: object) -> object:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    marks = [key for key in value if key.startswith("$")]
    if not marks:
        return {key: _decode(item) for key, item in value.items()}
    if len(value) > 1 or marks[0] not in _DECODERS:
        raise JobArgumentError("An argument holds a mark that this version doesn't know.")
    return _DECODERS[marks[0]](value[marks[0]])


def list_references(arguments: Mapping[str, object]) -> list[str]:
    """Return what rows of models are among the arguments, such as ``accounts.user:5``."""
    rows: list[Model] = []
    for value in arguments.values():
        rows += [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, Model)]
    return list(dict.fromkeys(f"{row._meta.label_lower}:{row.pk}" for row in rows))  # noqa: SLF001 - as above


def _encode_dict(value: Mapping[object, object]) -> object:
    encoded = {}
    for key, item in value.items():
        if not isinstance(key, str):
            message = f"a key of a dict must be str, not {type(key).__name__}."
            raise JobArgumentError(message)
        encoded[key] = _encode(item)
    return {"$object": encoded} if any(key.startswith("$") for key in encoded) else encoded


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise JobArgumentError("JSON has no infinity and no NaN.")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise JobArgumentError("a datetime needs a time zone.")
    return value


def _encode_decimal(value: Decimal) -> object:
    if not value.is_finite():
        raise JobArgumentError("a Decimal must be finite.")
    return {"$decimal": str(value)}


def _encode_enum(value: Enum) -> object:
    try:
        path = name_callable(type(value))
    except JobDefinitionError:
        raise JobArgumentError("its enum doesn't stand on the top level of a module.") from None
    return {"$enum": [path, _encode(value.value)]}


def _encode_row(row: Model) -> object:
    if row.pk is None or row._state.adding:  # noqa: SLF001 - Django's documented name of it
        raise JobArgumentError("a row that isn't saved yet can't be found again.")
    return {"$model": [row._meta.label_lower, _encode(row.pk), row._state.db or DEFAULT_DB_ALIAS]}  # noqa: SLF001 - as above


def _decode_duration(value: Any) -> timedelta:  # Any: JSON
    seconds, microseconds = value
    return timedelta(seconds=seconds, microseconds=microseconds)


def _decode_enum(value: Any) -> Enum:  # Any: JSON
    path, plain = value
    enum_class = find_callable(path)
    if not (isinstance(enum_class, type) and issubclass(enum_class, Enum)):
        raise JobArgumentError("An argument was an enum that is gone.")
    return enum_class(_decode(plain))


def _find_row(value: Any) -> Model:  # Any: JSON
    label, key, database = value
    try:
        model = apps.get_model(label)
        rows = model._base_manager.using(database)  # noqa: SLF001 - Django's documented name of it
        row: Model | None = rows.filter(pk=_decode(key)).first()
    except (LookupError, ConnectionDoesNotExist):
        message = f"An argument was a row of {label} in the database {database}, which is not there (any more)."
        raise JobArgumentError(message) from None
    if row is None:
        message = f"The row {label}:{key} is gone."
        raise ModelMissingError(message)
    return row


#: What stands for itself.
_PLAIN: Final = frozenset({NoneType, bool, int, str})
#: What can be stored, by class; the first one that fits, so that those come before their bases.
_ENCODERS: Sequence[tuple[type | tuple[type, ...], Callable[[Any], object]]] = [  # Any: of the class
    (Enum, _encode_enum),
    ((NoneType, bool, int, str), lambda value: value),
    (float, _finite),
    (UUID, lambda value: {"$uuid": str(value)}),
    (datetime, lambda value: {"$datetime": _aware(value).isoformat()}),
    (date, lambda value: {"$date": value.isoformat()}),
    (timedelta, lambda value: {"$seconds": [value.days * 86_400 + value.seconds, value.microseconds]}),
    (Decimal, _encode_decimal),
    (Model, _encode_row),
    ((list, tuple), lambda value: [_encode(item) for item in value]),
    (dict, _encode_dict),
]
#: What a mark stands for.
_DECODERS: Mapping[str, Callable[[Any], object]] = {  # Any: JSON
    "$uuid": UUID,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$seconds": _decode_duration,
    "$decimal": Decimal,
    "$enum": _decode_enum,
    "$model": _find_row,
    "$object": lambda inner: {key: _decode(item) for key, item in inner.items()},
}
