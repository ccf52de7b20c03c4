"""The first process of a lab: makes the hosts, sets them up, starts the parts, and ends them all.

It is process 1 of the lab's own PID namespace. When it ends, in whatever way, the kernel kills
every other process of the lab, and their network namespaces vanish with them. It ends when its
parent ends: one of its threads reads a pipe whose other end only the parent has.
"""

import argparse
import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.parts import CLIENTS, PARTS, SERVERS, PartProcess

_ROUTING_LIMIT_MS = 20_000  # on a busy machine, ip may have to wait to begin


def main() -> None:
    """Run the lab until the parent closes its end of the channel."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--client-kind", choices=CLIENTS, required=True)
    parser.add_argument("--server-kind", choices=SERVERS, required=True)
    for part in PARTS:
        parser.add_argument(f"--{part}", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kinds = arguments.client_kind, arguments.server_kind
    parts = {part: PartProcess(part, getattr(arguments, part), *kinds) for part in PARTS}
    threading.Thread(target=_end_with_parent, args=(arguments.lifeline,), daemon=True).start()
    channel = Channel.from_fd(arguments.fd)
    try:
        _run(channel, parts)
    except Exception as error:  # whatever Mininet raises must reach the user
        with suppress(OSError):  # the parent may be gone already
            channel.send({"failed": f"{type(error).__name__}: {error}"})
    os._exit(0)


def _run(channel: Channel, parts: dict[str, PartProcess]) -> None:
    from seglab.kernel import topology  # noqa: PLC0415, while the parts import theirs

    config = channel.receive()
    if config is None:
        return
    network = topology.start()
    try:
        _run_scripts(network, config["set_up"])
        for part, process in parts.items():
            process.enter(network.get(PARTS[part].node).pid)
        states = _run_scripts(network, config["read_back"])
        channel.send({"ready": {"states": states}})
        _supervise(channel, network, parts)
    except subprocess.CalledProcessError as error:
        channel.send({"unfit": {"host": error.cmd, "errors": error.stderr}})


def _run_scripts(network: Any, scripts: dict[str, str]) -> dict[str, str]:
    """Run each node's script in its namespace, all at once; return what they printed, by node."""
    running = {name: _shell(network.get(name)) for name in scripts}
    for name, process in running.items():  # a script fits in a pipe, so this does not block
        process.stdin.write(scripts[name])
        process.stdin.close()
        process.stdin = None
    outputs = {}
    for name, process in running.items():
        output, errors = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, name, output, errors)
        outputs[name] = output
    return outputs


def _supervise(channel: Channel, network: Any, parts: dict[str, PartProcess]) -> None:
    """Report each part that ends, and carry out the parent's orders, until the parent is gone."""
    watched: dict[int, str] = {os.pidfd_open(process.pid): part for part, process in parts.items()}
    while not channel.ended:
        ready, _, _ = select.select([channel.fileno(), *watched], [], [])
        for source in ready:
            if source == channel.fileno():
                for message in channel.drain():
                    _handle(channel, message, network, parts)
            else:
                part = watched.pop(source)
                os.close(source)
                channel.send({"died": part, "status": parts[part].wait()})


def _handle(
    channel: Channel, message: ChannelMessage, network: Any, parts: dict[str, PartProcess]
) -> None:
    match message:
        case {"kill": part}:
            parts[part].kill()
        case {"execute": {"id": number, "node": node, "script": script}}:
            process = _shell(network.get(node))
            output, errors = process.communicate(script)
            answer = {"status": process.returncode, "output": output, "errors": errors}
            channel.send({"executed": number, **answer})
        case {"route": {"id": number, "version": version, "lines": lines}}:
            channel.send({"executed": number, **_routing(network, version).carry_out(lines)})


class Routing:
    """An ``ip -batch`` on the router that keeps running, so that a route changes at once.

    Args:
        router: the router's node.
        version: of IP, 4 or 6.
    """

    def __init__(self, router: Any, version: int) -> None:
        self._process = router.popen(
            ["ip", f"-{version}", "-force", "-batch", "-"], stdin=subprocess.PIPE, stderr=None
        )
        self._printed = select.poll()
        self._printed.register(self._process.stdout, select.POLLIN)

    def carry_out(self, lines: str) -> dict[str, Any]:
        """Run the lines; the last one prints one line.

        Returns:
            ``t_ns``, a time before the change; ``status``, 0 if the line came; ``output``, the
            line; and ``errors``.
        """
        t_ns = time.monotonic_ns()
        self._process.stdin.write(lines.encode())
        self._process.stdin.flush()
        output = ""
        if self._printed.poll(_ROUTING_LIMIT_MS):
            output = self._process.stdout.readline().decode()
        else:  # a line that comes later would be taken for the next answer
            self._process.kill()
        errors = "" if output else "ip printed nothing"
        return {"t_ns": t_ns, "status": int(not output), "output": output, "errors": errors}

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None


_routings: dict[int, Routing] = {}


def _routing(network: Any, version: int) -> Routing:
    """Return the router's running ``ip``; start it if it does not run."""
    if version not in _routings or _routings[version].ended:
        _routings[version] = Routing(network.get("router"), version)
    return _routings[version]


def _shell(node: Any) -> Any:
    """Start a shell in the node's namespace that reads its script from standard input."""
    return node.popen(["sh", "-s"], stdin=subprocess.PIPE, text=True, universal_newlines=True)


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(0)


if __name__ == "__main__":
    main()
