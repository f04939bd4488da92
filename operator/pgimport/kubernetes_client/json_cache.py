"""The cache of the HTTP API: objects as JSON without managed fields and annotations, about 4 kB each."""

import json
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import is_terminal
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.status import PreviewState


@dataclass(frozen=True, slots=True)
class CachedJson:
    """One object, with what lists select and sort by."""

    created: str
    project: str  # to which the object belongs; empty for a Project
    state: str  # status.state; empty before the operator has seen the object
    counts: bool  # towards a limit of its Project: a dry run that has not ended, a preview that has not expired
    labels: dict[str, str]
    body: bytes


_UNREAD_METADATA = ("managedFields", "annotations")  # whoever may write an object can add 256 KiB of annotations


class JsonCache(WatchCache[CachedJson]):
    """Answers reads with whole objects."""

    def __init__(
        self,
        cluster: KubernetesClient,
        kinds: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
        optional: Collection[str] = (),
    ) -> None:
        super().__init__(cluster, kinds, clock, optional)
        # by kind and namespace: the number of changes before the sort, and the sorted objects
        self._sorted: dict[tuple[str, str], tuple[int, list[tuple[str, CachedJson]]]] = {}

    def pack(self, kind: str, body: Json) -> CachedJson:
        meta = {name: value for name, value in body["metadata"].items() if name not in _UNREAD_METADATA}
        packed = json.dumps({**body, "metadata": meta}, separators=(",", ":")).encode()
        spec = body.get("spec") or {}
        project = (spec.get("importTemplate") or spec).get("project", "")  # a schedule has that of its imports
        state = (body.get("status") or {}).get("state") or ""
        labels = meta.get("labels", {})
        return CachedJson(meta["creationTimestamp"], project, state, _counts(kind, body), labels, packed)

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        content = self.find_content(kind, namespace, name)
        return json.loads(content.body) if content is not None else None

    def list_newest(
        self,
        kind: str,
        namespace: str,
        project: str,
        limit: int | None = None,
        before: str = "",
        matches: Callable[[CachedJson], bool] = lambda _: True,
    ) -> list[Json]:
        """Lists the objects of a Project in its namespace, newest first, that satisfy `matches`.

        Two Projects may have one namespace by mistake, and must not see each other's objects.

        `before`: list only objects older than the one with this sort key, for the next page (see `sort_key`).
        """
        positions = self._sort(kind, namespace)
        end = bisect_left(positions, before, key=itemgetter(0)) if before else len(positions)
        bodies = (
            content.body for _, content in reversed(positions[:end]) if content.project == project and matches(content)
        )
        return [json.loads(body) for body in islice(bodies, limit)]

    def _sort(self, kind: str, namespace: str) -> list[tuple[str, CachedJson]]:
        """Returns the objects with their sort keys, oldest first. Sorts only after a change: clients poll lists."""
        count = self.count_changes((namespace,))
        known_count, positions = self._sorted.get((kind, namespace), (-1, []))
        if known_count != count:
            contents = self.list_contents(kind, namespace)
            positions = sorted(((f"{item.created} {name}", item) for name, item in contents), key=itemgetter(0))
            self._sorted[kind, namespace] = count, positions
        return positions

    def list_counted(self, kind: str, namespace: str, project: str) -> set[str]:
        """Lists the names of the objects that count towards a limit of the Project, without parsing them."""
        return {
            name
            for name, content in self.list_contents(kind, namespace)
            if content.counts and content.project == project
        }

    def list_all(self, kind: str) -> Iterator[Json]:
        """Yields the objects of all namespaces, in no order."""
        return (json.loads(content.body) for _, content in self.list_contents(kind))


def _counts(kind: str, body: Json) -> bool:
    if kind == IMPORTS:
        return bool((body.get("spec") or {}).get("dryRun")) and not is_terminal(body)
    expired = (body.get("status") or {}).get("state") == PreviewState.EXPIRED
    return kind == PREVIEWS and not expired and "deletionTimestamp" not in body["metadata"]


def sort_key(body: Json) -> str:
    """Returns the position of an object in `list_newest`."""
    return f"{body['metadata']['creationTimestamp']} {body['metadata']['name']}"
