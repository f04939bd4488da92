"""The embedded store over HTTP: put by plain curl, read by the pod, asked and cleaned by the operator."""

import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.api.conftest import Api, serve

from pgimport.api import upload_routes, upload_sweep
from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import EmbeddedSettings, build_object_key
from pgimport.store.embedded_store import LocalStore, RemoteStore, open_local_store

SECRET = b"s" * 48
MAX = 3_000_000


@dataclass
class Embedded:
    """One API with a store, and the operator's view of that store."""

    api: Api
    url: str
    local: LocalStore
    remote: RemoteStore
    folder: Path
    slots: threading.BoundedSemaphore

    def upload(self) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/v1/projects/shop/imports/uploads", headers={"X-API-Key": self.api.keys["all"]})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()["upload"]
        return found

    def make_import(self, key: str, project: str = "shop") -> httpx.Response:
        path = f"{self.url}/v1/projects/{project}/imports"
        return httpx.post(path, headers={"X-API-Key": self.api.keys["all"]}, json={"upload_key": key})

    def files(self, *kinds: str) -> list[str]:
        return sorted(path.name for kind in kinds for path in (self.folder / kind).iterdir())


@pytest.fixture
def embedded(api: Api, tmp_path: Path) -> Iterator[Embedded]:
    asked = {"endpoint": "http://127.0.0.1:9", "folder": str(tmp_path / "volume"), "capacity": "8M", "maxBytes": MAX}
    local = open_local_store(EmbeddedSettings.model_validate(asked), SECRET)
    slots = threading.BoundedSemaphore(2)
    with serve(replace(api.context, store=local, upload_slots=slots)) as url:
        remote = RemoteStore(local.settings.model_copy(update={"endpoint": url}), SECRET)
        yield Embedded(api, url, local, remote, tmp_path / "volume", slots)


def curl(*words: str | Path) -> tuple[int, str]:
    """Status and body."""
    done = subprocess.run(
        ["curl", "--silent", "--write-out", "\n%{http_code}", *words], capture_output=True, text=True, check=False
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_a_file_by_curl_is_the_pods_and_no_one_elses(embedded: Embedded, tmp_path: Path) -> None:
    upload = embedded.upload()
    assert upload["upload_url"].startswith(f"{embedded.url}/v1/{upload['object_key']}?")
    assert embedded.make_import(upload["object_key"]).status_code == 404
    assert embedded.remote.find_size(upload["object_key"]) is None
    dump = tmp_path / "dump"
    dump.write_bytes(secrets.token_bytes(2_500_000))
    assert curl("--upload-file", dump, upload["upload_url"]) == (200, "")
    assert embedded.remote.find_size(upload["object_key"]) == 2_500_000
    status, text = curl("--upload-file", dump, upload["upload_url"])
    assert (status, "already used" in text) == (409, True)
    assert embedded.make_import(upload["object_key"]).status_code == 202
    assert embedded.make_import(upload["object_key"], "mall").status_code == 404
    given = httpx.get(embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1)))
    assert (given.status_code, given.content) == (200, dump.read_bytes())
    assert embedded.files("incoming") == []


def test_the_operator_measures_and_deletes(embedded: Embedded) -> None:
    upload = embedded.upload()
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200
    assert embedded.remote.find_size(upload["object_key"]) == 5
    for _ in range(2):
        embedded.remote.delete(upload["object_key"])
    assert embedded.remote.find_size(upload["object_key"]) is None
    assert httpx.get(embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1))).json() == {
        "error": "no such upload"
    }
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 409
    stranger = RemoteStore(embedded.remote.settings, b"t" * 48)
    with pytest.raises(StoreUnavailable, match="403"):
        stranger.find_size(upload["object_key"])


def test_a_url_opens_one_thing(embedded: Embedded) -> None:
    upload, other = embedded.upload(), build_object_key("mall", bytes(16))
    url = upload["upload_url"]
    late = embedded.local.settings.model_copy(update={"expiry": timedelta(seconds=-5)})
    expired = RemoteStore(late, SECRET).sign_put(upload["object_key"], embedded.url)
    for wrong in (url.replace(upload["object_key"], other), url + "0", url.partition("?")[0], expired):
        answer = httpx.put(wrong, content=b"x")
        assert (answer.status_code, set(answer.json())) == (403, {"error"})
    for method in ("GET", "HEAD", "DELETE"):
        assert httpx.request(method, url).status_code == 403
    assert httpx.post(url, content=b"{}", headers={"Content-Type": "application/json"}).status_code == 405
    assert embedded.files("incoming", "files", "used") == []


