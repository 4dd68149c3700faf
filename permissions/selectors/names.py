"""What names and guards mean by themselves, without a look at any row."""

from collections.abc import Iterable
from enum import Enum

from django.apps import apps
from django.db.models import Model

from permissions import conf, scope

MAX_NAME_LENGTH = 100


def is_name(name: str) -> bool:
    """Say whether a role or permission may be called so: 1 to 100 printable characters, no ``|``, no space at an end.

    Printable excludes control characters, lone surrogates and invisible marks that make two names look alike.
    """
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() and "|" not in name and name == name.strip()


def is_name_of_app(name: str) -> bool:
    """Say whether a name looks like a permission that an installed app declares, and isn't a pattern."""
    label, dot, _ = name.partition(".")
    return bool(dot) and label in apps.app_configs and not {"*", ","} & set(name)


def is_name_of_guard(name: str) -> bool:
    """Say whether a name looks like Django's spelling of a free permission, in which the guard stands in front."""
    label, dot, _ = name.partition(".")
    return bool(dot) and label in conf.get().guards


def strip_guard(name: str, *, guard: str) -> str:
    """Return a name without the guard in front, with which Django calls free permissions (``web.edit articles``)."""
    return name.removeprefix(f"{guard}.")


def split_names(names: str) -> list[str]:
    """Return the names in ``a|b``; one matched pair of quotes around the whole is dropped, as Spatie does."""
    if "|" not in names:
        return [names]
    if names[0] == names[-1] and names[0] in "'\"":
        names = names[1:-1]
    return [name for name in names.split("|") if name]


def split_all(values: Iterable[object]) -> list[object]:
    """Return the values one by one, and each name in ``a|b`` by itself."""
    flat: list[object] = []
    for value in flatten(values):
        flat += split_names(value) if isinstance(value, str) else [value]
    return flat


def get_name(value: object) -> str:
    """Return the name that a string or an enum stands for.

    Raises:
        TypeError: It stands for none.
    """
    name = value.value if isinstance(value, Enum) else value
    if not isinstance(name, str):
        message = f"A name is text, not {type(name).__name__}."
        raise TypeError(message)
    return name


def get_names(values: Iterable[object]) -> tuple[str, ...]:
    """Return the names in texts such as ``a|b``, in enums and in lists of them, each once.

    Raises:
        TypeError: A value is no name.
    """
    return tuple(dict.fromkeys(get_name(one) for one in split_all(values)))


def flatten(values: Iterable[object]) -> list[object]:
    """Return the values one by one: what stands in lists and querysets, the values of enums, without None and ""."""
    flat: list[object] = []
    for value in values:
        if isinstance(value, Enum):
            value = value.value  # noqa: PLW2901 - an enum stands for its value
        if value is None or value == "":
            continue
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Model)):
            flat.extend(flatten(value))
        else:
            flat.append(value)
    return flat


def find_guard(*, guard: str | None, guards: tuple[str, ...]) -> str:
    """Return the guard in which a holder of these guards is asked: the named one, that of the scope, or its first.

    Raises:
        GuardDoesNotExist: There is no such guard.
    """
    if guard is not None:
        return scope.check_guard(guard)
    current = scope.get_guard()
    return current if current in guards else guards[0]
