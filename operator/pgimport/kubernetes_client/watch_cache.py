"""What a door reads often: kinds go in, all their objects come out of memory, kept up to date by one watch a kind.

Objects are kept as JSON without managed fields, some 4 kB each, and parsed when they are asked for.
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

PAGE = "500"  # objects of a list that come in one answer
WATCH_SECONDS = 240  # after which a watch is begun anew, from where it was
PROBE_SECONDS = 3.0
AWAY_SECONDS = 12.0  # without a sign of life: what is remembered may be wrong
_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    version: int
    created: str
    labels: dict[str, str]
    body: bytes | None  # None: deleted; remembered until the watch has come past it


@dataclass
class _Kind:
    objects: dict[tuple[str, str], _Held] = field(default_factory=dict)  # (namespace, name)
    listed: bool = False
    end_watch: Callable[[], None] | None = None


class WatchCache:
    """Safe to share between threads."""

    def __init__(
        self, cluster: KubernetesClient, kinds: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._clock = cluster, clock
        self._kinds = {kind: _Kind() for kind in kinds}
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._alive_at = -1e9

    def start(self) -> None:
        """One thread a kind, and one that asks whether Kubernetes is there."""
        for kind in self._kinds:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch-{kind}", daemon=True).start()
        threading.Thread(target=self._probe, name="probe", daemon=True).start()

    def stop(self) -> None:
        """Also where Kubernetes says nothing."""
        self._over.set()
        for kind in self._kinds.values():
            if kind.end_watch is not None:
                with suppress(ValueError, OSError):  # it has ended by itself
                    kind.end_watch()

    @property
    def ready(self) -> bool:
        """Everything was listed once, and Kubernetes answered a moment ago."""
        return all(kind.listed for kind in self._kinds.values()) and self._answers

    @property
    def _answers(self) -> bool:
        return self._clock() - self._alive_at < AWAY_SECONDS

    # --- reading ---------------------------------------------------------------------------------------------

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        with self._changed:
            held = self._kinds[kind].objects.get((namespace, name))
        return json.loads(held.body) if held and held.body else None

    def list_newest(
        self, kind: str, namespace: str, limit: int | None = None, before: str = "",
        wanted: Callable[[dict[str, str]], bool] = lambda _: True,
    ) -> list[Json]:  # fmt: skip
        """Of one namespace, newest first; `before` is the place (see `sort_key`) of the last one seen.

        `wanted` judges by an object's labels.
        """
        with self._changed:
            found = [
                (f"{held.created} {name}", held.body)
                for (of, name), held in self._kinds[kind].objects.items()
                if of == namespace and held.body and wanted(held.labels)
            ]
        found = sorted((one for one in found if not before or one[0] < before), reverse=True, key=lambda one: one[0])
        return [json.loads(body) for _, body in found[:limit] if body]

    def list_all(self, kind: str) -> Iterator[Json]:
        """Of all namespaces, in no order; each is parsed when it is asked for."""
        with self._changed:
            found = [held.body for held in self._kinds[kind].objects.values() if held.body]
        return map(json.loads, found)

    def wait_for(self, check: Callable[[], bool], seconds: float) -> bool:
        """Until `check` holds, looked at after each change; False when time is over."""
        with self._changed:
            return self._changed.wait_for(check, seconds)

    # --- what is known ---------------------------------------------------------------------------------------

    def remember(self, kind: str, body: Json) -> None:
        """An answer to a write of our own, so that the next read sees it; never over something newer."""
        self._hold(kind, body, deleted=False)

    def forget(self, kind: str, body: Json) -> None:
        """It was deleted for good."""
        self._hold(kind, body, deleted=True)

    def _hold(self, kind: str, body: Json, *, deleted: bool) -> None:
        meta = body["metadata"]
        key, version = (meta.get("namespace", ""), meta["name"]), int(meta["resourceVersion"])
        kept = None if deleted else _slim(body)
        with self._changed:
            known = self._kinds[kind].objects.get(key)
            if known is None or known.version <= version:
                self._kinds[kind].objects[key] = _Held(version, meta["creationTimestamp"], meta.get("labels", {}), kept)
            self._changed.notify_all()

    # --- following -------------------------------------------------------------------------------------------

    def _follow(self, kind: str) -> None:
        version = ""
        while not self._over.is_set():
            try:
                version = version or self._list(kind)
                version = self._watch(kind, version)
            except NotFound:  # 410: what came since is not known any more
                version = ""
            except PgimportError as error:
                _log.warning("%s cannot be watched: %s", kind, error)
                self._over.wait(_RETRY_SECONDS)
            except Exception:
                _log.exception("the watch of %s broke", kind)
                version = ""
                self._over.wait(_RETRY_SECONDS)

    def _list(self, kind: str) -> str:
        objects: dict[tuple[str, str], _Held] = {}
        query = {"limit": PAGE}
        while True:
            answer = self._cluster.get(api_paths.resource(kind), **query)
            for body in answer["items"]:
                meta = body["metadata"]
                version = int(meta["resourceVersion"])
                held = _Held(version, meta["creationTimestamp"], meta.get("labels", {}), _slim(body))
                objects[meta.get("namespace", ""), meta["name"]] = held
            if not (more := answer["metadata"].get("continue")):
                break
            query["continue"] = more
        listed = int(answer["metadata"]["resourceVersion"])
        with self._changed:
            # What was written since the list began is newer than the list.
            newer = {key: held for key, held in self._kinds[kind].objects.items() if held.version > listed}
            self._kinds[kind].objects = objects | newer
            self._kinds[kind].listed = True
            self._changed.notify_all()
        return str(listed)

    def _watch(self, kind: str, version: str) -> str:
        def opened(end: Callable[[], None]) -> None:
            self._kinds[kind].end_watch = end

        for event in self._cluster.watch(api_paths.resource(kind), version, WATCH_SECONDS, opened):
            body = event["object"]
            if event["type"] == "ERROR":
                raise NotFound(str(body.get("message", "the watch ended")))
            version = str(body["metadata"]["resourceVersion"])
            self._hear()
            if event["type"] != "BOOKMARK":
                self._hold(kind, body, deleted=event["type"] == "DELETED")
            if self._over.is_set():
                break
        self._drop_deleted(kind, int(version))
        return version

    def _drop_deleted(self, kind: str, version: int) -> None:
        with self._changed:
            objects = self._kinds[kind].objects
            for key in [key for key, held in objects.items() if held.body is None and held.version <= version]:
                del objects[key]

    def _probe(self) -> None:
        while not self._over.wait(0 if self._alive_at < 0 else PROBE_SECONDS):
            try:
                self._cluster.get("/version")
            except PgimportError as error:
                _log.warning("Kubernetes does not answer: %s", error)
                self._over.wait(_RETRY_SECONDS)
            else:
                self._hear()

    def _hear(self) -> None:
        """A sign of life; after the first one in a while, who waits looks again."""
        with self._changed:
            silent = not self._answers
            self._alive_at = self._clock()
            if silent:
                self._changed.notify_all()


def sort_key(body: Json) -> str:
    """Where an object stands in `list_newest`."""
    return f"{body['metadata']['creationTimestamp']} {body['metadata']['name']}"


def _slim(body: Json) -> bytes:
    meta = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return json.dumps({**body, "metadata": meta}, separators=(",", ":")).encode()
