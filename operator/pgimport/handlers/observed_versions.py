"""Detects stalled watches by comparing the resourceVersions of events with those of lists."""

import threading
from dataclasses import dataclass, field

from pgimport.model.resources import ResourceKey


@dataclass(slots=True)
class ObservedVersions:
    """The newest resourceVersion of each object that an event has shown. Handlers and the sweep share it."""

    _observed: dict[ResourceKey, int] = field(default_factory=dict)
    _missing: dict[ResourceKey, int] = field(default_factory=dict)  # of the last comparison
    _lock: threading.Lock = field(default_factory=threading.Lock)
    stalled: str | None = None  # message for the liveness probe; None: all watches deliver

    def record(self, key: ResourceKey, resource_version: str) -> None:
        """Records the version that an event has shown."""
        with self._lock:
            self._observed[key] = max(int(resource_version), self._observed.get(key, 0))

    def compare(self, listed: dict[ResourceKey, int]) -> set[ResourceKey]:
        """Returns the keys whose listed version no event has shown.

        Sets `stalled` if a version is missing in two comparisons in a row.
        """
        with self._lock:
            missing = {key: version for key, version in listed.items() if self._observed.get(key, 0) < version}
            late = [key for key, version in self._missing.items() if self._observed.get(key, 0) < version]
            late = [key for key in late if key in listed]
            self.stalled = f"the watch has stalled: no event of {late[0]} for two sweeps" if late else None
            self._missing = missing
            # An object that was created after the lists were read is not in them and must not be forgotten.
            newest = max(listed.values(), default=0)
            self._observed = {
                key: version for key, version in self._observed.items() if key in listed or version > newest
            }
            return set(missing)
