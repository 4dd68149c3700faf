"""Annotations that a constructor of a job may have, and what fits them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin
from uuid import UUID

from django.db.models import Model

from jobs.exceptions import JobDefinitionError

# Any: an annotation can be nearly any object.
type Annotation = Any


def check_annotation(annotation: Annotation) -> None:
    """See whether what has this annotation can be stored.

    Raises:
        JobDefinitionError: It can't.
    """
    _accepts(annotation, None)


def get_check(annotation: Annotation) -> Callable[[object], bool]:
    """Return what says whether a value is of the annotated type."""
    origin: Annotation = get_origin(annotation)
    is_scalar = origin is None and not isinstance(annotation, TypeAliasType) and annotation in _SCALARS
    return _SCALARS[annotation] if is_scalar else partial(_fits, annotation)


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
