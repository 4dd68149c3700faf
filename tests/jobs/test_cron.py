"""When entries of the schedule are due."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.cron import Timing, describe_cron, get_next_run, get_zone, is_hourly, split_expression
from jobs.exceptions import ScheduleTimingError

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",  # its gaps were at midnight
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",  # left out a whole day
]
#: Around changes of clocks, and anywhere in fifteen years.
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2024, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants them
MINUTES = st.sampled_from(["0", "30", "15,45", "*/10", "7-9", "*"])
HOURS = st.sampled_from(["0", "1", "2", "3", "0-3", "*/2", "1,2", "23", "*"])
DAYS = st.sampled_from(["*", "1", "L", "*/5", "28-31", "30"])
MONTHS = st.sampled_from(["*", "MAR,OCT", "3", "11", "*/4"])
WEEKDAYS = st.sampled_from(["*", "SUN", "0", "7", "MON-FRI", "SUN#1", "0L"])
EXPRESSIONS = st.builds(lambda *fields: " ".join(fields), MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)


def _walk(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Return the next moments, as the clocks of the zone show them."""
    after = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    moments = Timing(cron=expression, timezone=zone).list_next(after, count=count)
    return [moment.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z") for moment in moments]


@settings(deadline=None, max_examples=300)
@given(expression=EXPRESSIONS, zone=st.sampled_from(ZONES), after=MOMENTS)
def test_the_next_moments_lie_ever_later_and_match_the_fields(expression: str, zone: str, after: datetime) -> None:
    moments = [after, *Timing(cron=expression, timezone=zone).list_next(after, count=25)]
    assert all(earlier < later for earlier, later in pairwise(moments))
    minutes, hours = (_expand(field, size) for field, size in zip(expression.split(), (60, 24), strict=False))
    for moment in moments[1:]:
        wall = moment.astimezone(ZoneInfo(zone))
        is_match = wall.minute in minutes and wall.hour in hours
        assert is_match or _ends_a_gap(moment, ZoneInfo(zone)), (expression, wall)
        assert moment.second == moment.microsecond == 0


def _expand(field: str, size: int) -> set[int]:
    """Read a field in the simplest way."""
    if field.startswith("*"):
        return set(range(0, size, int(field.partition("/")[2] or 1)))
    numbers = set()
    for part in field.split(","):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def _ends_a_gap(moment: datetime, zone: ZoneInfo) -> bool:
    before, after = (one.astimezone(zone).utcoffset() for one in (moment - timedelta(minutes=1), moment))
    assert before is not None
    assert after is not None
    return before < after


@settings(deadline=None, max_examples=200)
@given(expression=EXPRESSIONS, zone=st.sampled_from(ZONES), after=MOMENTS)
def test_no_time_on_the_wall_comes_twice_unless_every_hour_is_meant(
    expression: str, zone: str, after: datetime
) -> None:
    if is_hourly(split_expression(expression)):
        return
    moments = Timing(cron=expression, timezone=zone).list_next(after, count=40)
    walls = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert len(set(walls)) == len(walls)


@settings(deadline=None, max_examples=200)
@given(expression=EXPRESSIONS, zone=st.sampled_from(ZONES), after=MOMENTS, minutes=st.integers(0, 3_000))
def test_where_one_starts_to_look_makes_no_difference(
    expression: str, zone: str, after: datetime, minutes: int
) -> None:
    first = get_next_run(expression, zone=zone, after=after)
    between = min(after + timedelta(minutes=minutes), first - timedelta(seconds=1))
    assert get_next_run(expression, zone=zone, after=between) == first


@settings(deadline=None, max_examples=100)
@given(expression=EXPRESSIONS, zone=st.sampled_from(ZONES), after=MOMENTS, last=st.integers(1, 5))
def test_the_last_moments_that_are_due_are_those_that_one_would_have_met_one_by_one(
    expression: str, zone: str, after: datetime, last: int
) -> None:
    timing = Timing(cron=expression, timezone=zone)
    moments = timing.list_next(after, count=60)
    now = moments[-1] + timedelta(seconds=30)
    assert timing.list_due(moments[0], now, last=last) == moments[-last:]


def test_a_time_that_the_clocks_leave_out_counts_once_just_after_the_gap() -> None:
    assert _walk("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]
    assert _walk("15,45 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00", 3) == [
        "03-29 03:00+0200",
        "03-29 03:15+0200",
        "03-29 03:45+0200",
    ]
    assert _walk("0 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00", 2) == ["03-29 03:00+0200", "03-30 02:00+0200"]


def test_a_gap_of_half_an_hour_and_one_of_a_whole_day_end_when_the_clocks_go_on() -> None:
    assert _walk("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", 1) == ["10-04 02:30+1100"]
    assert _walk("0 12 * * *", "Pacific/Apia", "2011-12-29T13:00", 2) == ["12-31 00:00+1400", "12-31 12:00+1400"]


def test_a_time_that_the_clocks_show_twice_counts_the_first_time() -> None:
    assert _walk("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert _walk("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", 3) == [
        "10-25 02:00+0200",
        "10-25 02:30+0200",
        "10-26 02:00+0100",
    ]


def test_every_hour_goes_on_through_the_hour_that_is_shown_twice() -> None:
    for expression in ("0 * * * *", "0 0-23 * * *", "@hourly"):
        assert _walk(expression, "Europe/Berlin", "2026-10-25T01:30", 3) == [
            "10-25 02:00+0200",
            "10-25 02:00+0100",
            "10-25 03:00+0100",
        ]


def test_an_interval_does_not_care_for_clocks_on_walls() -> None:
    timing = Timing(interval=timedelta(hours=24), timezone="Europe/Berlin")
    before = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert timing.get_next(before).astimezone(UTC) - before.astimezone(UTC) == timedelta(hours=24)


def test_an_interval_stays_in_step_with_its_first_run() -> None:
    timing, start = Timing(interval=timedelta(seconds=10)), datetime(2026, 1, 1, tzinfo=UTC)
    late = start + timedelta(seconds=34)
    assert timing.get_next_after(start, late) == start + timedelta(seconds=40)
    assert timing.list_due(start, late, last=2) == [start + timedelta(seconds=20), start + timedelta(seconds=30)]
    assert timing.list_due(start, start, last=3) == [start]


def test_years_of_minutes_are_looked_at_from_their_end() -> None:
    first, now = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert Timing(cron="* * * * *").list_due(first, now, last=2) == [now - timedelta(minutes=1), now]


@pytest.mark.parametrize(
    ("expression", "moment"),
    [
        ("@yearly", "2027-01-01T00:00"),
        ("@monthly", "2026-07-01T00:00"),
        ("@weekly", "2026-06-07T00:00"),
        ("@Daily", "2026-06-02T00:00"),
        ("0 0 L * *", "2026-06-30T00:00"),
        ("0 0 LW 5 *", "2027-05-31T00:00"),
        ("0 9 * * MON#2", "2026-06-08T09:00"),
        ("0 9 * * 5L", "2026-06-26T09:00"),
        ("0 9 * jul mon-wed", "2026-07-01T09:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 1 * SUN", "2026-06-07T12:00"),
    ],
)
def test_names_steps_last_days_and_aliases_are_understood(expression: str, moment: str) -> None:
    after = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert get_next_run(expression, zone="UTC", after=after) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "has 0 fields"),
        ("0 3 * *", "has 4 fields"),
        ("0 0 3 * * *", "has 6 fields"),
        ("60 * * * *", "'60' can't be the minute. It takes 0-59"),
        ("0 24 * * *", "'24' can't be the hour"),
        ("0 0 0 * *", "can't be the day of the month"),
        ("0 0 * 13 *", "can't be the month"),
        ("0 0 * * FRI-MON", "can't be the day of the week"),
        ("*/0 * * * *", "can't be the minute"),
        ("0 0 30 2 *", "never comes"),
        ("* * */20 * 1L", "never comes"),
        ("@reboot", "has 1 fields"),
        ("1,2," * 100 + " * * * *", "at most 100"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_way_out(expression: str, words: str) -> None:
    with pytest.raises(ScheduleTimingError, match=".*" + words.replace("*", r"\*")) as raised:
        Timing(cron=expression or " ").check()
    assert raised.value.field == "cron"


@settings(deadline=None, max_examples=500)
@given(text=st.text(alphabet="0123456789*/-,#LWMON @²", max_size=20) | st.text(max_size=20))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    try:
        get_next_run(text, zone="UTC", after=datetime(2026, 1, 1, tzinfo=UTC))
    except ScheduleTimingError:
        return
    describe_cron(text)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "a\x00b", "x" * 999]
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ScheduleTimingError, match="There is no time zone") as raised:
        get_zone(name)
    assert raised.value.field == "timezone"


