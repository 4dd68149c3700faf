"""What a job of the soak is, by its number: so nobody has to keep what was sent."""

from typing import Final, Literal

type Part = Literal["noop", "incr", "coroutine", "flaky", "delayed", "batch", "chain"]

#: Numbers that are sent together.
CYCLE: Final = 100
#: Of so many numbers one fails for good.
DOOMED_CYCLE: Final = 2_000
_DOOMED_PLACE: Final = 59
#: How many of a cycle are what, in this order.
PARTS: Final[dict[Part, int]] = {
    "noop": 60, "incr": 20, "coroutine": 5, "flaky": 3, "delayed": 4, "batch": 4, "chain": 4,
}  # fmt: skip


def list_numbers(part: Part, first: int) -> range:
    """Return the numbers of one part of the cycle that begins with a number."""
    names = list(PARTS)
    begin = first + sum(PARTS[name] for name in names[: names.index(part)])
    return range(begin, begin + PARTS[part])


def is_doomed(number: int) -> bool:
    """Say whether a job fails for good."""
    return number % DOOMED_CYCLE == _DOOMED_PLACE


def count_doomed(count: int) -> int:
    """Return how many of the first numbers fail for good."""
    return (count + DOOMED_CYCLE - 1 - _DOOMED_PLACE) // DOOMED_CYCLE
