"""Sends many HTTP requests and measures how long each of them takes, and all of them together."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Send = Callable[[int], Awaitable[None]]  # the argument is the number of a request


@dataclass(frozen=True)
class LoadResult:
    """Durations of a number of requests, in seconds."""

    total_seconds: float
    request_seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Return the requests per second."""
        return len(self.request_seconds) / self.total_seconds

    def quantile(self, fraction: float) -> float:
        return quantile(self.request_seconds, fraction)


def quantile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest value that this fraction of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]


async def send_at_full_speed(send: Send, numbers: Sequence[int], clients: int) -> LoadResult:
    """Let a number of clients send the requests, each as fast as it can."""
    remaining = iter(numbers)
    request_seconds: list[float] = []

    async def run_client() -> None:
        for number in remaining:
            sent_at = time.perf_counter()
            await send(number)
            request_seconds.append(time.perf_counter() - sent_at)

    started_at = time.perf_counter()
    await asyncio.gather(*(run_client() for _ in range(clients)))
    return LoadResult(time.perf_counter() - started_at, tuple(request_seconds))


async def send_at_rate(send: Send, numbers: Sequence[int], rate: float) -> LoadResult:
    """Send `rate` requests per second without waiting for responses. A request's time counts from when it is due."""
    request_seconds: list[float] = []
    started_at = time.perf_counter()

    async def send_due(number: int, due: float) -> None:
        await send(number)
        request_seconds.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for index, number in enumerate(numbers):
            due = started_at + index / rate
            if (delay := due - time.perf_counter()) > 0:
                await asyncio.sleep(delay)
            group.create_task(send_due(number, due))
    return LoadResult(time.perf_counter() - started_at, tuple(request_seconds))
