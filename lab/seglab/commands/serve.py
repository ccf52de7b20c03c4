"""``seglab serve``: the logging server outside a lab."""

import ipaddress
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TextIO

import click

from seglab.commands.values import FILE, given
from seglab.errors import EnvironmentLacksError, InputError, nearest
from seglab.experiment.reader import KINDS, Reader
from seglab.experiment.readers import readers
from seglab.server.connection import ConnectionLog
from seglab.server.limits import Limits
from seglab.server.listening import PROTOCOLS, Listener
from seglab.server.log_file import LogFile, Rotation
from seglab.server.logs import FORMATS, writer
from seglab.server.loop import Server

_KEEP = 5
_ROTATE_MAX_MIB = 1 << 20

_LIMIT_HELP = {
    "connections": "Connections open at once; any further one gets 421.",
    "command_line_bytes": "Longest SMTP command with its CRLF; a longer one gets 500.",
    "message_line_bytes": "Longest line of message data; the message gets 500.",
    "message_bytes": "Largest message (SIZE; gets 552), or raw stream.",
    "recipients": "Recipients of a message; any further one gets 452.",
    "errors": "Faulty commands before the connection is closed with 421.",
    "idle_s": "Seconds without any progress before 421.",
    "session_s": "Seconds that a connection may last before 421.",
    "log_bytes": "Memory for the log of one connection; a connection that needs more gets 421.",
}


def _limit_options(function: Callable[..., None]) -> Callable[..., None]:
    defaults = Limits()
    for field in reversed(fields(Limits)):
        option = click.option(
            f"--{field.name.replace('_', '-')}",
            field.name,
            type=float if field.name.endswith("_s") else int,
            default=getattr(defaults, field.name),
            show_default=True,
            metavar="SECONDS" if field.name.endswith("_s") else "N",
            help=f"Limit: {_LIMIT_HELP[field.name]}",
        )
        function = option(function)
    return function


@click.command(
    epilog="Exit status: 0 stopped by Ctrl-C or SIGTERM, 2 bad options or a port in use, "
    "3 no right to open the port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=int, default=2525, show_default=True, help="Port; 0 lets the kernel choose."
)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="smtp",
    show_default=True,
    help="smtp speaks SMTP. raw replies nothing, and takes all that a connection sends as one"
    " payload.",
)
@click.option(
    "--reader",
    metavar=f"{'|'.join(KINDS)}|NAME",
    default="event-loop",
    show_default=True,
    help="How sockets are read: event-loop reads them in turn, as Node.js does; recv-loop has a"
    " thread for each connection that reads as soon as it can. NAME is a named reader, which has"
    " its own buffer (`seglab list readers`).",
)
@click.option(
    "--buffer-bytes",
    type=int,
    default=Reader().buffer_bytes,
    show_default=True,
    help="Size of the buffer of each recv.",
)
@click.option(
    "--turn-us",
    type=float,
    default=0.0,
    show_default=True,
    help="For how many microseconds the event loop's callback is busy after each read.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="json",
    show_default=True,
    help="json writes a line for each connection. sessions and events are the paper's formats, with"
    " a line for each payload or for each read.",
)
@click.option(
    "--out",
    type=FILE,
    help="Append the log to FILE, not to standard output; SIGHUP opens FILE again.",
    metavar="FILE",
)
@click.option(
    "--rotate-mib",
    type=click.FloatRange(min=0, min_open=True, max=_ROTATE_MAX_MIB),
    metavar="N",
    help="Once FILE has N MiB, rename it to FILE.1, FILE.1 to FILE.2..., and begin a new one.",
)
@click.option(
    "--keep",
    type=click.IntRange(1, 999),
    metavar="K",
    help=f"How many renamed files --rotate-mib keeps: up to FILE.K; {_KEEP} by default.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors on standard error.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Print on standard error how each connection ended."
)
@_limit_options
def serve(
    host: str,
    port: int,
    protocol: str,
    reader: str,
    buffer_bytes: int,
    turn_us: float,
    log_format: str,
    out: Path | None,
    rotate_mib: float | None,
    keep: int | None,
    quiet: bool,
    verbose: bool,
    **limits: Any,
) -> None:
    """Log what each read of a TCP or SMTP connection returns.

    The server accepts any message and forwards none. It listens until Ctrl-C, and only on loopback
    unless --host gives another address. docs/server.md explains the log formats and the limits.

    \b
    Example: in one terminal
        seglab serve --log-format sessions
    and in another
        curl -sS smtp://127.0.0.1:2525 --mail-from a@example.org \\
             --mail-rcpt b@example.org -T message.eml
    prints the sizes of the reads in which the message arrived, such as
        [1] (1) 4320 (2) 800
    """  # noqa: D301 -- click looks for the backspace character itself
    if not hasattr(select, "epoll"):
        raise EnvironmentLacksError(
            "the logging server needs epoll, which only Linux has; use the Vagrant box (vagrant up)"
        )
    try:
        listener = Listener(host, port, protocol, _reader(reader, buffer_bytes, turn_us))
        allowed = Limits.from_mapping(limits)
    except ValueError as error:
        raise InputError(f"seglab serve: {error}") from error
    say = _say_nothing if quiet else _say

    def on_end(log: ConnectionLog) -> None:
        write(log)
        if verbose:
            say(_summary(log))

    with (
        closing(Server([listener], allowed, on_end, keep_samples=log_format == "events")) as server,
        _log_stream(out, _rotation(out, rotate_mib, keep), _say) as stream,
    ):
        write = writer(log_format, stream)
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        signal.signal(signal.SIGINT, lambda *_: server.stop())
        if isinstance(stream, LogFile):
            _reopen_at_hangup(stream, server)
        _announce(server, listener, allowed, say)
        try:
            server.run()
        except BrokenPipeError:  # the reader of the log has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise EnvironmentLacksError(
                f"{out or 'standard output'}: cannot write the log: {error.strerror}; "
                f"the server has stopped, make room and start it again"
            ) from error


