"""Tracks when each import was last reconciled.

Operator downtime must not count towards stallTimeout or startTimeout, and the clocks of nodes may differ from ours.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

# An import that may report progress is reconciled every few seconds. A longer pause means that the operator was not at
# work. An import that waits for a container is reconciled less often (Policy.longest_waiting_interval).
LONGEST_PAUSE = timedelta(seconds=60)
LONGEST_WAITING_PAUSE = timedelta(minutes=3)
TRACKED_IMPORTS = 10_000


@dataclass(frozen=True, slots=True)
class ImportTimes:
    """Times of one import, by the clock of this process."""

    observed_since: datetime  # reconciled without a long pause since then
    last: datetime
    stage: str | None = None  # what the import waits for
    waiting_since: datetime | None = None  # when the wait for `stage` began


def _longest_pause(times: ImportTimes) -> timedelta:
    return LONGEST_PAUSE if times.stage is None else LONGEST_WAITING_PAUSE


class ReconcileTimes:
    """Keeps the times of imports by uid."""

    def __init__(self) -> None:
        self._times: dict[str, ImportTimes] = {}

    def record(self, uid: str, now: datetime, stage: str | None) -> ImportTimes:
        """Records that an import is reconciled now. `stage` names what it waits for, or is None."""
        previous = self._times.get(uid)
        if previous is None or not timedelta(0) <= now - previous.last <= _longest_pause(previous):
            previous = ImportTimes(now, now)
        waiting_since = previous.waiting_since if stage is not None and stage == previous.stage else now
        times = ImportTimes(previous.observed_since, now, stage, waiting_since if stage is not None else None)
        if len(self._times) >= TRACKED_IMPORTS:  # most of them are deleted imports
            self._times = {key: kept for key, kept in self._times.items() if now - kept.last <= LONGEST_WAITING_PAUSE}
        self._times[uid] = times
        return times

    def forget(self, uid: str) -> None:
        """Drops the times of an import that has ended or is being deleted."""
        self._times.pop(uid, None)
