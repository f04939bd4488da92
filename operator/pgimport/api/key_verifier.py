"""Verifies API keys against the Secret that holds their hashes."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from pgimport.api.api_context import InvalidCredentials
from pgimport.model.api_caller import Caller
from pgimport.model.api_keys import ApiKeyRing, is_api_key, parse_api_keys
from pgimport.model.errors import KubernetesUnavailable, PgimportError

MAX_AGE_SECONDS = 5.0  # of the Secret's last read; a revoked key is accepted no longer than this
RETRY_SECONDS = 0.25  # an unknown key may be new, so it waits for one more read of the Secret
_log = logging.getLogger(__name__)


class ApiKeyVerifier:
    """Caches the Secret for some seconds. While Kubernetes does not answer, the keys of the last read stay valid.

    Can be shared between threads.
    """

    def __init__(
        self, read: Callable[[], dict[str, bytes] | None], clock: Callable[[], float], wait: Callable[[float], None]
    ) -> None:
        """`read` returns the Secret's entries, or None if it does not exist, and raises PgimportError."""
        self._read, self._clock, self._wait = read, clock, wait
        self._keys, self._read_at, self._read_failed = ApiKeyRing(), -1e9, False
        self._lock = threading.Lock()

    def verify(self, key: str, now: datetime) -> Caller:
        """Returns the key's caller.

        Raises InvalidCredentials, or KubernetesUnavailable if the Secret could not be read and may contain the key.
        """
        caller = self._read_keys(MAX_AGE_SECONDS).find(key, now)
        if caller is None and is_api_key(key):
            if (seconds := self._read_at + RETRY_SECONDS - self._clock()) > 0:
                self._wait(seconds)
            caller = self._read_keys(RETRY_SECONDS / 2).find(key, now)
        if caller is None and self._read_failed and is_api_key(key):
            raise KubernetesUnavailable("the API keys cannot be read")
        if caller is None:
            raise InvalidCredentials("the API key is unknown or has expired")
        return caller

    def _read_keys(self, max_age: float) -> ApiKeyRing:
        """Returns the keys; reads the Secret if the last read is older than `max_age` seconds."""
        with self._lock:
            if self._clock() - self._read_at <= max_age:
                return self._keys
            self._read_at = self._clock()
            try:
                keys = parse_api_keys(self._read() or {})
            except PgimportError as error:
                _log.warning("the API keys cannot be read: %s", error)
                self._read_failed = True
                return self._keys
            self._read_failed = False
            for problem in keys.problems:
                _log.warning("an API key is ignored: %s", problem)
            self._keys = keys
            return keys
