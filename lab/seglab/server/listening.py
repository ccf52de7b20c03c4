"""Listening sockets, and the errors a user can meet when one is opened."""

import errno
import os
import socket
from dataclasses import dataclass, field

from seglab.errors import EnvironmentLacksError, InputError, nearest
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader

PROTOCOLS = ("raw", "smtp")
OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE))
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the server listens, which protocol it speaks there, and how it reads.

    Attributes:
        host: an IPv4 or IPv6 address of this machine.
        port: 0 lets the kernel choose.
        protocol: ``"raw"`` or ``"smtp"``.
        reader: how connections accepted here are read.
        offers: the service extensions that SMTP has here.

    Raises:
        ValueError: a value cannot be used; the message names the field.
    """

    host: str = "127.0.0.1"
    port: int = 2525
    protocol: str = "smtp"
    reader: Reader = field(default_factory=Reader)
    offers: Offers = USUAL_OFFERS

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol: {self.protocol!r}; {nearest(self.protocol, PROTOCOLS)}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: expected 0 to 65535, found {self.port}")


def listen(listener: Listener) -> socket.socket:
    """Open a listening socket that does not block.

    Accepted sockets inherit TCP_NODELAY from it, so replies never wait for Nagle's algorithm.

    Raises:
        InputError: the address is not this machine's, or the port is taken.
        EnvironmentLacksError: the port needs a privilege that this process lacks.
    """
    where = f"{listener.host} port {listener.port}"
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((listener.host, listener.port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _explained(where, listener.port, error) from error
    return sock


class SpareDescriptor:
    """A descriptor to give up when there are no more, as libuv's ``uv__emfile_trick`` does.

    Without it, a connection that cannot be accepted would keep the listening socket ready for ever.
    """

    def __init__(self) -> None:
        self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def drop_one(self, listening: socket.socket) -> bool:
        """Accept a waiting connection and close it; return whether there was one."""
        os.close(self._fd)
        try:
            listening.accept()[0].close()
        except OSError:
            return False
        finally:
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return True

    def close(self) -> None:
        """Give the descriptor up for good."""
        os.close(self._fd)


def _explained(where: str, port: int, error: OSError) -> InputError | EnvironmentLacksError:
    if error.errno == errno.EADDRINUSE:
        return InputError(
            f"{where} is in use by another program; choose another port with --port "
            f"(`ss -ltnp sport = :{port}` shows whose it is)"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return EnvironmentLacksError(
            f"{where}: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE; "
            f"run as root, or choose a port from 1024 on with --port"
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return InputError(
            f"{where}: not an address of this machine; `ip address` lists those that are"
        )
    return InputError(f"{where}: cannot listen there: {error.strerror or error}")
