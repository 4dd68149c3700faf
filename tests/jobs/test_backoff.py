"""Delays between tries."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.backoff import get_delay


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (2, 60), (3, 300), (4, 300), (99, 300)])
def test_each_try_has_its_own_delay_and_the_last_one_repeats(attempt: int, seconds: int) -> None:
    assert get_delay((10, 60, 300), attempt=attempt) == timedelta(seconds=seconds)


def test_one_number_is_the_delay_after_every_try() -> None:
    assert {get_delay(7, attempt=attempt) for attempt in (1, 2, 50)} == {timedelta(seconds=7)}


def test_an_empty_list_means_no_delay() -> None:
    assert get_delay([], attempt=3) == timedelta(0)


@given(st.lists(st.integers(0, 31_536_000), min_size=1), st.integers(1, 1_000_000))
def test_a_delay_is_always_one_of_the_list(backoff: list[int], attempt: int) -> None:
    assert get_delay(backoff, attempt=attempt).total_seconds() in backoff
