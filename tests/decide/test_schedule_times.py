"""Times of schedules: the syntax of CronJob, time zones, and daylight saving."""

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from pgimport.decide.schedule_times import ScheduleTimes

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def list_times(schedule: str, zone: str, after: str, until: str) -> list[str]:
    """Lists the times between two local times, as the zone's clock shows them, with the offset."""
    clock = ZoneInfo(zone)
    start, end = (datetime.fromisoformat(text).replace(tzinfo=clock).astimezone(UTC) for text in (after, until))
    times = takewhile(lambda time: time <= end, ScheduleTimes(schedule, zone).iterate(start))
    return [time.astimezone(clock).strftime("%d %H:%M %z") for time in times]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param("30 2 * * *", ["28 02:30 +0100", "30 02:30 +0200"], id="nightly, in the hour that is skipped"),
        pytest.param("0 3 * * *", ["28 03:00 +0100", "29 03:00 +0200", "30 03:00 +0200"], id="nightly, just after it"),
        pytest.param(
            "59 1 * * *", ["28 01:59 +0100", "29 01:59 +0100", "30 01:59 +0200"], id="nightly, just before it"
        ),
        pytest.param("0,30 2,3 29 * *", ["29 03:00 +0200", "29 03:30 +0200"], id="on that day, in both hours"),
    ],
)
def test_a_time_that_the_clock_skips_in_spring_never_comes(schedule: str, expected: list[str]) -> None:
    assert list_times(schedule, "Europe/Berlin", "2026-03-28 00:00", "2026-03-30 12:00") == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param(
            "30 2 * * *",
            ["24 02:30 +0200", "25 02:30 +0200", "25 02:30 +0100", "26 02:30 +0100"],
            id="nightly, in the hour that is repeated",
        ),
        pytest.param("0 3 * * *", ["24 03:00 +0200", "25 03:00 +0100", "26 03:00 +0100"], id="nightly, just after it"),
        pytest.param(
            "30 1-3 25 * *",
            ["25 01:30 +0200", "25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"],
            id="hourly around it",
        ),
    ],
)
def test_a_time_that_the_clock_repeats_in_autumn_comes_twice(schedule: str, expected: list[str]) -> None:
    assert list_times(schedule, "Europe/Berlin", "2026-10-24 00:00", "2026-10-26 12:00") == expected


