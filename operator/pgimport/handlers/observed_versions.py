"""What the watches have shown: the newest resourceVersion by object, so that a sweep can tell a stalled watch."""

import threading
from dataclasses import dataclass, field

from pgimport.model.resources import ResourceKey


@dataclass(slots=True)
class ObservedVersions:
    """Shared by the handlers, which report what they saw, and the sweep, which asks what they missed."""

    _seen: dict[ResourceKey, int] = field(default_factory=dict)
    _missing: dict[ResourceKey, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    stalled: str | None = None

    def saw(self, key: ResourceKey, resource_version: str) -> None:
        with self._lock:
            self._seen[key] = max(int(resource_version), self._seen.get(key, 0))

    def compare(self, listed: dict[ResourceKey, int]) -> set[ResourceKey]:
        """Keys whose listed version no event has shown. Unseen in two sweeps in a row: `stalled` says so."""
        with self._lock:
            missing = {key: version for key, version in listed.items() if self._seen.get(key, 0) < version}
            late = [key for key in self._missing if key in listed and self._seen.get(key, 0) < self._missing[key]]
            self.stalled = f"no event of {late[0]} since two sweeps: its watch has stalled" if late else None
            self._missing = missing
            # What was made after the lists were read is not in them, and not forgotten.
            newest = max(listed.values(), default=0)
            self._seen = {key: version for key, version in self._seen.items() if key in listed or version > newest}
            return set(missing)
