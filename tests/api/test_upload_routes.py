"""The routes of the embedded upload store, as curl, a pod and the operator use them."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.api.conftest import Api, serve
from tests.api.page.page_client import SAME_ORIGIN, PageClient

from pgimport.api import upload_routes, upload_sweep
from pgimport.api.request_limits import RequestLimit
from pgimport.model.errors import StoreUnavailable
from pgimport.model.names import IMPORTS
from pgimport.model.uploads import EmbeddedSettings, build_object_key
from pgimport.store.embedded_store import SMALLEST, LocalStore, RemoteStore, open_local_store

SECRET = b"s" * 48
MAX = 3_000_000


@dataclass
class Embedded:
    """A running API with an embedded store, and the operator's client of that store."""

    api: Api
    url: str
    local: LocalStore
    remote: RemoteStore
    folder: Path
    limit: RequestLimit

    def create_upload(self) -> dict[str, Any]:
        response = httpx.post(
            f"{self.url}/v1/projects/shop/imports/uploads", headers={"X-API-Key": self.api.keys["all"]}
        )
        assert response.status_code == 201, response.text
        upload: dict[str, Any] = response.json()["upload"]
        return upload

    def create_import(self, key: str, project: str = "shop") -> httpx.Response:
        path = f"{self.url}/v1/projects/{project}/imports"
        return httpx.post(path, headers={"X-API-Key": self.api.keys["all"]}, json={"upload_key": key})

    def list_files(self, *folders: str) -> list[str]:
        return sorted(path.name for folder in folders for path in (self.folder / folder).iterdir())


@pytest.fixture
def embedded(api: Api, tmp_path: Path) -> Iterator[Embedded]:
    settings = {
        "endpoint": "http://127.0.0.1:9",
        "folder": str(tmp_path / "volume"),
        "capacity": "8M",
        "projectPercent": 100,
        "maxBytes": MAX,
    }
    local = open_local_store(EmbeddedSettings.model_validate(settings), SECRET)
    limit = RequestLimit("uploads", total=2, each=3)
    with serve(replace(api.context, store=local, upload_limit=limit)) as url:
        remote = RemoteStore(local.settings.model_copy(update={"endpoint": url}), SECRET)
        yield Embedded(api, url, local, remote, tmp_path / "volume", limit)


def curl(*arguments: str | Path) -> tuple[int, str]:
    """Runs curl and returns the HTTP status and the body."""
    done = subprocess.run(
        ["curl", "--silent", "--write-out", "\n%{http_code}", *arguments], capture_output=True, text=True, check=False
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_a_file_uploaded_with_curl_can_be_imported_by_its_project_only(embedded: Embedded, tmp_path: Path) -> None:
    upload = embedded.create_upload()
    assert upload["upload_url"].startswith(f"{embedded.url}/v1/{upload['object_key']}?")
    assert embedded.create_import(upload["object_key"]).status_code == 404
    assert embedded.remote.find_size(upload["object_key"]) is None
    dump = tmp_path / "dump"
    dump.write_bytes(secrets.token_bytes(2_500_000))
    assert curl("--upload-file", dump, upload["upload_url"]) == (200, "")
    assert embedded.remote.find_size(upload["object_key"]) == 2_500_000
    status, text = curl("--upload-file", dump, upload["upload_url"])
    assert (status, "already used" in text) == (409, True)
    assert embedded.create_import(upload["object_key"]).status_code == 202
    assert embedded.create_import(upload["object_key"], "mall").status_code == 404
    download = httpx.get(embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1)))
    assert (download.status_code, download.content) == (200, dump.read_bytes())
    assert embedded.list_files("incoming") == []


@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [("https", "https"), ("HTTPS, http", "https"), ("http", "http"), ("javascript", "http"), ("", "http")],
)
def test_a_client_of_a_proxy_gets_the_urls_scheme_that_it_used(embedded: Embedded, forwarded: str, scheme: str) -> None:
    """Else a dump file is sent in clear text, or to a redirect, which stores nothing."""
    response = httpx.post(
        f"{embedded.url}/v1/projects/shop/imports/uploads",
        headers={
            "X-API-Key": embedded.api.keys["all"],
            "Host": "pgimport.example.com",
            "X-Forwarded-Proto": forwarded,
        },
    )
    assert response.json()["upload"]["upload_url"].startswith(f"{scheme}://pgimport.example.com/v1/uploads/shop/")


