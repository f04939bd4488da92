"""Emulates the Kubernetes API over HTTP: objects, watches, and refusals that a test orders.

kmock keeps the objects and serves the watches. What our code relies on besides is added here: uids, versions and
their conflicts, generations, JSON patches, selectors, owned objects that go with their owner, a pod's log, and
refusals that a test asks for.
"""

import asyncio
import gzip
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from typing import Any

import aiohttp.web
import attrs
import jsonpatch
from kmock import KubernetesEmulator, KubernetesError, RawHandler, Request, ResourceInfo, Server, action, resource
from kubernetes import client

from pgimport.kubernetes_client.api_client import KubernetesClient, RequestObserver
from pgimport.model.names import API_VERSION, GROUP, IMPORTS, PREVIEWS, PROJECTS, SCHEDULES, VERSION

Json = dict[str, Any]
KINDS = {
    PROJECTS: "Project",
    PREVIEWS: "PreviewDatabase",
    IMPORTS: "PostgresImport",
    SCHEDULES: "PostgresImportSchedule",
}
BYSTANDER = "bystander"
ALL_VERBS = {"get", "list", "watch", "create", "patch", "update", "delete"}


@dataclass
class Refusal:
    """Requests that a test wants to be refused: `times` of those that `picks` selects, with this status."""

    picks: Callable[[Request], bool]
    status: int
    message: str = "refused by the test"
    reason: str = "Refused"
    times: int = 1
    wait: float = 0.0


@dataclass
class Faults:
    """What a test sets and the server's thread reads."""

    refusals: list[Refusal] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)  # pod → text
    # Name → phase. kmock mistakes the path of a namespace for that of its content.
    namespaces: dict[str, str] = field(default_factory=lambda: {"shop": "Active"})


def _merge_difference(old: Json, new: Json) -> Json:
    """Returns the merge patch from `old` to `new`, because kmock supports no other patch."""
    patch: Json = {name: None for name in old if name not in new}
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            if difference := _merge_difference(old[name], value):
                patch[name] = difference
        elif name not in old or old[name] != value:
            patch[name] = value
    return patch


def _find(body: Json, path: str) -> str:
    for part in path.split("."):
        body = body.get(part, {}) if isinstance(body, dict) else {}
    return str(body) if not isinstance(body, dict) else ""


