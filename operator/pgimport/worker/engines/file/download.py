"""Downloads a dump file over HTTPS, with a size limit and a checksum.

The worker checks the resolved address and connects to exactly this address ("pinned"). The host name is used for SNI
and the certificate. The target of each redirect is checked and pinned too. One chunk is held in memory.
"""

import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

from pgimport import __version__
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import FileURL, parse_file_url
from pgimport.worker.engines.file.dump_stream import SMALLER_DUMP, ByteReader
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import DumpLocation, FileLocation, check_ca

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 30  # seconds without a byte
# While the worker waits for a file, a backend of the target can wait for it in COPY, which blocks each DROP DATABASE of
# that server. So a server that sends less than this ends the attempt.
SLOW_BYTES, SLOW_SECONDS = 64 * 1024, 30.0  # of waiting
MAX_REDIRECTS = 5
ERROR_BODY = 4096  # bytes of an error's body that are read: object stores describe the error there
# Stores send a file as it was uploaded, with the encoding that the uploader declared. Its first bytes tell whether it
# is compressed, and how many times. S3 clients leave `aws-chunked` behind.
_READABLE_ENCODINGS = frozenset({"", "identity", "aws-chunked", "gzip", "x-gzip", "zstd"})
_CERTIFICATE_ADVICE = (
    "Check the certificate of the server that stores the file. If a CA of your own signed it, set"
    " spec.source.caSecretRef."
)
_REACH_ADVICE = (
    "Check host and port of the URL, and whether a firewall lets the import reach the server that stores the file."
)
_REDIRECT_ADVICE = "Follow the redirects once with another program, for example curl, and give the last URL."
_REDIRECTS = (301, 302, 303, 307, 308)
_ACCESS_DENIED = (401, 403)
_NOT_FOUND = (404, 410)


@dataclass
class Download:
    """Reads the body of one HTTP response, or a file of this machine."""

    source: DumpLocation
    limit: int | None  # bytes
    length: int | None  # Content-Length; None if the server does not send one
    _response: ByteReader = field(repr=False)
    bytes_read: int = 0
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)
    ended: bool = False
    _period: tuple[int, float] = (0, 0.0)  # bytes that arrived, and seconds that the worker waited for them

    @property
    def sha256(self) -> str:
        """Checksum of the bytes read up to now, in hexadecimal."""
        return self._hash.hexdigest()

    def read(self, count: int) -> bytes:
        """Returns at most `count` bytes, and b"" at the end of the file. Raises ImportStopped."""
        try:
            chunk = self._read(count)
        except (OSError, http.client.HTTPException) as error:
            raise ImportStopped(_truncated(self, _describe_error(error))) from error
        self.bytes_read += len(chunk)
        self._hash.update(chunk)
        if self.limit is not None and self.bytes_read > self.limit:
            raise ImportStopped(_too_large(self.source, None, self.limit))
        if not chunk and count > 0:
            if self.length is not None and self.bytes_read < self.length:
                raise ImportStopped(_truncated(self, "the connection was closed"))
            self.ended = True
        return chunk

    def _read(self, count: int) -> bytes:
        """Reads until there are `count` bytes or the file ends, and watches how fast they arrive."""
        if not isinstance(self._response, http.client.HTTPResponse):
            return self._response.read(count)
        chunk = bytearray()
        while len(chunk) < count:
            began = time.monotonic()
            piece = self._response.read1(count - len(chunk))
            if not piece:
                break
            chunk += piece
            self._check_speed(len(piece), time.monotonic() - began)
        return bytes(chunk)

    def _check_speed(self, size: int, seconds: float) -> None:
        self._period = (self._period[0] + size, self._period[1] + seconds)
        if self._period[1] < SLOW_SECONDS:
            return
        if self._period[0] < SLOW_BYTES:
            message = f"its server sends less than {SLOW_BYTES // 1024} KiB in {SLOW_SECONDS:.0f} s"
            raise ImportStopped(_truncated(self, message))
        self._period = (0, 0.0)


@contextmanager
def open_download(source: FileLocation, limit: int | None = None) -> Iterator[Download]:
    """Requests the file, follows redirects and yields the response's body. Raises ImportStopped."""
    for _ in range(MAX_REDIRECTS + 1):
        connection, response = _send_request(source)
        try:
            if response.status in _REDIRECTS:
                source = source.follow(_read_location(source, response))
                continue
            if response.status != 200:
                raise ImportStopped(_refused(source, response))
            length = _read_length(source, response, limit)
            yield Download(source, limit, length, response)
            return
        finally:
            response.close()
            connection.close()
    raise ImportStopped(
        Failure(
            Reason.SOURCE_URL_INVALID,
            f"the dump file's URL redirects more than {MAX_REDIRECTS} times",
            _REDIRECT_ADVICE,
        )
    )


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the pinned address; the host name is used for SNI, the certificate and the Host header."""

    def __init__(self, source: FileLocation, context: ssl.SSLContext) -> None:
        url = source.pinned.url
        super().__init__(url.host, url.port, timeout=CONNECT_TIMEOUT, context=context)
        self._address, self._tls = source.pinned.address, context

    def connect(self) -> None:
        raw = socket.create_connection((self._address, self.port), CONNECT_TIMEOUT)
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise
        self.sock.settimeout(READ_TIMEOUT)


class _PlainConnection(http.client.HTTPConnection):
    """Connects without TLS to the platform's own upload store, if the store does not offer TLS."""

    def __init__(self, source: FileLocation) -> None:
        url = source.pinned.url
        super().__init__(url.host, url.port, timeout=CONNECT_TIMEOUT)
        self._address = source.pinned.address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), CONNECT_TIMEOUT)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.sock.settimeout(READ_TIMEOUT)


