"""Who may work now: shares of a machine, given first to whoever will take longest."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """A number of slots; who takes some waits until they are free.

    Like ``asyncio.Semaphore``, but whoever takes slots says how many, and how urgent it is.

    Args:
        capacity: how many there are.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = self._free = capacity
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def take(self, weight: int = 1, urgency: float = 0.0) -> AsyncIterator[None]:
        """Hold ``weight`` slots, or all where there are fewer.

        Those who wait are served by their urgency, the highest first, and those of the same
        urgency in the order in which they came. Nobody overtakes the first by asking for less.
        """
        weight = min(weight, self._capacity)
        await self._acquire(weight, urgency)
        try:
            yield
        finally:
            self._release(weight)

    async def _acquire(self, weight: int, urgency: float) -> None:
        if not self._waiting and weight <= self._free:
            self._free -= weight
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-urgency, next(self._numbers), weight, turn))
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
