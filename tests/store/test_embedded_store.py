"""The embedded store's folder: what is put is there whole or not at all, once, and never more than it holds."""

import errno
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import EmbeddedSettings, build_object_key
from pgimport.store.embedded_store import (
    LocalStore,
    RemoteStore,
    StoreFull,
    UploadTooLarge,
    UploadURLUsed,
    open_local_store,
)

KEY, OTHER = build_object_key("shop", bytes(16)), build_object_key("mall", bytes(15) + b"\x01")
SECRET = b"s" * 48


def open_store(folder: Path, **changes: Any) -> LocalStore:
    asked = {"endpoint": "http://api.test", "folder": str(folder), "capacity": "1Mi", **changes}
    return open_local_store(EmbeddedSettings.model_validate(asked), SECRET)


def put(store: LocalStore, key: str, content: bytes) -> None:
    incoming = store.begin_upload(key, len(content))
    try:
        incoming.write(content)
        incoming.commit()
    finally:
        incoming.close()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_put_found_and_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.find_size(KEY) is None
    put(store, KEY, b"PGDMP")
    found = store.find_file(KEY)
    assert found is not None
    assert (store.find_size(KEY), found.read_bytes(), store.find_size(OTHER)) == (5, b"PGDMP", None)
    store.delete(KEY)
    store.delete(KEY)
    assert store.find_file(KEY) is None


def test_a_url_is_used_once_also_after_its_file_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    slow = store.begin_upload(KEY, None)
    put(store, KEY, b"first")
    slow.write(b"second")
    with pytest.raises(UploadURLUsed):
        slow.commit()
    slow.close()
    assert store.find_size(KEY) == len(b"first")
    store.delete(KEY)
    for again in (store, open_store(tmp_path)):
        with pytest.raises(UploadURLUsed):
            again.begin_upload(KEY, 1)


def test_what_is_half_put_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    killed = store.begin_upload(KEY, 10)
    killed.write(b"half")
    assert len(files(tmp_path)) == 1
    again = open_store(tmp_path)  # the API was killed and started anew
    assert files(tmp_path) == set()
    incoming = again.begin_upload(KEY, 10)
    incoming.write(b"half")
    incoming.close()
    assert files(tmp_path) == set()
    put(again, KEY, b"whole")
    killed.close()
    assert again.find_size(KEY) == 5


def test_no_more_than_one_file_may_have(tmp_path: Path) -> None:
    store = open_store(tmp_path, maxBytes=10)
    with pytest.raises(UploadTooLarge, match="larger than 10 bytes"):
        store.begin_upload(KEY, 11)
    incoming = store.begin_upload(KEY, None)
    incoming.write(b"0123456789")
    with pytest.raises(UploadTooLarge):
        incoming.write(b"0")
    incoming.close()
    assert files(tmp_path) == set()


def test_no_more_than_the_volume_holds_with_what_is_being_put(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    put(store, KEY, bytes(500_000))
    running = store.begin_upload(OTHER, None)
    running.write(bytes(400_000))
    third = build_object_key("shop", bytes(15) + b"\x03")
    with pytest.raises(StoreFull):
        store.begin_upload(third, 150_000)
    with pytest.raises(StoreFull):
        running.write(bytes(150_000))
    running.close()
    put(store, third, bytes(150_000))
    with pytest.raises(StoreFull):
        open_store(tmp_path).begin_upload(OTHER, 400_000)
    store.delete(KEY)
    put(store, OTHER, bytes(400_000))


def test_a_full_file_system_is_no_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    monkeypatch.setattr(Path, "open", lambda _, mode: open("/dev/full", mode.replace("x", "w")))  # noqa: SIM115
    incoming = store.begin_upload(KEY, None)
    incoming.write(b"x")
    with pytest.raises(StoreFull) as told:
        incoming.commit()
    incoming.close()
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno == errno.ENOSPC
    assert files(tmp_path) == set()


def test_old_files_are_listed_and_old_marks_go(tmp_path: Path) -> None:
    store = open_store(tmp_path, expiry="10m")
    put(store, KEY, b"x")
    now = time.time()
    assert store.list_expired(now + 599) == []
    assert len(files(tmp_path)) == 2
    assert store.list_expired(now + 610) == [KEY]
    assert len(files(tmp_path)) == 1


def test_a_signature_is_for_one_thing_and_a_while(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    url = urlsplit(store.sign_put(KEY, "https://api.example.com"))
    assert (url.scheme, url.netloc, url.path) == ("https", "api.example.com", f"/v1/{KEY}")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    expires, signature = query["expires"], query["signature"]
    assert store.is_signed("PUT", KEY, expires, signature)
    later = str(int(expires) + 1)
    for method, key, until, signed in (
        ("GET", KEY, expires, signature), ("PUT", OTHER, expires, signature), ("PUT", KEY, later, signature),
        ("PUT", KEY, expires, ""), ("PUT", KEY, expires, "é"), ("PUT", KEY, "", signature),
        ("PUT", KEY, "9" * 40, signature), ("PUT", KEY, "٣", signature), ("PUT", KEY, f" {expires}", signature),
    ):  # fmt: skip
        assert not store.is_signed(method, key, until, signed)
    other = LocalStore(store.settings, b"t" * 48)
    assert not other.is_signed("PUT", KEY, expires, signature)
    assert store.sign_get(KEY, timedelta(hours=1)).startswith(f"http://api.test/v1/{KEY}?")


def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    settings = EmbeddedSettings(endpoint="http://127.0.0.1:9", folder=str(tmp_path), capacity=1)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        RemoteStore(settings, SECRET).find_size(KEY)
