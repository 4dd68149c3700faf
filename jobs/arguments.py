"""Arguments of a job's constructor as JSON: bound, checked against the annotations, encoded and decoded.

JSON's own types, ``UUID``, aware ``datetime``, ``date``, ``timedelta``, ``Decimal``, enums and rows of models can be
stored, alone and inside ``list``, ``Sequence``, ``dict`` and ``Mapping``. What JSON lacks is written as an object with
one ``$`` key, so a record can be read without its class. A row of a model travels as a reference and is read anew.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.utils.connection import ConnectionDoesNotExist

from jobs.callables import find_callable, name_callable
from jobs.exceptions import JobArgumentError, JobDefinitionError, ModelMissingError, PayloadError

# Any: an annotation can be nearly any object.
type Annotation = Any


@dataclass
class _Sample:
    made: list[object] = field(default_factory=list)


#: What a dataclass has as a default in its signature where a function makes the value.
_MADE: Final[object] = inspect.signature(_Sample).parameters["made"].default


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What binding needs to know of a constructor."""

    #: In their order, and how many of them may stand without a name.
    names: tuple[str, ...]
    positional: int
    defaults: dict[str, object]
    #: What says whether a value fits, by name.
    accepts: Mapping[str, Callable[[object], bool]]
    #: Parameters of which a function makes the default.
    made: frozenset[str]

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object] | None:
        """Return every argument by name, defaults included; None where they don't fit, which the signature explains."""
        if len(args) > self.positional:
            return None
        bound = dict(zip(self.names, args, strict=False))
        if len(bound) + len(kwargs) < len(self.names):
            bound = self.defaults | bound
        bound.update(kwargs)
        if len(bound) > len(self.names) or not kwargs.keys().isdisjoint(self.names[: len(args)]):
            return None
        try:
            return {name: bound[name] for name in self.names}
        except KeyError:
            return None


@cache
def _get_plan(job_class: type) -> _Plan:
    annotations = get_parameters(job_class)
    parameters = _get_signature(job_class).parameters
    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    return _Plan(
        names=tuple(parameters),
        positional=sum(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters.values()),
        defaults=defaults,
        accepts={name: _get_check(annotation) for name, annotation in annotations.items()},
        made=frozenset(name for name, default in defaults.items() if default is _MADE),
    )


def _get_check(annotation: Annotation) -> Callable[[object], bool]:
    origin: Annotation = get_origin(annotation)
    is_scalar = origin is None and not isinstance(annotation, TypeAliasType) and annotation in _SCALARS
    return _SCALARS[annotation] if is_scalar else partial(_fits, annotation)


@cache
def _get_signature(job_class: type) -> inspect.Signature:
    """Return the signature of the constructor, without ``self``; ``__new__`` takes whatever that takes."""
    signature = inspect.signature(job_class.__init__)  # type: ignore[misc] # the signature of this very class is wanted
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def bind_arguments(
    job_class: type, args: Iterable[object], kwargs: Mapping[str, object], *, job: object = None
) -> dict[str, object]:
    """Return every constructor argument by name, defaults included, each of the annotated type.

    What the ``default_factory`` of a dataclass made is taken from the job; without one it is left to the constructor.

    Raises:
        JobArgumentError: One is missing, unknown or of the wrong type.
        JobDefinitionError: The constructor itself can't be used.
    """
    plan, args = _get_plan(job_class), tuple(args)
    arguments = plan.bind(args, kwargs)
    if arguments is None:
        arguments = _bind_slowly(job_class, args, kwargs)
    for name in plan.made:
        if arguments[name] is not _MADE:
            continue
        if job is None:
            del arguments[name]
        else:
            arguments[name] = getattr(job, name)
    for name, value in arguments.items():
        if not plan.accepts[name](value):
            wanted = inspect.formatannotation(get_parameters(job_class)[name])
            message = f"{job_class.__name__}: the argument {name!r} must be {wanted}, not {type(value).__name__}."
            if isinstance(value, datetime) and value.tzinfo is None:
                message += " A datetime needs a time zone."
            raise JobArgumentError(message)
    return arguments


def _bind_slowly(job_class: type, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Return what the signature binds, defaults included.

    Raises:
        JobArgumentError: An argument is missing or unknown.
    """
    try:
        bound = _get_signature(job_class).bind(*args, **kwargs)
    except TypeError as error:
        message = f"{job_class.__name__}: {error}."
        raise JobArgumentError(message) from None
    bound.apply_defaults()
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
