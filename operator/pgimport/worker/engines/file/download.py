"""A dump file over HTTPS: a checked source comes in; its bytes go out, counted, limited and hashed.

The connection goes to the address that was judged, with the name for SNI and the certificate. Each redirect is
parsed, judged and pinned anew. Nothing is kept but the chunk that is on its way.
"""

import hashlib
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

from pgimport import __version__
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import FileURL, parse_file_url
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 60  # seconds without a byte
MAX_REDIRECTS = 5
ERROR_BODY = 4096  # bytes of an error's page: object stores say in it what is wrong
_REDIRECTS = (301, 302, 303, 307, 308)
_CLOSED = (401, 403)
_GONE = (404, 410)


@dataclass
class Download:
    """The body of one answer."""

    source: FileLocation
    limit: int | None  # bytes
    length: int | None  # as the server tells it
    _response: http.client.HTTPResponse = field(repr=False)
    bytes_read: int = 0
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)
    ended: bool = False

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._hash.hexdigest()

    def read(self, count: int) -> bytes:
        """Up to so many bytes, none at the end of the file. Raises Stopped."""
        try:
            found = self._response.read(count)
        except (OSError, http.client.HTTPException) as error:
            raise ImportStopped(_cut_off(self, _why(error))) from error
        self.bytes_read += len(found)
        self._hash.update(found)
        if self.limit is not None and self.bytes_read > self.limit:
            raise ImportStopped(_too_large(self.source, None, self.limit))
        if not found and count > 0:
            if self.length is not None and self.bytes_read < self.length:
                raise ImportStopped(_cut_off(self, "the connection was closed"))
            self.ended = True
        return found


@contextmanager
def open_download(source: FileLocation, limit: int | None = None) -> Iterator[Download]:
    """Ask for the file, follow redirects, hand out its body. Raises Stopped."""
    for _ in range(MAX_REDIRECTS + 1):
        connection, response = _ask(source)
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
        Failure(Reason.SOURCE_URL_INVALID, f"the dump file's URL redirects more than {MAX_REDIRECTS} times")
    )


class _PinnedConnection(http.client.HTTPSConnection):
    """To one address; the name is in the TLS handshake, the certificate's check and the Host header."""

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
    """To the platform's own upload store, where that speaks no TLS."""

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


def _ask(source: FileLocation) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """One request; a connection that timed out is tried once more."""
    for last in (False, True):
        connection = _build_connection(source)
        try:
            connection.connect()
        except TimeoutError as error:
            if not last:
                continue
            raise ImportStopped(_unreachable(source, error)) from None
        except (OSError, ssl.SSLError) as error:
            raise ImportStopped(_unreachable(source, error)) from None
        try:
            agent = {"User-Agent": f"pgimport/{__version__}", "Accept": "*/*"}
            connection.request("GET", source.pinned.url.target, headers=agent)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ImportStopped(_unreachable(source, error)) from None
    raise AssertionError("unreachable")


def _build_context(source: FileLocation) -> ssl.SSLContext:
    """With the user's CA alone, where there is one."""
    try:
        return ssl.create_default_context(cafile=str(source.ca) if source.ca else None)
    except (OSError, ssl.SSLError):
        what = "the CA of spec.source.caSecretRef is no PEM certificate"
        raise ImportStopped(Failure(Reason.SOURCE_TLS_FAILED, what)) from None


def _read_location(source: FileLocation, response: http.client.HTTPResponse) -> FileURL:
    url = source.pinned.url
    here = url.origin + url.target
    try:
        found = parse_file_url(urljoin(here, response.getheader("Location") or ""))
    except ValueError:
        found = Failure(Reason.SOURCE_URL_INVALID, "it is malformed")
    if isinstance(found, Failure):
        raise ImportStopped(
            Failure(found.reason, f"{source.address} redirects to a URL that is refused: {found.message}")
        )
    return found


def _read_length(source: FileLocation, response: http.client.HTTPResponse, limit: int | None) -> int | None:
    encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise ImportStopped(
            Failure(
                Reason.DUMP_UNSUPPORTED,
                f"{source.address} sends the file with Content-Encoding {encoding!r}: serve it as it is",
            )
        )
    text = response.getheader("Content-Length")
    length = int(text) if text is not None and text.isascii() and text.isdigit() else None
    if limit is not None and length is not None and length > limit:
        raise ImportStopped(_too_large(source, length, limit))
    return length


def _too_large(source: FileLocation, length: int | None, limit: int) -> Failure:
    size = f"has {length} bytes" if length is not None else "is larger"
    return Failure(Reason.SOURCE_TOO_LARGE, f"the dump file at {source.address} {size}; at most {limit} are allowed")


def _cut_off(download: Download, why: str) -> Failure:
    of = f" of {download.length}" if download.length is not None else ""
    return Failure(
        Reason.SOURCE_UNREACHABLE,
        f"the dump file from {download.source.address} ended after {download.bytes_read}{of} bytes: {why}",
    )


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the answer is no HTTP" if isinstance(error, http.client.BadStatusLine) else type(error).__name__


def _unreachable(source: FileLocation, error: BaseException) -> Failure:
    tls = isinstance(error, ssl.SSLError)
    reason = Reason.SOURCE_TLS_FAILED if tls else Reason.SOURCE_UNREACHABLE
    return Failure(reason, f"the dump file at {source.address}: {_why(error)}")


def _refused(source: FileLocation, response: http.client.HTTPResponse) -> Failure:
    if response.status in _CLOSED:
        reason = Reason.SOURCE_AUTH_FAILED
    elif response.status in _GONE:
        reason = Reason.DUMP_NOT_FOUND
    elif response.status in (408, 425, 429) or response.status >= 500:
        reason = Reason.SOURCE_UNREACHABLE
    else:
        reason = Reason.SOURCE_URL_INVALID
    said = _read_words(response)
    return Failure(
        reason, f"the dump file at {source.address}: HTTP {response.status} {response.reason}{said}".rstrip()
    )


def _read_words(response: http.client.HTTPResponse) -> str:
    """`: AccessDenied: Request has expired`, where an object store says so, or our own API's `{"error": …}`."""
    try:
        page = response.read(ERROR_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    found = [match[1] for tag in ("Code", "Message") if (match := re.search(rf"<{tag}>([^<]{{1,200}})</{tag}>", page))]
    if not found and (match := re.fullmatch(r'\{"error":"([^"\\]{1,200})"\}', page)):
        found = [match[1]]
    return "".join(f": {' '.join(words.split())}" for words in found)
