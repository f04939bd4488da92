"""Uploads from the page in a real browser, into a real S3 server on another origin."""

import base64
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.api.conftest import Api, serve
from tests.api.page.conftest import sign_in
from tests.cluster.s3_server import BUCKET, S3Server

from pgimport.store.s3_store import ACCESS_KEY, SECRET_KEY, S3UploadStore

pytestmark = [pytest.mark.thorough, pytest.mark.browser]
RULE = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>{origin}</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule>"
    "</CORSConfiguration>"
)


@pytest.fixture
def page(api: Api, browser: Browser, s3_server: S3Server) -> Iterator[Page]:
    store = S3UploadStore(s3_server.settings(), s3_server.environment)
    with serve(replace(api.context, store=store)) as url:
        context = browser.new_context(base_url=url.replace("127.0.0.1", "localhost"))
        yield sign_in(context, api)
        context.close()


def allow(server: S3Server, origin: str) -> None:
    """Gives the bucket the CORS rule that docs/web-page.md asks for, and no other."""
    rule = RULE.format(origin=origin).encode()
    md5 = base64.b64encode(hashlib.md5(rule, usedforsecurity=False).digest()).decode()
    user = f"{server.environment[ACCESS_KEY]}:{server.environment[SECRET_KEY]}"
    headers = {"Content-MD5": md5, "x-amz-content-sha256": hashlib.sha256(rule).hexdigest()}
    sent = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    signing = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--config", "-", "--request", "PUT", "--data", rule.decode()]
    command = ["curl", "--silent", "--fail", *signing, *sent, f"{server.endpoint}/{BUCKET}?cors="]
    subprocess.run(command, check=True, input=f'user = "{user}"'.encode())


def test_a_file_goes_from_the_browser_into_the_bucket(page: Page, s3_server: S3Server, tmp_path: Path) -> None:
    content = b"SELECT 1;\n" * 1000
    (tmp_path / "shop.csv").write_bytes(content)  # browsers know a media type for this name
    allow(s3_server, page.url.partition("/ui")[0])
    page.goto("/ui/imports/new?project=shop")
    page.get_by_label("Or a dump file from this computer").set_input_files(tmp_path / "shop.csv")
    page.get_by_text("Uploaded shop.csv.").wait_for()
    key = page.locator("[name=upload_key]").input_value()
    assert (s3_server.folder / BUCKET / key).read_bytes() == content
    page.get_by_role("button", name="Start the import").click()
    page.get_by_role("button", name="Cancel the import").wait_for()


def test_a_bucket_without_the_rule_is_named_as_the_cause(page: Page, s3_server: S3Server, tmp_path: Path) -> None:
    allow(s3_server, "https://other.example.com")
    (tmp_path / "shop.sql").write_bytes(b"SELECT 1;\n")
    page.goto("/ui/imports/new?project=shop")
    page.get_by_label("Or a dump file from this computer").set_input_files(tmp_path / "shop.sql")
    page.get_by_text("the store does not accept uploads from this page").wait_for()
