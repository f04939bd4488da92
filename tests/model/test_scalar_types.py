"""Checks durations, quantities and times: parsing returns what was formatted, and errors contain an example."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pgimport.model.scalar_types import (
    Bytes,
    Duration,
    SpecTime,
    Time,
    format_duration,
    format_time,
    measure_quantity,
    parse_duration,
    parse_quantity,
)

DURATION, BYTES, TIME = TypeAdapter[Any](Duration), TypeAdapter[Any](Bytes), TypeAdapter[Any](Time)
SPEC_TIME = TypeAdapter[Any](SpecTime)


@given(st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)))
def test_parsing_a_formatted_duration_returns_it(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value
    assert DURATION.validate_python(DURATION.dump_python(value)) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("90s", 90, id="seconds"),
        pytest.param("1h30m", 5400, id="hours and minutes"),
        pytest.param("0s", 0, id="none"),
        pytest.param("24h", 86_400, id="a day"),
    ],
)
def test_valid_durations_are_parsed(text: str, seconds: int) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "6", "h", "-1h", "9999999h", "1000000m", "1d", "1.5h", "1h ", "six hours", "1h\n"]
)
def test_an_invalid_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match="write it like 90s, 10m, 6h or 1h30m, and 24h for one day"):
        DURATION.validate_python(text)


@given(st.integers(0, 2**62))
def test_a_number_of_bytes_is_parsed_exactly(value: int) -> None:
    assert parse_quantity(str(value)) == value


@given(st.integers(0, 2**20), st.sampled_from(["Ki", "Mi", "Gi", "k", "M", "G"]))
def test_a_suffix_multiplies_the_value(value: int, suffix: str) -> None:
    factor = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}[suffix]
    assert BYTES.validate_python(f"{value}{suffix}") == value * factor


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("1.5Gi", 3 * 2**29, id="a fraction"),
        pytest.param("9007199254740993", 9007199254740993, id="more than a float holds"),
        pytest.param(1024, 1024, id="a number"),
    ],
)
def test_valid_quantities_of_bytes_are_parsed(text: object, value: int) -> None:
    assert BYTES.validate_python(text) == value


@pytest.mark.parametrize("text", ["", "10GB", "ten", "-1", "1 Gi", "Gi", "100m", "1e3", "1Gi\n"])
def test_an_invalid_quantity_of_bytes_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match="write it like 1073741824, 500M or 10Gi"):
        BYTES.validate_python(text)


def test_a_negative_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        BYTES.validate_python(-1)


def test_milli_cpus_are_smaller_than_cpus() -> None:
    assert measure_quantity("500m") < measure_quantity("0.6") < measure_quantity("1")


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))])))
def test_parsing_a_formatted_time_returns_it_to_the_millisecond(value: datetime) -> None:
    if value.year in (1, 9999):
        return  # another zone would leave the calendar
    parsed = TIME.validate_python(format_time(value))
    assert abs(parsed - value) < timedelta(milliseconds=1)
    assert format_time(value).endswith("Z")


def test_a_time_without_a_zone_is_utc() -> None:
    assert TIME.validate_python("2026-01-01T12:00:00") == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_outside_of_the_years_1_to_9999_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be a time between the years 1 and 9999"):
        TIME.validate_python(text)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+12:00", "1998-12-31T23:59:59Z", "3001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"],
)
def test_a_time_in_a_spec_outside_of_2000_to_2999_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be a time"):
        SPEC_TIME.validate_python(text)


def test_a_time_in_a_spec_may_have_any_zone() -> None:
    assert SPEC_TIME.validate_python("2000-01-01T02:00:00+14:00") == datetime(1999, 12, 31, 12, tzinfo=UTC)