@pytest.mark.parametrize("counted", [False, True], ids=["by its length", "as it comes"])
def test_a_file_that_is_too_large(embedded: Embedded, counted: bool) -> None:
    content = bytes(MAX + 1)
    answer = httpx.put(embedded.upload()["upload_url"], content=iter([content]) if counted else content)
    assert (answer.status_code, answer.json()) == (413, {"error": f"the file is larger than {MAX} bytes"})
    assert embedded.files("incoming", "files", "used") == []


def test_a_full_store_says_so(embedded: Embedded) -> None:
    for _ in range(2):
        assert httpx.put(embedded.upload()["upload_url"], content=bytes(MAX)).status_code == 200
    answer = httpx.put(embedded.upload()["upload_url"], content=bytes(MAX))
    assert (answer.status_code, "full" in answer.json()["error"]) == (507, True)
    assert len(embedded.files("files")) == 2


def open_put(url: str, length: int, content: bytes) -> socket.socket:
    """A PUT of which only so much is sent."""
    where = urlsplit(url)
    connection = socket.create_connection((where.hostname or "", where.port or 80), 10)
    head = f"PUT {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def wait_until_empty(embedded: Embedded) -> None:
    deadline = time.monotonic() + 10
    while embedded.files("incoming"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert embedded.files("files", "used") == []


def test_a_client_that_hangs_up_leaves_nothing(embedded: Embedded) -> None:
    upload = embedded.upload()
    connection = open_put(upload["upload_url"], 2_000_000, bytes(1_500_000))
    while not embedded.files("incoming"):
        time.sleep(0.02)
    connection.close()
    wait_until_empty(embedded)
    assert httpx.put(upload["upload_url"], content=b"whole").status_code == 200


def test_a_silent_client_is_let_go(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_routes, "IDLE_SECONDS", 0.3)
    connection = open_put(embedded.upload()["upload_url"], 10, b"half")
    connection.settimeout(10)
    assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    connection.close()
    wait_until_empty(embedded)


def test_only_so_many_at_once(embedded: Embedded) -> None:
    held = [open_put(embedded.upload()["upload_url"], 10, b"half") for _ in range(2)]
    while len(embedded.files("incoming")) < 2:
        time.sleep(0.02)
    upload = embedded.upload()
    answer = httpx.put(upload["upload_url"], content=b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    for connection in held:
        connection.close()
    wait_until_empty(embedded)
    assert httpx.put(upload["upload_url"], content=b"x").status_code == 200


def test_what_nobody_imports_goes(embedded: Embedded) -> None:
    unused, used = embedded.upload(), embedded.upload()
    for upload in (unused, used):
        assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200
    assert embedded.make_import(used["object_key"]).status_code == 202
    expiry = embedded.local.settings.expiry.total_seconds()
    upload_sweep.sweep_uploads(embedded.local, embedded.api.context.cache, time.time() + expiry - 60)
    assert len(embedded.files("files")) == 2
    upload_sweep.sweep_uploads(embedded.local, embedded.api.context.cache, time.time() + expiry + 60)
    assert embedded.local.find_size(unused["object_key"]) is None
    assert embedded.local.find_size(used["object_key"]) == 5
    assert embedded.files("used") == []


def test_a_file_goes_while_it_is_read(embedded: Embedded) -> None:
    """The pod that has begun to read it gets all of it."""
    upload, content = embedded.upload(), os.urandom(2_900_000)
    assert httpx.put(upload["upload_url"], content=content).status_code == 200
    with httpx.stream("GET", embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1))) as answer:
        pieces = answer.iter_raw(1000)
        first = next(pieces)
        embedded.remote.delete(upload["object_key"])
        assert first + b"".join(pieces) == content


def test_without_an_embedded_store_there_is_no_such_route(api: Api) -> None:
    for method in ("PUT", "GET", "DELETE"):
        answer = api.call(method, f"/{build_object_key('shop', bytes(16))}?expires=1&signature=x", None)
        assert (answer.status_code, answer.json()) == (404, {"error": "no such route"})
