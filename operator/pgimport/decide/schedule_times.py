"""Computes the times of a schedule: every moment at which the clock of its time zone shows a matching time.

So a time that daylight saving skips never comes, and a time that it repeats comes twice, as with CronJob. cronsim
evaluates the expression without a time zone, because it would treat both cases like Debian's cron.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pgimport.model.cron_text import MACROS

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# A search for the latest time begins with a short window, because a schedule may have thousands of times in a long one.
_WINDOWS = (_HOUR, _DAY, 32 * _DAY, 400 * _DAY)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = {
    name: number
    for number, name in (*enumerate(_MONTHS, 1), *enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat")))
}


class ScheduleTimes:
    """The times of one schedule, in UTC. They have no end."""

    def __init__(self, schedule: str, time_zone: str) -> None:
        """Raises ValueError, with the field in its message, if the times never come or the zone does not exist."""
        try:
            self._zone = ZoneInfo(time_zone)
        except (ValueError, KeyError, OSError) as error:
            raise ValueError(f"spec.timeZone: the zone {time_zone} is not in the IANA database") from error
        self._expression = _translate(schedule)
        try:
            CronSim(self._expression, datetime(2000, 1, 1))
        except CronSimError as error:
            reason = str(error).replace("Bad ", "wrong or impossible ")
            raise ValueError(f"spec.schedule: {schedule} has no times: {reason}") from error

    def iterate(self, after: datetime) -> Iterator[datetime]:
        """Yields the times after this one, in order."""
        clock = after.astimezone(self._zone)
        repeated = _offset(clock) - _offset((after + _DAY).astimezone(self._zone))
        start = clock.replace(tzinfo=None) - max(repeated, timedelta(0))
        both = (self._read_clock(start, fold) for fold in (0, 1))
        times = (time for time in merge(*both) if time > after)
        return (time for time, _ in groupby(times))

    def _read_clock(self, start: datetime, fold: int) -> Iterator[datetime]:
        """Yields when the clock shows each matching time: for the first time (fold 0) or for the last (fold 1)."""
        for shown in CronSim(self._expression, start):
            time = shown.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)
            if time.astimezone(self._zone).replace(tzinfo=None) == shown:  # else the clock skips it
                yield time

    def find_next(self, after: datetime) -> datetime:
        """Returns the first time after this one."""
        return next(self.iterate(after))

    def find_latest(self, after: datetime, until: datetime) -> datetime | None:
        """Returns the last time that is later than `after` and not later than `until`, or None."""
        if after >= until:
            return None
        for start in (*(until - window for window in _WINDOWS if until - window > after), after):
            latest = deque(takewhile(lambda time: time <= until, self.iterate(start)), maxlen=1)
            if latest:
                return latest.pop()
        return None


def _offset(time: datetime) -> timedelta:
    return time.utcoffset() or timedelta(0)


def _translate(schedule: str) -> str:
    """Returns the schedule as cronsim reads it.

    CronJob takes `?` for a star. A field counts as a star for the rule "day of month or day of week" if it holds a bare
    star; cronsim also takes `*/2` for one. Its days of week go up to 7.
    """
    fields = MACROS.get(schedule, schedule).replace("?", "*").split()
    minute, hour, day, month, weekday = (_translate_single_values(field) for field in fields)
    return " ".join((minute, hour, _translate_days(day, 1, 31), month, _translate_days(weekday, 0, 6)))


def _translate_single_values(field: str) -> str:
    """Writes `v-v/n` as `v`. cronsim takes it for `v/n`, which goes on to the end of the field."""
    return ",".join(_find_single_value(item) or item for item in field.split(","))


def _find_single_value(item: str) -> str | None:
    first, dash, last = item.partition("/")[0].partition("-")
    return first if dash and _read_value(first) == _read_value(last) else None


def _read_value(text: str) -> int | str:
    return int(text) if text.isdecimal() else _NAMES.get(text.lower(), text)


def _translate_days(field: str, first: int, last: int) -> str:
    items = field.split(",")
    if {"*", "*/1"} & set(items):
        return "*"
    return ",".join(_translate_step(item, first, last) for item in items)


def _translate_step(item: str, first: int, last: int) -> str:
    """Writes `*/n` and `v/n` as ranges with a step."""
    values, slash, step = item.partition("/")
    if not slash or "-" in values:
        return item
    return f"{first if values == '*' else values}-{last}/{step}"