def _build_connection(source: FileLocation) -> http.client.HTTPConnection:
    if source.pinned.url.scheme == "http":
        return _PlainConnection(source)
    return _PinnedConnection(source, _build_context(source))


def _send_request(source: FileLocation) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Sends one GET request. If the connection attempt times out, tries it once more."""
    for is_last_try in (False, True):
        connection = _build_connection(source)
        try:
            connection.connect()
        except TimeoutError as error:
            if not is_last_try:
                continue
            raise ImportStopped(_unreachable(source, error)) from None
        except (OSError, ssl.SSLError) as error:
            raise ImportStopped(_unreachable(source, error)) from None
        try:
            headers = {"User-Agent": f"pgimport/{__version__}", "Accept": "*/*"}
            connection.request("GET", source.pinned.url.target, headers=headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ImportStopped(_unreachable(source, error)) from None
    raise AssertionError("unreachable")


def _build_context(source: FileLocation) -> ssl.SSLContext:
    """Trusts only the user's CA if there is one, and the system's CAs otherwise. Raises ImportStopped."""
    if source.ca is None:
        return ssl.create_default_context()
    check_ca(source.ca)
    return ssl.create_default_context(cafile=str(source.ca))


def _read_location(source: FileLocation, response: http.client.HTTPResponse) -> FileURL:
    url = source.pinned.url
    base = url.origin + url.target
    try:
        location = parse_file_url(urljoin(base, response.getheader("Location") or ""))
    except ValueError:
        location = Failure(Reason.SOURCE_URL_INVALID, "it is malformed")
    if isinstance(location, Failure):
        raise ImportStopped(
            Failure(
                location.reason,
                f"{source.address} redirects to a URL that is refused: {location.message}",
                _REDIRECT_ADVICE,
            )
        )
    return location


def _read_length(source: FileLocation, response: http.client.HTTPResponse, limit: int | None) -> int | None:
    encodings = (response.getheader("Content-Encoding") or "").lower().replace(" ", "").split(",")
    if unreadable := sorted(set(encodings) - _READABLE_ENCODINGS):
        raise ImportStopped(
            Failure(
                Reason.DUMP_UNSUPPORTED,
                f"{source.address} sends the file with Content-Encoding {', '.join(unreadable)}: serve it without an"
                " encoding",
            )
        )
    text = response.getheader("Content-Length")
    length = int(text) if text is not None and text.isascii() and text.isdigit() else None
    if limit is not None and length is not None and length > limit:
        raise ImportStopped(_too_large(source, length, limit))
    return length


def _too_large(source: DumpLocation, length: int | None, limit: int) -> Failure:
    size = f"has {length} bytes" if length is not None else "is larger"
    message = f"the dump file at {source.address} {size}; at most {limit} are allowed"
    return Failure(Reason.SOURCE_TOO_LARGE, message, SMALLER_DUMP)


def _truncated(download: Download, error: str) -> Failure:
    total = f" of {download.length}" if download.length is not None else ""
    return Failure(
        Reason.SOURCE_UNREACHABLE,
        f"the dump file from {download.source.address} ended after {download.bytes_read}{total} bytes: {error}",
        "Import again. If it ends at the same byte, look for a limit of time or size at the server of the file.",
    )


def _describe_error(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the response is not HTTP" if isinstance(error, http.client.BadStatusLine) else type(error).__name__


def _unreachable(source: FileLocation, error: BaseException) -> Failure:
    reason = Reason.SOURCE_TLS_FAILED if isinstance(error, ssl.SSLError) else Reason.SOURCE_UNREACHABLE
    advice = _CERTIFICATE_ADVICE if reason is Reason.SOURCE_TLS_FAILED else _REACH_ADVICE
    return Failure(reason, f"the dump file at {source.address} cannot be read: {_describe_error(error)}", advice)


_DENIED_ADVICE = "Check that the signature or token of the URL is right and has not expired."
_STORE_ADVICE = (
    "Open the URL with another program, for example curl. If it fails there too, ask the admin of the file's server;"
    " otherwise import again."
)
_ADVICE = {
    Reason.SOURCE_AUTH_FAILED: _DENIED_ADVICE,
    Reason.SOURCE_UNREACHABLE: _STORE_ADVICE,
    Reason.SOURCE_URL_INVALID: "Check that the URL is complete, and create it again if its signature can have expired.",
}


def _refused(source: FileLocation, response: http.client.HTTPResponse) -> Failure:
    if response.status in _ACCESS_DENIED:
        reason = Reason.SOURCE_AUTH_FAILED
    elif response.status in _NOT_FOUND:
        reason = Reason.DUMP_NOT_FOUND
    elif response.status in (408, 425, 429) or response.status >= 500:
        reason = Reason.SOURCE_UNREACHABLE
    else:
        reason = Reason.SOURCE_URL_INVALID
    details = _read_error_body(response)
    return Failure(
        reason,
        f"the dump file at {source.address} cannot be read: HTTP {response.status} {response.reason}{details}".rstrip(),
        _ADVICE.get(reason, ""),
    )


def _read_error_body(response: http.client.HTTPResponse) -> str:
    """Returns the error in an object store's XML or our API's JSON, such as `: AccessDenied: Request has expired`."""
    try:
        body = response.read(ERROR_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    matches = [re.search(rf"<{tag}>([^<]{{1,200}})</{tag}>", body) for tag in ("Code", "Message")]
    if not any(matches):
        matches = [re.fullmatch(r'\{"error":"([^"\\]{1,200})"\}', body)]
    return "".join(f": {' '.join(match[1].split())}" for match in matches if match)
