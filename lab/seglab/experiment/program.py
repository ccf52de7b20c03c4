"""Programs of the user's own: which sessions `seglab try` plans, and what they send."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.parameters import Parameters
from seglab.core.seeds import derive
from seglab.core.text import safe
from seglab.errors import InputError
from seglab.experiment.equipment import Equipment
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
    send: str | None = None,
    ready: str | None = None,
    done: str | None = None,
    layers: Sequence[Path] = (),
    scenario: str = SCENARIO,
    variant: str = "",
    parameters: Parameters | None = None,
    equipment: Equipment | None = None,
) -> list[tuple[ProgramSession, Network]]:
    """Plan the sessions of a program.

    What a network draws for a session does not depend on the program. All sessions carry the same
    mail, unless the user has given several. So two programs, or two versions of one, differ only in
    what they do.

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
        send: the shell's command that hands a daemon the message; ``None`` for other programs.
        ready: what says that a daemon is ready for the message.
        done: what says that the session is over.
        layers: folders that the program sees above the machine's root, the uppermost first.
        scenario: what the sessions have as the name of their scenario.
        variant: distinguishes these sessions from others of the same program.
        parameters: what is known of the program, for the sessions' rows.
        equipment: what a named program finds where it runs.

    Raises:
        InputError: the command, the name, an address or a network cannot be used.
    """
    if not command or not command[0]:
        raise InputError("which program? give it after --, such as: -- curl smtp://{host}")
    _check_lines(command, send, ready, done)
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

    def names(path: Network) -> list[str]:
        return [name for name in (scenario, called, variant, path.name) if name]

    return [
        (
            ProgramSession(
                session_id=".".join((*names(path), f"{repeat:04}")),
                scenario=scenario,
                sender=called,
                variant=variant,
                parameters=parameters or {"command": list(command)},
                style=UNKNOWN_STYLE,
                terminator=None,
                nodelay=False,
                protocol="smtp",
                network=path.name,
                path_condition=path.path_condition,
                reader=Reader(),
                repeat=repeat,
                seed=derive(seed, "session", scenario, variant, path.name, repeat),
                message=message.mail(repeat) if isinstance(message, MailSource) else message,
                message_seed=derive(seed, "message", scenario, variant),
                command=tuple(command),
                folder=str(folder),
                sender_address=sender_address,
                recipient=recipient,
                send=send,
                ready=ready,
                done=done,
                layers=tuple(str(layer) for layer in layers),
                equipment=equipment,
            ),
            path,
        )
        for repeat in range(sessions)
        for path in paths
    ]


def _check_lines(
    command: Sequence[str], send: str | None, ready: str | None, done: str | None
) -> None:
    for part in (*command, *filter(None, (send, ready, done))):
        if "\0" in part:
            raise InputError("the command: an argument holds a NUL byte")
    if ready is not None and send is None:
        raise InputError("ready: says when a daemon can be handed the message; add how: --send CMD")
    for what, line in (("send", send), ("ready", ready), ("done", done)):
        if line is not None and not line.strip():
            raise InputError(f"{what}: expected a command, found nothing")
    for what, text in (("ready", ready), ("done", done)):
        if text is not None:
            condition(what, text)


def condition(what: str, text: str) -> tuple[Literal["pattern", "command"], str]:
    """Return what a condition is: a pattern for what the program prints, or a shell's command.

    Args:
        what: the condition's name, for an error.
        text: as given: ``/REGEX/`` is a pattern, all else a command.

    Raises:
        InputError: the pattern is no regular expression of Python's.
    """
    if len(text) < 3 or not (text.startswith("/") and text.endswith("/")):
        return "command", text
    try:
        re.compile(text[1:-1].encode(), re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"{what} {safe(text)}: not a regular expression: {error}") from error
    return "pattern", text[1:-1]


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
