"""What the two hosts of ``two_hosts.py`` do in the tests: ``talkers.py client|server JSON``."""

import contextlib
import json
import socket
import struct
import sys

PORT = 7
ADDRESS = "10.64.0.1", PORT


def client(plan: dict) -> None:
    """Write blocks of the given sizes, then wait until the server has closed.

    With ``give_up_s`` it ends with a reset when the server has not closed by then.
    """
    give_up_s = plan.get("give_up_s", 20)
    with socket.create_connection(ADDRESS, timeout=give_up_s) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for size in plan["writes"]:
            sock.sendall(bytes(range(256)) * (size // 256) + bytes(size % 256))
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(4096):
                pass
        except TimeoutError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def server(_plan: dict) -> None:
    """Read one connection to its end; print the sizes of the reads."""
    with socket.create_server(ADDRESS) as listener:
        print("listening", flush=True)
        sock, _ = listener.accept()
        with sock:
            reads = []
            with contextlib.suppress(ConnectionResetError):
                while data := sock.recv(65536):
                    reads.append(len(data))
    print(json.dumps(reads))


if __name__ == "__main__":
    {"client": client, "server": server}[sys.argv[1]](json.loads(sys.argv[2]))
