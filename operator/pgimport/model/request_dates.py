"""Dates in the spec of a preview that ask for a reset or a renewal. Needs no other package, for the command line."""

from datetime import datetime, timedelta

# A date may be this much later than the operator's clock, because the clocks of two machines differ.
CLOCK_SKEW = timedelta(minutes=1)


def is_future(date: datetime, now: datetime) -> bool:
    """Tells whether a date is more than CLOCK_SKEW in the future."""
    return date > now + CLOCK_SKEW


def find_next_date(done: datetime | None, requested: datetime | None, now: datetime) -> datetime:
    """Returns the date that asks for one more reset or renewal: now, or just after the last one of a later clock.

    `done`: the one in the status. `requested`: the one in the spec. If that is in the future, the operator has not
    carried it out, and the new date replaces it.
    """
    last = [done, None if requested is None or is_future(requested, now) else requested]
    return max([now, *(date + timedelta(milliseconds=1) for date in last if date is not None)])
