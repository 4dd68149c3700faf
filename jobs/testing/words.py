"""Telling what is not as expected."""

from collections.abc import Iterable, Sequence

from jobs.job import Job, PendingDispatch


def require(job_class: type[Job], found: Sequence[Job], times: int | None, done: str) -> None:
    """Require that jobs were found; so many where that is said.

    Raises:
        AssertionError: They weren't.
    """
    __tracebackhide__ = True
    if times is not None and len(found) != times:
        message = (
            f"The expected {job_class.__qualname__} was {done} {say_times(len(found))} instead of {say_times(times)}."
        )
        raise AssertionError(message)
    if times is None and not found:
        message = f"The expected {job_class.__qualname__} was not {done}."
        raise AssertionError(message)


def forbid(job_class: type[Job], found: Sequence[Job], done: str) -> None:
    """Require that no job was found.

    Raises:
        AssertionError: Some were.
    """
    __tracebackhide__ = True
    if found:
        message = f"The unexpected {job_class.__qualname__} was {done}."
        raise AssertionError(message)


def say_times(count: int, one: str = "time", many: str = "times") -> str:
    """Return a count in words."""
    return f"{count} {one if count == 1 else many}"


def list_names(words: str, names: Iterable[str]) -> str:
    """Return names, one a line, below some words."""
    return "\n".join([words, *(f"- {name}" for name in names)])


def name(link: object) -> str:
    """Return what a link of a chain, or a member of a batch, is called."""
    if isinstance(link, PendingDispatch):
        link = link.get_job()
    if isinstance(link, list):
        return f"[{', '.join(name(one) for one in link)}]"
    return type(link).__qualname__
