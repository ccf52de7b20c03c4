"""The parent's side of a lab whose server is a program."""

import os
from typing import IO

import msgspec

from seglab.experiment.reader import Reader
from seglab.experiment.serving import ServerProgram
from seglab.frames.addresses import SMTP_PORT
from seglab.kernel import sandbox
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.program import order, view
from seglab.kernel.program.traced_lab import TracedLab
from seglab.networks.network import Network


class ServedLab(TracedLab):
    """A lab whose server is a program, whose reads the kernel's tracing records.

    Args:
        network: the network that its sessions run over.
        program: the server.
        log: a file for what its processes print; ``None`` discards it.

    Raises:
        EnvironmentLacksError: on entry: this machine does not let the lab record programs, or the
            program does not serve.
    """

    server_kind = "program"

    start_limit_s = 30.0
    """How long the program may take until it accepts connections."""

    def __init__(
        self, network: Network, program: ServerProgram, log: IO[bytes] | int | None = None
    ) -> None:
        super().__init__(network, Reader(), log)
        self._program = program

    def _server_config(self) -> ChannelMessage:
        assert self._instance is not None
        program = self._program
        job = {
            "name": program.name,
            "argv": list(program.command),
            "environment": order.environment(os.environ),
            "folder": "/",
            "layers": list(program.layers),
            "equipment": msgspec.to_builtins(program.equipment),
            "values": {"message": "/dev/null", "from": "", "to": ""},
        }
        return {
            "host_netns": sandbox.network_namespace(),
            "instance": self._instance.name,
            "hidden": view.services(),
            "port": SMTP_PORT,
            "start_limit_s": self.start_limit_s,
            "client": self._addresses.client(1),
            "server": self._addresses.server(1),
            "job": order.complete(job, self._addresses.server(1), SMTP_PORT),
        }
