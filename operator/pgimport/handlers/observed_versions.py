"""Detects stalled watches by comparing the resourceVersions of lists with those that the watches have shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pgimport.model.resources import ResourceKey


@dataclass(slots=True)
class ObservedVersions:
    """Compares the versions of the sweep with those of the cache. `stalled` may be read by another thread."""

    find_version: Callable[[ResourceKey], int]  # the newest version that a watch has shown, or 0
    stalled: str | None = None  # message for the liveness probe; None: all watches deliver
    _missing: dict[ResourceKey, int] = field(default_factory=dict)  # of the last comparison

    def compare(self, listed: Mapping[ResourceKey, int]) -> set[ResourceKey]:
        """Returns the keys whose listed version no watch has shown.

        Sets `stalled` if a version is missing in two comparisons in a row.
        """
        late = [key for key in self._missing if key in listed and self.find_version(key) < self._missing[key]]
        self.stalled = f"the watch has stalled: no event of {late[0]} for two sweeps" if late else None
        self._missing = {key: version for key, version in listed.items() if self.find_version(key) < version}
        return set(self._missing)
