"""Programs of the user's own: which sessions `seglab try` plans, and what they send."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.seeds import derive
from seglab.core.text import safe
from seglab.errors import InputError
from seglab.experiment.plan import ProgramSession
from seglab.experiment.reader import Reader
from seglab.mail.message import generate
from seglab.mail.source import MailSource
from seglab.mail.stored import StoredMail
from seglab.networks.network import Network
from seglab.sender.sender import Mail

SCENARIO: Final = "try"
"""What the sessions of programs have as the name of their scenario."""

PLACEHOLDERS: Final = ("host", "port", "message", "from", "to")
"""What may stand in braces in a program's arguments."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""The names that a program may have: they are parts of file names."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`~-]+@[A-Za-z0-9.-]+")


def program_name(command: Sequence[str]) -> str:
    """Return what a program is called: the name of its file, as far as a file's name allows."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(command[0]).name)[:64].lstrip("._-")
    return name or "program"


def plan(
    command: Sequence[str],
    networks: Iterable[Network],
    message: Mail | MailSource,
    *,
    sessions: int,
    seed: int,
    name: str | None = None,
    sender_address: str,
    recipient: str,
    folder: Path,
) -> list[tuple[ProgramSession, Network]]:
    """Plan the sessions of a program.

    Args:
        command: the program and its arguments.
        networks: the paths to try it over.
        message: what it is to send; of several mails, one after the other.
        sessions: how many over each network.
        seed: the run's.
        name: what to call the program; ``None`` is the name of its file.
        sender_address: the envelope's sender.
        recipient: the envelope's recipient.
        folder: the folder that the program starts in.

    Raises:
        InputError: the command, the name, an address or a network cannot be used.
    """
    if not command or not command[0]:
        raise InputError("which program? give it after --, such as: -- curl smtp://{host}")
    for part in command:
        if "\0" in part:
            raise InputError("the command: an argument holds a NUL byte")
    called = program_name(command) if name is None else name
    if not NAME.fullmatch(called):
        raise InputError(
            f"name {safe(called)!r}: expected letters, digits, dots, dashes and underscores"
        )
    for what, address in (("from", sender_address), ("to", recipient)):
        if not _ADDRESS.fullmatch(address):
            raise InputError(f"{what} {safe(address)!r}: expected an address such as a@example.org")
    paths = list(networks)
    for path in paths:
        if path.client.tcp != "kernel" or path.client.send_window_bytes is not None:
            raise InputError(
                f"network {path.name}: its client is not this kernel's TCP, which a program has; "
                "choose another network"
            )
    return [
        (
            ProgramSession(
                session_id=(session_id := f"{SCENARIO}.{called}.{path.name}.{repeat:04}"),
                scenario=SCENARIO,
                sender=called,
                variant="",
                parameters={"command": list(command)},
                style=UNKNOWN_STYLE,
                terminator=None,
                nodelay=False,
                protocol="smtp",
                network=path.name,
                path_condition=path.path_condition,
                reader=Reader(),
                repeat=repeat,
                seed=derive(seed, "session", session_id),
                message=message.mail(repeat) if isinstance(message, MailSource) else message,
                message_seed=derive(seed, "message", SCENARIO, called, repeat),
                command=tuple(command),
                folder=str(folder),
                sender_address=sender_address,
                recipient=recipient,
            ),
            path,
        )
        for repeat in range(sessions)
        for path in paths
    ]


def content(spec: ProgramSession) -> bytes:
    """Return the message that a program gets, as a file.

    A mail of the user's own is as it lies on the disk. A generated one has lines that end in CRLF.

    Raises:
        InputError: the user's own cannot be read any more, or has changed.
    """
    if isinstance(spec.message, StoredMail):
        return spec.message.data()
    made = generate(spec.message_seed, spec.message)
    return made.headers + b"\r\n" + made.body
