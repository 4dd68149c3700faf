"""Functions that travel by name: callbacks of batches and chains, and back-off that is computed."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from jobs.exceptions import JobDefinitionError, PayloadError


def name_callable(function: Callable[..., object]) -> str:
    """Return ``module:name``, under which a worker finds the function again.

    Raises:
        JobDefinitionError: It is no function or class on the top level of a module; lambdas, closures and bound
            methods can't travel.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    path = f"{module}:{name}"
    try:
        found: object = find_callable(path)
    except PayloadError:
        found = None
    if found is not function:
        message = f"{function!r} can't be stored: a callback must be a function on the top level of a module."
        raise JobDefinitionError(message)
    return path


def find_callable(path: str) -> Callable[..., Any]:  # Any: the caller knows what it stored
    """Return the function that was stored under ``module:name``; only for names that come from a signed record.

    Raises:
        PayloadError: There is none.
    """
    module, _, name = path.partition(":")
    try:
        found: object = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not callable(found):
        message = f"The function {path} is gone."
        raise PayloadError(message)
    return found
