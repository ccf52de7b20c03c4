"""Ctrl-C and SIGTERM while sessions run: they end the run early, and never tear a file.

Python turns Ctrl-C into a ``KeyboardInterrupt`` wherever the program happens to be, which may be in
the middle of writing the manifest. Inside ``with Interruption() as interruption`` a signal instead
cancels the asyncio task that ``run`` is carrying out, if there is one, and is remembered. What
follows (the end of the labs, the sessions' file, the manifest) takes its course, and the
``KeyboardInterrupt`` is raised by the next ``check``, or at the end of the block. Further signals
change nothing.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

Work = Callable[[], Coroutine[Any, Any, None]]
"""A function that returns the coroutine to run."""


class Interruption:
    """Turns Ctrl-C and SIGTERM into the cancellation of the work under way.

    Signals reach the main thread only: in any other thread the block changes nothing.
    """

    def __init__(self) -> None:
        self._came = False
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells set it
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if a signal came."""
        if self._came:
            raise KeyboardInterrupt

    def run(self, work: Work) -> None:
        """Run a coroutine to its end in an event loop of its own.

        This also works inside a running event loop, such as that of a notebook: the coroutine then
        runs in another thread while this one waits.

        Raises:
            asyncio.CancelledError: a signal came, and the coroutine was cancelled.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self.carry(work))
            return
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self.carry(work)).result()

    async def carry(self, work: Work) -> None:
        """Await a coroutine, and cancel it when a signal comes, or if one came before."""
        loop, task = asyncio.get_running_loop(), asyncio.create_task(_without_groups(work))
        self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
        if self._came:
            task.cancel()
        try:
            await task
        finally:
            self._cancel = None

    def _on_signal(self, _number: int, _frame: object) -> None:
        if not self._came and self._cancel is not None:
            self._cancel()
        self._came = True


async def _without_groups(work: Work) -> None:
    """Run the work; of an exception group, raise the one error that caused the others."""
    try:
        await work()
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return group
