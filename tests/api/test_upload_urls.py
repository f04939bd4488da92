"""Uploads: where a file may be put, and what may be made of it."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import Api, serve
from tests.cluster.s3_server import S3Server

from pgimport.model.names import IMPORTS
from pgimport.model.uploads import build_object_key
from pgimport.store.s3_store import S3UploadStore


def test_an_upload_has_a_key_a_url_and_an_end(api: Api) -> None:
    answer = api.call("POST", "/projects/shop/imports/uploads")
    assert (answer.status_code, set(answer.json())) == (201, {"upload"})
    upload = answer.json()["upload"]
    assert set(upload) == {"object_key", "upload_url", "expires_at"}
    assert upload["object_key"].startswith("uploads/shop/")
    assert upload["object_key"] in upload["upload_url"]
    left = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < left < timedelta(minutes=62)
    other = api.call("POST", "/projects/shop/imports/uploads").json()["upload"]
    assert other["object_key"] != upload["object_key"]


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (build_object_key("mall", bytes(16)), 404), ("x", 404), ("uploads/shop/../mall/" + "0" * 32, 404),
        (build_object_key("shop", bytes(16)), 503),
    ],
    ids=["another project's", "no key", "a path", "the store is away"],
)  # fmt: skip
def test_an_upload_that_cannot_be_used(api: Api, key: str, status: int) -> None:
    answer = api.call("POST", "/projects/shop/imports", json={"upload_key": key})
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_without_a_store_it_is_said(api: Api) -> None:
    with serve(replace(api.context, store=None)) as url:
        headers = {"X-API-Key": api.keys["all"]}
        for path, body in (("/uploads", None), ("", {"upload_key": build_object_key("shop", bytes(16))})):
            answer = httpx.post(f"{url}/v1/projects/shop/imports{path}", headers=headers, json=body)
            assert (answer.status_code, "no store for uploads" in answer.json()["error"]) == (400, True)


@pytest.mark.thorough
def test_a_file_is_put_by_curl_and_imported(api: Api, s3_server: S3Server, tmp_path: Path) -> None:
    store = S3UploadStore(s3_server.settings(), s3_server.environment)
    with serve(replace(api.context, store=store)) as url:
        headers, path = {"X-API-Key": api.keys["all"]}, f"{url}/v1/projects/shop/imports"
        upload = httpx.post(f"{path}/uploads", headers=headers).json()["upload"]
        wanted = {"upload_key": upload["object_key"], "sha256": "0" * 64}
        early = httpx.post(path, headers=headers, json=wanted)
        assert (early.status_code, early.json()) == (404, {"error": "no such upload"})
        (tmp_path / "dump").write_bytes(b"PGDMP")
        subprocess.run(
            ["curl", "--silent", "--fail", "--upload-file", tmp_path / "dump", upload["upload_url"]], check=True
        )
        answer = httpx.post(path, headers=headers, json=wanted)
        assert answer.status_code == 202, answer.text
        name = answer.json()["job"]["id"].removeprefix("shop.")
        source = api.read(IMPORTS, name)["spec"]["source"]
        assert source == {"uploadKey": upload["object_key"], "sha256": "0" * 64}
        assert httpx.post(f"{url}/v1/projects/mall/imports", headers=headers, json=wanted).status_code == 404
