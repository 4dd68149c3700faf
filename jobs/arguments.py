"""Arguments of a job's constructor as JSON: bound, checked against the annotations, encoded and decoded.

JSON's own types, ``UUID`` and aware ``datetime`` can be stored, alone and inside ``list``, ``Sequence``, ``dict`` and
``Mapping``. What JSON lacks is written as an object with one ``$`` key, so a record can be read without its class.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from jobs.exceptions import JobArgumentError, JobDefinitionError

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
    parameters = list(inspect.signature(job_class).parameters.values())
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


def bind_arguments(job_class: type, args: Iterable[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Return every constructor argument by name, defaults included, each of the annotated type.

    Raises:
        JobArgumentError: One is missing, unknown or of the wrong type.
        JobDefinitionError: The constructor itself can't be used.
    """
    annotations = get_parameters(job_class)
    try:
        bound = inspect.signature(job_class).bind(*args, **kwargs)
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
    except (RecursionError, ValueError) as error:
        message = f"An argument can't be read back ({type(error).__name__})."
        raise JobArgumentError(message) from None


def _encode(value: object) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return _finite(value)
        case UUID():
            return {"$uuid": str(value)}
        case datetime():
            return {"$datetime": _aware(value).isoformat()}
        case list() | tuple():
            return [_encode(item) for item in value]
        case dict():
            return _encode_dict(value)
        case _:
            message = f"{type(value).__name__} is neither a JSON type nor UUID nor datetime; pass an id instead."
            raise JobArgumentError(message)


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
    message = f"{inspect.formatannotation(annotation)} can't be stored; use JSON types, UUID or datetime."
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
