"""The parent's side of one lab: starts it, carries sessions through it, and takes it down.

Theory of operation
-------------------
A lab is one network with its hosts. It has four processes of its own: ``init``, which is process 1
of the lab's namespaces, and three parts that ``init`` forks: the ``wire``, the ``server`` and the
``client``. (Mininet adds a shell for each node.) The parent has a channel to each of the four
(``seglab.kernel.channel``). They have no channels to each other.

    to        messages                         from      messages
    init      the scripts of all hosts, then   init      ready | failed | unfit, then executed,
              execute, route, kill                       and died for each part that ends
    wire      config, then open, close         wire      ready | failed, then begun, flow
    server    config, then ping                server    ready | failed, then connection, pong
    client    host_netns, then job, ping       client    ready | refused, then result, pong

A lab has three states. It *starts* from ``__aenter__`` until ``init`` and all parts have said
``ready`` and what was read back from the hosts is what was asked for. Then it *works*. It is *dead*
from the first call of ``_fail`` on, whoever calls it: a process said that it failed, a channel
ended, a reply did not come in time, or ``__aexit__`` took the lab down. A dead lab stays dead.

Sessions run in a lab side by side. Each has a number (its flow), addresses of its own
(``seglab.frames.addresses``) and, in the wire, links of its own:

    1. ``open`` goes to the wire. Nobody waits for it to be done: the wire reads its channel before
       it lets the first frame of an unknown connection pass.
    2. ``job`` goes to the client, which answers with ``result`` when the session has ended. Where
       the path's MTU changes meanwhile, the wire says when the session has ``begun``, with its
       first SYN, and the parent sends ``init`` a new ``route`` for it at each due time.
    3. The server reports the ``connection`` by itself; its own address says which session it was.
    4. ``close`` goes to the wire, which answers with ``flow``, the session's frames, once nothing
       is on its way any more.

The invariant is that nobody waits for ever. Every reply is awaited by its kind and number
(``seglab.kernel.replies``), and ``_fail`` raises PartDiedError in every task that waits. The wire,
``init`` has a limited time to answer. The client enforces the time limits of its sessions itself,
and the server reports when a connection has ended; so both are asked for a sign of life now and
then, and only their silence counts.

This process must not block on a channel while a lab works, since a part may itself be waiting for
this process to read: ``_send`` keeps what a channel does not take, and sends it when it can.

Replies that nobody waits for any more, and messages of unknown kinds, are ignored.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, Self

from seglab.errors import EnvironmentLacksError, PartDiedError
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader
from seglab.frames.addresses import BY_VERSION, PORTS
from seglab.kernel import host_setup, lab_config, lab_process, sandbox
from seglab.kernel.channel import ChannelMessage, Outbox
from seglab.kernel.parts import PARTS
from seglab.kernel.replies import PendingReplies
from seglab.kernel.reports import SessionReports
from seglab.networks.network import Network

START_LIMIT_S = 60.0
GRACE_S = 5.0
"""How many seconds a part may take to answer once it has nothing left to wait for."""

SILENT_S = 20.0
"""How many seconds the client or the server may be silent, however long sessions take."""

PROCESSES = ("init", *PARTS)
"""The processes of a lab that have a channel to the parent."""


class KernelLab:
    """A running lab, as an asynchronous context manager.

    Args:
        network: the network that its sessions run over.
        reader: how its server reads.
        log: a file for what its processes print; ``None`` discards it.
        offers: the service extensions that its SMTP server offers.

    Attributes:
        states: by host, what was in force when the lab started, as read back.
        flows: how many sessions have begun.
        strays: how many frames of no open session the wire had passed when a session last ended.
        strays_lost: how many of these frames no interface took.

    Raises:
        EnvironmentLacksError: on entry: the machine cannot build the lab, or cannot set as asked
            something that decides how TCP cuts segments.
        PartDiedError: one of its processes ended, and the lab is of no more use.
    """

    client_kind = "sender"
    """Which client the lab has, by its name in ``seglab.kernel.parts.CLIENTS``."""

    server_kind = "logging"
    """Which server it has, by its name in ``seglab.kernel.parts.SERVERS``."""

    def __init__(
        self,
        network: Network,
        reader: Reader,
        log: IO[bytes] | int | None = None,
        *,
        offers: Offers = USUAL_OFFERS,
    ) -> None:
        self.network = network
        self.reader = reader
        self.offers = offers
        self.states: dict[str, host_setup.HostState] = {}
        self.flows = 0
        self.strays = 0
        self.strays_lost = 0
        self._scripts_sent = 0
        self._addresses = BY_VERSION[network.ip_version]
        self._plans = host_setup.host_plans(network)
        self._path_facts = lab_config.path_facts(network)
        self._close_limit_s = GRACE_S + 2 * network.round_trip_s
        self._unfit: str | None = None
        self._log = subprocess.DEVNULL if log is None else log
        self._channels: dict[str, Outbox] = {}
        self._replies = PendingReplies()
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._started = False
        self._last_words: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def dead(self) -> str | None:
        """Why the lab is of no more use; ``None`` while it works."""
        return self._replies.failure

    async def __aenter__(self) -> Self:
        sandbox.check_network(self.network)
        try:
            self._spawn()
            await self._start()
            self._started = True
            for number, part in enumerate(("client", "server")):
                self._in_background(self._watch(part, number))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End the lab: its first process ends, and the kernel ends all others with it."""
        self._fail("the lab was taken down")
        for task in self._tasks:
            task.cancel()
        loop = asyncio.get_running_loop()
        for channel in self._channels.values():
            loop.remove_reader(channel.fileno())
            loop.remove_writer(channel.fileno())
            channel.close()
        self._channels.clear()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._process is not None:
            await asyncio.to_thread(lab_process.wait_for_end, self._process, GRACE_S)
            self._process = None

    # Sessions and scripts ------------------------------------------------------------------

    async def session(self, job: Mapping[str, Any], wire: Mapping[str, Any]) -> SessionReports:
        """Carry one session through the lab.

        Args:
            job: for the client: ``protocol``, ``nodelay``, ``time_limit_s`` and what makes the
                sender's steps.
            wire: for the wire: the session's ``seed``, and ``drop_data`` where frames are to be
                lost.

        Raises:
            PartDiedError: the lab died before the session had ended.
            EnvironmentLacksError: the router does not take an MTU that the network's schedule
                asks for.
        """
        self.flows += 1
        flow = self.flows
        pair = {"client": self._addresses.client(flow), "server": self._addresses.server(flow)}
        connection_reply = self._replies.expect("connection", flow)
        self._send("wire", self._wire_order(flow, pair, wire))
        port = PORTS[job["protocol"]]
        order = {**job, **pair, **self._path_facts, "flow": flow, "port": port}
        async with self._changing_mtu(flow) as changes:
            client = await self._ask("client", {"job": order}, "result", flow, None)
            connection = await self._connection(connection_reply, flow, client)
        ended = await self._ask("wire", {"close": flow}, "flow", flow, self._close_limit_s)
        self.strays = max(self.strays, ended["strays"])
        self.strays_lost = max(self.strays_lost, ended["strays_lost"])
        return SessionReports(
            flow,
            client,
            connection,
            ended,
            tuple(changes),
            host_setup.path_mtu(self.states),
            host_setup.initcwnd(self.states["client"]),
        )

    def _wire_order(
        self, flow: int, pair: Mapping[str, str], wire: Mapping[str, Any]
    ) -> ChannelMessage:
        """Return the order by which the wire opens a session."""
        announce = bool(self.network.router.schedule)
        order = {"flow": flow, "acknowledge": False, "announce": announce, **pair, **wire}
        return {"open": order}

    def kill(self, part: str) -> None:
        """End a part with SIGKILL, as a crash would; tests use it."""
        self._channels["init"].send({"kill": part})

    async def execute(self, node: str, script: str) -> str:
        """Run a shell script on a node (``client``, ``router``, ``server``, ``wire``).

        Returns:
            What the script printed.

        Raises:
            EnvironmentLacksError: the script failed.
        """
        done = await self._run_on_init("execute", {"node": node, "script": script})
        if done["status"]:
            raise EnvironmentLacksError(f"{node}: {done['errors'].strip() or done['output']}")
        return str(done["output"])

    async def _run_on_init(self, kind: str, order: ChannelMessage) -> ChannelMessage:
        """Let ``init`` run a script or change a route; return what it answers."""
        self._scripts_sent += 1
        number = self._scripts_sent
        message = {kind: {"id": number, **order}}
        return await self._ask("init", message, "executed", number, START_LIMIT_S)

    @asynccontextmanager
    async def _changing_mtu(self, flow: int) -> AsyncIterator[list[tuple[int, int]]]:
        """Change the path's MTU as the network's schedule says, while a session runs.

        The schedule counts from the session's first SYN, as the simulator's does. A program may
        need half a second before it connects, and an emulated sender nothing.

        Yields:
            The changes made so far: when on the lab's clock, and to which MTU.
        """
        made: list[tuple[int, int]] = []
        if not self.network.router.schedule:
            yield made
            return
        begun = self._replies.expect("begun", flow)
        task = asyncio.create_task(self._follow_schedule(flow, begun, made))
        try:
            yield made
        finally:
            task.cancel()
            self._replies.forget("begun", flow)
            # Unlike ``await task``, this raises CancelledError only where this task is cancelled.
            await asyncio.wait({task})
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, PartDiedError):
                raise error

    async def _follow_schedule(
        self, flow: int, begun: asyncio.Future[ChannelMessage], made: list[tuple[int, int]]
    ) -> None:
        """Make each change of the MTU when it is due, and note it in ``made``."""
        began_ns = (await begun)["t_ns"]
        for change in self.network.router.changes():
            due_ns = began_ns + round(change.at_ms * 1e6)
            await asyncio.sleep((due_ns - time.monotonic_ns()) / 1e9)
            lines = host_setup.session_route(self._addresses, flow, change.mtu)
            order = {"version": self._addresses.version, "lines": lines}
            done = await self._run_on_init("route", order)
            if not done["output"]:  # the machine is too busy, which is no fault of the network
                self._fail("the lab did not answer within 20 s: its router changed no route")
                return
            if f"mtu {change.mtu}" not in done["output"]:
                raise EnvironmentLacksError(
                    f"router: a route takes no MTU of {change.mtu}: "
                    f"{done['output'] or done['errors']}"
                )
            made.append((done["t_ns"], change.mtu))

    async def _connection(
        self, reply: asyncio.Future[ChannelMessage], flow: int, client: ChannelMessage
    ) -> ChannelMessage | None:
        """Return the server's record; ``None`` where it does not come, as if the client failed."""
        grace_s = GRACE_S if client["error"] is None else 2 * self.network.round_trip_s + 0.5
        try:
            async with asyncio.timeout(grace_s):
                return await reply
        except TimeoutError:
            self._replies.forget("connection", flow)
            return None

    # Starting ------------------------------------------------------------------------------

    def _spawn(self) -> None:
        """Start the lab's first process, with a channel for it and for each part."""
        inherited = {}
        for name in PROCESSES:
            self._channels[name], inherited[name] = Outbox.pair()
        read_end, self._lifeline = os.pipe()
        self._process = lab_process.start(
            inherited, read_end, self._log, self.client_kind, self.server_kind
        )

    async def _start(self) -> None:
        """Tell every process what it needs, wait until all are ready, and check the hosts."""
        loop = asyncio.get_running_loop()
        for name, channel in self._channels.items():
            loop.add_reader(channel.fileno(), self._on_readable, name)
        self._channels["client"].send(self._client_config())
        self._channels["server"].send(self._server_config())
        self._channels["wire"].send(lab_config.wire_config(self.network))
        replies = [self._replies.expect("ready", number) for number in range(len(PROCESSES))]
        self._channels["init"].send(lab_config.scripts(self._plans))
        try:
            async with asyncio.timeout(START_LIMIT_S):
                ready, *_ = await asyncio.gather(*replies)
        except TimeoutError:
            raise EnvironmentLacksError(
                f"the lab did not start within {START_LIMIT_S:g} s; the run's log.txt has what it "
                "said, if it said anything"
            ) from None
        except PartDiedError as error:
            if self._unfit is None:
                raise
            raise self._kernel_refuses(str(error)) from None
        for name, output in ready["states"].items():
            self.states[name] = host_setup.parse_state(output)
        found = [
            line
            for name, plan in self._plans.items()
            for line in host_setup.deviations(name, plan, self.states[name])
        ]
        if found:
            raise self._kernel_refuses("; ".join(found))

    def _kernel_refuses(self, why: str) -> EnvironmentLacksError:
        return EnvironmentLacksError(
            f"network {self.network.name}: this kernel does not do as asked: {why}"
        )

    # Talking to the processes --------------------------------------------------------------

    async def _ask(
        self, part: str, message: ChannelMessage, kind: str, number: int, limit_s: float | None
    ) -> ChannelMessage:
        """Send a message and return the reply; the lab is dead if none comes in ``limit_s``."""
        reply = self._replies.expect(kind, number)
        self._send(part, message)
        try:
            async with asyncio.timeout(limit_s):
                return await reply
        except TimeoutError as error:
            self._fail(f"the {part} did not answer within {limit_s:g} s")
            raise PartDiedError(self.dead or str(error)) from error

    def _send(self, part: str, message: ChannelMessage) -> None:
        """Send to a part without waiting for it, since it may wait for this process to read."""
        channel = self._channels[part]
        channel.post(message)
        if channel.kept:
            asyncio.get_running_loop().add_writer(channel.fileno(), self._on_writable, channel)

    def _on_writable(self, channel: Outbox) -> None:
        channel.push()
        if not channel.kept:
            asyncio.get_running_loop().remove_writer(channel.fileno())

    async def _watch(self, part: str, number: int) -> None:
        """Notice when a part hangs, whatever the time limits of sessions are.

        Its answers have a ``number`` that those of no other part have.
        """
        with suppress(PartDiedError):
            while True:
                await asyncio.sleep(GRACE_S)
                await self._ask(part, {"ping": number}, "pong", number, SILENT_S)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_readable(self, name: str) -> None:
        channel = self._channels[name]
        for message in channel.drain():
            self._on_message(name, message)
        if channel.ended:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self._in_background(self._diagnose_exit(name))

    async def _diagnose_exit(self, name: str) -> None:
        """Find out how a process ended whose channel has ended, and mark the lab as dead.

        The parent waits for ``init`` itself. ``init`` waits for the parts, and reports each that
        ends; so for them this only waits a while for that report to come first.
        """
        if name == "init" and self._process is not None:
            with suppress(ChildProcessError):  # ``__aexit__`` has waited for it already
                status = await asyncio.to_thread(lab_process.exit_status, self._process.pid)
                self._fail(f"the lab {lab_process.how_it_ended(status)}")
        else:
            await asyncio.sleep(GRACE_S)
        self._fail(f"the {_called(name)} ended")

    def _on_message(self, name: str, message: ChannelMessage) -> None:
        """Act on a message from one of the lab's processes."""
        match message:
            case {"ready": content}:
                number = PROCESSES.index(name)
                reply = content if isinstance(content, dict) else message
                self._replies.resolve("ready", number, reply)
            case {"failed": reason} if self._started:
                self._last_words[name] = reason  # ``died`` follows, and says how it ended
            case {"failed": reason} | {"refused": reason}:
                self._fail(f"the {_called(name)} could not start: {reason}")
            case {"unfit": {"host": host, "errors": errors}}:
                self._unfit = f"{host}: {host_setup.explain(self._plans[host], errors)}"
                if "congestion" in self._unfit:
                    self._unfit += f"; this kernel has {sandbox.congestion_controls()}"
                self._fail(self._unfit)
            case {"died": part, "status": status}:
                words = self._last_words.get(part)
                how = f"failed: {words}" if words else lab_process.how_it_ended(status)
                self._fail(f"the {part} {how}")
            case {"begun": number} | {"executed": number} | {"pong": number}:
                self._replies.resolve(next(iter(message)), number, message)
            case {"result": result}:
                self._replies.resolve("result", result["flow"], result)
            case {"connection": connection}:
                self._on_connection(connection)
            case {"flow": flow}:
                self._replies.resolve("flow", flow, message)

    def _client_config(self) -> ChannelMessage:
        """Return the client's first message."""
        return lab_config.client_config(self.network, sandbox.network_namespace())

    def _server_config(self) -> ChannelMessage:
        """Return the server's first message."""
        return lab_config.server_config(self.reader, self.offers, self._addresses.version)

    def _on_connection(self, connection: ChannelMessage) -> None:
        """Hand over the server's record of a connection that has ended."""
        flow = self._addresses.flow_of_server(connection["local"][0])
        self._replies.resolve("connection", flow, connection)

    def _fail(self, reason: str) -> None:
        """Mark the lab as dead; every task that waits for it learns the first reason."""
        self._replies.fail(reason)


def _called(name: str) -> str:
    """Return what messages call a process: ``init`` is the lab itself."""
    return "lab" if name == "init" else name
