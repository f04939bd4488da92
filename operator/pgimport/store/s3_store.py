"""An S3-compatible store: an object's key comes in; a URL that may do one thing for a while, or its size, goes out."""

from collections.abc import Mapping
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pgimport.model.errors import StoreUnavailable
from pgimport.model.uploads import S3Settings

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_TIMEOUT = "15s"
_RETRIES = 2


class S3UploadStore:
    """Safe to share between threads. Signing asks nobody."""

    def __init__(self, settings: S3Settings, environment: Mapping[str, str]) -> None:
        """Credentials are ACCESS_KEY and SECRET_KEY of the environment. Raises KeyError where one is missing."""
        self.settings = settings
        self._store = S3Store(
            settings.bucket, endpoint=settings.endpoint, region=settings.region,
            access_key_id=environment[ACCESS_KEY], secret_access_key=environment[SECRET_KEY],
            virtual_hosted_style_request=not settings.path_style,
            client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": _TIMEOUT},
            retry_config={"max_retries": _RETRIES},
        )  # fmt: skip

    def sign_put(self, key: str, reached: str) -> str:
        """For `settings.expiry`."""
        return obstore.sign(self._store, "PUT", key, self.settings.expiry)

    def sign_get(self, key: str, life: timedelta) -> str:
        """The URL is a secret: it opens the file to whoever has it."""
        return obstore.sign(self._store, "GET", key, life)

    def find_size(self, key: str) -> int | None:
        """Bytes; None where it is not there. Raises StoreUnavailable."""
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the upload store does not answer: {type(error).__name__}") from error

    def delete(self, key: str) -> None:
        """Gone already is success. Raises StoreUnavailable."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"the upload store does not answer: {type(error).__name__}") from error
