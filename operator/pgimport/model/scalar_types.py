"""Defines the scalar types of our models: durations, quantities of bytes, and times."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

# The digits are limited because CEL's `duration` holds at most 292 years; a text of 32 characters means at most 57.
DURATION_PATTERN = r"^([0-9]{1,6}(s|m)|[0-9]{1,5}h)+$"
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


def duration_rule(field: str, longest: str) -> str:
    """Returns the message about a duration that is not one, or out of its limits. Go has no unit for a day."""
    return f"{field} must be more than 0s and at most {longest}, in hours, minutes and seconds: for one day, write 24h"


def parse_duration(value: object) -> object:
    """Parses a duration such as `1h30m`. Returns other types unchanged, for pydantic to validate. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(DURATION_PATTERN, value):
        raise ValueError(f"{value!r} is not a duration: write it like 90s, 10m, 6h or 1h30m, and 24h for one day")
    return timedelta(
        seconds=sum(int(count) * _UNIT_SECONDS[unit] for count, unit in re.findall(r"(\d+)([smh])", value))
    )


def format_duration(value: timedelta) -> str:
    """Formats a duration as `6h`, `1h30m` or `0s`, which `parse_duration` can read."""
    hours, rest = divmod(int(value.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
_SUFFIXES = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000) ** (power + 1) for power, unit in enumerate(["k", "M", "G", "T", "P"])},
    **{unit: Fraction(1024) ** (power + 1) for power, unit in enumerate(["Ki", "Mi", "Gi", "Ti", "Pi"])},
}
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"


def measure_quantity(value: str) -> Fraction:
    """Returns the exact value of a Kubernetes quantity (`10Gi`, `500m`, `2`). Raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)", value)
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"{value!r} is not a quantity: write it like 1073741824, 500M or 10Gi")
    return Fraction(match[1]) * _SUFFIXES[match[2]]


def parse_quantity(value: object) -> object:
    """Parses a quantity of bytes (`10Gi`, `500M`, 1024). Returns other types than strings unchanged."""
    if not isinstance(value, str):
        return value
    if value.endswith("m"):
        raise ValueError(f"{value!r} is not a quantity of bytes: write it like 1073741824, 500M or 10Gi")
    return int(measure_quantity(value))


Bytes = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(parse_quantity),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN, "maxLength": 32, "minimum": 0}),
]


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("must be a time between the years 1 and 9999") from None


def format_time(value: datetime) -> str:
    """Formats a time by RFC 3339 in UTC, with milliseconds."""
    return _to_utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    AfterValidator(_to_utc),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _check_year(value: datetime) -> datetime:
    if not 1999 <= value.year <= 3000:  # the year in UTC can differ by one from the year as written
        raise ValueError("must be a time of the years 2000 to 2999")
    return value


def cut_to_milliseconds(value: datetime) -> datetime:
    """Cuts a time to what `format_time` keeps: a status that repeats it must equal the spec."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


SPEC_TIME_PATTERN = "^2[0-9]{3}-"
# A time that a user writes. Its year is far enough from the ends of the calendar to calculate with it in any zone.
SpecTime = Annotated[
    Time,
    AfterValidator(_check_year),
    AfterValidator(cut_to_milliseconds),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": SPEC_TIME_PATTERN}),
]
