"""Verifies API keys against the Secret that holds their hashes."""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from pgimport.api.api_context import InvalidCredentials
from pgimport.api.shared_read import NEVER, Reading, SharedRead
from pgimport.model.api_caller import Caller
from pgimport.model.api_keys import ApiKeyRing, is_api_key, parse_api_keys
from pgimport.model.errors import KubernetesUnavailable

MAX_AGE_SECONDS = 5.0  # of the Secret's last read; a revoked key is accepted no longer than this
OUTAGE_SECONDS = 60.0  # the same while the Secret cannot be read; then no key is accepted
RETRY_SECONDS = 0.25  # between two reads of the Secret: an unknown key may be new, so it needs one more read
PATIENCE_SECONDS = 1.0  # that requests wait for a read
MAX_UNKNOWN = 10_000  # keys kept in memory, about a hundred bytes each
_log = logging.getLogger(__name__)


class ApiKeyVerifier:
    """Keeps the keys of the Secret. While it cannot be read, they stay valid for OUTAGE_SECONDS.

    Can be shared between threads.
    """

    def __init__(
        self, read: Callable[[], dict[str, bytes] | None], clock: Callable[[], float], wait: Callable[[float], None]
    ) -> None:
        """`read` returns the Secret's entries, or None if it does not exist, and raises PgimportError."""
        self._clock = clock
        self._keys = SharedRead("API keys", lambda: _parse(read()), ApiKeyRing(), clock, RETRY_SECONDS, wait)
        self._unknown = UnknownKeys()

    def verify(self, key: str, now: datetime) -> Caller:
        """Returns the key's caller.

        Raises InvalidCredentials, or KubernetesUnavailable if the Secret could not be read and may contain the key.
        """
        if not is_api_key(key):
            raise InvalidCredentials("the API key is unknown or has expired")
        started = self._clock()
        reading = self._keys.refresh(started - MAX_AGE_SECONDS, PATIENCE_SECONDS)
        caller = reading.value.find(key, now)
        if caller is None and not self._unknown.has(key, started - MAX_AGE_SECONDS):
            reading = self._keys.refresh(started, PATIENCE_SECONDS)
            caller = reading.value.find(key, now)
            if caller is None and reading.began_at >= started:
                self._unknown.add(key, started)
            elif caller is None:
                raise KubernetesUnavailable("the API keys cannot be read")
        self._require_recent(reading)
        if caller is None:
            raise InvalidCredentials("the API key is unknown or has expired")
        return caller

    def _require_recent(self, reading: Reading[ApiKeyRing]) -> None:
        """Raises KubernetesUnavailable if the key may have been revoked long ago."""
        if self._clock() - reading.began_at > OUTAGE_SECONDS:
            raise KubernetesUnavailable("the API keys cannot be read")


class UnknownKeys:
    """Remembers which keys the Secret did not contain, so that a client that repeats one waits for no read."""

    def __init__(self) -> None:
        self._read_at: OrderedDict[bytes, float] = OrderedDict()  # hash of a key → when the Secret did not contain it
        self._lock = threading.Lock()

    def has(self, key: str, earliest: float) -> bool:
        """Returns whether the Secret did not contain the key at `earliest` or later."""
        with self._lock:
            return self._read_at.get(_digest(key), NEVER) >= earliest

    def add(self, key: str, read_at: float) -> None:
        with self._lock:
            self._read_at[_digest(key)] = read_at
            while len(self._read_at) > MAX_UNKNOWN:
                self._read_at.popitem(last=False)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _parse(entries: dict[str, bytes] | None) -> ApiKeyRing:
    keys = parse_api_keys(entries or {})
    for problem in keys.problems:
        _log.warning("an API key is ignored: %s", problem)
    return keys
