"""A cache of all objects of some kinds, which one watch for each kind keeps up to date.

The API reads from it. Objects are stored as JSON without managed fields, about 4 kB each.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import NotFound, PgimportError

PAGE = "500"  # objects in one page of a list
WATCH_SECONDS = 240  # a watch ends after this time; the next one continues at its last resourceVersion
PROBE_SECONDS = 3.0
STALE_SECONDS = 12.0  # without a response, the cache may be outdated
_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _CachedObject:
    version: int
    created: str
    labels: dict[str, str]
    body: bytes | None  # None: deleted; kept until the watch has passed this version


@dataclass
class _CachedKind:
    objects: dict[tuple[str, str], _CachedObject] = field(default_factory=dict)  # (namespace, name)
    listed: bool = False
    end_watch: Callable[[], None] | None = None


class WatchCache:
    """Reads and waits for cached objects; safe to share between threads."""

    def __init__(
        self, cluster: KubernetesClient, kinds: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._clock = cluster, clock
        self._kinds = {kind: _CachedKind() for kind in kinds}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._last_response_at = -1e9

    def start(self) -> None:
        """Starts a thread for each kind, and one that probes the API server."""
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
    def ready(self) -> bool:
        """True if every kind was listed, and the API server responded recently."""
        return all(kind.listed for kind in self._kinds.values()) and self._responds

    @property
    def _responds(self) -> bool:
        return self._clock() - self._last_response_at < STALE_SECONDS

    # --- read ---

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        with self._changed:
            cached = self._kinds[kind].objects.get((namespace, name))
        return json.loads(cached.body) if cached and cached.body else None

    def list_newest(
        self,
        kind: str,
        namespace: str,
        limit: int | None = None,
        before: str = "",
        matches: Callable[[dict[str, str]], bool] = lambda _: True,
    ) -> list[Json]:
        """Lists the objects of a namespace, newest first, whose labels satisfy `matches`.

        `before`: list only objects older than the one with this sort key, for the next page (see `sort_key`).
        """
        with self._changed:
            bodies = [
                (f"{cached.created} {name}", cached.body)
                for (object_namespace, name), cached in self._kinds[kind].objects.items()
                if object_namespace == namespace and cached.body and matches(cached.labels)
            ]
        page = sorted(((key, body) for key, body in bodies if not before or key < before), reverse=True)
        return [json.loads(body) for _, body in page[:limit] if body]

    def list_all(self, kind: str) -> Iterator[Json]:
        """Yields the objects of all namespaces, in no order."""
        with self._changed:
            bodies = [cached.body for cached in self._kinds[kind].objects.values() if cached.body]
        return map(json.loads, bodies)

    def wait_for(self, check: Callable[[], bool], seconds: float) -> bool:
        """Waits until `check` is true, and calls it after each change; returns False on a timeout."""
        with self._changed:
            return self._changed.wait_for(check, seconds)

    # --- store ---

    def remember(self, kind: str, body: Json) -> None:
        """Stores the response to our own write, so that the next read sees it; never replaces a newer version."""
        self._store(kind, body, deleted=False)

    def _store(self, kind: str, body: Json, *, deleted: bool) -> None:
        meta = body["metadata"]
        key, version = (meta.get("namespace", ""), meta["name"]), int(meta["resourceVersion"])
        content = None if deleted else _remove_managed_fields(body)
        with self._changed:
            known = self._kinds[kind].objects.get(key)
            if known is None or known.version <= version:
                self._kinds[kind].objects[key] = _CachedObject(
                    version, meta["creationTimestamp"], meta.get("labels", {}), content
                )
            self._changed.notify_all()

    # --- watch ---

    def _watch_kind(self, kind: str) -> None:
        version = ""
        while not self._stopping.is_set():
            try:
                version = version or self._list(kind)
                version = self._watch(kind, version)
            except NotFound:  # 410 Gone: the API server no longer has the events after this version
                version = ""
            except PgimportError as error:
                _log.warning("The watch of %s failed: %s", kind, error)
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:
                _log.exception("The watch of %s failed unexpectedly.", kind)
                version = ""
                self._stopping.wait(_RETRY_SECONDS)

    def _list(self, kind: str) -> str:
        objects: dict[tuple[str, str], _CachedObject] = {}
        query = {"limit": PAGE}
        while True:
            answer = self._cluster.get(api_paths.resource(kind), **query)
            for body in answer["items"]:
                meta = body["metadata"]
                version = int(meta["resourceVersion"])
                cached = _CachedObject(
                    version, meta["creationTimestamp"], meta.get("labels", {}), _remove_managed_fields(body)
                )
                objects[meta.get("namespace", ""), meta["name"]] = cached
            if not (token := answer["metadata"].get("continue")):
                break
            query["continue"] = token
        listed = int(answer["metadata"]["resourceVersion"])
        with self._changed:
            # Our own writes since the list began are newer than the list.
            newer = {key: cached for key, cached in self._kinds[kind].objects.items() if cached.version > listed}
            self._kinds[kind].objects = objects | newer
            self._kinds[kind].listed = True
            self._changed.notify_all()
        return str(listed)

    def _watch(self, kind: str, version: str) -> str:
        def on_open(end: Callable[[], None]) -> None:
            self._kinds[kind].end_watch = end

        for event in self._cluster.watch(api_paths.resource(kind), version, WATCH_SECONDS, on_open):
            body = event["object"]
            if event["type"] == "ERROR":
                raise NotFound(str(body.get("message", "the watch ended")))
            version = str(body["metadata"]["resourceVersion"])
            self._record_response()
            if event["type"] != "BOOKMARK":
                self._store(kind, body, deleted=event["type"] == "DELETED")
            if self._stopping.is_set():
                break
        self._drop_deleted(kind, int(version))
        return version

    def _drop_deleted(self, kind: str, version: int) -> None:
        with self._changed:
            objects = self._kinds[kind].objects
            for key in [key for key, cached in objects.items() if cached.body is None and cached.version <= version]:
                del objects[key]

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


def sort_key(body: Json) -> str:
    """Returns the position of an object in `list_newest`."""
    return f"{body['metadata']['creationTimestamp']} {body['metadata']['name']}"


def _remove_managed_fields(body: Json) -> bytes:
    meta = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return json.dumps({**body, "metadata": meta}, separators=(",", ":")).encode()
