"""Remembers the progress of running imports, for the plots of the page. A status has only the newest progress."""

import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from pgimport.kubernetes_client.api_client import Json
from pgimport.model.names import IMPORTS
from pgimport.model.status import ImportState

MAX_IMPORTS = 1000  # those that changed last; 3 kB each
MAX_SAMPLES = 120  # of one import; then every second one is dropped
_FIELDS = 3


@dataclass(frozen=True, slots=True)
class ProgressSample:
    """The progress at one time."""

    at: float  # seconds since the epoch, when the worker reported it
    percent: float
    bytes_done: float


class ProgressHistory:
    """Keeps samples in memory only: a plot begins anew when the API starts. Safe to share between threads."""

    def __init__(self) -> None:
        self._samples: OrderedDict[str, array[float]] = OrderedDict()  # by uid: _FIELDS numbers for each sample
        self._lock = threading.Lock()

    def observe(self, kind: str, body: Json) -> None:
        """Adds a sample if the object is a running import with new progress. The cache calls it for each change.

        The worker's time gives the true rate: the API may learn of several changes at the same moment, and of changes
        that leave the progress as it is.
        """
        status = body.get("status") or {}
        progress = status.get("progress")
        if kind != IMPORTS or status.get("state") != ImportState.RUNNING or not progress:
            return
        at = _parse_time(progress.get("saidAt"))
        if at is None:
            return
        with self._lock:
            samples = self._samples.setdefault(body["metadata"]["uid"], array("d"))
            if samples and at <= samples[-_FIELDS]:
                return
            samples.extend((at, progress.get("percent") or 0, progress.get("bytesDone") or 0))
            if len(samples) > _FIELDS * MAX_SAMPLES:
                _thin_out(samples)
            self._samples.move_to_end(body["metadata"]["uid"])
            if len(self._samples) > MAX_IMPORTS:
                self._samples.popitem(last=False)

    def list_samples(self, uid: str) -> list[ProgressSample]:
        """Lists the samples of an import, oldest first."""
        with self._lock:
            numbers = list(self._samples.get(uid, ()))
        return [ProgressSample(*numbers[start : start + _FIELDS]) for start in range(0, len(numbers), _FIELDS)]


def _parse_time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _thin_out(samples: "array[float]") -> None:
    """Drops every second sample, but neither the first nor the last."""
    for start in range(len(samples) - 2 * _FIELDS, 0, -2 * _FIELDS):
        del samples[start : start + _FIELDS]
