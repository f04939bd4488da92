"""Load on one HTTP server: requests come in; how long each took, and how long all of them, go out."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Send = Callable[[int], Awaitable[None]]  # the number of a request


@dataclass(frozen=True)
class Taken:
    """Seconds."""

    whole: float
    each: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.each) / self.whole

    def quantile(self, part: float) -> float:
        return quantile(self.each, part)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that so large a part of all does not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


async def storm(send: Send, numbers: Sequence[int], at_once: int) -> Taken:
    """As fast as it goes, by so many clients."""
    left, each = iter(numbers), []

    async def work() -> None:
        for number in left:
            begun = time.perf_counter()
            await send(number)
            each.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return Taken(time.perf_counter() - begun, tuple(each))


async def steady(send: Send, numbers: Sequence[int], rate: float) -> Taken:
    """So many a second, whether the answers have come or not; a request's time counts from when it was due."""
    each: list[float] = []
    begun = time.perf_counter()

    async def one(number: int, due: float) -> None:
        await send(number)
        each.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for place, number in enumerate(numbers):
            due = begun + place / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(one(number, due))
    return Taken(time.perf_counter() - begun, tuple(each))
