"""Divides the threads that serve requests between organizations, so that slow requests of one delay no other."""

import asyncio
from collections import Counter, OrderedDict, deque

from pgimport.api.error_responses import RETRY_SECONDS, ApiError

MAX_RUNNING, MAX_RUNNING_EACH = 80, 20  # requests that hold a thread: in all, and of one organization
MAX_WAITING, MAX_WAITING_EACH = 800, 200  # requests that wait for a thread
WAIT_SECONDS = 10.0
_Place = asyncio.Future[None]


class RequestShares:
    """Gives free threads to the organizations in turn. Only the event loop uses it."""

    def __init__(self, total: int = MAX_RUNNING, each: int = MAX_RUNNING_EACH) -> None:
        self._total, self._each = total, each
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Place]] = OrderedDict()  # the next organization first

    async def take(self, key: str) -> None:
        """Takes a thread for a request of the organization `key`. Waits for one if all of its share are used.

        Raises ApiError 429 if too many of its requests wait or this one waits too long, and 503 if the API is busy.
        """
        if key not in self._waiting and self._may_run(key):
            self._running[key] += 1
            return
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= MAX_WAITING_EACH or sum(map(len, self._waiting.values())) >= MAX_WAITING:
            self._drop_if_empty(key)
            raise self._build_error(key)
        place: _Place = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            await asyncio.wait([place], timeout=WAIT_SECONDS)
        except asyncio.CancelledError:
            self._leave(key, place)
            raise
        if not place.done():
            self._leave(key, place)
            raise self._build_error(key)

    def give_back(self, key: str) -> None:
        """Gives the thread of a request to a request that waits."""
        self._running[key] -= 1
        if self._running[key] == 0:
            del self._running[key]
        while (next_key := next(filter(self._may_run, self._waiting), None)) is not None:
            place = self._waiting[next_key].popleft()
            self._waiting.move_to_end(next_key)
            self._drop_if_empty(next_key)
            self._running[next_key] += 1
            place.set_result(None)

    def _may_run(self, key: str) -> bool:
        return self._running[key] < self._each and self._running.total() < self._total

    def _leave(self, key: str, place: _Place) -> None:
        """Ends the wait of a request that has given up."""
        if place.done():  # the thread was given to it at the same moment
            self.give_back(key)
        else:
            self._waiting[key].remove(place)
            self._drop_if_empty(key)

    def _drop_if_empty(self, key: str) -> None:
        if not self._waiting[key]:
            del self._waiting[key]

    def _build_error(self, key: str) -> ApiError:
        if self._running[key] >= self._each:
            text = f"{self._each} requests of your organization are running, and more wait; try again"
            return ApiError(429, text, RETRY_SECONDS)
        return ApiError(503, "too many requests are running; try again", RETRY_SECONDS)
