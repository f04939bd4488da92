"""A cache of all objects of some kinds, which one watch for each kind keeps up to date.

The subclasses decide what is kept of an object: the API keeps JSON (`json_cache`), the operator keeps little of an
import that has ended (`resource_cache`).
"""

import logging
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Forbidden, NotFound, PgimportError
from pgimport.model.resources import ResourceKey

WATCH_SECONDS = 240  # a watch ends after this time; the next one continues at its last resourceVersion
RELIST_SECONDS = 600.0  # all objects are listed again after this time, in case an event was lost
PROBE_SECONDS = 3.0
STALE_SECONDS = 12.0  # without a response, the cache may be outdated
_RETRY_SECONDS = 1.0
_OPTIONAL_RETRY_SECONDS = 30.0
_log = logging.getLogger(__name__)
ContentT = TypeVar("ContentT")
OtherT = TypeVar("OtherT")


@dataclass(frozen=True, slots=True)
class _CachedObject(Generic[ContentT]):
    version: int
    content: ContentT | None  # None: deleted; kept until the watch has passed this version


@dataclass
class _CachedKind(Generic[ContentT]):
    # by namespace, then by name; a Project has no namespace
    objects: dict[str, dict[str, _CachedObject[ContentT]]] = field(default_factory=dict)
    listed: bool = False
    listed_at: float = -1e9
    answered_at: float | None = None  # by a list, or by an event or bookmark of the watch; None: never
    end_watch: Callable[[], None] | None = None


