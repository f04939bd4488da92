"""What a store for uploads can do, whichever it is: settings come in, the store goes out."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from pgimport.model.uploads import S3Settings, StoreSettings, UploadSettings
from pgimport.store.embedded_store import RemoteStore, open_local_store, read_secret
from pgimport.store.s3_store import S3UploadStore


class UploadStore(Protocol):
    """Safe to share between threads. Signing asks nobody; the rest raises StoreUnavailable."""

    @property
    def settings(self) -> UploadSettings: ...

    def sign_put(self, key: str, reached: str) -> str:
        """For `settings.expiry`; `reached` is the API's URL as its caller named it, without a path."""
        ...

    def sign_get(self, key: str, life: timedelta) -> str:
        """The URL is a secret: it opens the file to whoever has it."""
        ...

    def find_size(self, key: str) -> int | None:
        """Bytes; None where it is not there."""
        ...

    def delete(self, key: str) -> None:
        """Gone already is success."""
        ...


def open_store(settings: StoreSettings, environment: Mapping[str, str], *, own_folder: bool) -> UploadStore:
    """`own_folder`: the embedded store's volume is ours. Raises KeyError for a variable that is missing, OSError."""
    if isinstance(settings, S3Settings):
        return S3UploadStore(settings, environment)
    secret = read_secret(environment)
    return open_local_store(settings, secret) if own_folder else RemoteStore(settings, secret)
