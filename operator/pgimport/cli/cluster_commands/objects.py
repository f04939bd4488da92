"""Reads fields of our objects as kubectl prints them, and formats ages, times and rates. Pure.

A status can lack any field: the operator has not seen the object yet, or has another version.
"""

from datetime import UTC, datetime
from typing import Any

from pgimport.cli.messages import format_bytes
from pgimport.model.reasons import MEANINGS, Reason

Json = dict[str, Any]

PENDING = "pending"  # also the state of an object that the operator has not seen yet
TERMINAL = ("completed", "failed", "cancelled")
EXIT_FAILED = 1
NONE = "-"  # a cell without a value


def read(body: Json, *path: str) -> Any:
    """Returns the value at a path of keys, or None if a part of it is missing."""
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def name_of(body: Json) -> str:
    return str(body["metadata"]["name"])


def namespace_of(body: Json) -> str:
    return str(read(body, "metadata", "namespace") or "")


def state_of(body: Json) -> str:
    """Returns status.state; an object that the operator has not seen yet is pending."""
    return str(read(body, "status", "state") or PENDING)


def has_ended(body: Json) -> bool:
    """Tells whether an import is in a terminal state."""
    return state_of(body) in TERMINAL


def find_condition(body: Json, kind: str = "Ready") -> Json:
    """Returns the condition of this type, or an empty object."""
    conditions = read(body, "status", "conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def reason_of(body: Json) -> str:
    return str(find_condition(body).get("reason") or "")


def is_observed(body: Json) -> bool:
    """Tells whether the status belongs to the current spec."""
    return int(read(body, "status", "observedGeneration") or 0) >= int(read(body, "metadata", "generation") or 0)


def parse_time(text: Any) -> datetime | None:
    """Parses a time of Kubernetes or of our status. Returns None if there is none."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time and (time if time.tzinfo else time.replace(tzinfo=UTC))


def format_seconds(seconds: float) -> str:
    """Formats a duration with one or two units, as kubectl formats ages: `45s`, `5m10s`, `3h12m`, `4d`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _join(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _join(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _join(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _join(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def format_since(text: Any, now: datetime) -> str:
    """Formats how long ago a time was, or `-`."""
    time = parse_time(text)
    return format_seconds((now - time).total_seconds()) if time else NONE


def format_until(text: Any, now: datetime) -> str:
    """Formats in how long a time will be, such as `in 3h`; `3h ago` if it has passed, or `-`."""
    time = parse_time(text)
    if time is None:
        return NONE
    seconds = (time - now).total_seconds()
    return f"in {format_seconds(seconds)}" if seconds >= 0 else f"{format_seconds(-seconds)} ago"


def format_time(text: Any) -> str:
    """Formats a time in UTC to the second, such as `2026-01-31 12:00:00 UTC`, or `-`."""
    time = parse_time(text)
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time else NONE


def format_size(value: Any) -> str:
    return format_bytes(value) if isinstance(value, int) else NONE


def count_of(count: int | str, noun: str) -> str:
    """Formats `1 table` or `3 tables`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def exit_code_of(body: Json) -> int:
    """Returns the exit code for an import that has ended: 0, that of its reason, or 1."""
    if state_of(body) == "completed":
        return 0
    try:
        return MEANINGS[Reason(reason_of(body))].exit_code or EXIT_FAILED
    except (KeyError, ValueError):
        return EXIT_FAILED


def hint_of(body: Json) -> str:
    """Returns the hint of the reason of a failure, or an empty text."""
    try:
        return MEANINGS[Reason(reason_of(body))].hint
    except (KeyError, ValueError):
        return ""
