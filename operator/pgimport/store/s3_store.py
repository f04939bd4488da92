"""A store for uploads in a bucket of an S3-compatible service."""

from collections.abc import Mapping
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import S3Settings

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_TIMEOUT = "15s"
_MAX_RETRIES = 2


class S3UploadStore:
    """Implements UploadStore. Can be shared between threads."""

    def __init__(self, settings: S3Settings, environment: Mapping[str, str]) -> None:
        """Takes the credentials from the environment. Raises KeyError if one is missing."""
        self.settings = settings
        self._store = S3Store(
            settings.bucket,
            endpoint=settings.endpoint,
            region=settings.region,
            access_key_id=environment[ACCESS_KEY],
            secret_access_key=environment[SECRET_KEY],
            virtual_hosted_style_request=not settings.path_style,
            client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": _TIMEOUT},
            retry_config={"max_retries": _MAX_RETRIES},
        )

    def sign_put(self, key: str, api_url: str) -> str:
        """Returns an upload URL of the S3 service that is valid for `settings.expiry`; `api_url` is not used."""
        return obstore.sign(self._store, "PUT", key, self.settings.expiry)

    def sign_get(self, key: str, lifetime: timedelta) -> str:
        """Returns a download URL. Treat it as a secret: whoever has it can read the file."""
        return obstore.sign(self._store, "GET", key, lifetime)

    def find_size(self, key: str) -> int | None:
        """Returns the file's size in bytes, or None if it does not exist. Raises StoreUnavailable."""
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _no_answer(error) from error

    def delete(self, key: str) -> None:
        """Deletes the file, if it exists. Raises StoreUnavailable."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _no_answer(error) from error


def _no_answer(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the upload store does not answer: {type(error).__name__}")
