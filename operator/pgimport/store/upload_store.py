"""The interface of a store for uploads, and the function that opens the configured one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from pgimport.model.uploads import S3Settings, StoreSettings, UploadSettings


class UploadStore(Protocol):
    """Holds uploaded files by key. Can be shared between threads.

    Signing needs no connection. The other methods raise StoreUnavailable.
    """

    @property
    def settings(self) -> UploadSettings: ...

    def sign_put(self, key: str, api_url: str) -> str:
        """Returns an upload URL that is valid for `settings.expiry`.

        `api_url` is the API's scheme and host as the client reached it.
        """
        ...

    def sign_get(self, key: str, lifetime: timedelta) -> str:
        """Returns a download URL. Treat it as a secret: whoever has it can read the file."""
        ...

    def find_size(self, key: str) -> int | None:
        """Returns the file's size in bytes, or None if it does not exist."""
        ...

    def delete(self, key: str) -> None:
        """Deletes the file, if it exists."""
        ...


def open_store(settings: StoreSettings, environment: Mapping[str, str], *, own_folder: bool) -> UploadStore:
    """Opens the store. With `own_folder`, the embedded store's volume is mounted in this process.

    Raises KeyError for a missing environment variable, and OSError.
    """
    # Each store imports libraries that the other one does not need.
    if isinstance(settings, S3Settings):
        from pgimport.store.s3_store import S3UploadStore

        return S3UploadStore(settings, environment)
    from pgimport.store.embedded_store import RemoteStore, open_local_store, read_signing_key

    signing_key = read_signing_key(environment)
    return open_local_store(settings, signing_key) if own_folder else RemoteStore(settings, signing_key)