def test_a_zone_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(ScheduleTimingError, match=r"Did you mean Europe/Berlin\?"):
        get_zone("europe/berln")


@pytest.mark.parametrize(
    "timing",
    [
        Timing(),
        Timing(cron="0 3 * * *", interval=timedelta(hours=1)),
        Timing(interval=timedelta(0)),
        Timing(interval=timedelta(seconds=-1)),
        Timing(interval=timedelta(seconds=1.5)),
        Timing(interval=timedelta(days=4_000)),
    ],
    ids=["nothing", "both", "no time", "backwards", "fraction", "eternity"],
)
def test_a_timing_that_says_nothing_sensible_is_refused(timing: Timing) -> None:
    with pytest.raises(ScheduleTimingError):
        timing.check()


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (Timing(cron="0 3 * * *", timezone="Europe/Berlin"), "every day at 03:00, Europe/Berlin"),
        (Timing(cron="@daily"), "every day at 00:00, UTC"),
        (Timing(cron="* * * * *"), "every minute, UTC"),
        (Timing(cron="*/5 * * * *"), "every 5 minutes, UTC"),
        (Timing(cron="0 * * * *"), "every hour, UTC"),
        (Timing(cron="0 9 * * MON-FRI"), "at 09:00 on Monday through Friday, UTC"),
        (Timing(cron="nonsense"), "nonsense, UTC"),
        (Timing(interval=timedelta(seconds=1)), "every second"),
        (Timing(interval=timedelta(seconds=90)), "every 1 minute 30 seconds"),
        (Timing(interval=timedelta(days=2)), "every 2 days"),
    ],
)
def test_timings_are_said_in_words(timing: Timing, words: str) -> None:
    assert timing.describe() == words


def test_an_expression_with_too_many_words_stands_for_itself() -> None:
    expression = "1,5,9,14,22 1,3,5,7 1,8,15 2,4,6 MON,WED"
    assert describe_cron(expression) == expression
