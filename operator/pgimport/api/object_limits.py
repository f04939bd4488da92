"""Limits how many objects a Project may have, also if several requests create them at the same time."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pgimport.api.error_responses import RETRY_SECONDS, ApiError
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.resources import ProjectObject


@dataclass(frozen=True, slots=True)
class ObjectLimits:
    """Counts the objects in the cache and those that requests of this replica are creating.

    Other replicas may create an object at the same moment, so the operator refuses previews above the limit, too.
    """

    cache: JsonCache
    _created: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # kind, Project, name → running requests
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def count_dry_run(self, project: ProjectObject, name: str, limit: int) -> Iterator[None]:
        """Counts a dry run while the block creates it. Raises ApiError 429 at the limit."""
        text = f"{limit} dry runs and preflights of the project have not ended; wait until one has"
        with self._count(IMPORTS, project, name, limit, ApiError(429, text, RETRY_SECONDS)):
            yield

    @contextmanager
    def count_preview(self, project: ProjectObject, name: str) -> Iterator[None]:
        """Counts a preview database while the block creates it. Raises ApiError 409 at limits.maxPreviews."""
        limit = project.spec.limits.max_previews if project.spec is not None else None
        text = f"the project may have {limit} preview databases (limits.maxPreviews of the Project); delete one first"
        with self._count(PREVIEWS, project, name, limit, ApiError(409, text)):
            yield

    @contextmanager
    def _count(
        self, kind: str, project: ProjectObject, name: str, limit: int | None, error: ApiError
    ) -> Iterator[None]:
        key = kind, project.meta.name, name
        with self._lock:
            if limit is not None and len(self._list_others(project, key)) >= limit:
                raise error
            self._created[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._created[key] -= 1
                if self._created[key] == 0:
                    del self._created[key]

    def _list_others(self, project: ProjectObject, key: tuple[str, str, str]) -> set[str]:
        """Lists the names of the other objects. A repeated request with its Idempotency-Key may find its own object."""
        kind, project_name, name = key
        namespace = project.spec.namespace if project.spec is not None else ""
        cached = self.cache.list_counted(kind, namespace, project_name)
        created = {created[2] for created in self._created if created[:2] == (kind, project_name)}
        return (cached | created) - {name}