@pytest.mark.parametrize(("day", "hours"), [("03-29", 23), ("10-25", 25), ("06-01", 24)])
def test_an_hourly_schedule_has_as_many_times_as_the_day_has_hours(day: str, hours: int) -> None:
    start = datetime.fromisoformat(f"2026-{day} 00:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    end = (start + timedelta(days=1)).astimezone(UTC)  # on the wall clock
    times = ScheduleTimes("@hourly", "Europe/Berlin").iterate(start.astimezone(UTC) - MINUTE)
    assert len(list(takewhile(lambda time: time < end, times))) == hours


@pytest.mark.parametrize("schedule", ["* * * * *", "*/7 * * * *", "15 * * * *", "0 0 * * *", "30 0-3 * * 5,6"])
@pytest.mark.parametrize(
    ("zone", "around"),
    [
        ("Europe/Berlin", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00Z"),
        ("America/New_York", "2026-03-08T07:00Z"),
        ("America/New_York", "2026-11-01T06:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # repeats half an hour
        ("Africa/Cairo", "2026-04-23T22:00Z"),  # skips midnight
        ("Africa/Cairo", "2026-10-29T21:00Z"),  # repeats the hour before midnight
        ("Pacific/Apia", "2011-12-30T10:00Z"),  # skips a day
        ("Asia/Kolkata", "2026-03-29T01:00Z"),
    ],
)
def test_the_times_are_all_minutes_at_which_the_clock_matches(schedule: str, zone: str, around: str) -> None:
    start = datetime.fromisoformat(around) - 26 * HOUR

    def matches(time: datetime) -> bool:
        shown = time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        return next(CronSim(schedule, shown - MINUTE)) == shown

    minutes = [start + number * MINUTE for number in range(1, 52 * 60)]
    expected = [time for time in minutes if matches(time)]
    times = ScheduleTimes(schedule, zone)
    assert list(takewhile(lambda time: time <= minutes[-1], times.iterate(start))) == expected
    # A search may begin at any moment.
    for time, following in zip(expected[::17], expected[1::17], strict=False):
        assert times.find_next(time) == following
        assert times.find_next(following - MINUTE / 2) == following


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param("@daily", ["02 00:00", "03 00:00"], id="a macro"),
        pytest.param("@weekly", ["04 00:00", "11 00:00"], id="weekly is on Sunday"),
        pytest.param("0 3 * * 1", ["05 03:00", "12 03:00"], id="Monday is 1"),
        pytest.param("0 3 * * mon", ["05 03:00", "12 03:00"], id="a name, in lower case"),
        pytest.param("0 3 ? JAN ?", ["01 03:00", "02 03:00"], id="a question mark is a star"),
        pytest.param("0 3 13 * 5", ["02 03:00", "09 03:00"], id="day of month or day of week"),
        pytest.param("0 3 13 * *", ["13 03:00", "13 03:00"], id="a star leaves the other field alone"),
        pytest.param("0 3 *,4 * 1", ["05 03:00", "12 03:00"], id="a star in a list is a star"),
        pytest.param("0 3 */2 * 1", ["01 03:00", "03 03:00"], id="a star with a step is not"),
        pytest.param("0 3 4-31/9 * *", ["04 03:00", "13 03:00"], id="a range with a step"),
        pytest.param("0 3-3/2 * * *", ["01 03:00", "02 03:00"], id="a range of one value with a step is that value"),
        pytest.param("0 3 * * MON-1/3,01/40", ["05 03:00", "12 03:00"], id="a name and its number are one value"),
        pytest.param("0 3 4/9 * *", ["04 03:00", "13 03:00"], id="a value with a step is a range to the end"),
        pytest.param("0 3 * * 3/3", ["03 03:00", "07 03:00"], id="the week ends with Saturday"),
        pytest.param("5/25 9 * * *", ["01 09:05", "01 09:30"], id="minutes with a step"),
    ],
)
def test_a_schedule_is_read_like_that_of_a_cron_job(schedule: str, expected: list[str]) -> None:
    times = ScheduleTimes(schedule, "Etc/UTC").iterate(NEW_YEAR)
    assert [time.strftime("%d %H:%M") for time in islice(times, 2)] == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "message"),
    [
        ("0 0 31 4,6 *", "Etc/UTC", "spec.schedule: 0 0 31 4,6 * has no times: wrong or impossible day-of-month"),
        ("30-10 * * * *", "Etc/UTC", "spec.schedule: 30-10 * * * * has no times: wrong or impossible minute"),
        ("@daily", "Europe/Atlantis", "spec.timeZone: the zone Europe/Atlantis is not in the IANA database"),
        ("@daily", "Europe", "spec.timeZone: the zone Europe is not in the IANA database"),
        ("@daily", "Local", "spec.timeZone: the zone Local is not in the IANA database"),
    ],
)
def test_a_schedule_without_times_is_refused(schedule: str, zone: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ScheduleTimes(schedule, zone)


@pytest.mark.parametrize(
    ("schedule", "after", "until", "expected"),
    [
        pytest.param("0 2 * * *", "2026-01-01T00:00", "2026-01-01T01:59", None, id="none yet"),
        pytest.param("0 2 * * *", "2026-01-01T00:00", "2026-01-01T02:00", "2026-01-01T02:00", id="now"),
        pytest.param("0 2 * * *", "2026-01-01T02:00", "2026-01-01T23:00", None, id="not that of the beginning"),
        pytest.param("0 2 * * *", "2026-01-01T02:00", "2026-01-09T23:00", "2026-01-09T02:00", id="the last of eight"),
        pytest.param("* * * * *", "2001-01-01T02:00", "2026-01-09T23:00", "2026-01-09T23:00", id="of 13 million"),
        pytest.param("0 0 29 2 *", "2001-01-01T02:00", "2026-01-09T23:00", "2024-02-29T00:00", id="of six"),
        pytest.param("0 2 * * *", "2026-02-01T00:00", "2026-01-01T12:00", None, id="the beginning is later"),
    ],
)
def test_the_latest_time_is_found(schedule: str, after: str, until: str, expected: str | None) -> None:
    start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (after, until))
    latest = ScheduleTimes(schedule, "Etc/UTC").find_latest(start, end)
    assert (latest and latest.strftime("%Y-%m-%dT%H:%M")) == expected
