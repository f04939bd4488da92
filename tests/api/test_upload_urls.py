"""The route that creates upload URLs, and imports of uploaded files."""

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


def test_an_upload_has_a_key_a_url_and_an_expiry(api: Api) -> None:
    response = api.call("POST", "/projects/shop/imports/uploads")
    assert (response.status_code, set(response.json())) == (201, {"upload"})
    upload = response.json()["upload"]
    assert set(upload) == {"object_key", "upload_url", "expires_at"}
    assert upload["object_key"].startswith("uploads/shop/")
    assert upload["object_key"] in upload["upload_url"]
    lifetime = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < lifetime < timedelta(minutes=62)
    other = api.call("POST", "/projects/shop/imports/uploads").json()["upload"]
    assert other["object_key"] != upload["object_key"]


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (build_object_key("mall", bytes(16)), 404),
        ("x", 404),
        ("uploads/shop/../mall/" + "0" * 32, 404),
        (build_object_key("shop", bytes(16)), 503),
    ],
    ids=["another project's", "no key", "a path", "the store does not response"],
)
def test_an_upload_that_cannot_be_imported_is_refused(api: Api, key: str, status: int) -> None:
    response = api.call("POST", "/projects/shop/imports", json={"upload_key": key})
    assert (response.status_code, set(response.json())) == (status, {"error"})


def test_without_a_store_uploads_are_refused(api: Api) -> None:
    with serve(replace(api.context, store=None)) as url:
        headers = {"X-API-Key": api.keys["all"]}
        for path, body in (("/uploads", None), ("", {"upload_key": build_object_key("shop", bytes(16))})):
            response = httpx.post(f"{url}/v1/projects/shop/imports{path}", headers=headers, json=body)
            assert (response.status_code, "no store for uploads" in response.json()["error"]) == (400, True)


@pytest.mark.thorough
def test_a_file_uploaded_with_curl_is_imported(api: Api, s3_server: S3Server, tmp_path: Path) -> None:
    store = S3UploadStore(s3_server.settings(), s3_server.environment)
    with serve(replace(api.context, store=store)) as url:
        headers, path = {"X-API-Key": api.keys["all"]}, f"{url}/v1/projects/shop/imports"
        upload = httpx.post(f"{path}/uploads", headers=headers).json()["upload"]
        body = {"upload_key": upload["object_key"], "sha256": "0" * 64}
        premature = httpx.post(path, headers=headers, json=body)
        assert (premature.status_code, premature.json()) == (404, {"error": "no such upload"})
        (tmp_path / "dump").write_bytes(b"PGDMP")
        subprocess.run(
            ["curl", "--silent", "--fail", "--upload-file", tmp_path / "dump", upload["upload_url"]], check=True
        )
        response = httpx.post(path, headers=headers, json=body)
        assert response.status_code == 202, response.text
        name = response.json()["job"]["id"].removeprefix("shop.")
        source = api.read(IMPORTS, name)["spec"]["source"]
        assert source == {"uploadKey": upload["object_key"], "sha256": "0" * 64}
        assert httpx.post(f"{url}/v1/projects/mall/imports", headers=headers, json=body).status_code == 404
