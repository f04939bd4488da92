"""The embedded store: uploads are complete or absent, happen once, and never exceed the capacity."""

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
    settings = {
        "endpoint": "http://api.test",
        "folder": str(folder),
        "capacity": "1Mi",
        "projectPercent": 100,
        **changes,
    }
    return open_local_store(EmbeddedSettings.model_validate(settings), SECRET)


def upload(store: LocalStore, key: str, content: bytes) -> None:
    incoming = store.begin_upload(key, len(content))
    try:
        incoming.write(content)
        incoming.commit()
    finally:
        incoming.close()


def list_files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_uploaded_found_and_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.find_size(KEY) is None
    upload(store, KEY, b"PGDMP")
    path = store.find_file(KEY)
    assert path is not None
    assert (store.find_size(KEY), path.read_bytes(), store.find_size(OTHER)) == (5, b"PGDMP", None)
    store.delete(KEY)
    store.delete(KEY)
    assert store.find_file(KEY) is None


def test_a_url_can_be_used_once_even_after_its_file_was_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    slow = store.begin_upload(KEY, None)
    with pytest.raises(UploadURLUsed, match="is running"):
        store.begin_upload(KEY, None)
    slow.close()
    upload(store, KEY, b"first")
    assert store.find_size(KEY) == len(b"first")
    store.delete(KEY)
    for current in (store, open_store(tmp_path)):
        with pytest.raises(UploadURLUsed):
            current.begin_upload(KEY, 1)


def test_an_incomplete_upload_leaves_no_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    killed = store.begin_upload(KEY, 10)
    killed.write(b"half")
    assert len(list_files(tmp_path)) == 1
    restarted = open_store(tmp_path)  # the API was killed and started again
    assert list_files(tmp_path) == set()
    incoming = restarted.begin_upload(KEY, 10)
    incoming.write(b"half")
    incoming.close()
    assert list_files(tmp_path) == set()
    upload(restarted, KEY, b"whole")
    killed.close()
    assert restarted.find_size(KEY) == 5


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path, maxBytes=10)
    with pytest.raises(UploadTooLarge, match="larger than 10 bytes"):
        store.begin_upload(KEY, 11)
    incoming = store.begin_upload(KEY, None)
    incoming.write(b"0123456789")
    with pytest.raises(UploadTooLarge):
        incoming.write(b"0")
    incoming.close()
    assert list_files(tmp_path) == set()


def test_complete_and_incoming_files_never_exceed_the_capacity(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    upload(store, KEY, bytes(500_000))
    running = store.begin_upload(OTHER, None)
    running.write(bytes(400_000))
    third = build_object_key("shop", bytes(15) + b"\x03")
    with pytest.raises(StoreFull):
        store.begin_upload(third, 150_000)
    with pytest.raises(StoreFull):
        running.write(bytes(150_000))
    running.close()
    upload(store, third, bytes(150_000))
    with pytest.raises(StoreFull):
        open_store(tmp_path).begin_upload(OTHER, 400_000)
    store.delete(KEY)
    upload(store, OTHER, bytes(400_000))


def test_a_full_file_system_is_reported_as_a_full_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    monkeypatch.setattr(Path, "open", lambda _, mode: open("/dev/full", mode.replace("x", "w")))  # noqa: SIM115
    incoming = store.begin_upload(KEY, None)
    incoming.write(b"x")
    with pytest.raises(StoreFull) as caught:
        incoming.commit()
    incoming.close()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list_files(tmp_path) == set()


def test_expired_files_are_listed_and_expired_url_records_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path, expiry="10m")
    upload(store, KEY, b"x")
    now = time.time()
    assert store.list_expired(now + 599) == []
    assert len(list_files(tmp_path)) == 2
    assert store.list_expired(now + 610) == [KEY]
    assert len(list_files(tmp_path)) == 1


def test_a_signature_is_valid_for_one_method_one_file_and_a_limited_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    url = urlsplit(store.sign_put(KEY, "https://api.example.com"))
    assert (url.scheme, url.netloc, url.path) == ("https", "api.example.com", f"/v1/{KEY}")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    expires, signature = query["expires"], query["signature"]
    assert store.is_signed("PUT", KEY, expires, signature)
    later = str(int(expires) + 1)
    for method, key, end, text in (
        ("GET", KEY, expires, signature),
        ("PUT", OTHER, expires, signature),
        ("PUT", KEY, later, signature),
        ("PUT", KEY, expires, ""),
        ("PUT", KEY, expires, "é"),
        ("PUT", KEY, "", signature),
        ("PUT", KEY, "9" * 40, signature),
        ("PUT", KEY, "٣", signature),
        ("PUT", KEY, f" {expires}", signature),
    ):
        assert not store.is_signed(method, key, end, text)
    other = LocalStore(store.settings, b"t" * 48)
    assert not other.is_signed("PUT", KEY, expires, signature)
    assert store.sign_get(KEY, timedelta(hours=1)).startswith(f"http://api.test/v1/{KEY}?")


def test_a_store_that_does_not_answer_is_reported(tmp_path: Path) -> None:
    settings = EmbeddedSettings(endpoint="http://127.0.0.1:9", folder=str(tmp_path), capacity=1)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        RemoteStore(settings, SECRET).find_size(KEY)
