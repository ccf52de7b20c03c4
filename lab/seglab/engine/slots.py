"""A semaphore with priorities: how sessions share a machine, the longest of them first."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PrioritySemaphore:
    """A number of slots; a task that takes some waits until they are free.

    It differs from ``asyncio.Semaphore`` in two ways: a task says how many slots it takes, and
    with which priority.

    Args:
        capacity: how many slots there are.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = self._free = capacity
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def take(self, weight: int = 1, priority: float = 0.0) -> AsyncIterator[None]:
        """Hold ``weight`` slots, or all of them where there are fewer.

        Waiting tasks get their slots in the order of their priority, the highest first, and
        where priorities are equal in the order in which they asked. A task that asks for fewer
        slots does not overtake the first one.
        """
        weight = min(weight, self._capacity)
        await self._acquire(weight, priority)
        try:
            yield
        finally:
            self._release(weight)

    async def _acquire(self, weight: int, priority: float) -> None:
        if not self._waiting and weight <= self._free:
            self._free -= weight
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._numbers), weight, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(weight)
            else:
                self._serve()
            raise

    def _release(self, weight: int) -> None:
        self._free += weight
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            _, _, weight, turn = self._waiting[0]
            if not turn.cancelled():
                if weight > self._free:
                    return
                self._free -= weight
                turn.set_result(None)
            heapq.heappop(self._waiting)
