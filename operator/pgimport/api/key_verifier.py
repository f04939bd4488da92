"""API keys as the door checks them: a key's text comes in, its caller goes out; the Secret is read now and then."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from pgimport.api.api_context import InvalidCredentials
from pgimport.model.api_caller import Caller
from pgimport.model.api_keys import ApiKeyRing, is_api_key, parse_api_keys
from pgimport.model.errors import KubernetesUnavailable, PgimportError

FRESH_SECONDS = 5.0  # a revoked key opens the door no longer than this
AGAIN_SECONDS = 0.25  # an unknown key may be one that was made a moment ago: it waits for one more reading
_log = logging.getLogger(__name__)


class ApiKeyVerifier:
    """Safe to share between threads. While Kubernetes is away, the keys are those of the last reading."""

    def __init__(
        self, read: Callable[[], dict[str, bytes] | None], clock: Callable[[], float], wait: Callable[[float], None]
    ) -> None:
        """`read`: the Secret's entries; None where it is not there. Raises PgimportError."""
        self._read, self._clock, self._wait = read, clock, wait
        self._ring, self._read_at, self._away = ApiKeyRing(), -1e9, False
        self._lock = threading.Lock()

    def find(self, text: str, now: datetime) -> Caller:
        """Raises InvalidCredentials, and KubernetesUnavailable where the key may be one that could not be read."""
        caller = self._ring_of(FRESH_SECONDS).find(text, now)
        if caller is None and is_api_key(text):
            if (early := self._read_at + AGAIN_SECONDS - self._clock()) > 0:
                self._wait(early)
            caller = self._ring_of(AGAIN_SECONDS / 2).find(text, now)
        if caller is None and self._away and is_api_key(text):
            raise KubernetesUnavailable("the API keys cannot be read")
        if caller is None:
            raise InvalidCredentials("the API key is not known, or has expired")
        return caller

    def _ring_of(self, age: float) -> ApiKeyRing:
        with self._lock:
            if self._clock() - self._read_at <= age:
                return self._ring
            self._read_at = self._clock()
            try:
                ring = parse_api_keys(self._read() or {})
            except PgimportError as error:
                _log.warning("the API keys cannot be read: %s", error)
                self._away = True
                return self._ring
            self._away = False
            for problem in ring.problems:
                _log.warning("an API key is passed over: %s", problem)
            self._ring = ring
            return ring
