"""The sessions of programs that the lab knows by name."""

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from seglab.core.seeds import derive
from seglab.experiment.equipment import Equipment
from seglab.experiment.offers import Offers
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import SCENARIO, plan
from seglab.experiment.scenario import Scenario
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.sender.sender import Mail
from seglab.software.available import AvailableProgram

FOLDER: Final = Path("/")
"""Where named programs start."""

SENDER_ADDRESS: Final = "sender@client.seglab.test"
RECIPIENT: Final = "recipient@mx.seglab.test"
"""The addresses of the envelope, where nobody says anything else."""


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


def plan_programs(
    scenario: Scenario,
    programs: Iterable[AvailableProgram],
    seed: int,
    sessions: int | None = None,
    networks: Collection[str] | None = None,
) -> list[tuple[ProgramSession, Network]]:
    """Plan the sessions of the programs of a scenario.

    All programs send the same mails: one for each size and repetition. What the server offers
    changes neither the mail nor what the network draws for a session.

    Args:
        scenario: what to run.
        programs: its programs, as far as they can run.
        seed: the run's.
        sessions: how many of each program, size and network; ``None`` is the scenario's number.
        networks: the names of the networks to keep; ``None`` keeps all.

    Raises:
        InputError: a network cannot be used.
    """
    paths = [path for path in scenario.networks if networks is None or path.name in networks]
    mails: list[tuple[str, Mail | MailSource]] = [("", scenario.message)]
    if scenario.sizes_bytes and isinstance(scenario.message, MessageSpec):
        mails = [
            (f"payload_bytes={size}", replace(scenario.message, payload_bytes=size))
            for size in scenario.sizes_bytes
        ]
    each = scenario.sessions if sessions is None else sessions
    found = [
        (_same_mail(spec, seed, scenario, variant, offered.offers), path)
        for offered in scenario.offers
        for program in programs
        for variant, mail in mails
        for spec, path in plan_named(
            program,
            [path for path in paths if path.name in offered.networks],
            mail,
            sessions=each if offered.sessions is None else min(each, offered.sessions),
            seed=seed,
            sender_address=SENDER_ADDRESS,
            recipient=RECIPIENT,
            scenario=scenario.name,
            variant=",".join(filter(None, (variant, offered.offers.label))),
        )
    ]
    return sorted(found, key=lambda planned: planned[0].repeat)


def _same_mail(
    spec: ProgramSession, seed: int, scenario: Scenario, mail: str, offers: Offers
) -> ProgramSession:
    """Return a session whose mail does not depend on its program, served as the scenario says."""
    return replace(
        spec,
        seed=derive(seed, "session", scenario.name, mail, spec.network, spec.repeat),
        message_seed=derive(seed, "message", scenario.name, mail, spec.repeat),
        reader=scenario.reader,
        offered=offers,
    )


def command_of(found: AvailableProgram) -> Sequence[str]:
    """Return a program's command line; ``{python}`` in it is the Python that runs the lab."""
    python = os.path.realpath(sys.executable)
    return [python if word == "{python}" else word for word in found.program.command]