def _fields_match(body: Json, selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        name, unequal, value = term.partition("!=")
        if unequal:
            if _find(body, name) == value:
                return False
        else:
            name, _, value = term.partition("=")
            if _find(body, name) != value:
                return False
    return True


def _labels_match(body: Json, selector: str) -> bool:
    labels = body["metadata"].get("labels", {})
    return all(
        labels.get(name) == value if equal else name in labels
        for name, equal, value in (term.partition("=") for term in filter(None, selector.split(",")))
    )


@attrs.define(kw_only=True)
class _Direct(RawHandler):
    """Answers requests for objects directly, because kmock's search for an answer slows down with every request."""

    async def _handle(self, request: Request) -> aiohttp.web.StreamResponse:
        serve = {
            action.LIST: "_serve_list",
            action.FETCH: "_serve_fetch",
            action.CREATE: "_serve_create",
            action.UPDATE: "_serve_update",
            action.DELETE: "_serve_delete",
        }.get(request.action)  # type: ignore[arg-type]
        if serve is None or request.resource is None or request.resource.plural is None:
            return await super()._handle(request)
        return aiohttp.web.json_response(await getattr(self, serve)(request))


@attrs.define(kw_only=True)
class Emulator(KubernetesEmulator, _Direct):
    """kmock's emulator with uids, versions, generations, JSON patches and faults."""

    faults: Faults = attrs.field(factory=Faults)
    _versions: Iterator[int] = attrs.field(factory=lambda: count(100), init=False)

    async def _handle(self, request: Request) -> aiohttp.web.StreamResponse:
        for refusal in self.faults.refusals:
            if refusal.times > 0 and request.headers["User-Agent"] != BYSTANDER and refusal.picks(request):
                refusal.times -= 1
                await asyncio.sleep(refusal.wait)
                raise KubernetesError(status=refusal.status, reason=refusal.reason, message=refusal.message)
        if namespace := re.fullmatch(r"/api/v1/namespaces/([^/]+)", request.url.path):
            return self._serve_namespace(namespace[1])
        if request.subresource == "log":
            return self._serve_log(request)
        if request.action is action.CREATE:
            _replace_data(request, self._born(request))
        elif request.action is action.UPDATE:
            _replace_data(request, self._changed(request))
        elif request.action is action.DELETE:
            self._check_preconditions(request)
        answer = await super()._handle(request)
        if request.action is action.LIST and isinstance(answer, aiohttp.web.Response):
            return self._selected(request, answer)
        if request.action is action.DELETE:
            await self._delete_owned(request)
        return answer

    def _serve_namespace(self, name: str) -> aiohttp.web.StreamResponse:
        if name not in self.faults.namespaces:
            raise KubernetesError(status=404, reason="NotFound", message=f"namespace {name} not found")
        return aiohttp.web.json_response(
            {"metadata": {"name": name}, "status": {"phase": self.faults.namespaces[name]}}
        )

    def _serve_log(self, request: Request) -> aiohttp.web.StreamResponse:
        text = self.faults.logs.get(request.name or "")
        if text is None:
            raise KubernetesError(status=404, reason="NotFound", message="no such log")
        return aiohttp.web.Response(text=text)

    def _born(self, request: Request) -> Json:
        body: Json = json.loads(request.text)
        meta = body.setdefault("metadata", {})
        number = next(self._versions)
        if "generateName" in meta:
            meta.setdefault("name", f"{meta['generateName']}{number}")
        # Servers of several emulators may be one PostgreSQL, where names come from uids.
        meta.setdefault("uid", f"{meta['name']}-{number}-{secrets.token_hex(3)}")
        meta.setdefault("creationTimestamp", datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
        meta |= {"resourceVersion": str(number), "generation": 1}
        if request.namespace is not None:
            meta.setdefault("namespace", request.namespace)
        return body

    def _changed(self, request: Request) -> Json:
        key = _key(request)
        if key not in self._objects or self._objects[key].deleted:
            raise KubernetesError(status=404, reason="NotFound", message=f"{request.name} not found")
        old = json.loads(json.dumps(self._objects[key].last.raw))
        given = json.loads(request.text)
        if isinstance(given, list):
            try:
                new = jsonpatch.apply_patch(old, given)
            except jsonpatch.JsonPatchException as error:
                message = "the server rejected our request due to an error in our request"
                raise KubernetesError(status=422, reason="Invalid", message=message) from error
        else:
            new = json.loads(json.dumps(old))
            _merge(new, given)
        if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise KubernetesError(status=409, reason="Conflict", message="the object has been modified")
        if new == old:
            return {}
        new["metadata"]["resourceVersion"] = str(next(self._versions))
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return _merge_difference(old, new)

    def _check_preconditions(self, request: Request) -> None:
        uid = json.loads(request.text or "{}").get("preconditions", {}).get("uid")
        key = _key(request)
        if uid and key in self._objects and self._objects[key].last.raw["metadata"]["uid"] != uid:
            raise KubernetesError(status=409, reason="Conflict", message="the uid in the precondition is another one")

    def _selected(self, request: Request, answer: aiohttp.web.Response) -> aiohttp.web.Response:
        fields, labels = request.params.get("fieldSelector", ""), request.params.get("labelSelector", "")
        body = json.loads(answer.body)  # type: ignore[arg-type]
        if "items" not in body:  # what the API holds, not a list of objects
            return answer
        body["items"] = [item for item in body["items"] if _fields_match(item, fields) and _labels_match(item, labels)]
        versions = [
            int(entry.last.raw["metadata"]["resourceVersion"]) for entry in self._objects.values() if entry.last
        ]
        body["metadata"]["resourceVersion"] = str(max(versions, default=1))
        if size := int(request.params.get("limit", 0)):
            end = int(request.params.get("continue", 0)) + size  # the token is the number of the next item
            body["metadata"] |= {"continue": str(end)} if end < len(body["items"]) else {}
            body["items"] = body["items"][end - size : end]
        return aiohttp.web.json_response(body)

    async def _delete_owned(self, request: Request) -> None:
        gone = self._objects[_key(request)]
        if (request.data or {}).get("propagationPolicy") == "Background" and gone.deleted:
            await self._collect(gone.last.raw["metadata"]["uid"])

    async def _collect(self, owner: str) -> None:
        for (kind, _, _), entry in list(self._objects.items()):
            body = None if entry.deleted else entry.last.raw
            if body and any(reference["uid"] == owner for reference in body["metadata"].get("ownerReferences", ())):
                entry.delete()
                await self._buses[kind].put({"type": "DELETED", "object": body})
                await self._collect(body["metadata"]["uid"])


def _key(request: Request) -> tuple[resource, str | None, str]:
    assert request.resource is not None
    assert request.name is not None
    return request.resource, request.namespace, request.name


def _replace_data(request: Request, data: Json) -> None:
    # A request is frozen, and kmock knows it by its identity.
    object.__setattr__(request, "data", data)


def _merge(body: Json, patch: Json) -> None:
    for name, value in patch.items():
        if value is None:
            body.pop(name, None)
        elif isinstance(value, dict) and isinstance(body.get(name), dict):
            _merge(body[name], value)
        else:
            body[name] = value


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """A running emulator, for a test that acts as the user and as the kubelet."""

    url: str
    emulator: Emulator

    def connect(
        self, agent: str = "pgimport", on_request: RequestObserver = lambda verb, code, seconds: None
    ) -> KubernetesClient:
        """Returns a client of ours. Requests with the agent BYSTANDER are never refused."""
        configuration = client.Configuration(host=self.url)
        configuration.retries = False
        api = client.ApiClient(configuration)
        api.user_agent = agent
        return KubernetesClient(api, on_request)

    def refuse(self, method: str, part: str, status: int, **more: Any) -> None:
        """Refuses the next request with this method whose path contains this part."""
        self.emulator.faults.refusals.append(
            Refusal(lambda request: request.method == method and part in request.url.path, status, **more)
        )

    def requests(self, method: str, part: str = "") -> list[Request]:
        """Returns the requests so far with this method whose path contains this part."""
        return [
            request
            for request in list(self.emulator._requests)
            if request.method == method and part in request.url.path
        ]


async def _serve(emulator: Emulator, started: "list[str]", ready: threading.Event, stop: asyncio.Event) -> None:
    async with emulator, Server(emulator) as server:
        started.append(str(server.url).rstrip("/"))
        ready.set()
        await stop.wait()


@contextmanager
def run_kubernetes() -> Iterator[Kubernetes]:
    """Runs the emulator in a thread, with our four kinds and those of Kubernetes."""
    emulator = Emulator()
    # kmock's own load_bundled() warns.
    emulator.resources.load_data(gzip.decompress(files("kmock._internal").joinpath("resources.json.gz").read_bytes()))
    for plural, kind in KINDS.items():
        emulator.resources[resource(GROUP, VERSION, plural)] = ResourceInfo(
            kind=kind, namespaced=plural != PROJECTS, verbs=ALL_VERBS, subresources={"status"}
        )
    started: list[str] = []
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(emulator, started, ready, stop)), name="kubernetes", daemon=True
    )
    thread.start()
    try:
        assert ready.wait(20)
        yield Kubernetes(started[0], emulator)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def a_body(plural: str, name: str, namespace: str | None = "shop", **parts: Any) -> Json:
    """Builds an object of one of our kinds, as a user writes it."""
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": KINDS[plural], "metadata": meta, **parts}
