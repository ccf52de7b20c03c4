"""How fast the wire is, and how well it keeps a delay: two hosts, one link, in namespaces.

    python benchmarks/wire.py [--json]

- throughput: one TCP connection over a link that does nothing but record, payload bits a second.
- packets: datagrams of 100 bytes, sent as fast as the client can; what arrived, per second.
- delay error: datagrams 1.7 ms apart over a link with a delay; by how much each was late, as the
  wire stamps it (``wire``: from a frame's arrival to its departure) and as the hosts do (``hosts``:
  from before ``send`` to after ``recv``, with both hosts' share and the way into the wire).
- longest late: by how much at most a frame left later than due, or the wire woke later than it had
  asked for: the longest stretch for which the machine did not let it run.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
TWO_HOSTS = ROOT / "tests" / "emulation" / "two_hosts.py"
ADDRESS = "10.64.0.1", 7
DELAYS_MS = 1, 10, 70
BULK_BYTES = 150_000_000
BLAST_PACKETS = 60_000
PROBES = 1000
PROBE_GAP_S = 0.0017
UDP = 17
SO_RCVBUFFORCE = 33  # the receiving host is not what is measured; root only
STAMP = struct.Struct("=q")


def measure(client: str, server: str, path: dict[str, Any]) -> dict[str, Any]:
    """Run two of this file's roles against each other; what they and the wire had to say."""
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    roles = {
        "client": [sys.executable, __file__, "--role", client],
        "server": [sys.executable, __file__, "--role", server],
    }
    result = subprocess.run(
        [*command, sys.executable, str(TWO_HOSTS)],
        input=json.dumps({"path": path, **roles}).encode(),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    found = msgspec.msgpack.decode(result.stdout)
    flow = next(message for message in found["wire"] if "flow" in message)
    return {"server": json.loads(found["server"]), "flow": flow}


def throughput() -> dict[str, Any]:
    """Payload bits a second of one TCP connection."""
    found = measure("send-bulk", "take-bulk", {})
    frames = len(found["flow"]["frames"])
    seconds = found["server"]["seconds"]
    return {
        "mbit_s": found["server"]["bytes"] * 8 / seconds / 1e6,
        "frames_s": frames / seconds,
        "kernel_drops": found["flow"]["kernel_drops"],
    }


def packets() -> dict[str, Any]:
    """Small packets a second."""
    found = measure("blast", "count", {})
    times_ns = [frame[3][0] for frame in found["flow"]["frames"] if frame[3]]
    return {
        "packets_s": (len(times_ns) - 1) / ((times_ns[-1] - times_ns[0]) / 1e9),
        "arrived": found["server"]["count"],
        "sent": BLAST_PACKETS,
        "kernel_drops": found["flow"]["kernel_drops"],
    }


def delay_error(delay_ms: float) -> dict[str, Any]:
    """By how much frames left later than asked."""
    found = measure("probe", "stamp", {"delay_ms": delay_ms})
    wire_us = [
        (t_out[0] - t_in) / 1e3 - delay_ms * 1e3
        for _, direction, t_in, t_out, _, frame in found["flow"]["frames"]
        if direction == 0 and frame[23] == UDP
    ]
    hosts_us = [ns / 1e3 - delay_ms * 1e3 for ns in found["server"]["delays_ns"]]
    return {
        "delay_ms": delay_ms,
        "wire_us": _spread(wire_us),
        "hosts_us": _spread(hosts_us),
        "longest_late_ms": found["flow"]["late_ns"] / 1e6,
    }


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"median": cuts[49], "p99": cuts[98], "max": max(values)}


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--role", choices=sorted(ROLES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        ROLES[arguments.role]()
        return
    result = {
        "throughput": throughput(),
        "packets": packets(),
        "delay_error": [delay_error(delay_ms) for delay_ms in DELAYS_MS],
    }
    result["longest_late_ms"] = max(row["longest_late_ms"] for row in result["delay_error"])
    if arguments.json:
        print(json.dumps(result))
        return
    bulk, blast = result["throughput"], result["packets"]
    print(f"throughput   {bulk['mbit_s']:8.0f} Mbit/s  {bulk['frames_s']:8.0f} frames/s")
    print(f"packets      {blast['packets_s']:8.0f} /s      {blast['arrived']} of {blast['sent']}")
    print(f"kernel drops {bulk['kernel_drops'] + blast['kernel_drops']:8d}")
    print(f"longest late {result['longest_late_ms']:8.2f} ms")
    print("\ndelay asked     late in the wire (us)       late from host to host (us)")
    print("              median     p99     max         median     p99     max")
    for row in result["delay_error"]:
        cells = [
            f"{row[where][what]:8.0f}"
            for where in ("wire_us", "hosts_us")
            for what in ("median", "p99", "max")
        ]
        print(f"{row['delay_ms']:8} ms {''.join(cells[:3])}       {''.join(cells[3:])}")


def _send_bulk() -> None:
    with socket.create_connection(ADDRESS) as sock:
        block = bytes(1 << 18)
        for _ in range(BULK_BYTES // len(block)):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


def _take_bulk() -> None:
    with socket.create_server(ADDRESS) as listener:
        print(flush=True)
        sock, _ = listener.accept()
        with sock:
            start, total = time.monotonic(), 0
            while data := sock.recv(1 << 18):
                total += len(data)
            print(json.dumps({"bytes": total, "seconds": time.monotonic() - start}))


def _blast() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(ADDRESS)
        for _ in range(BLAST_PACKETS):
            sock.send(bytes(100))


def _probe() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(ADDRESS)
        for _ in range(PROBES):
            sock.send(STAMP.pack(time.monotonic_ns()))
            time.sleep(PROBE_GAP_S)


def _datagrams(expected: int) -> list[tuple[int, bytes]]:
    """What arrives, with its time, until all is there or nothing has come for a second."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        sock.bind(ADDRESS)
        print(flush=True)
        with contextlib.suppress(TimeoutError):
            while len(found) < expected:
                data = sock.recv(2048)
                found.append((time.monotonic_ns(), data))
                sock.settimeout(1.0)
    return found


def _count() -> None:
    print(json.dumps({"count": len(_datagrams(BLAST_PACKETS))}))


def _stamp() -> None:
    delays_ns = [t_ns - STAMP.unpack(data)[0] for t_ns, data in _datagrams(PROBES)]
    print(json.dumps({"delays_ns": delays_ns}))


ROLES = {
    "send-bulk": _send_bulk,
    "take-bulk": _take_bulk,
    "blast": _blast,
    "count": _count,
    "probe": _probe,
    "stamp": _stamp,
}


if __name__ == "__main__":
    main()
