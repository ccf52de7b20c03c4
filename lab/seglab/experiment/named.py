"""The sessions of programs that the lab knows by name."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from seglab.experiment.plan import Equipment, ProgramSession
from seglab.experiment.program import SCENARIO, plan
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.sender.sender import Mail
from seglab.software.available import AvailableProgram

FOLDER = Path("/")
"""Where named programs start."""


def plan_named(
    found: AvailableProgram,
    networks: Iterable[Network],
    message: Mail | MailSource,
    *,
    sessions: int,
    seed: int,
    sender_address: str,
    recipient: str,
    scenario: str = SCENARIO,
    variant: str = "",
) -> list[tuple[ProgramSession, Network]]:
    """Plan the sessions of a named program; ``plan`` has the other arguments.

    Args:
        found: the program.
        networks: the paths to try it over.
        message: what it is to send; of several mails, one after the other.
        sessions: how many over each network.
        seed: the run's.
        sender_address: the envelope's sender.
        recipient: the envelope's recipient.
        scenario: what the sessions have as the name of their scenario.
        variant: distinguishes these sessions from others of the same program.

    Raises:
        InputError: an address or a network cannot be used.
    """
    program = found.program
    return plan(
        command_of(found),
        networks,
        message,
        sessions=sessions,
        seed=seed,
        name=program.name,
        sender_address=sender_address,
        recipient=recipient,
        folder=FOLDER,
        send=program.send,
        ready=program.ready,
        done=program.done,
        layers=() if found.tree is None else (found.tree,),
        scenario=scenario,
        variant=variant,
        parameters=found.parameters,
        equipment=Equipment(
            tuple(program.files.items()), program.accounts, tuple(found.variables.items())
        ),
    )


def command_of(found: AvailableProgram) -> Sequence[str]:
    """Return a program's command line; ``{python}`` in it is the Python that runs the lab."""
    python = os.path.realpath(sys.executable)
    return [python if word == "{python}" else word for word in found.program.command]
