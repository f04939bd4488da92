"""The embedded store for uploads: files in a volume of the HTTP API, and signed URLs of the API itself.

`files/<project>.<hex>` holds complete files, `incoming/` holds files that are being uploaded. A file
`used/<hex>` records that an upload URL was used, and is kept until the URL expires. A complete file is synced to disk
before it is renamed into `files/`.
"""

import errno
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import EmbeddedSettings, is_signed, sign

SIGNING_KEY = "PGIMPORT_UPLOADS_SECRET"
PREFIX = "/v1/"  # of the paths of the API's routes
SMALLEST = 64 * 1024  # bytes that a file counts at least: small files would use up the volume's inodes
_TIMEOUT = 15.0
_RESERVED_SHARE = 20  # one twentieth of a volume is left to the file system
_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = "the upload store is full; try again later"
_PROJECT_FULL = "the project's uploads fill its share of the store; import or wait for their deletion, then try again"
_URL_USED = "this upload URL was already used; request a new one"
_URL_IN_USE = "another upload to this URL is running; wait for its end, or request a new URL"


class UploadRefused(Exception):
    """An upload is refused. The text is shown to the client.

    UploadRefused
    ├── UploadEmpty       the file has no bytes
    ├── UploadURLUsed     the URL was already used
    ├── UploadTooLarge    the file exceeds the size limit
    └── StoreFull         the volume has no space left
    """


class UploadEmpty(UploadRefused):
    """The file has no bytes, so it can never be imported."""


class UploadURLUsed(UploadRefused):
    """The URL was already used for a complete upload."""


class UploadTooLarge(UploadRefused):
    """The file exceeds `settings.max_bytes`."""


class StoreFull(UploadRefused):
    """The volume, or the Project's share of it, has no space left for the file."""


def read_signing_key(environment: Mapping[str, str]) -> bytes:
    """Returns the key that signs URLs; operator and API have the same. Raises KeyError."""
    return environment[SIGNING_KEY].encode()


class _UrlSigner:
    """Signs URLs of the embedded store and verifies them."""

    def __init__(self, settings: EmbeddedSettings, signing_key: bytes) -> None:
        self.settings, self._signing_key = settings, signing_key

    def sign_put(self, key: str, api_url: str) -> str:
        """Returns an upload URL that is valid for `settings.expiry`."""
        return api_url + self._sign("PUT", key, self.settings.expiry)

    def sign_get(self, key: str, lifetime: timedelta) -> str:
        """Returns a download URL at the address that pods use. Treat it as a secret."""
        return self.settings.endpoint + self._sign("GET", key, lifetime)

    def is_signed(self, method: str, key: str, expires: str, signature: str) -> bool:
        """Returns whether the signature is valid and has not expired."""
        return is_signed(self._signing_key, method, key, expires, signature, time.time())

    def _sign(self, method: str, key: str, lifetime: timedelta) -> str:
        """Returns path and query of a signed URL."""
        expires = int(time.time() + lifetime.total_seconds())
        return f"{PREFIX}{key}?expires={expires}&signature={sign(self._signing_key, method, key, expires)}"


class RemoteStore(_UrlSigner):
    """Implements UploadStore for the operator, which reaches the files over HTTP."""

    def find_size(self, key: str) -> int | None:
        """Returns the file's size in bytes, or None if it does not exist. Raises StoreUnavailable."""
        with closing(self._request("HEAD", key)) as response:
            return None if response.status == 404 else int(response.headers["Content-Length"])

    def delete(self, key: str) -> None:
        """Deletes the file, if it exists. Raises StoreUnavailable."""
        self._request("DELETE", key).close()

    def _request(self, method: str, key: str) -> HTTPResponse:
        """Sends a signed request. Raises StoreUnavailable for any status but success and 404."""
        host = self.settings.endpoint.removeprefix("http://")
        connection = HTTPConnection(host, timeout=_TIMEOUT)
        try:
            connection.request(method, self._sign(method, key, timedelta(minutes=5)), headers={"Connection": "close"})
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"the upload store does not answer: {type(error).__name__}") from error
        finally:
            connection.close()  # the response keeps the socket until it is closed
        if response.status not in (200, 204, 404):
            raise StoreUnavailable(f"the upload store answers {response.status} {response.reason}")
        return response


