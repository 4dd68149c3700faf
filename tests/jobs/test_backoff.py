"""Delays between tries."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.backoff import MAX_SECONDS, Exponential, get_delay

_attempts = st.integers(1, 1_000_000)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (2, 60), (3, 300), (4, 300), (99, 300)])
def test_each_try_has_its_own_delay_and_the_last_one_repeats(attempt: int, seconds: int) -> None:
    assert get_delay((10, 60, 300), attempt=attempt) == timedelta(seconds=seconds)


def test_one_number_is_the_delay_after_every_try() -> None:
    assert {get_delay(7.5, attempt=attempt) for attempt in (1, 2, 50)} == {timedelta(seconds=7.5)}


def test_an_empty_list_means_no_delay() -> None:
    assert get_delay([], attempt=3) == timedelta(0)


@given(st.lists(st.integers(0, MAX_SECONDS), min_size=1), _attempts)
def test_a_delay_is_always_one_of_the_list(backoff: list[int], attempt: int) -> None:
    assert get_delay(backoff, attempt=attempt).total_seconds() in backoff


def test_a_function_is_asked_with_the_try_and_what_it_raised() -> None:
    asked: list[tuple[int, Exception | None]] = []

    def ask(attempt: int, error: Exception | None) -> float:
        asked.append((attempt, error))
        return 4.5

    error = ValueError()
    assert get_delay(ask, attempt=2, error=error) == timedelta(seconds=4.5)
    assert asked == [(2, error)]


@given(st.floats(allow_nan=False))
def test_what_a_function_says_is_kept_between_nothing_and_a_year(seconds: float) -> None:
    assert timedelta(0) <= get_delay(lambda _attempt, _error: seconds, attempt=1) <= timedelta(seconds=MAX_SECONDS)


def test_an_exponential_wait_doubles_up_to_its_cap() -> None:
    backoff = Exponential(first=1, factor=2, cap=5, jitter=0)
    assert [backoff(attempt) for attempt in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 5, 5, 5]


@given(_attempts, st.floats(0, 100), st.floats(1, 10), st.floats(100, 3600), st.floats(0, 1))
def test_jitter_spreads_a_wait_by_its_share_and_no_further(
    attempt: int, first: float, factor: float, cap: float, jitter: float
) -> None:
    plain = Exponential(first=first, factor=factor, cap=cap, jitter=0)(attempt)
    spread = Exponential(first=first, factor=factor, cap=cap, jitter=jitter)(attempt)
    assert plain * (1 - jitter) - 1e-6 <= spread <= plain * (1 + jitter) + 1e-6


def test_jobs_that_failed_together_do_not_come_back_together() -> None:
    backoff = Exponential(first=100, jitter=0.5)
    assert len({backoff(1) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    "words",
    [{"first": -1}, {"first": 10, "cap": 5}, {"factor": 0.5}, {"jitter": 2}, {"cap": MAX_SECONDS + 1}],
    ids=repr,
)
def test_an_exponential_out_of_range_is_refused(words: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 <= first <= cap"):
        Exponential(**words)
