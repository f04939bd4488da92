"""Chooses which previews a check of their Project looks at more closely.

Secrets are never listed or watched, so each check reads only a part of the connection Secrets.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from pgimport.model.resources import PreviewObject, ResourceKey

# A Project is checked every 60 s, so each Secret is read every four minutes. A Project is also reconciled when
# something of it changes, and then reads no Secrets.
PARTS = 4
SHORTEST_INTERVAL = timedelta(seconds=50)


class PreviewChecks:
    """Remembers which Secrets a Project's next check reads, and which previews must read whether their database exists.

    All threads of the process share it. Nothing is lost with it: the next checks find the same.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[datetime, int]] = {}  # Project's uid → time and part of its last check
        self._without_database: set[ResourceKey] = set()

    def choose_secrets(self, project_uid: str, previews: Iterable[PreviewObject], now: datetime) -> list[PreviewObject]:
        """Returns the previews whose Secret is to be read now."""
        last, part = self._last.get(project_uid, (None, -1))
        if last is not None and timedelta(0) <= now - last < SHORTEST_INTERVAL:
            return []
        part = (part + 1) % PARTS
        self._last[project_uid] = (now, part)
        return [item for item in previews if zlib.crc32(item.meta.uid.encode()) % PARTS == part]

    def suspect(self, keys: Iterable[ResourceKey]) -> None:
        """Records previews whose databases may be gone."""
        self._without_database.update(keys)

    def take_suspect(self, key: ResourceKey) -> bool:
        """Tells whether the preview's database may be gone, and forgets it."""
        if key not in self._without_database:
            return False
        self._without_database.discard(key)
        return True
