"""A lab with a trace instance of the kernel, which is there before the lab and after it."""

import asyncio
from contextlib import suppress
from typing import Self

from seglab.errors import EnvironmentLacksError
from seglab.kernel.lab import KernelLab
from seglab.kernel.program.tracing import TraceInstance


class TracedLab(KernelLab):
    """A lab that the kernel's tracing records.

    Raises:
        EnvironmentLacksError: on entry: this machine does not let the lab record programs.
    """

    _instance: TraceInstance | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._begin_recording()
            return await super().__aenter__()
        except BaseException:
            await self._end_instance()
            raise

    async def __aexit__(self, *_exc: object) -> None:
        """End the lab, and then what recorded it."""
        try:
            await super().__aexit__()
        finally:
            await self._end_instance()

    async def _begin_recording(self) -> None:
        """Make the trace instance; a lab that can do without one decides here.

        Where the run is cancelled meanwhile, the instance is waited for, so that it is removed.
        """
        making = asyncio.create_task(asyncio.to_thread(TraceInstance.made, self._log))
        try:
            self._instance = await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(EnvironmentLacksError):
                self._instance = await making
            raise

    async def _end_instance(self) -> None:
        """Let the trace instance be removed, and wait for that."""
        if self._instance is not None:
            instance, self._instance = self._instance, None
            removing = asyncio.create_task(asyncio.to_thread(instance.remove))
            try:
                await asyncio.shield(removing)
            except asyncio.CancelledError:
                await removing
                raise
