"""Limits by name, over all workers."""

from datetime import timedelta
from enum import Enum, StrEnum
from typing import override

import pytest

from jobs.coordination import Window, get_coordinator
from jobs.drivers.base import QueueDriver
from jobs.exceptions import JobOptionError
from jobs.limits import ConcurrencyLimit
from jobs.middleware import Middleware, ThrottleMiddleware
from jobs.models import FailedJob
from jobs.rate_limiting import RateLimit, RateLimited, rate_limiter
from jobs.worker.runner import Outcome, Processed
from tests.jobs.layered import LayeredJob, OtherLayeredJob, ago, get_wait, layers
from tests.jobs.steps import drain, run_next, stored

HOUR = timedelta(hours=1)


class Plain(Enum):
    """An enum whose value is the name of a limit."""

    MAILS = "mails"


class Text(StrEnum):
    """The same as a text."""

    MAILS = "mails"


class KeptJob(LayeredJob):
    """Keep its middleware from the constructor on."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.own = RateLimited("kept", release_after=60)

    @override
    def middleware(self) -> list[Middleware]:
        return [self.own]


def _fill(driver: QueueDriver, key: str, *seconds: float, window: float) -> None:
    """Count an event each so long ago."""
    for one in seconds:
        length, now = timedelta(seconds=window), ago(driver.get_now(), one)
        assert not get_coordinator().hit(key, limit=100, window=length, now=now)


@pytest.mark.parametrize("name", ["mails", Plain.MAILS, Text.MAILS], ids=["text", "enum", "text enum"])
@pytest.mark.usefixtures("job_connection")
def test_a_limiter_that_says_none_lets_every_job_run(name: str | Enum) -> None:
    rate_limiter(name, lambda _job: None)
    with layers(RateLimited(Plain.MAILS)) as ran:
        for _ in range(3):
            LayeredJob.dispatch()
        assert drain() == 3
    assert len(ran) == 3


@pytest.mark.usefixtures("job_connection")
def test_a_job_over_the_limit_is_put_back_until_there_is_room() -> None:
    rate_limiter("mails", RateLimit.per_hour(1))
    with layers(RateLimited("mails")) as ran:
        LayeredJob.dispatch("first")
        run_next()
        LayeredJob.dispatch("second")
        assert 3590 < get_wait(run_next()) <= 3600
    assert ran == ["first"]
    assert [job.attempts for job in stored()] == [1]


@pytest.mark.usefixtures("job_connection")
def test_a_job_over_the_limit_waits_as_long_as_is_said_instead() -> None:
    rate_limiter("mails", RateLimit.per_hour(0))
    with layers(RateLimited("mails", release_after=60)):
        LayeredJob.dispatch()
        assert get_wait(run_next()) == 60


@pytest.mark.usefixtures("job_connection")
def test_a_job_over_the_limit_is_dropped_where_that_is_said() -> None:
    rate_limiter("mails", RateLimit.per_hour(0))
    with layers(RateLimited("mails", is_dropped=True)) as ran:
        LayeredJob.dispatch()
        assert isinstance(run_next(), Processed)
    assert (ran, stored()) == ([], [])


@pytest.mark.usefixtures("job_connection")
def test_the_limiter_is_asked_about_each_job() -> None:
    rate_limiter("mails", lambda job: None if job.text == "admin" else RateLimit.per_hour(1, key=job.text))
    with layers(RateLimited("mails")) as ran:
        for text in ("admin", "admin", "a", "b", "a"):
            LayeredJob.dispatch(text)
            run_next()
    assert ran == ["admin", "admin", "a", "b"]


@pytest.mark.usefixtures("job_connection")
def test_middleware_that_the_constructor_keeps_holds_at_the_worker() -> None:
    rate_limiter("kept", RateLimit.per_hour(1))
    KeptJob.dispatch()
    run_next()
    KeptJob.dispatch()
    assert get_wait(run_next()) == 60


@pytest.mark.parametrize(
    ("limit", "window"),
    [(RateLimit.per_minute(3), 60.0), (RateLimit.per_second(3), 1.0), (RateLimit.per_day(3), 86400.0)],
)
@pytest.mark.usefixtures("job_connection")
def test_a_window_has_no_edges_its_room_comes_back_event_by_event(
    driver: QueueDriver, limit: RateLimit, window: float
) -> None:
    key, now, length = limit.name_key("k"), driver.get_now(), timedelta(seconds=window)
    coordinator = get_coordinator()
    for part in (0, 0.25, 0.5):
        assert not coordinator.hit(key, limit=3, window=length, now=now + length * part)
    just_before = now + length - timedelta(milliseconds=1)
    assert coordinator.hit(key, limit=3, window=length, now=just_before) == timedelta(milliseconds=1)
    assert not coordinator.hit(key, limit=3, window=length, now=now + length)
    assert coordinator.hit(key, limit=3, window=length, now=now + length) == length * 0.25


@pytest.mark.usefixtures("job_connection")
def test_what_happened_before_the_window_does_not_count(driver: QueueDriver) -> None:
    rate_limiter("mails", RateLimit.per_minute(2))
    _fill(driver, "rate:mails:0/60", 61, 62, 30, window=60)
    outcomes: list[Outcome] = []
    with layers(RateLimited("mails")) as ran:
        for _ in range(2):
            LayeredJob.dispatch()
            outcomes.append(run_next())
    assert len(ran) == 1
    assert 20 < get_wait(outcomes[-1]) <= 30


@pytest.mark.usefixtures("job_connection")
def test_a_limit_is_not_used_up_where_a_later_one_has_no_room(driver: QueueDriver) -> None:
    rate_limiter("mails", [RateLimit.per_hour(5), RateLimit.per_minute(1)])
    _fill(driver, "rate:mails:1/60", 10, window=60)
    with layers(RateLimited("mails")) as ran:
        LayeredJob.dispatch()
        assert 40 < get_wait(run_next()) <= 50
    assert ran == []
    assert get_coordinator().count_hits("rate:mails:0/3600", window=HOUR) == 0


@pytest.mark.usefixtures("job_connection")
def test_every_one_of_several_limits_counts_a_job_that_runs() -> None:
    rate_limiter("mails", [RateLimit.per_hour(5), RateLimit.per_minute(1)])
    with layers(RateLimited("mails")):
        LayeredJob.dispatch()
        run_next()
    assert get_coordinator().count_hits("rate:mails:0/3600", window=HOUR) == 1
    assert get_coordinator().count_hits("rate:mails:1/60", window=HOUR) == 1


@pytest.mark.usefixtures("job_connection")
def test_limits_with_one_key_and_windows_of_two_lengths_are_both_exact(driver: QueueDriver) -> None:
    rate_limiter("mails", [RateLimit.per_second(1, key="k"), RateLimit.per_hour(2, key="k")])
    _fill(driver, "rate:mails:k/3600", 1800, 900, window=3600)
    with layers(RateLimited("mails")):
        LayeredJob.dispatch()
        assert 1790 < get_wait(run_next()) <= 1800


@pytest.mark.usefixtures("job_connection")
def test_of_two_limits_that_count_together_the_stricter_holds_and_a_job_counts_once() -> None:
    rate_limiter("mails", [RateLimit.per_hour(3, key="k"), RateLimit.per_hour(2, key="k")])
    with layers(RateLimited("mails")) as ran:
        for _ in range(3):
            LayeredJob.dispatch()
            run_next()
    assert len(ran) == 2


@pytest.mark.usefixtures("job_connection")
def test_a_limit_without_a_name_counts_by_class_and_with_a_key_for_all() -> None:
    with layers(RateLimited(RateLimit(1))) as ran:
        LayeredJob.dispatch("one")
        run_next()
        OtherLayeredJob.dispatch("two")
        run_next()
    assert ran == ["one", "two"]
    with layers(RateLimited(RateLimit(1, key="k"))) as ran:
        LayeredJob.dispatch("one")
        run_next()
        OtherLayeredJob.dispatch("two")
        run_next()
    assert ran == ["one"]


def test_windows_that_differ_by_a_second_are_counted_apart_and_equal_ones_together() -> None:
    assert RateLimit(1, 1_000_000).name_key("x") != RateLimit(1, 1_000_001).name_key("x")
    assert RateLimit(1, 60).name_key("x") == RateLimit(1, 60.0).name_key("x")


@pytest.mark.usefixtures("job_connection")
def test_a_limiter_that_nobody_has_defined_is_an_error_that_names_it() -> None:
    with layers(RateLimited("nowhere")) as ran:
        LayeredJob().with_tries(1).dispatch()
        run_next()
    assert ran == []
    assert "no rate limit called 'nowhere'" in FailedJob.objects.get().exception


@pytest.mark.usefixtures("job_connection")
def test_a_throttle_lets_jobs_start_so_often_and_puts_the_others_back() -> None:
    outcomes: list[Outcome] = []
    with layers(ThrottleMiddleware(2, 60)) as ran:
        for _ in range(3):
            LayeredJob.dispatch()
            outcomes.append(run_next())
    assert len(ran) == 2
    assert 50 < get_wait(outcomes[-1]) <= 60


@pytest.mark.usefixtures("job_connection")
def test_two_throttles_of_one_class_hold_both() -> None:
    outcomes: list[Outcome] = []
    with layers(ThrottleMiddleware(100, 1), ThrottleMiddleware(2, 3600)) as ran:
        for _ in range(3):
            LayeredJob.dispatch()
            outcomes.append(run_next())
    assert len(ran) == 2
    assert get_wait(outcomes[-1]) > 3500


@pytest.mark.usefixtures("job_connection")
def test_asking_for_the_wait_changes_nothing(driver: QueueDriver) -> None:
    window, now = Window("k", 2, HOUR), driver.get_now()
    coordinator = get_coordinator()
    coordinator.hit("k", limit=2, window=HOUR, now=now)
    assert not coordinator.get_wait(window, now=now)
    coordinator.hit("k", limit=2, window=HOUR, now=now)
    assert coordinator.get_wait(window, now=now + HOUR / 4) == HOUR * 0.75
    assert coordinator.count_hits("k", window=HOUR, now=now) == 2


@pytest.mark.parametrize("values", [(-1, 1.0), (1, 0.0), (1, -1.0), (10**7, 1.0), (1, 1e12)])
def test_a_limit_that_is_out_of_range_is_refused(values: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="RateLimit needs"):
        RateLimit(*values)


@pytest.mark.parametrize("values", [(0, None), (1, 0.0), (1, -1.0), (10**7, None)])
def test_a_limit_of_places_that_is_out_of_range_is_refused(values: tuple[int, float | None]) -> None:
    with pytest.raises(ValueError, match="ConcurrencyLimit needs"):
        ConcurrencyLimit(*values)


@pytest.mark.parametrize(
    "make", [lambda: RateLimited("x", release_after=-1), lambda: ThrottleMiddleware(release_after=-1)]
)
def test_a_wait_that_is_out_of_range_is_refused_where_it_is_said(make: object) -> None:
    assert callable(make)
    with pytest.raises(JobOptionError, match="0 to"):
        make()
