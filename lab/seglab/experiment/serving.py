"""Programs that serve: a real mail server in the place of the lab's own."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from seglab.errors import InputError
from seglab.experiment.equipment import Equipment
from seglab.software.available import AvailableProgram

PREFIX: Final = "program:"
"""What stands before the name of a server program in the column ``reader`` of its sessions."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A real server that stands in the place of a ``Reader``.

    Attributes:
        name: the program's.
        version: its version.
        command: what starts it, with placeholders. It serves SMTP at ``{port}`` of all addresses.
        layers: folders that it sees above the machine's root, the uppermost first.
        equipment: what else it finds.
    """

    name: str
    version: str
    command: tuple[str, ...]
    layers: tuple[str, ...] = ()
    equipment: Equipment = field(default_factory=Equipment)

    @property
    def kind(self) -> str:
        """What its sessions have as their reader."""
        return f"{PREFIX}{self.name}"

    @property
    def buffer_bytes(self) -> int:
        """Zero: the size of its buffer is what a measurement is to show."""
        return 0


def check(protocols: Mapping[str, str], where: str) -> None:
    """Refuse senders that speak no SMTP to a real mail server.

    Args:
        protocols: by the sender's name, its protocol.
        where: the scenario, for the message.

    Raises:
        InputError: there is one.
    """
    for name, protocol in protocols.items():
        if protocol != "smtp":
            raise InputError(
                f"{where}: the sender {name} speaks no SMTP, and a mail server nothing else"
            )


def served_by(found: AvailableProgram) -> ServerProgram:
    """Return the server that an installed program is."""
    python = os.path.realpath(sys.executable)
    program = found.program
    return ServerProgram(
        name=program.name,
        version=found.version,
        command=tuple(python if word == "{python}" else word for word in program.command),
        layers=() if found.tree is None else (str(found.tree),),
        equipment=Equipment(
            tuple(program.files.items()), program.accounts, tuple(found.variables.items())
        ),
    )
