"""Defines the strings of a schedule that users write: its times, as CronJob reads them, and its time zone.

The API server checks the syntax. Only the operator knows whether the times ever come and whether the zone exists
(`decide/schedule_times.py`).
"""

from typing import Annotated

from pgimport.model.string_types import fits_pattern

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_VALUES = (
    "[0-5]?[0-9]",
    "([01]?[0-9]|2[0-3])",
    "(0?[1-9]|[12][0-9]|3[01])",
    "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
    "([0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))",
)


def _build_field(value: str) -> str:
    """Builds the pattern of one field: a list of values, ranges or stars, each with an optional step."""
    item = rf"([*?]|{value}(-{value})?)(/[1-9][0-9]{{0,2}})?"
    return f"{item}(,{item})*"


CRON_PATTERN = f"^({'|'.join(MACROS)}|{' +'.join(map(_build_field, _VALUES))})$"
CRON_RULE = (
    "no times: write five fields, minute, hour, day of month, month and day of week, like 0 2 * * 1-5, or a macro like"
    " @daily"
)
ZONE_PATTERN = "^[A-Z][-+0-9A-Za-z_]*(/[-+0-9A-Za-z_]+)*$"
ZONE_RULE = "no time zone: write a name of the IANA database, like Europe/Berlin or Etc/UTC"
_cron, _zone = fits_pattern(CRON_PATTERN, CRON_RULE, 256), fits_pattern(ZONE_PATTERN, ZONE_RULE, 64)
CronText = Annotated[str, _cron[0], _cron[1]]
ZoneName = Annotated[str, _zone[0], _zone[1]]
