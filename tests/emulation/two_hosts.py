"""Two hosts and the wire between them, in the network namespace that this program is started in.

    client c-eth0 --- w-c0 [ wire: link "path" ] w-s0 --- s-eth0 server

Started as ``unshare --net --pid --fork --kill-child --mount-proc two_hosts.py``. On stdin comes a
plan in JSON: ``path`` and ``back`` (the link's parameters in either direction), ``mtu`` of the
client, ``seed``, ``drop_data``, and the commands ``client`` and ``server``, which run in network
namespaces of their own. The server prints a line once it listens. On stdout goes MessagePack: what
either printed, and the messages of the wire.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec

from seglab.kernel.channel import Channel

CLIENT, SERVER = "10.0.0.1", "10.64.0.1"
_HOST = """
set -eu
echo here
read -r go
ip link set lo up
ip link set {device} address {mac} mtu {mtu} up
ip address add {address}/32 dev {device}
ip route add {peer}/32 dev {device}
ip neigh replace {peer} lladdr {peer_mac} dev {device} nud permanent
ethtool -K {device} rx off tx off sg off tso off gso off gro off >/dev/null
echo {timestamps} > /proc/sys/net/ipv4/tcp_timestamps
"$@" || echo failed
exec >&-
read -r end  # the namespace, and with it the link, lasts until the wire has been asked
"""
_MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"


def run(plan: dict) -> dict:
    """Build the two hosts, let them talk, and hand back what was seen."""
    with ExitStack() as stack:
        channel, wire = _start_wire(stack)
        ends = (CLIENT, "c-eth0", "w-c0"), (SERVER, "s-eth0", "w-s0")
        hosts = []
        for role, (address, device, wire_end) in zip(("client", "server"), ends, strict=True):
            index = 0 if role == "client" else 1
            script = _HOST.format(
                device=device,
                mac=_MACS[index],
                peer_mac=_MACS[1 - index],
                address=address,
                peer=ends[1 - index][0],
                mtu=plan.get("mtu", 1500) if role == "client" else 65535,
                timestamps=plan.get("timestamps", 0),
            )
            host = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", script, "sh", *plan[role]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.callback(_end, host)
            assert host.stdout.readline() == b"here\n"
            _ip(
                "link",
                "add",
                wire_end,
                "type",
                "veth",
                "peer",
                "name",
                device,
                "netns",
                str(host.pid),
            )
            _ip("link", "set", wire_end, "mtu", "65535", "up")
            hosts.append(host)
        client, server = hosts

        path, back = plan.get("path", {}), plan.get("back", plan.get("path", {}))
        link = {"name": "path", "a": "w-c0", "b": "w-s0", "a_to_b": path, "b_to_a": back}
        channel.send({"config": {"links": [link]}})
        messages = [channel.receive()]
        assert "ready" in messages[0], messages
        order = {"flow": 1, "client": CLIENT, "server": SERVER, "seed": plan.get("seed", 1)}
        channel.send({"open": order | {"drop_data": plan.get("drop_data", {})}})
        messages.append(channel.receive())

        _go(server)
        server.stdout.readline()
        _go(client)
        client_out, server_out = client.stdout.read(), server.stdout.read()
        channel.send({"close": 1})
        messages.append(channel.receive())
        channel.send({"stop": True})
        messages.append(channel.receive())
        status = wire.wait()
    return {"client": client_out, "server": server_out, "wire": messages, "status": status}


def _start_wire(stack: ExitStack) -> tuple[Channel, subprocess.Popen]:
    channel, theirs = Channel.pair()
    with theirs:
        wire = subprocess.Popen(
            [sys.executable, "-m", "seglab.kernel.wire", "--fd", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
        )
    stack.callback(_end, wire)
    return channel, wire


def _go(host: subprocess.Popen) -> None:
    host.stdin.write(b"go\n")
    host.stdin.flush()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.stdout.buffer.write(msgspec.msgpack.encode(run(json.load(sys.stdin))))