def _announce(
    server: Server, listener: Listener, limits: Limits, say: Callable[[str], None]
) -> None:
    if not _is_loopback(listener.host):
        say(f"warning: {listener.host} is not loopback: other machines may connect")
    if server.max_connections < limits.connections:
        say(
            f"warning: the limit of open files allows {server.max_connections} connections, "
            f"not {limits.connections}; raise it with `ulimit -Hn`"
        )
    ((address, port),) = server.addresses
    reader = listener.reader
    say(
        f"listening on {address} port {port} "
        f"({listener.protocol}, {reader.kind}, {reader.buffer_bytes}-byte buffer)"
    )


def _summary(log: ConnectionLog) -> str:
    seconds = (log.t_end_ns - log.t_accept_ns) / 1e9
    received = log.reads[-1][2] if log.reads else 0
    return (
        f"connection {log.number} from {log.peer[0]} port {log.peer[1]}: {log.ended} after "
        f"{seconds:.3f} s, {received} bytes in {len(log.reads)} reads, "
        f"{len(log.messages)} payloads" + (f", refused: {log.refused}" if log.refused else "")
    )


@contextmanager
def _log_stream(
    out: Path | None, rotation: Rotation | None, warn: Callable[[str], object]
) -> Iterator[TextIO | LogFile]:
    if out is None:
        yield sys.stdout
        return
    try:
        stream = LogFile(out, warn, rotation)
    except OSError as error:
        raise InputError(f"{out}: cannot open the log: {error.strerror}") from error
    with stream:
        yield stream


def _rotation(out: Path | None, rotate_mib: float | None, keep: int | None) -> Rotation | None:
    """When the log is rotated, as the options say.

    Raises:
        InputError: an option means nothing without another one.
    """
    if rotate_mib is None:
        if keep is not None:
            raise InputError("seglab serve: --keep needs --rotate-mib, which says when to rotate")
        return None
    if out is None:
        raise InputError("seglab serve: --rotate-mib needs --out, the file to rotate")
    return Rotation(max(1, round(rotate_mib * (1 << 20))), _KEEP if keep is None else keep)


def _reopen_at_hangup(log: LogFile, server: Server) -> None:
    """Have SIGHUP open the log again, or stop the server if it means that the terminal is gone."""
    had_terminal = _has_terminal()

    def hang_up(*_: object) -> None:
        if had_terminal and not _has_terminal():
            server.stop()
        else:
            log.reopen()

    signal.signal(signal.SIGHUP, hang_up)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(text: str) -> None:
    click.echo(text, err=True)


def _say_nothing(_text: str) -> None:
    pass


def _reader(name: str, buffer_bytes: int, turn_us: float) -> Reader:
    """The reader of a kind, or the named one; options that were given replace what it has."""
    if name in KINDS:
        return Reader(name, buffer_bytes, turn_us)
    if name not in readers():
        raise InputError(f"--reader: {name!r}; {nearest(name, (*KINDS, *readers()))}")
    own = readers()[name].reader
    return replace(
        own,
        buffer_bytes=buffer_bytes if given("buffer_bytes") else own.buffer_bytes,
        turn_us=turn_us if given("turn_us") else own.turn_us,
    )