class LocalStore(_UrlSigner):
    """Implements UploadStore for the API, which has the volume mounted. Only one process may use a volume."""

    def __init__(self, settings: EmbeddedSettings, signing_key: bytes) -> None:
        super().__init__(settings, signing_key)
        folder = Path(settings.folder)
        self._files, self._incoming, self._used = (folder / name for name in ("files", "incoming", "used"))
        self._capacity = settings.capacity - settings.capacity // _RESERVED_SHARE
        self._lock = threading.Lock()
        self._project_capacity = self._capacity * settings.project_percent // 100
        self._used_bytes: Counter[str] = Counter()  # of complete and of incoming files, by Project
        self._incoming_keys: set[str] = set()

    def prepare(self) -> None:
        """Creates the folders and deletes incomplete files of an earlier process. Call it before any upload.

        Raises OSError.
        """
        for folder in (self._files, self._incoming, self._used):
            folder.mkdir(parents=True, exist_ok=True)
        for incomplete in self._incoming.iterdir():
            incomplete.unlink()
        for file in self._files.iterdir():
            self._used_bytes[file.name.partition(".")[0]] += _counted_size(file.stat().st_size)

    def find_file(self, key: str) -> Path | None:
        """Returns the path of a complete file, or None if it does not exist."""
        path = self._path_of(key)
        return path if path.is_file() else None

    def find_size(self, key: str) -> int | None:
        """Returns the file's size in bytes, or None if it does not exist."""
        try:
            return self._path_of(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Deletes the file, if it exists."""
        with self._lock, suppress(FileNotFoundError):
            path = self._path_of(key)
            size = path.stat().st_size
            path.unlink()
            self._used_bytes[_project_of(key)] -= _counted_size(size)

    def begin_upload(self, key: str, length: int | None) -> "IncomingUpload":
        """Opens an upload of `length` bytes, None if the client did not send it. Raises UploadRefused, OSError."""
        if self._used_marker_of(key).exists():
            raise UploadURLUsed(_URL_USED)
        with self._lock:
            if key in self._incoming_keys:
                raise UploadURLUsed(_URL_IN_USE)
            if length is not None:
                self._check_limits(_project_of(key), length, length)
            self._incoming_keys.add(key)
        path = self._incoming / secrets.token_hex(8)
        try:
            with _translate_full_volume():
                return IncomingUpload(self, key, path, path.open("xb"))
        except BaseException:
            self.release(key, 0)
            raise

    def list_expired(self, now: float) -> list[str]:
        """Returns the keys of files that are older than `settings.expiry`, and deletes URL records of that age."""
        before = now - self.settings.expiry.total_seconds()
        for marker in _list_older(self._used, before):
            marker.unlink(missing_ok=True)
        return [f"uploads/{'/'.join(file.name.split('.'))}" for file in _list_older(self._files, before)]

    # The next three methods are for IncomingUpload.

    def reserve(self, key: str, count: int, total: int) -> None:
        """Reserves `count` more bytes for a file, which then has `total` bytes. Raises UploadRefused."""
        project = _project_of(key)
        with self._lock:
            self._check_limits(project, total, count)
            self._used_bytes[project] += count

    def release(self, key: str, count: int) -> None:
        """Ends an upload. `count`: reserved bytes of a file that was not completed, which are free again."""
        with self._lock:
            self._used_bytes[_project_of(key)] -= count
            self._incoming_keys.discard(key)

    def commit(self, key: str, path: Path) -> None:
        """Renames a complete file to its final name. Raises UploadURLUsed, OSError."""
        try:
            self._used_marker_of(key).touch(exist_ok=False)
        except FileExistsError:
            raise UploadURLUsed(_URL_USED) from None
        path.rename(self._path_of(key))
        for folder in (self._used, self._files):
            _sync_folder(folder)

    def _check_limits(self, project: str, file_size: int, count: int) -> None:
        """Raises UploadRefused if a file of this size is too large, or `count` more bytes are too many."""
        if file_size > self.settings.max_bytes:
            raise UploadTooLarge(f"the file is larger than {self.settings.max_bytes} bytes")
        if self._used_bytes.total() + count > self._capacity:
            raise StoreFull(_FULL)
        if self._used_bytes[project] + count > self._project_capacity:
            raise StoreFull(_PROJECT_FULL)

    def _path_of(self, key: str) -> Path:
        _, project, name = key.split("/")
        return self._files / f"{project}.{name}"

    def _used_marker_of(self, key: str) -> Path:
        return self._used / key.rpartition("/")[2]


class IncomingUpload:
    """A file that is being uploaded. Only one thread at a time may use it."""

    def __init__(self, store: LocalStore, key: str, path: Path, file: BinaryIO) -> None:
        self._store, self._key, self._path, self._file = store, key, path, file
        self._size, self._committed = 0, False

    def write(self, data: bytes) -> None:
        """Appends data. Raises UploadRefused, OSError."""
        size = self._size + len(data)
        self._store.reserve(self._key, _counted_size(size) - _counted_size(self._size), size)
        self._size = size
        with _translate_full_volume():
            self._file.write(data)

    def commit(self) -> None:
        """Completes the file: syncs it to disk and gives it its final name. Raises UploadRefused, OSError."""
        if self._size == 0:
            raise UploadEmpty("the file is empty; upload a dump file")
        with _translate_full_volume():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._store.commit(self._key, self._path)
        self._committed = True

    def close(self) -> None:
        """Closes the file, and deletes it unless it was committed."""
        with suppress(OSError):  # a full volume reports the error when the last bytes are flushed
            self._file.close()
        if not self._committed:
            self._path.unlink(missing_ok=True)
        self._store.release(self._key, 0 if self._committed else _counted_size(self._size))


def _counted_size(size: int) -> int:
    """Returns the bytes that a file of this size counts in its Project's share of the store."""
    return max(size, SMALLEST) if size else 0


def _project_of(key: str) -> str:
    return key.split("/")[1]


def open_local_store(settings: EmbeddedSettings, signing_key: bytes) -> LocalStore:
    """Opens the store and prepares its folders. Raises OSError."""
    store = LocalStore(settings, signing_key)
    store.prepare()
    return store


@contextmanager
def _translate_full_volume() -> Iterator[None]:
    """Turns the OSErrors of a full volume into StoreFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_ERRORS:
            raise StoreFull(_FULL) from error
        raise


def _list_older(folder: Path, before: float) -> Iterator[Path]:
    """Yields the files that were modified before `before`, in seconds since 1970."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                yield path


def _sync_folder(folder: Path) -> None:
    """Syncs the folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
