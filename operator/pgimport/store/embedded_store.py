"""The embedded store: files in a volume of the HTTP API, and signed URLs of the API's own.

`files/<project>.<hex>` was put whole; `incoming/` holds what is being put; `used/<hex>` remembers that a URL was used
for as long as the URL lasts. A file is complete where it has its name: it gets it after it is safe on disk.
"""

import errno
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import EmbeddedSettings, is_signed, sign

SECRET = "PGIMPORT_UPLOADS_SECRET"  # noqa: S105 (a variable's name)
PREFIX = "/v1/"  # of the API's routes
_TIMEOUT = 15.0
_OWN_SHARE = 20  # of a volume, a twentieth is the file system's own
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = "the upload store is full: try again later"


class UploadRefused(Exception):
    """A file that is not taken; the text is for a person.

    UploadRefused
    ├── UploadURLUsed    its URL was used
    ├── UploadTooLarge      than one file may be
    └── StoreFull        the volume is full
    """


class UploadURLUsed(UploadRefused): ...


class UploadTooLarge(UploadRefused): ...


class StoreFull(UploadRefused): ...


def read_secret(environment: Mapping[str, str]) -> bytes:
    """The same for operator and API. Raises KeyError where it is missing."""
    return environment[SECRET].encode()


class _Signing:
    """What both sides know: how a URL is signed."""

    def __init__(self, settings: EmbeddedSettings, secret: bytes) -> None:
        self.settings, self._secret = settings, secret

    def sign_put(self, key: str, reached: str) -> str:
        return reached + self._sign("PUT", key, self.settings.expiry)

    def sign_get(self, key: str, life: timedelta) -> str:
        return self.settings.endpoint + self._sign("GET", key, life)

    def is_signed(self, method: str, key: str, expires: str, signature: str) -> bool:
        return is_signed(self._secret, method, key, expires, signature, time.time())

    def _sign(self, method: str, key: str, life: timedelta) -> str:
        """Path and query."""
        expires = int(time.time() + life.total_seconds())
        return f"{PREFIX}{key}?expires={expires}&signature={sign(self._secret, method, key, expires)}"


class RemoteStore(_Signing):
    """As the operator sees it: over HTTP."""

    def find_size(self, key: str) -> int | None:
        with closing(self._ask("HEAD", key)) as answer:
            return None if answer.status == 404 else int(answer.headers["Content-Length"])

    def delete(self, key: str) -> None:
        self._ask("DELETE", key).close()

    def _ask(self, method: str, key: str) -> HTTPResponse:
        """Raises StoreUnavailable but for success and 404."""
        host = self.settings.endpoint.removeprefix("http://")
        connection = HTTPConnection(host, timeout=_TIMEOUT)
        try:
            connection.request(method, self._sign(method, key, timedelta(minutes=5)), headers={"Connection": "close"})
            answer = connection.getresponse()
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"the upload store does not answer: {type(error).__name__}") from error
        finally:
            connection.close()  # the answer keeps what it needs
        if answer.status not in (200, 204, 404):
            raise StoreUnavailable(f"the upload store answers {answer.status} {answer.reason}")
        return answer


class LocalStore(_Signing):
    """As the API sees it: the folder itself. Two of them never share one."""

    def __init__(self, settings: EmbeddedSettings, secret: bytes) -> None:
        super().__init__(settings, secret)
        folder = Path(settings.folder)
        self._files, self._incoming, self._used = (folder / name for name in ("files", "incoming", "used"))
        self._capacity = settings.capacity - settings.capacity // _OWN_SHARE
        self._lock = threading.Lock()
        self._held = 0  # bytes, of what is being put too

    def prepare(self) -> None:
        """Once, before anything is put: what was half put by a process before us goes. Raises OSError."""
        for folder in (self._files, self._incoming, self._used):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink()
        self._held = sum(file.stat().st_size for file in self._files.iterdir())

    def find(self, key: str) -> Path | None:
        """Where an object lies."""
        path = self._place(key)
        return path if path.is_file() else None

    def find_size(self, key: str) -> int | None:
        try:
            return self._place(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        with self._lock, suppress(FileNotFoundError):
            path = self._place(key)
            size = path.stat().st_size
            path.unlink()
            self._held -= size

    def begin(self, key: str, length: int | None) -> "IncomingUpload":
        """To put an object of so many bytes, or of a number that is not known. Raises UploadRefused, OSError."""
        if self._mark(key).exists():
            raise UploadURLUsed("this URL was used already: ask for a new one")
        if length is not None:
            self._judge(length, self._held + length)
        path = self._incoming / secrets.token_hex(8)
        with _room():
            return IncomingUpload(self, key, path, path.open("xb"))

    def list_old(self, now: float) -> list[str]:
        """Keys of the objects that were put longer than `settings.expiry` ago; marks of that age go."""
        before = now - self.settings.expiry.total_seconds()
        for mark in _older(self._used, before):
            mark.unlink(missing_ok=True)
        return [f"uploads/{'/'.join(file.name.split('.'))}" for file in _older(self._files, before)]

    # --- for IncomingUpload ----------------------------------------------------------------------------------------

    def take(self, count: int, whole: int) -> None:
        """So many bytes more, of a file that has `whole` with them. Raises UploadRefused."""
        with self._lock:
            self._judge(whole, self._held + count)
            self._held += count

    def give_back(self, count: int) -> None:
        with self._lock:
            self._held -= count

    def keep(self, key: str, path: Path) -> None:
        """Give it its name, where nobody was faster. Raises UploadURLUsed, OSError."""
        try:
            self._mark(key).touch(exist_ok=False)
        except FileExistsError:
            raise UploadURLUsed("this URL was used already: ask for a new one") from None
        path.rename(self._place(key))
        for folder in (self._used, self._files):
            _sync(folder)

    def _judge(self, whole: int, held: int) -> None:
        if whole > self.settings.max_bytes:
            raise UploadTooLarge(f"the file is larger than {self.settings.max_bytes} bytes")
        if held > self._capacity:
            raise StoreFull(_FULL)

    def _place(self, key: str) -> Path:
        _, project, name = key.split("/")
        return self._files / f"{project}.{name}"

    def _mark(self, key: str) -> Path:
        return self._used / key.rpartition("/")[2]


class IncomingUpload:
    """A file that is being put; not for two threads at once."""

    def __init__(self, store: LocalStore, key: str, path: Path, file: BinaryIO) -> None:
        self._store, self._key, self._path, self._file = store, key, path, file
        self._taken, self._kept = 0, False

    def write(self, piece: bytes) -> None:
        """Raises UploadRefused, OSError."""
        self._store.take(len(piece), self._taken + len(piece))
        self._taken += len(piece)
        with _room():
            self._file.write(piece)

    def keep(self) -> None:
        """It is whole. Raises UploadRefused, OSError."""
        with _room():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._store.keep(self._key, self._path)
        self._kept = True

    def close(self) -> None:
        """What is not kept goes."""
        with suppress(OSError):  # a full volume tells of it when the last bytes are flushed
            self._file.close()
        if not self._kept:
            self._path.unlink(missing_ok=True)
            self._store.give_back(self._taken)


def open_local_store(settings: EmbeddedSettings, secret: bytes) -> LocalStore:
    """Ready for use. Raises OSError."""
    store = LocalStore(settings, secret)
    store.prepare()
    return store


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(_FULL) from error
        raise


def _older(folder: Path, before: float) -> Iterator[Path]:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                yield path


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
