"""Replies that the parent of a lab waits for, each by what it is and its number."""

import asyncio

from seglab.errors import PartDiedError
from seglab.kernel.channel import ChannelMessage


class PendingReplies:
    """The replies that are still to come from the processes of one lab.

    A reply is known by its kind and a number: of a session, of a script, or of a process. After
    ``fail``, nobody waits any more and nobody can begin to.

    Attributes:
        failure: why no reply will come any more; ``None`` while the lab works.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._futures: dict[tuple[str, int], asyncio.Future[ChannelMessage]] = {}

    def expect(self, kind: str, number: int) -> asyncio.Future[ChannelMessage]:
        """Return the future of a reply that is to come.

        Raises:
            PartDiedError: no reply will come any more.
        """
        if self.failure is not None:
            raise PartDiedError(self.failure)
        future: asyncio.Future[ChannelMessage] = asyncio.get_running_loop().create_future()
        self._futures[kind, number] = future
        return future

    def forget(self, kind: str, number: int) -> None:
        """Ignore a reply if it still comes."""
        self._futures.pop((kind, number), None)

    def resolve(self, kind: str, number: int, message: ChannelMessage) -> None:
        """Hand a reply to the task that waits for it; a reply that nobody expects is dropped."""
        future = self._futures.pop((kind, number), None)
        if future is not None and not future.done():
            future.set_result(message)

    def fail(self, reason: str) -> None:
        """Raise PartDiedError in every task that waits; the first reason is the one that stays."""
        self.failure = self.failure or reason
        for future in self._futures.values():
            if not future.done():
                future.set_exception(PartDiedError(self.failure))
                future.exception()  # marks it as seen: the task that waited may be gone
        self._futures.clear()
