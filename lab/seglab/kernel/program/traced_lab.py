"""A lab with a trace instance of the kernel, which is there before the lab and after it."""

import asyncio
from typing import Self

from seglab.kernel.lab import KernelLab
from seglab.kernel.program.tracing import TraceInstance


class TracedLab(KernelLab):
    """A lab that the kernel's tracing records.

    Raises:
        EnvironmentLacksError: on entry: this machine does not let the lab record programs.
    """

    _instance: TraceInstance | None = None

    async def __aenter__(self) -> Self:
        await self._begin_recording()
        try:
            return await super().__aenter__()
        except BaseException:
            await self._end_instance()
            raise

    async def __aexit__(self, *_exc: object) -> None:
        """End the lab, and then what recorded it."""
        await super().__aexit__()
        await self._end_instance()

    async def _begin_recording(self) -> None:
        """Make the trace instance; a lab that can do without one decides here."""
        self._instance = await asyncio.to_thread(TraceInstance.made, self._log)

    async def _end_instance(self) -> None:
        """Let the trace instance be removed, and wait for that."""
        if self._instance is not None:
            instance, self._instance = self._instance, None
            await asyncio.to_thread(instance.remove)
