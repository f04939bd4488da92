"""Dump files are downloaded from the checked address, completely and within limits, and no message holds the URL."""

import hashlib
import http.server
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.https import HttpsServer, body, redirect, run_https_server

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.source_addresses import Resolve
from pgimport.model.source_url import FileURL, parse_file_url
from pgimport.worker.engines.file import download
from pgimport.worker.engines.file.download import open_download
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation, pin

NAME = "dumps.example.com"
CONTENT = bytes(range(256)) * 1000
LOOPBACK = AllowedSources(allowed_cidrs=["127.0.0.0/8"])
SIGNATURE = "X-Signature=5ecre7-0f-a-presigned-url"


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with run_https_server(tmp_path_factory.mktemp("https"), NAME) as server:
        server.answers["/shop.dump"] = body(CONTENT)
        yield server


def make_source(
    server: HttpsServer,
    url: str,
    resolve: Resolve = to_loopback,
    ca: Path | None = None,
    sources: AllowedSources = LOOPBACK,
) -> FileLocation:
    parsed = parse_file_url(url)
    assert isinstance(parsed, FileURL)
    return FileLocation(pinned=pin(parsed, resolve, sources), ca=ca or server.ca, sources=sources, resolve=resolve)


def read_all(source: FileLocation, limit: int | None = None) -> tuple[bytes, str, int | None]:
    content = b""
    with open_download(source, limit) as opened:
        while chunk := opened.read(10_000):
            content += chunk
        assert opened.bytes_read == len(content)
        assert opened.ended
        return content, opened.sha256, opened.length


def read_failure(source: FileLocation, limit: int | None = None) -> Failure:
    with pytest.raises(ImportStopped) as stopped:
        read_all(source, limit)
    failure = stopped.value.failure
    assert SIGNATURE.partition("=")[2] not in failure.message
    return failure


def test_a_file_is_downloaded_from_the_checked_address_under_its_host_name(server: HttpsServer) -> None:
    server.requests.clear()
    server.server_names.clear()
    content, sha256, length = read_all(make_source(server, server.url(f"/shop.dump?{SIGNATURE}")))
    assert (content, sha256, length) == (CONTENT, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert server.server_names == [NAME]
    ((path, headers),) = server.requests
    assert path == f"/shop.dump?{SIGNATURE}"
    assert headers["Host"] == f"{NAME}:{server.port}"
    assert headers["Accept-Encoding"] == "identity"


def test_redirects_are_followed_and_each_address_is_checked(server: HttpsServer) -> None:
    resolved_hosts: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        resolved_hosts.append(host)
        return ["127.0.0.1"]

    server.answers["/first"] = redirect(f"https://{NAME}:{server.port}/second")
    server.answers["/second"] = redirect("/shop.dump", 307)
    assert read_all(make_source(server, server.url("/first"), resolve))[0] == CONTENT
    assert resolved_hosts == [NAME] * 3


def test_a_redirect_to_a_private_address_is_refused(server: HttpsServer) -> None:
    def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == NAME else ["10.0.0.7"]

    server.answers["/away"] = redirect("https://inside.example.com/shop.dump")
    failure = read_failure(make_source(server, server.url("/away"), resolve))
    assert failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN
    assert "10.0.0.7" in failure.message


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://dumps.example.com/shop.dump", id="without TLS"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("https://user:word@dumps.example.com/", id="with a user"),
        pytest.param("https://[::1/", id="malformed"),
        pytest.param("//dumps.example.com:99999/", id="an impossible port"),
    ],
)
def test_a_redirect_to_a_forbidden_url_is_refused(server: HttpsServer, location: str) -> None:
    server.answers["/forbidden"] = redirect(location)
    failure = read_failure(make_source(server, server.url("/forbidden")))
    assert failure.reason is Reason.SOURCE_URL_INVALID
    assert "redirects to" in failure.message


def test_endless_redirects_are_refused(server: HttpsServer) -> None:
    server.answers["/circle"] = redirect("/circle")
    failure = read_failure(make_source(server, server.url("/circle")))
    assert (failure.reason, "more than 5 times" in failure.message) == (Reason.SOURCE_URL_INVALID, True)


EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@pytest.mark.parametrize(
    ("status", "page", "reason", "message"),
    [
        pytest.param(403, EXPIRED, Reason.SOURCE_AUTH_FAILED, "AccessDenied: Request has expired", id="expired"),
        pytest.param(401, b"", Reason.SOURCE_AUTH_FAILED, "HTTP 401", id="unauthorized"),
        pytest.param(404, b'{"error":"no such upload"}', Reason.DUMP_NOT_FOUND, ": no such upload", id="our own API"),
        pytest.param(404, b"", Reason.DUMP_NOT_FOUND, "HTTP 404", id="not found"),
        pytest.param(410, b"", Reason.DUMP_NOT_FOUND, "HTTP 410", id="gone"),
        pytest.param(429, b"", Reason.SOURCE_UNREACHABLE, "HTTP 429", id="too many requests"),
        pytest.param(503, b"x" * 100_000, Reason.SOURCE_UNREACHABLE, "HTTP 503", id="not available"),
        pytest.param(400, b"", Reason.SOURCE_URL_INVALID, "HTTP 400", id="a bad request"),
        pytest.param(204, b"", Reason.SOURCE_URL_INVALID, "HTTP 204", id="no content"),
    ],
)
def test_a_response_other_than_200_has_a_reason(
    server: HttpsServer, status: int, page: bytes, reason: Reason, message: str
) -> None:
    server.answers["/answer"] = body(page, status=status)
    failure = read_failure(make_source(server, server.url(f"/answer?{SIGNATURE}")))
    assert (failure.reason, message in failure.message) == (reason, True), failure.message


def test_a_truncated_download_is_temporary(server: HttpsServer) -> None:
    server.answers["/short"] = body(CONTENT, length=len(CONTENT) + 1)
    failure = read_failure(make_source(server, server.url("/short")))
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert f"after {len(CONTENT)} of {len(CONTENT) + 1} bytes" in failure.message


def test_a_file_over_the_limit_is_refused_by_its_content_length(server: HttpsServer) -> None:
    failure = read_failure(make_source(server, server.url("/shop.dump")), limit=len(CONTENT) - 1)
    assert (failure.reason, f"has {len(CONTENT)} bytes" in failure.message) == (Reason.SOURCE_TOO_LARGE, True)


def test_a_file_over_the_limit_is_refused_without_a_content_length(server: HttpsServer) -> None:
    server.answers["/endless"] = body(CONTENT, length=None)
    failure = read_failure(make_source(server, server.url("/endless")), limit=len(CONTENT) - 1)
    assert (failure.reason, "is larger" in failure.message) == (Reason.SOURCE_TOO_LARGE, True)
    assert read_all(make_source(server, server.url("/endless")))[2] is None


def test_an_encoding_that_cannot_be_read_is_refused(server: HttpsServer) -> None:
    server.answers["/encoded"] = body(CONTENT, Content_Encoding="br")
    failure = read_failure(make_source(server, server.url("/encoded")))
    assert (failure.reason, "Content-Encoding br" in failure.message) == (Reason.DUMP_UNSUPPORTED, True)


@pytest.mark.parametrize("encoding", ["gzip", "aws-chunked", "aws-chunked, gzip", "identity"])
def test_a_file_is_read_as_it_was_uploaded_whatever_encoding_was_declared(server: HttpsServer, encoding: str) -> None:
    server.answers["/encoded"] = body(CONTENT, Content_Encoding=encoding)
    assert read_all(make_source(server, server.url("/encoded")))[0] == CONTENT


def test_a_host_name_that_is_not_in_the_certificate_is_refused(server: HttpsServer) -> None:
    failure = read_failure(make_source(server, server.url("/shop.dump", host="other.example.com")))
    assert (failure.reason, "other.example.com" in failure.message) == (Reason.SOURCE_TLS_FAILED, True)


def test_an_unknown_ca_is_refused(server: HttpsServer) -> None:
    system_ca = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    failure = read_failure(make_source(server, server.url("/shop.dump"), ca=Path(system_ca)))
    assert failure.reason is Reason.SOURCE_TLS_FAILED


def test_a_ca_that_is_not_a_certificate_is_named(server: HttpsServer, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no certificate")
    failure = read_failure(make_source(server, server.url("/shop.dump"), ca=tmp_path / "ca"))
    assert (failure.reason, "caSecretRef" in failure.message) == (Reason.SOURCE_TLS_FAILED, True)


def test_a_refused_connection_is_temporary(server: HttpsServer) -> None:
    failure = read_failure(make_source(server, f"https://{NAME}:1/shop.dump"))
    assert (failure.reason, "Connection refused" in failure.message) == (Reason.SOURCE_UNREACHABLE, True)


@pytest.mark.isolation
def test_a_server_that_drips_ends_the_attempt(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend of the target would wait for the file in COPY, and block each DROP DATABASE."""
    monkeypatch.setattr(download, "SLOW_SECONDS", 0.4)

    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        with suppress(OSError):  # the worker closes the connection
            for _ in range(1000):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)

    server.answers["/drip.dump"] = drip
    began = time.monotonic()
    failure = read_failure(make_source(server, server.url("/drip.dump")))
    assert time.monotonic() - began < 25  # the whole file takes 50
    assert (failure.reason, failure.classification) == (Reason.SOURCE_UNREACHABLE, RetryClassification.TRANSIENT)
    assert "its server sends less than 64 KiB in" in failure.message