class WatchCache(Generic[ContentT]):
    """Keeps the newest content of each object, and waits for changes; safe to share between threads."""

    def __init__(
        self,
        cluster: KubernetesClient,
        kinds: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
        optional: Collection[str] = (),
    ) -> None:
        """Prepares a cache of these kinds.

        `optional`: kinds that count as listed if their CRD, or the right to list them, is missing.
        """
        self._cluster, self._clock, self._optional = cluster, clock, frozenset(optional)
        self._kinds: dict[str, _CachedKind[ContentT]] = {kind: _CachedKind() for kind in kinds}
        self._changed = threading.Condition()
        self._change_counts: Counter[str] = Counter()  # by namespace
        self._stopping = threading.Event()
        self._last_response_at = -1e9
        self._on_change: Callable[[str, Json], None]
        self._on_removal: Callable[[ResourceKey, ContentT | None], None]

    @abstractmethod
    def pack(self, kind: str, body: Json) -> ContentT:
        """Returns what the cache keeps of an object."""

    def start(
        self,
        on_change: Callable[[str, Json], None] = lambda kind, body: None,
        on_removal: Callable[[ResourceKey, ContentT | None], None] = lambda key, content: None,
    ) -> None:
        """Starts a thread for each kind, and one that probes the API server.

        `on_change` is called for each object that was listed or watched, after the cache has it. `on_removal` is called
        for each object that is gone, with its last content if the cache had it.
        """
        self._on_change, self._on_removal = on_change, on_removal
        for kind in self._kinds:
            threading.Thread(target=self._watch_kind, args=(kind,), name=f"watch-{kind}", daemon=True).start()
        threading.Thread(target=self._probe, name="probe", daemon=True).start()

    def stop(self) -> None:
        """Ends all watches, also if the API server does not respond."""
        self._stopping.set()
        for kind in self._kinds.values():
            if kind.end_watch is not None:
                with suppress(ValueError, OSError):  # the watch has already ended
                    kind.end_watch()

    @property
    def listed(self) -> bool:
        """True if every kind was listed once."""
        return all(kind.listed for kind in self._kinds.values())

    @property
    def ready(self) -> bool:
        """True if every kind was listed, and the API server responded recently."""
        return self.listed and self._responds

    @property
    def _responds(self) -> bool:
        return self._clock() - self._last_response_at < STALE_SECONDS

    # --- read ---

    def find_content(self, kind: str, namespace: str, name: str) -> ContentT | None:
        with self._changed:
            cached = self._kinds[kind].objects.get(namespace, {}).get(name)
        return cached.content if cached is not None else None

    def find_version(self, key: ResourceKey) -> int:
        """Returns the newest resourceVersion that the cache has seen of an object, or 0."""
        with self._changed:
            cached = self._kinds[key.kind].objects.get(key.namespace, {}).get(key.name)
        return cached.version if cached is not None else 0

    def list_contents(self, kind: str, namespace: str | None = None) -> list[tuple[str, ContentT]]:
        """Lists names and contents in a namespace, or in all namespaces, in no order."""
        with self._changed:
            objects = self._kinds[kind].objects
            parts = objects.values() if namespace is None else (objects.get(namespace, {}),)
            return [
                (name, cached.content) for part in parts for name, cached in part.items() if cached.content is not None
            ]

    def list_by_namespace(self, kind: str, content_type: type[OtherT]) -> dict[str, list[OtherT]]:
        """Lists the contents of one type in each namespace, in no order."""
        with self._changed:
            return {
                namespace: [cached.content for cached in part.values() if isinstance(cached.content, content_type)]
                for namespace, part in self._kinds[kind].objects.items()
            }

    def count_changes(self, namespaces: Iterable[str]) -> int:
        """Counts the changes and removals in these namespaces. A higher number says that something has changed."""
        with self._changed:
            return sum(self._change_counts[namespace] for namespace in namespaces)

    def measure_watch_ages(self) -> dict[str, float]:
        """Returns for each kind the seconds since the API server last sent something about it.

        It sends a bookmark about once a minute. A kind whose CRD is missing has no age.
        """
        now = self._clock()
        return {name: now - kind.answered_at for name, kind in self._kinds.items() if kind.answered_at is not None}

    def list_instances(self, kind: str, content_type: type[OtherT], namespace: str | None = None) -> list[OtherT]:
        """Lists the contents of one type, without their names. Quick if few of many objects have this type."""
        with self._changed:
            objects = self._kinds[kind].objects
            parts = objects.values() if namespace is None else (objects.get(namespace, {}),)
            return [
                cached.content for part in parts for cached in part.values() if isinstance(cached.content, content_type)
            ]

    def wait_for(self, check: Callable[[], bool], seconds: float) -> bool:
        """Waits until `check` is true, and calls it after each change; returns False on a timeout."""
        with self._changed:
            return self._changed.wait_for(check, seconds)

    # --- store ---

    def remember(self, kind: str, body: Json) -> None:
        """Stores the response to our own write, so that the next read sees it; never replaces a newer version."""
        self._store(kind, body, deleted=False)

    def _store(self, kind: str, body: Json, *, deleted: bool) -> _CachedObject[ContentT] | None:
        """Stores an object, unless the cache has a newer version. Returns what the cache had before."""
        meta = body["metadata"]
        namespace, name, version = meta.get("namespace", ""), meta["name"], int(meta["resourceVersion"])
        content = None if deleted else self.pack(kind, body)
        with self._changed:
            known = self._kinds[kind].objects.setdefault(namespace, {}).get(name)
            if known is None or known.version <= version:
                self._kinds[kind].objects[namespace][name] = _CachedObject(version, content)
                self._change_counts[namespace] += 1
            self._changed.notify_all()
        return known

    # --- watch ---

    def _watch_kind(self, kind: str) -> None:
        version = ""
        while not self._stopping.is_set():
            try:
                if not version or self._clock() - self._kinds[kind].listed_at > RELIST_SECONDS:
                    version = self._list(kind)
                version = self._watch(kind, version)
            except NotFound as error:
                if version:  # 410 Gone: the API server no longer has the events after this version
                    version = ""
                else:
                    self._wait_for_kind(kind, error)
            except Forbidden as error:
                self._wait_for_kind(kind, error)
            except PgimportError as error:
                if not self._stopping.is_set():  # else `stop` has interrupted the watch
                    _log.warning("The watch of %s failed: %s", kind, error)
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:
                _log.exception("The watch of %s failed unexpectedly.", kind)
                version = ""
                self._stopping.wait(_RETRY_SECONDS)

    def _wait_for_kind(self, kind: str, error: PgimportError) -> None:
        """Waits before the next list of a kind whose CRD, or the right to list it, is missing."""
        _log.warning("The list of %s failed: %s", kind, error)
        if kind in self._optional:
            with self._changed:
                self._kinds[kind].listed = True
                self._changed.notify_all()
        self._stopping.wait(_OPTIONAL_RETRY_SECONDS if kind in self._optional else _RETRY_SECONDS)

    def _list(self, kind: str) -> str:
        """Stores all objects page by page, so that one page at a time is in memory. Returns the list's version."""
        names: set[tuple[str, str]] = set()
        version = ""
        for page in self._cluster.list_pages(api_paths.resource(kind)):
            version = str(page["metadata"]["resourceVersion"])
            for body in page["items"]:
                meta = body["metadata"]
                names.add((meta.get("namespace", ""), meta["name"]))
                known = self._store(kind, body, deleted=False)
                if known is None or known.version < int(meta["resourceVersion"]):
                    self._on_change(kind, body)
            self._record_response()
        gone = self._drop_unlisted(kind, names, int(version))
        with self._changed:
            self._kinds[kind].listed = True
            self._kinds[kind].listed_at = self._kinds[kind].answered_at = self._clock()
            self._changed.notify_all()
        for key, content in gone:
            self._on_removal(key, content)
        return version

    def _drop_unlisted(
        self, kind: str, names: set[tuple[str, str]], version: int
    ) -> list[tuple[ResourceKey, ContentT | None]]:
        """Drops objects that a list of this version lacks. Our own writes since the list began are newer, and stay."""
        with self._changed:
            gone = [
                (ResourceKey(kind, namespace, name), cached.content)
                for namespace, part in self._kinds[kind].objects.items()
                for name, cached in part.items()
                if (namespace, name) not in names and cached.version <= version
            ]
            for key, _ in gone:
                del self._kinds[kind].objects[key.namespace][key.name]
                self._change_counts[key.namespace] += 1
        return gone

    def _watch(self, kind: str, version: str) -> str:
        def on_open(end: Callable[[], None]) -> None:
            self._kinds[kind].end_watch, self._kinds[kind].answered_at = end, self._clock()
            if self._stopping.is_set():  # since the list
                end()

        for event in self._cluster.watch(api_paths.resource(kind), version, WATCH_SECONDS, on_open):
            body = event["object"]
            if event["type"] == "ERROR":
                raise NotFound(str(body.get("message", "the watch ended")))
            version = str(body["metadata"]["resourceVersion"])
            self._kinds[kind].answered_at = self._clock()
            self._record_response()
            if event["type"] != "BOOKMARK":
                self._handle_event(kind, body, deleted=event["type"] == "DELETED")
            if self._stopping.is_set():
                break
        self._drop_deleted(kind, int(version))
        return version

    def _handle_event(self, kind: str, body: Json, *, deleted: bool) -> None:
        known, meta = self._store(kind, body, deleted=deleted), body["metadata"]
        if deleted:
            key = ResourceKey(kind, meta.get("namespace", ""), meta["name"])
            self._on_removal(key, known.content if known is not None else None)
        else:
            self._on_change(kind, body)

    def _drop_deleted(self, kind: str, version: int) -> None:
        with self._changed:
            for part in self._kinds[kind].objects.values():
                gone = [name for name, cached in part.items() if cached.content is None and cached.version <= version]
                for name in gone:
                    del part[name]

    def _probe(self) -> None:
        while not self._stopping.wait(0 if self._last_response_at < 0 else PROBE_SECONDS):
            try:
                self._cluster.get("/version")
            except PgimportError as error:
                _log.warning("The Kubernetes API server does not respond: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
            else:
                self._record_response()

    def _record_response(self) -> None:
        """Records that the API server responded; wakes waiting threads if it did not respond for a while."""
        with self._changed:
            was_silent = not self._responds
            self._last_response_at = self._clock()
            if was_silent:
                self._changed.notify_all()
