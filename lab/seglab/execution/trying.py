"""Running a program of the user's own over networks: ``seglab try``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from seglab.errors import InputError
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import SCENARIO
from seglab.mail.kinds import KINDS
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource, read_source
from seglab.networks.network import Network
from seglab.runs.manifest import Experiment, Manifest


def message_of(given: str, payload_bytes: int | None) -> MessageSpec | MailSource:
    """Return the message that ``--message`` names.

    Args:
        given: a kind of generated mail, or the path of a file or folder.
        payload_bytes: the size of a generated mail; ``None`` is the usual one.

    Raises:
        InputError: there is no such kind and no such file, or no such mail can be made.
    """
    if given in KINDS:
        try:
            spec = MessageSpec(kind=given)
            return spec if payload_bytes is None else replace(spec, payload_bytes=payload_bytes)
        except ValueError as error:
            raise InputError(f"message {given}: {error}") from error
    path = Path(given)
    if not path.exists():
        raise InputError(
            f"message {given!r}: neither a file nor a kind of generated mail: {', '.join(KINDS)}"
        )
    if payload_bytes is not None:
        raise InputError(
            f"message {given!r}: a mail of your own has its own size; leave out --size"
        )
    return read_source(path.absolute(), skip_bad=True)


def manifest(
    planned: Sequence[tuple[ProgramSession, Network]], seed: int, time_limit_s: float
) -> Manifest:
    """Return the manifest of a run that is about to begin.

    Args:
        planned: its sessions.
        seed: the run's.
        time_limit_s: for one session.
    """
    networks = {network.name: network for _, network in planned}
    spec, _ = planned[0]
    return Manifest(
        command="try",
        arguments={
            "command": list(spec.command),
            "send": spec.send,
            "ready": spec.ready,
            "done": spec.done,
            "networks": list(networks),
            "sessions": len(planned) // len(networks),
            "time_limit_s": time_limit_s,
        },
        scenarios=(Experiment(SCENARIO, f"A program: {spec.sender}", None, "segments"),),
        networks={name: msgspec.to_builtins(network) for name, network in networks.items()},
        seed=seed,
    )
