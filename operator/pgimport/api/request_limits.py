"""Limits how many slow requests run at the same time, in total and for each caller."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager

from pgimport.api.error_responses import RETRY_SECONDS, ApiError
from pgimport.model.source_addresses import Resolve

_PLACE_SECONDS = 1.0  # that a lookup waits for its place: most lookups take milliseconds


class RequestLimit:
    """Counts requests that run at the same time. Safe to use from several threads."""

    def __init__(self, what: str, total: int, each: int) -> None:
        """`what` names the requests in errors: `preflights`. `each`: maximum number of running requests for one key."""
        self._what, self._total, self._each = what, total, each
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()

    def begin(self, key: str, wait: float = 0.0) -> None:
        """Counts a request of `key`, which is an organization, a Project or a caller.

        Waits up to `wait` seconds for a place. Raises ApiError 429 or 503.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_place(key), wait)
            if self._running[key] >= self._each:
                text = f"{self._each} {self._what} of yours are running, which is the limit; try again"
                raise ApiError(429, text, RETRY_SECONDS)
            if self._running.total() >= self._total:
                raise ApiError(503, f"too many {self._what} are running; try again", RETRY_SECONDS)
            self._running[key] += 1

    def end(self, key: str) -> None:
        """Ends a request that `begin` has counted."""
        with self._changed:
            self._running[key] -= 1
            if self._running[key] == 0:
                del self._running[key]  # keys are many over time
            self._changed.notify_all()

    def _has_place(self, key: str) -> bool:
        return self._running[key] < self._each and self._running.total() < self._total

    @contextmanager
    def counted(self, key: str) -> Iterator[None]:
        """Counts a request until the block ends. Raises ApiError 429 or 503."""
        self.begin(key)
        try:
            yield
        finally:
            self.end(key)


class HostResolver:
    """Resolves host names in threads of its own, because getaddrinfo has no time limit."""

    def __init__(self, resolve: Resolve, seconds: float, threads: int, each: int) -> None:
        """`each`: maximum number of running lookups for one key.

        Lookups whose caller has given up still count.
        """
        self._resolve, self._seconds = resolve, seconds
        self._limit = RequestLimit("lookups of host names", threads, each)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    def for_key(self, key: str) -> Resolve:
        """Returns a function that resolves a host of this key's requests.

        It raises OSError if the name has no address or the lookup takes too long, and ApiError 429 or 503.
        """

        def resolve(host: str, port: int) -> list[str]:
            self._limit.begin(key, _PLACE_SECONDS)
            future: Future[list[str]] = self._pool.submit(self._resolve, host, port)
            future.add_done_callback(lambda _: self._limit.end(key))
            try:
                return future.result(self._seconds)
            except FutureTimeoutError:
                raise OSError(f"no answer within {self._seconds:g} seconds") from None

        return resolve
