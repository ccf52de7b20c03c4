"""The parent's side of a lab that runs programs."""

import asyncio
from collections.abc import Mapping
from typing import IO, Any, Literal

from seglab.errors import EnvironmentLacksError
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader
from seglab.frames.addresses import PORTS
from seglab.kernel import host_setup, sandbox
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.lab import GRACE_S
from seglab.kernel.program import notification, reports, view
from seglab.kernel.program.order import complete
from seglab.kernel.program.traced_lab import TracedLab
from seglab.kernel.reports import SessionReports
from seglab.networks.network import Network

RecorderName = Literal["trace events", "notification"]
"""What records the calls of programs: the kernel's tracing, or a filter that notifies of them."""


class ProgramLab(TracedLab):
    """A lab whose client runs programs, one after the other, and records what they write.

    Args:
        network: the network that its sessions run over.
        reader: how its server reads.
        log: a file for what its processes print; ``None`` discards it.
        offers: the service extensions that its SMTP server offers.
        recorded: whether what programs write is recorded; a test compares with and without.
        recorder: which recorder; ``None`` takes the best that this machine allows.

    Raises:
        EnvironmentLacksError: on entry: this machine does not let the lab record programs.
    """

    client_kind = "program"

    def __init__(
        self,
        network: Network,
        reader: Reader,
        log: IO[bytes] | int | None = None,
        *,
        offers: Offers = USUAL_OFFERS,
        recorded: bool = True,
        recorder: RecorderName | None = None,
    ) -> None:
        super().__init__(network, reader, log, offers=offers)
        self.recorder: RecorderName | None = recorder
        self._recorded = recorded
        self._logged: dict[int, list[ChannelMessage]] = {}
        self._came: dict[int, asyncio.Event] = {}

    async def _begin_recording(self) -> None:
        if not self._recorded or self.recorder == "notification":
            return
        try:
            await super()._begin_recording()
            self.recorder = "trace events"
        except EnvironmentLacksError as error:
            if self.recorder is not None:
                raise
            if reason := notification.problem():
                raise EnvironmentLacksError(f"{error}; nor by notification: {reason}") from None
            self.recorder = "notification"

    async def session(self, job: Mapping[str, Any], wire: Mapping[str, Any]) -> SessionReports:
        """Carry one program's session through the lab.

        Args:
            job: for the client: ``argv`` with placeholders, ``environment``, ``folder``,
                ``content`` and ``time_limit_s``.
            wire: for the wire, as of every session.

        Raises:
            PartDiedError: the lab died before the session had ended.
            EnvironmentLacksError: a host does not take a route.
        """
        self.flows += 1
        flow = self.flows
        pair = {"client": self._addresses.client(flow), "server": self._addresses.server(flow)}
        self._logged[flow] = []
        self._came[flow] = asyncio.Event()
        port = PORTS[job["protocol"]]
        route = host_setup.program_route(self._addresses, self.network.client, flow)
        await self.execute("client", route)
        self._send("wire", self._wire_order(flow, pair, wire))
        order = {**complete(job, pair["server"], port), **pair, "flow": flow, "port": port}
        async with self._changing_mtu(flow) as changes:
            result = await self._ask("client", {"job": order}, "result", flow, None)
        await self._all_logged(flow, result)
        ended = await self._ask("wire", {"close": flow}, "flow", flow, self._close_limit_s)
        self.strays = max(self.strays, ended["strays"])
        self.strays_lost = max(self.strays_lost, ended["strays_lost"])
        logged = sorted(self._logged.pop(flow), key=lambda one: one["t_accept_ns"])
        del self._came[flow]
        chosen = reports.connection_of_message(logged)
        frames = ended["frames"]
        if chosen is not None:
            frames = reports.frames_of(frames, chosen["peer"][1])
        return SessionReports(
            flow,
            reports.client_report(result, logged, chosen, frames),
            chosen,
            {**ended, "frames": frames},
            tuple(changes),
            host_setup.path_mtu(self.states),
            host_setup.initcwnd(self.states["client"]),
        )

    def _client_config(self) -> ChannelMessage:
        return {
            "host_netns": sandbox.network_namespace(),
            "instance": None if self._instance is None else self._instance.name,
            "watched": self.recorder == "notification",
            "hidden": view.services(),
        }

    def _on_connection(self, connection: ChannelMessage) -> None:
        flow = self._addresses.flow_of_server(connection["local"][0])
        if flow in self._logged:
            self._logged[flow].append(connection)
            self._came[flow].set()
            if connection["payloads"]:
                self._send("client", {"arrived": flow})

    async def _all_logged(self, flow: int, result: ChannelMessage) -> None:
        """Wait until the server has reported as many connections as the program began.

        A connection that was not made, since the path lost its SYN for example, has no report.
        """
        begun = len(result["connections"]) if result["recorded"] else 1
        failed = result["error"] is not None or result["exit_code"] != 0
        limit_s = 2 * self.network.round_trip_s + 0.5 if failed else GRACE_S
        try:
            async with asyncio.timeout(limit_s):
                while len(self._logged[flow]) < begun:
                    self._came[flow].clear()
                    await self._came[flow].wait()
        except TimeoutError:
            return
