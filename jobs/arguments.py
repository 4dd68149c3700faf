"""Arguments of a job's constructor as JSON: bound, checked against the annotations, encoded and decoded.

JSON's own types, ``UUID``, aware ``datetime``, ``date``, ``timedelta``, ``Decimal``, enums and rows of models can be
stored, alone and inside ``list``, ``Sequence``, ``dict`` and ``Mapping``. What JSON lacks is written as an object with
one ``$`` key, so a record can be read without its class. A row of a model travels as a reference and is read anew.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from django.apps import apps
from django.db.models import Model

from jobs.callables import find_callable
from jobs.exceptions import JobArgumentError, JobDefinitionError, ModelMissingError, PayloadError

# Any: an annotation can be nearly any object.
type Annotation = Any


@cache
def get_parameters(job_class: type) -> Mapping[str, Annotation]:
    """Return the name and the annotation of each constructor parameter.

    Raises:
        JobDefinitionError: A parameter has no annotation, or one that can't be stored, or isn't an ordinary one.
    """
    try:
        hints = get_type_hints(job_class.__init__)  # type: ignore[misc] # the signature of this very class is wanted
    except NameError as error:
        message = f"{job_class.__name__}: an annotation of __init__ can't be resolved ({error})."
        raise JobDefinitionError(message) from error
    parameters = list(_get_signature(job_class).parameters.values())
    for parameter in parameters:
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            message = f"{job_class.__name__}: the parameter {parameter} must have a name of its own to be stored."
            raise JobDefinitionError(message)
        if parameter.name not in hints:
            message = f"{job_class.__name__}: the parameter {parameter.name!r} needs a type annotation."
            raise JobDefinitionError(message)
        try:
            _accepts(hints[parameter.name], None)
        except JobDefinitionError as error:
            message = f"{job_class.__name__}: the parameter {parameter.name!r}: {error}"
            raise JobDefinitionError(message) from None
    return {parameter.name: hints[parameter.name] for parameter in parameters}


@cache
def _get_signature(job_class: type) -> inspect.Signature:
    """Return the signature of the constructor, without ``self``; ``__new__`` takes whatever that takes."""
    signature = inspect.signature(job_class.__init__)  # type: ignore[misc] # the signature of this very class is wanted
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def bind_arguments(job_class: type, args: Iterable[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Return every constructor argument by name, defaults included, each of the annotated type.

    Raises:
        JobArgumentError: One is missing, unknown or of the wrong type.
        JobDefinitionError: The constructor itself can't be used.
    """
    annotations = get_parameters(job_class)
    try:
        bound = _get_signature(job_class).bind(*args, **kwargs)
    except TypeError as error:
        message = f"{job_class.__name__}: {error}."
        raise JobArgumentError(message) from None
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        if not _fits(annotations[name], value):
            wanted = inspect.formatannotation(annotations[name])
            message = f"{job_class.__name__}: the argument {name!r} must be {wanted}, not {type(value).__name__}."
            if isinstance(value, datetime) and value.tzinfo is None:
                message += " A datetime needs a time zone."
            raise JobArgumentError(message)
    return bound.arguments


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
    except (RecursionError, ValueError, InvalidOperation, OverflowError, PayloadError) as error:
        message = f"An argument can't be read back ({type(error).__name__})."
        raise JobArgumentError(message) from None


