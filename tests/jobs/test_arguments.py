"""Arguments: bound, checked, stored, read back."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.arguments import bind_arguments, decode_arguments, encode_arguments, get_parameters
from jobs.exceptions import JobArgumentError, JobDefinitionError


class Colour(Enum):
    RED = "red"
    NONE = None


class Size(IntEnum):
    SMALL = 1


class Flavour(StrEnum):
    SWEET = "sweet"


_zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.uuids()
    | st.datetimes(timezones=_zones)
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*Colour, *Size, *Flavour])
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["$uuid", "$object"]), inner),
    max_leaves=20,
)


@given(_values)
def test_whatever_is_stored_comes_back_as_it_was(value: object) -> None:
    stored = json.loads(json.dumps(encode_arguments({"value": value})))
    assert decode_arguments(stored) == {"value": value}


def _local() -> Enum:
    class Local(Enum):
        A = 1

    return Local.A


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {1, 2},
        1j,
        object(),
        float("nan"),
        float("inf"),
        {1: "a"},
        datetime(2026, 1, 1),  # noqa: DTZ001 - the naive one is the point
        Decimal("NaN"),
        _local(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused_by_the_name_of_the_argument(value: object) -> None:
    with pytest.raises(JobArgumentError, match="'value' can't be stored"):
        encode_arguments({"value": value})


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(JobArgumentError, match="nested too deeply"):
        encode_arguments({"value": endless})


@pytest.mark.parametrize(
    "stored",
    [
        {"$uuid": "nonsense"}, {"$datetime": "today"}, {"$os.system": "id"}, {"$uuid": 1}, {"$object": []},
        {"$date": 1}, {"$seconds": 5}, {"$seconds": ["a", 1]}, {"$decimal": "x"}, {"$enum": ["os:system", 1]},
        {"$enum": "x"},
        {"$enum": ["tests.jobs.test_arguments:Colour", "green"]}, {"$enum": ["tests.jobs.test_arguments:Gone", "red"]},
        {"$model": ["nothing.here", 1, "default"]}, {"$model": ["accounts.user", 1, "nowhere"]}, {"$model": 1},
        {"$uuid": "00000000-0000-4000-8000-000000000001", "more": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_a_mark_that_this_house_does_not_write_is_refused(stored: object) -> None:
    with pytest.raises(JobArgumentError):
        decode_arguments({"value": stored})


class Taker:
    def __init__(
        self,
        name: str,
        count: Annotated[int, "how many"] = 1,
        *,
        ratio: float = 0.5,
        kind: Literal["a", "b"] = "a",
        ids: Sequence[UUID] = (),
        limits: Mapping[str, int] | None = None,
        day: date | None = None,
        wait: timedelta = timedelta(0),
        price: Decimal = Decimal(0),
        colour: Colour = Colour.RED,
    ) -> None: ...


@pytest.mark.parametrize(
    "kwargs",
    [
        {"name": 1},
        {"name": None},
        {"name": "x", "count": True},
        {"name": "x", "count": "1"},
        {"name": "x", "ratio": False},
        {"name": "x", "kind": "c"},
        {"name": "x", "ids": ["not-a-uuid"]},
        {"name": "x", "ids": "abc"},
        {"name": "x", "limits": {"a": "b"}},
        {"name": "x", "limits": {1: 1}},
        {"name": "x", "day": datetime(2026, 1, 1, tzinfo=UTC)},
        {"name": "x", "wait": 5},
        {"name": "x", "price": 1.5},
        {"name": "x", "price": Decimal("Infinity")},
        {"name": "x", "colour": "red"},
        {"name": "x", "unknown": 1},
        {},
    ],
    ids=repr,
)
def test_an_argument_of_another_type_than_annotated_is_refused(kwargs: dict[str, object]) -> None:
    with pytest.raises(JobArgumentError):
        bind_arguments(Taker, (), kwargs)


def test_the_refusal_names_the_argument_and_both_types_but_not_the_value() -> None:
    with pytest.raises(JobArgumentError) as caught:
        bind_arguments(Taker, (), {"name": b"secret-value"})
    assert str(caught.value) == "Taker: the argument 'name' must be str, not bytes."


def test_fitting_arguments_are_bound_by_name_with_their_defaults() -> None:
    user_id = uuid4()
    day = date(2026, 1, 1)
    bound = bind_arguments(Taker, ("x",), {"ratio": 1, "ids": (user_id,), "limits": {"a": 1}, "day": day})
    assert bound == {
        "name": "x",
        "count": 1,
        "ratio": 1,
        "kind": "a",
        "ids": (user_id,),
        "limits": {"a": 1},
        "day": day,
        "wait": timedelta(0),
        "price": Decimal(0),
        "colour": Colour.RED,
    }


def test_a_datetime_without_time_zone_is_refused_with_the_way_out() -> None:
    class At:
        def __init__(self, at: datetime) -> None: ...

    with pytest.raises(JobArgumentError, match="needs a time zone"):
        bind_arguments(At, (datetime(2026, 1, 1),), {})  # noqa: DTZ001 - the naive one is the point


def test_a_value_nested_deeper_than_python_goes_is_refused() -> None:
    class Deep:
        def __init__(self, value: object) -> None: ...

    value: object = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(JobArgumentError, match="nested too deeply"):
        encode_arguments(bind_arguments(Deep, (value,), {}))


class Unannotated:
    def __init__(self, name) -> None: ...  # type: ignore[no-untyped-def] # the point of the test


class Variadic:
    def __init__(self, *names: str) -> None: ...


class Exotic:
    def __init__(self, names: frozenset[str]) -> None: ...


class NumberedKeys:
    def __init__(self, names: dict[int, str]) -> None: ...


class NestedExotic:
    def __init__(self, names: list[bytes] | None) -> None: ...


@pytest.mark.parametrize("taker", [Unannotated, Variadic, Exotic, NumberedKeys, NestedExotic])
def test_a_constructor_that_cannot_be_stored_is_refused_by_its_definition(taker: type) -> None:
    with pytest.raises(JobDefinitionError, match=taker.__name__):
        get_parameters(taker)
