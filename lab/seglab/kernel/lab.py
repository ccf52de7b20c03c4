"""The parent's side of one lab: starts it, carries sessions through it, and takes it down.

A lab is one network with its hosts. Any number of sessions run in it side by side; each has
addresses of its own (``seglab.kernel.addresses``) and, in the wire, a link of its own.
"""

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, Self

import msgspec

from seglab.errors import EnvironmentLacksError, PartDiedError
from seglab.experiment.reader import Reader
from seglab.kernel import host_setup, sandbox
from seglab.kernel.addresses import BY_VERSION, RAW_PORT, SMTP_PORT
from seglab.kernel.channel import Message, Outbox
from seglab.kernel.join import RawSession
from seglab.kernel.parts import PARTS
from seglab.networks.network import Network

START_LIMIT_S = 60.0
GRACE_S = 5.0
"""How long a part may take to answer once it has nothing left to wait for."""

CLIENT_SILENT_S = 20.0
"""How long the client, which sets the time limit of its sessions itself, may say nothing."""

PORTS = {"raw": RAW_PORT, "smtp": SMTP_PORT}


class KernelLab:
    """A running lab, as an asynchronous context manager.

    Raises:
        EnvironmentLacksError: on entry: the machine cannot build it, or something that decides
            segmentation cannot be set as asked.
        PartDiedError: one of its processes ended; the lab is of no more use.
    """

    def __init__(
        self, network: Network, reader: Reader, log: IO[bytes] | int | None = None
    ) -> None:
        self.network = network
        self.reader = reader
        self.states: dict[str, host_setup.HostState] = {}
        self.flows = 0
        self._executions = 0
        self._at = BY_VERSION[network.ip_version]
        self._plans = host_setup.host_plans(network)
        self._pace = {
            "round_trip_s": network.round_trip_s,
            "bw_mbit": _slowest_mbit(network),
            "send_window_bytes": network.client.send_window_bytes,
        }
        self._close_limit_s = GRACE_S + 2 * network.round_trip_s
        self._refused: str | None = None
        self.dead: str | None = None
        self._log = subprocess.DEVNULL if log is None else log
        self._channels: dict[str, Outbox] = {}
        self._answers: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._started = False
        self._last_words: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        sandbox.check_network(self.network)
        try:
            self._spawn()
            await self._handshake()
            self._started = True
            self._background(self._watch_client())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End the lab: its first process goes, and the kernel ends the rest with it."""
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
            await asyncio.to_thread(_reap, self._process)
            self._process = None

    async def session(self, job: Mapping[str, Any], wire: Mapping[str, Any]) -> RawSession:
        """Carry one session through the lab.

        Args:
            job: for the client: ``protocol``, ``nodelay``, ``time_limit_s`` and what
                makes its steps.
            wire: for the wire: the session's ``seed``, and ``drop_data`` where frames are
                to be lost.
        """
        self.flows += 1
        flow = self.flows
        pair = {"client": self._at.client(flow), "server": self._at.server(flow)}
        connection_answer = self._answer("connection", flow)
        # not waited for: the wire hears it before it lets the client's first frame pass
        self._send("wire", {"open": {"flow": flow, "acknowledge": False, **pair, **wire}})
        order = {**job, **pair, **self._pace, "flow": flow, "port": PORTS[job["protocol"]]}
        if self.network.router.schedule:
            order["announced"] = True
        async with self._schedule(flow) as changes:
            client = await self._ask("client", {"job": order}, "result", flow, None)
            connection = await self._connection(connection_answer, flow, client)
        ended = await self._ask("wire", {"close": flow}, "flow", flow, self._close_limit_s)
        return RawSession(flow, client, connection, ended, tuple(changes))

    def kill(self, part: str) -> None:
        """End a part with SIGKILL, as a crash would; for tests of what follows."""
        self._channels["init"].send({"kill": part})

    async def execute(self, node: str, script: str) -> str:
        """Run a shell script on a node (``client``, ``router``, ``server``, ``wire``).

        Returns:
            What it printed.

        Raises:
            EnvironmentLacksError: it failed.
        """
        self._executions += 1
        number = self._executions
        order = {"id": number, "node": node, "script": script}
        done = await self._ask("init", {"execute": order}, "executed", number, START_LIMIT_S)
        if done["status"]:
            raise EnvironmentLacksError(f"{node}: {done['errors'].strip() or done['output']}")
        return str(done["output"])

    @asynccontextmanager
    async def _schedule(self, flow: int) -> AsyncIterator[list[tuple[int, int]]]:
        """Let the path's MTU change as the network's schedule says, while a session runs.

        It counts from when the client began: before that, it may have had other messages to make.

        Yields:
            The changes made so far: when on the lab's clock, and to what.
        """
        made: list[tuple[int, int]] = []
        if not self.network.router.schedule:
            yield made
            return
        begun = self._answer("begun", flow)
        task = asyncio.create_task(self._vary(flow, begun, made))
        try:
            yield made
        finally:
            task.cancel()
            self._answers.pop(("begun", flow), None)
            await asyncio.wait({task})  # which, unlike ``await task``, is cancelled by ours alone
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, PartDiedError):
                raise error

    async def _vary(
        self, flow: int, begun: asyncio.Future[Message], made: list[tuple[int, int]]
    ) -> None:
        began_ns = (await begun)["t0_ns"]
        for change in self.network.router.changes():
            due_ns = began_ns + round(change.at_ms * 1e6)
            await asyncio.sleep((due_ns - time.monotonic_ns()) / 1e9)
            self._executions += 1
            order = {
                "id": self._executions,
                "version": self._at.version,
                "lines": host_setup.session_route(self._at, flow, change.mtu),
            }
            done = await self._ask(
                "init", {"route": order}, "executed", self._executions, START_LIMIT_S
            )
            if f"mtu {change.mtu}" not in done["output"]:
                raise EnvironmentLacksError(
                    f"router: a route takes no MTU of {change.mtu}: "
                    f"{done['output'] or done['errors']}"
                )
            made.append((done["t_ns"], change.mtu))

    async def _connection(
        self, answer: asyncio.Future[Message], flow: int, client: Message
    ) -> Message | None:
        """The server's record; where the client failed, perhaps none."""
        grace_s = GRACE_S if client["error"] is None else 2 * self.network.round_trip_s + 0.5
        try:
            async with asyncio.timeout(grace_s):
                return await answer
        except TimeoutError:
            self._answers.pop(("connection", flow), None)
            return None

    def _spawn(self) -> None:
        inherited = {}
        for name in ("init", *PARTS):
            self._channels[name], inherited[name] = Outbox.pair()
        read_end, self._lifeline = os.pipe()
        program = [*sandbox.python_command("seglab.kernel.init"), "--lifeline", str(read_end)]
        for name, end in inherited.items():
            program += ["--fd" if name == "init" else f"--{name}", str(end.fileno())]
        self._process = subprocess.Popen(
            sandbox.unshare_command(program),
            env=sandbox.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[read_end, *(end.fileno() for end in inherited.values())],
            start_new_session=True,
        )
        os.close(read_end)
        for end in inherited.values():
            end.close()

    async def _handshake(self) -> None:
        plans = self._plans
        scripts = {
            "set_up": {name: host_setup.set_up_script(plan) for name, plan in plans.items()},
            "read_back": {name: host_setup.read_back_script(plan) for name, plan in plans.items()},
        }
        loop = asyncio.get_running_loop()
        for name, channel in self._channels.items():
            loop.add_reader(channel.fileno(), self._on_readable, name)
        self._channels["client"].send({"host_netns": sandbox.network_namespace()})
        self._channels["server"].send({"config": self._server_config()})
        self._channels["wire"].send({"config": _wire_config(self.network)})
        answers = [self._answer("ready", index) for index, _ in enumerate(("init", *PARTS))]
        self._channels["init"].send(scripts)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                ready, *_ = await asyncio.gather(*answers)
        except TimeoutError:
            raise EnvironmentLacksError(
                f"the lab did not start within {START_LIMIT_S:g} s; log.txt has what it said"
            ) from None
        except PartDiedError as error:
            if self._refused is None:
                raise
            raise EnvironmentLacksError(
                f"network {self.network.name}: this kernel does not do as asked: {error}"
            ) from None
        for name, output in ready["states"].items():
            self.states[name] = host_setup.parse_state(output)
        found = [
            line
            for name, plan in plans.items()
            for line in host_setup.deviations(name, plan, self.states[name])
        ]
        if found:
            raise EnvironmentLacksError(
                f"network {self.network.name}: this kernel does not do as asked: {'; '.join(found)}"
            )

    def _server_config(self) -> Message:
        reader = msgspec.to_builtins(self.reader)
        everywhere = "0.0.0.0" if self._at.version == 4 else "::"  # noqa: S104, in the lab alone
        return {
            "listeners": [
                {"host": everywhere, "port": port, "protocol": protocol, "reader": reader}
                for protocol, port in PORTS.items()
            ],
            "limits": {},
        }

    def _answer(self, kind: str, flow: int) -> asyncio.Future[Message]:
        if self.dead is not None:
            raise PartDiedError(self.dead)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[kind, flow] = future
        return future

    async def _ask(
        self, part: str, message: Message, kind: str, flow: int, limit_s: float | None
    ) -> Message:
        answer = self._answer(kind, flow)
        self._send(part, message)
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError as error:
            self._fail(f"the {part} did not answer within {limit_s:g} s")
            raise PartDiedError(self.dead or str(error)) from error

    def _send(self, part: str, message: Message) -> None:
        """Send to a part without waiting for it: it may be waiting for this process to read."""
        channel = self._channels[part]
        channel.post(message)
        if channel.kept:
            asyncio.get_running_loop().add_writer(channel.fileno(), self._on_writable, channel)

    def _on_writable(self, channel: Outbox) -> None:
        channel.push()
        if not channel.kept:
            asyncio.get_running_loop().remove_writer(channel.fileno())

    async def _watch_client(self) -> None:
        """Notice when the client hangs, whatever the time limits of its sessions are."""
        with suppress(PartDiedError):
            while True:
                await asyncio.sleep(GRACE_S)
                await self._ask("client", {"ping": 0}, "pong", 0, CLIENT_SILENT_S)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _diagnose_exit(self, name: str) -> None:
        """Find out how a process ended whose channel has: the lab's first says so of the others."""
        if name == "init" and self._process is not None:
            with suppress(ChildProcessError):  # another one waited for it, since all is over
                status = await asyncio.to_thread(_status_of, self._process.pid)
                self._fail(f"the lab {_how_ended(status)}")
        else:
            await asyncio.sleep(GRACE_S)
        self._fail(f"the {'lab' if name == 'init' else name} ended")

    def _on_readable(self, name: str) -> None:
        channel = self._channels[name]
        for message in channel.drain():
            self._on_message(name, message)
        if channel.ended:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self._background(self._diagnose_exit(name))

    def _on_message(self, name: str, message: Message) -> None:
        match message:
            case {"ready": content}:
                index = ("init", *PARTS).index(name)
                self._resolve("ready", index, content if isinstance(content, dict) else message)
            case {"failed": reason} if self._started:
                self._last_words[name] = reason  # a cause only where the lab itself lives on
            case {"failed": reason} | {"refused": reason}:
                self._fail(f"the {'lab' if name == 'init' else name} could not start: {reason}")
            case {"unfit": {"host": host, "errors": errors}}:
                self._refused = f"{host}: {host_setup.explain(self._plans[host], errors)}"
                if "congestion" in self._refused:
                    self._refused += f"; this kernel has {sandbox.congestion_controls()}"
                self._fail(self._refused)
            case {"died": part, "status": status}:
                words = self._last_words.get(part)
                self._fail(
                    f"the {part} failed: {words}" if words else f"the {part} {_how_ended(status)}"
                )
            case {"begun": number} | {"executed": number} | {"pong": number}:
                self._resolve(next(iter(message)), number, message)
            case {"result": result}:
                self._resolve("result", result["flow"], result)
            case {"connection": connection}:
                flow = self._at.flow_of_server(connection["local"][0])
                self._resolve("connection", flow, connection)
            case {"flow": flow}:
                self._resolve("flow", flow, message)

    def _resolve(self, kind: str, flow: int, message: Message) -> None:
        future = self._answers.pop((kind, flow), None)
        if future is not None and not future.done():
            future.set_result(message)

    def _fail(self, reason: str) -> None:
        """Mark the lab as of no more use; whoever waits for it learns why."""
        self.dead = self.dead or reason
        for future in self._answers.values():
            if not future.done():
                future.set_exception(PartDiedError(self.dead))
                future.exception()  # somebody may no longer be waiting
        self._answers.clear()


def _wire_config(network: Network) -> Message:
    ends = {"access": ("w-c0", "w-r0"), "core": ("w-r1", "w-s0")}
    return {
        "links": [
            {
                "name": name,
                "a": a,
                "b": b,
                "a_to_b": msgspec.to_builtins(getattr(network, name).up),
                "b_to_a": msgspec.to_builtins(getattr(network, name).down),
            }
            for name, (a, b) in ends.items()
        ]
    }


def _slowest_mbit(network: Network) -> float | None:
    rates = [link.up.bw_mbit for link in (network.access, network.core)]
    return min((rate for rate in rates if rate is not None), default=None)


def _how_ended(status: int) -> str:
    if status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended with status {status}"


def _status_of(pid: int) -> int:
    """How a child ended, as ``Popen.returncode`` has it; whoever starts it has still to reap it."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if ended is None:
        return 0
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for the lab's processes to be gone; insist after a while."""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], GRACE_S)[0]:
            process.kill()
    finally:
        os.close(ended)
    process.wait()