def _encode(value: object) -> object:
    match value:
        case Enum():
            return {"$enum": [f"{type(value).__module__}:{type(value).__qualname__}", _encode(value.value)]}
        case None | bool() | int() | str():
            return value
        case float():
            return _finite(value)
        case UUID():
            return {"$uuid": str(value)}
        case datetime():
            return {"$datetime": _aware(value).isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case timedelta():
            return {"$seconds": [value.days * 86_400 + value.seconds, value.microseconds]}
        case Decimal():
            return {"$decimal": str(value)}
        case Model():
            return _encode_row(value)
        case list() | tuple():
            return [_encode(item) for item in value]
        case dict():
            return _encode_dict(value)
        case _:
            message = f"{type(value).__name__} is no JSON type, UUID, date, Decimal, enum or row; pass an id instead."
            raise JobArgumentError(message)


def _encode_row(row: Model) -> object:
    if row.pk is None or row._state.adding:  # noqa: SLF001 - Django's documented name of it
        raise JobArgumentError("a row that isn't saved yet can't be found again.")
    return {"$model": [row._meta.label_lower, _encode(row.pk), row._state.db or "default"]}  # noqa: SLF001 - as above


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


def _decode(value: object) -> object:
    match value:
        case {"$uuid": str(text), **others} if not others:
            return UUID(text)
        case {"$datetime": str(text), **others} if not others:
            return datetime.fromisoformat(text)
        case {"$date": str(text), **others} if not others:
            return date.fromisoformat(text)
        case {"$seconds": [int(seconds), int(microseconds)], **others} if not others:
            return timedelta(seconds=seconds, microseconds=microseconds)
        case {"$decimal": str(text), **others} if not others:
            return Decimal(text)
        case {"$enum": [str(path), plain], **others} if not others:
            return _decode_enum(path, _decode(plain))
        case {"$model": [str(label), key, str(database)], **others} if not others:
            return _find_row(label, _decode(key), database)
        case {"$object": dict(inner), **others} if not others:
            return {key: _decode(item) for key, item in inner.items()}
        case dict():
            if any(key.startswith("$") for key in value):
                raise JobArgumentError("An argument holds a mark that this version doesn't know.")
            return {key: _decode(item) for key, item in value.items()}
        case list():
            return [_decode(item) for item in value]
        case _:
            return value


def _decode_enum(path: str, value: object) -> Enum:
    enum_class = find_callable(path)
    if not (isinstance(enum_class, type) and issubclass(enum_class, Enum)):
        raise JobArgumentError("An argument was an enum that is gone.")
    return enum_class(value)


def _find_row(label: str, key: object, database: str) -> Model:
    try:
        model = apps.get_model(label)
    except LookupError:
        message = f"An argument was a row of {label}, which is no model (any more)."
        raise JobArgumentError(message) from None
    row: Model | None = model._base_manager.using(database).filter(pk=key).first()  # noqa: SLF001 - Django's documented name of it
    if row is None:
        message = f"The row {label}:{key} is gone."
        raise ModelMissingError(message)
    return row


def _fits(annotation: Annotation, value: object) -> bool:
    try:
        return _accepts(annotation, value)
    except RecursionError:
        return False


def _accepts(annotation: Annotation, value: object) -> bool:
    """Say whether the value is of the annotated type.

    Raises:
        JobDefinitionError: The annotation isn't one that can be stored.
    """
    if isinstance(annotation, TypeAliasType):
        return _accepts(annotation.__value__, value)
    origin: Annotation = get_origin(annotation)
    if origin is None and annotation in _SCALARS:
        return _SCALARS[annotation](value)
    if (accepts := _COMPOUNDS.get(origin or annotation)) is not None:
        return accepts(get_args(annotation), value)
    if isinstance(annotation, type) and issubclass(annotation, Model | Enum):
        return isinstance(value, annotation)
    message = f"{inspect.formatannotation(annotation)} can't be stored; use JSON types, UUID, dates, enums or models."
    raise JobDefinitionError(message)


def _accepts_items(parameters: Sequence[Annotation], value: object, *, kinds: tuple[type, ...]) -> bool:
    inner = parameters[0] if parameters else object
    # The inner annotation is looked at even where there is nothing to compare, so a wrong one is found at once.
    items = list(value) if isinstance(value, list | tuple) and isinstance(value, kinds) else None
    _accepts(inner, None)
    return items is not None and all(_accepts(inner, item) for item in items)


def _accepts_entries(parameters: Sequence[Annotation], value: object) -> bool:
    key_type, inner = parameters or (str, object)
    if key_type is not str:
        raise JobDefinitionError("The keys of a dict must be str.")
    _accepts(inner, None)
    return isinstance(value, dict) and all(isinstance(k, str) and _accepts(inner, item) for k, item in value.items())


def _accepts_one_of(parameters: Sequence[Annotation], value: object) -> bool:
    return any([_accepts(member, value) for member in parameters])  # noqa: C419 - each member is checked for sense


_SCALARS: Mapping[Annotation, Callable[[object], bool]] = {
    Any: lambda _value: True,  # encoding refuses what can't be stored
    object: lambda _value: True,
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    None: lambda value: value is None,
    NoneType: lambda value: value is None,
    UUID: lambda value: isinstance(value, UUID),
    datetime: lambda value: isinstance(value, datetime) and value.tzinfo is not None,
    date: lambda value: isinstance(value, date) and not isinstance(value, datetime),
    timedelta: lambda value: isinstance(value, timedelta),
    Decimal: lambda value: isinstance(value, Decimal) and value.is_finite(),
}
_COMPOUNDS: Mapping[Annotation, Callable[[Sequence[Annotation], object], bool]] = {
    list: lambda parameters, value: _accepts_items(parameters, value, kinds=(list,)),
    Sequence: lambda parameters, value: _accepts_items(parameters, value, kinds=(list, tuple)),
    dict: _accepts_entries,
    Mapping: _accepts_entries,
    Union: _accepts_one_of,
    UnionType: _accepts_one_of,
    Literal: lambda choices, value: any(type(value) is type(choice) and value == choice for choice in choices),
    Annotated: lambda parameters, value: _accepts(parameters[0], value),
}
