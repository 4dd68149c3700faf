"""Arguments bound to the constructor of a job, as it would bind them."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, get_type_hints

from jobs.arguments.annotations import Annotation, check_annotation, get_check
from jobs.exceptions import JobArgumentError, JobDefinitionError


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
            check_annotation(hints[parameter.name])
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
        accepts={name: get_check(annotation) for name, annotation in annotations.items()},
        made=frozenset(name for name, default in defaults.items() if default is _MADE),
    )


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
