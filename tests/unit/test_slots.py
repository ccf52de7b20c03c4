"""PrioritySemaphore: who waits, who is served first, and what is given back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from seglab.engine.slots import PrioritySemaphore


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Stage:
    """Tasks that hold slots until they are reported to let go."""

    def __init__(self, capacity: int) -> None:
        self.slots = PrioritySemaphore(capacity)
        self.holding: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, weight: int = 1, priority: float = 0) -> None:
        """Let a task ask for slots."""
        self._gates[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, weight, priority))
        await settle()

    async def go(self, name: str) -> None:
        """Let somebody give back what they hold."""
        self._gates[name].set()
        await settle()

    async def _hold(self, name: str, weight: int, priority: float) -> None:
        async with self.slots.take(weight, priority):
            self.holding.append(name)
            await self._gates[name].wait()
        self.holding.remove(name)


async def _order(stage: Stage) -> None:
    await stage.come("a")
    await stage.come("b")
    await stage.come("slow", priority=1)
    await stage.come("slower", priority=9)
    assert stage.holding == ["a"]
    for leaving, taking in (("a", "slower"), ("slower", "slow"), ("slow", "b")):
        await stage.go(leaving)
        assert stage.holding == [taking]
    await stage.go("b")


async def _weights(stage: Stage) -> None:
    await stage.come("a", 2)
    await stage.come("b", 3)
    await stage.come("c", 1)
    assert stage.holding == ["a", "b"]
    await stage.come("large", 4, priority=1)
    await stage.go("a")
    assert stage.holding == ["b"]  # nobody overtakes who needs more
    await stage.go("b")
    assert stage.holding == ["large", "c"]
    await stage.go("large")
    await stage.go("c")


async def _too_large(stage: Stage) -> None:
    await stage.come("a", 1)
    await stage.come("whole", 1000)
    assert stage.holding == ["a"]
    await stage.go("a")
    assert stage.holding == ["whole"]
    await stage.go("whole")


async def _cancelled(stage: Stage) -> None:
    await stage.come("a", 5)
    await stage.come("b", 5, priority=2)
    await stage.come("c", 5)
    stage.tasks["b"].cancel()
    await settle()
    await stage.go("a")
    assert stage.holding == ["c"]
    stage.tasks["c"].cancel()
    await settle()
    await stage.come("d", 5)
    assert "d" in stage.holding
    await stage.go("d")


async def _cancelled_when_served(stage: Stage) -> None:
    await stage.come("a", 5)
    await stage.come("b", 5)
    stage._gates["a"].set()
    await asyncio.sleep(0)  # a gives back, and b's turn has come but b has not run yet
    stage.tasks["b"].cancel()
    await settle()
    await stage.come("c", 5)
    assert "c" in stage.holding
    await stage.go("c")


async def _blocked_by_a_leaver(stage: Stage) -> None:
    await stage.come("a", 3)
    await stage.come("large", 5, priority=1)
    await stage.come("small", 2)
    assert stage.holding == ["a"]
    stage.tasks["large"].cancel()
    await settle()
    assert stage.holding == ["a", "small"]
    await stage.go("a")
    await stage.go("small")


@pytest.mark.parametrize(
    ("capacity", "play"),
    [
        (1, _order),
        (5, _weights),
        (5, _too_large),
        (5, _cancelled),
        (5, _cancelled_when_served),
        (5, _blocked_by_a_leaver),
    ],
)
def test_slots(capacity: int, play: Callable[[Stage], Awaitable[None]]) -> None:
    """The highest priority first, equals in the order in which they came; nothing is ever lost."""

    async def run() -> None:
        stage = Stage(capacity)
        await play(stage)
        await settle()
        assert stage.slots._free == capacity

    asyncio.run(run())