def test_the_page_uploads_to_its_own_origin(embedded: Embedded) -> None:
    """A page opened over HTTPS must not send the file over HTTP, whatever a proxy tells the API."""
    headers = {"Cookie": PageClient(embedded.api).cookie, **SAME_ORIGIN}
    url = f"{embedded.url}/ui/imports/new/upload"
    upload = httpx.post(url, data={"project": "shop"}, headers=headers).json()
    assert upload["upload_url"].startswith(f"/v1/{upload['object_key']}?")
    assert httpx.put(f"{embedded.url}{upload['upload_url']}", content=b"PGDMP").status_code == 200


def test_the_operator_measures_and_deletes_a_file(embedded: Embedded) -> None:
    upload = embedded.create_upload()
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200
    assert embedded.remote.find_size(upload["object_key"]) == 5
    for _ in range(2):
        embedded.remote.delete(upload["object_key"])
    assert embedded.remote.find_size(upload["object_key"]) is None
    assert httpx.get(embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1))).json() == {
        "error": "no such upload"
    }
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 409
    other_key = RemoteStore(embedded.remote.settings, b"t" * 48)
    with pytest.raises(StoreUnavailable, match="403"):
        other_key.find_size(upload["object_key"])


def test_a_signed_url_allows_one_method_on_one_file(embedded: Embedded) -> None:
    upload, other = embedded.create_upload(), build_object_key("mall", bytes(16))
    url = upload["upload_url"]
    expired_settings = embedded.local.settings.model_copy(update={"expiry": timedelta(seconds=-5)})
    expired = RemoteStore(expired_settings, SECRET).sign_put(upload["object_key"], embedded.url)
    for wrong in (url.replace(upload["object_key"], other), url + "0", url.partition("?")[0], expired):
        response = httpx.put(wrong, content=b"x")
        assert (response.status_code, set(response.json())) == (403, {"error"})
    for method in ("GET", "HEAD", "DELETE"):
        assert httpx.request(method, url).status_code == 403
    assert httpx.post(url, content=b"{}", headers={"Content-Type": "application/json"}).status_code == 405
    assert embedded.list_files("incoming", "files", "used") == []


@pytest.mark.parametrize("chunked", [False, True], ids=["with Content-Length", "chunked"])
def test_a_file_that_is_too_large_is_refused(embedded: Embedded, chunked: bool) -> None:
    content = bytes(MAX + 1)
    response = httpx.put(embedded.create_upload()["upload_url"], content=iter([content]) if chunked else content)
    assert (response.status_code, response.json()) == (413, {"error": f"the file is larger than {MAX} bytes"})
    assert embedded.list_files("incoming", "files", "used") == []


def test_a_full_store_refuses_a_file(embedded: Embedded) -> None:
    for _ in range(2):
        assert httpx.put(embedded.create_upload()["upload_url"], content=bytes(MAX)).status_code == 200
    response = httpx.put(embedded.create_upload()["upload_url"], content=bytes(MAX))
    assert (response.status_code, "full" in response.json()["error"]) == (507, True)
    assert len(embedded.list_files("files")) == 2


