"""The S3 store with a real S3 server: what a signed URL allows, and for how long."""

import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cluster.s3_server import S3Server

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import build_object_key
from pgimport.store.s3_store import S3UploadStore

pytestmark = pytest.mark.thorough

KEY = build_object_key("shop", bytes(16))
OTHER = build_object_key("shop", bytes(15) + b"\x01")


@pytest.fixture(scope="module")
def store(s3_server: S3Server) -> S3UploadStore:
    return S3UploadStore(s3_server.settings(), s3_server.environment)


def curl(*arguments: str) -> int:
    """Runs curl and returns the HTTP status."""
    done = subprocess.run(
        ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_file_uploaded_with_curl_is_found(store: S3UploadStore, tmp_path: Path) -> None:
    assert store.find_size(KEY) is None
    (tmp_path / "dump").write_bytes(b"x" * 100_000)
    assert curl("--upload-file", str(tmp_path / "dump"), store.sign_put(KEY, "")) == 200
    assert store.find_size(KEY) == 100_000
    assert curl(store.sign_get(KEY, timedelta(minutes=1))) == 200
    store.delete(KEY)
    assert store.find_size(KEY) is None
    store.delete(KEY)


def test_a_signed_url_allows_one_method_on_one_object(
    store: S3UploadStore, s3_server: S3Server, tmp_path: Path
) -> None:
    s3_server.put(OTHER, b"another's")
    (tmp_path / "dump").write_bytes(b"mine")
    put, get = store.sign_put(KEY, ""), store.sign_get(OTHER, timedelta(minutes=1))
    for url in (put.replace(KEY, OTHER), put + "0", put.partition("?")[0]):
        assert curl("--upload-file", str(tmp_path / "dump"), url) == 403
    assert curl(put) == 403
    assert curl("--upload-file", str(tmp_path / "dump"), get) == 403
    assert curl("--request", "DELETE", get) == 403
    assert store.find_size(OTHER) == len(b"another's")


def test_a_signed_url_expires(s3_server: S3Server, tmp_path: Path) -> None:
    short = S3UploadStore(s3_server.settings(expiry="1s"), s3_server.environment)
    url = short.sign_put(KEY, "")
    (tmp_path / "dump").write_bytes(b"late")
    time.sleep(2.5)
    assert curl("--upload-file", str(tmp_path / "dump"), url) == 403
    assert short.find_size(KEY) is None


def test_a_store_that_does_not_answer_is_reported(s3_server: S3Server) -> None:
    unreachable = S3UploadStore(s3_server.settings(endpoint="http://127.0.0.1:9"), s3_server.environment)
    with pytest.raises(StoreUnavailable):
        unreachable.find_size(KEY)
    assert unreachable.sign_put(KEY, "").startswith("http://127.0.0.1:9/")