def open_put(url: str, length: int, content: bytes) -> socket.socket:
    """Sends the headers of a PUT of `length` bytes, and only `content` of its body."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), 10)
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def wait_until_store_is_empty(embedded: Embedded) -> None:
    deadline = time.monotonic() + 10
    while embedded.list_files("incoming"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert embedded.list_files("files", "used") == []


def test_an_upload_whose_connection_ends_leaves_no_file(embedded: Embedded) -> None:
    upload = embedded.create_upload()
    connection = open_put(upload["upload_url"], 2_000_000, bytes(1_500_000))
    while not embedded.list_files("incoming"):
        time.sleep(0.02)
    connection.close()
    wait_until_store_is_empty(embedded)
    assert httpx.put(upload["upload_url"], content=b"whole").status_code == 200


@pytest.mark.parametrize("drips", [False, True], ids=["idle", "drips"])
def test_a_slow_upload_is_ended(embedded: Embedded, monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:
    monkeypatch.setattr(upload_routes, "CHUNK_SECONDS", 0.5)
    connection = open_put(embedded.create_upload()["upload_url"], 2_000_000, b"half")
    connection.settimeout(0.02 if drips else 10)
    response = b""
    for _ in range(1000):
        with suppress(TimeoutError):
            response = connection.recv(4096)
            break
        with suppress(OSError):  # the API has just ended the connection
            connection.sendall(b"x")
    assert response.startswith(b"HTTP/1.1 408")
    connection.close()
    wait_until_store_is_empty(embedded)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param({"Content-Range": "bytes 3-7/8"}, "send the whole file", id="a part"),
        pytest.param({"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, "not the one of Content-MD5", id="another file"),
        pytest.param({"Content-MD5": "5d41402abc4b2a76b9719d911017c592"}, "in base64", id="no MD5"),
    ],
)
def test_a_part_or_a_damaged_file_is_refused(embedded: Embedded, headers: dict[str, str], words: str) -> None:
    """Before, the end of a dump, as of a client that resumes, was stored as the whole file."""
    upload_url = embedded.create_upload()["upload_url"]
    response = httpx.put(upload_url, content=b"PGDMP", headers=headers)
    assert (response.status_code, words in response.json()["error"]) == (400, True)
    assert embedded.list_files("incoming", "files", "used") == []
    whole = {"Content-MD5": "x365Y7ocOrNcqkS+Kkr4ZQ=="}
    assert httpx.put(upload_url, content=b"PGDMP", headers=whole).status_code == 200


def test_an_empty_file_is_refused(embedded: Embedded) -> None:
    upload = embedded.create_upload()
    response = httpx.put(upload["upload_url"], content=b"")
    assert (response.status_code, "is empty" in response.json()["error"]) == (400, True)
    assert embedded.list_files("incoming", "files", "used") == []
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200


def test_many_small_files_fill_the_store(embedded: Embedded) -> None:
    urls = [embedded.local.sign_put(build_object_key("shop", bytes([n] * 16)), embedded.url) for n in range(3)]
    assert httpx.put(urls[0], content=b"x").status_code == 200
    assert embedded.local._used_bytes == {"shop": SMALLEST}
    assert open_local_store(embedded.local.settings, SECRET)._used_bytes == {"shop": SMALLEST}
    embedded.local._capacity = 2 * SMALLEST
    assert [httpx.put(url, content=b"x").status_code for url in urls[1:]] == [200, 507]
    embedded.local.delete(urlsplit(urls[0]).path.removeprefix("/v1/"))
    assert embedded.local._used_bytes == {"shop": SMALLEST}
    assert httpx.put(urls[2], content=b"x").status_code == 200


def test_the_number_of_concurrent_uploads_is_limited(embedded: Embedded) -> None:
    connections = [open_put(embedded.create_upload()["upload_url"], 10, b"half") for _ in range(2)]
    while len(embedded.list_files("incoming")) < 2:
        time.sleep(0.02)
    upload = embedded.create_upload()
    response = httpx.put(upload["upload_url"], content=b"x")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    for connection in connections:
        connection.close()
    wait_until_store_is_empty(embedded)
    assert httpx.put(upload["upload_url"], content=b"x").status_code == 200


def test_one_organization_cannot_take_all_places_of_uploads(embedded: Embedded) -> None:
    limit = RequestLimit("uploads", total=8, each=1)
    with serve(replace(embedded.api.context, store=embedded.local, upload_limit=limit)) as url:
        shop, mall, den = (
            embedded.local.sign_put(build_object_key(project, bytes(16)), url) for project in ("shop", "mall", "den")
        )
        connection = open_put(shop, 10, b"half")
        while not embedded.list_files("incoming"):
            time.sleep(0.02)
        response = httpx.put(mall, content=b"x")
        assert (response.status_code, set(response.json())) == (429, {"error"})
        assert httpx.put(den, content=b"x").status_code == 200
        connection.close()


def test_two_uploads_to_one_url_do_not_run_at_once(embedded: Embedded) -> None:
    upload = embedded.create_upload()
    connection = open_put(upload["upload_url"], 10, b"half")
    while not embedded.list_files("incoming"):
        time.sleep(0.02)
    response = httpx.put(upload["upload_url"], content=b"x")
    assert (response.status_code, "is running" in response.json()["error"]) == (409, True)
    connection.close()
    wait_until_store_is_empty(embedded)
    assert httpx.put(upload["upload_url"], content=b"x").status_code == 200


def test_one_project_fills_only_its_share_of_the_store(embedded: Embedded) -> None:
    settings = embedded.local.settings.model_copy(update={"project_percent": 50})
    store = open_local_store(settings, SECRET)
    with serve(replace(embedded.api.context, store=store)) as url:
        first, second = (store.sign_put(build_object_key("shop", secrets.token_bytes(16)), url) for _ in "ab")
        assert httpx.put(first, content=bytes(MAX)).status_code == 200
        response = httpx.put(second, content=bytes(MAX))
        assert (response.status_code, "share" in response.json()["error"]) == (507, True)
        mall = store.sign_put(build_object_key("mall", bytes(16)), url)
        assert httpx.put(mall, content=bytes(MAX)).status_code == 200
    assert open_local_store(settings, SECRET)._used_bytes == {"shop": MAX, "mall": MAX}


def test_an_upload_that_no_import_uses_is_deleted(embedded: Embedded) -> None:
    unused, used = embedded.create_upload(), embedded.create_upload()
    for upload in (unused, used):
        assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200
    assert embedded.create_import(used["object_key"]).status_code == 202
    expiry = embedded.local.settings.expiry.total_seconds()
    upload_sweep.sweep_uploads(embedded.local, embedded.api.context.cache, time.time() + expiry - 60)
    assert len(embedded.list_files("files")) == 2
    upload_sweep.sweep_uploads(embedded.local, embedded.api.context.cache, time.time() + expiry + 60)
    assert embedded.local.find_size(unused["object_key"]) is None
    assert embedded.local.find_size(used["object_key"]) == 5
    assert embedded.list_files("used") == []


def test_an_upload_of_an_import_of_another_version_is_kept(embedded: Embedded) -> None:
    upload = embedded.create_upload()
    assert httpx.put(upload["upload_url"], content=b"PGDMP").status_code == 200
    job = embedded.create_import(upload["object_key"]).json()["job"]["id"]
    path = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{IMPORTS}/{job.removeprefix('shop.')}"
    changed = embedded.api.context.cluster.patch(path, {"spec": {"fieldOfAnotherVersion": 1}})
    embedded.api.context.cache.remember(IMPORTS, changed)
    upload_sweep.sweep_uploads(embedded.local, embedded.api.context.cache, time.time() + 7200)
    assert embedded.local.find_size(upload["object_key"]) == 5


def test_a_file_deleted_during_a_download_is_still_read_to_its_end(embedded: Embedded) -> None:
    upload, content = embedded.create_upload(), os.urandom(2_900_000)
    assert httpx.put(upload["upload_url"], content=content).status_code == 200
    with httpx.stream("GET", embedded.remote.sign_get(upload["object_key"], timedelta(minutes=1))) as response:
        chunks = response.iter_raw(1000)
        first = next(chunks)
        embedded.remote.delete(upload["object_key"])
        assert first + b"".join(chunks) == content


def test_without_an_embedded_store_the_routes_do_not_exist(api: Api) -> None:
    for method in ("PUT", "GET", "DELETE"):
        response = api.call(method, f"/{build_object_key('shop', bytes(16))}?expires=1&signature=x", None)
        assert (response.status_code, response.json()) == (404, {"error": "no such route"})
