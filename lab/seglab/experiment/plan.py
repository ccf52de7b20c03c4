"""Which sessions a scenario consists of: pure, and the same for the same seed.

A session's id and seeds depend on what the session is. They never depend on how many sessions run
side by side, in which order, or which others run. So a session that runs alone is the same as in
the whole run.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from seglab.core.labels import PathCondition, Style, Terminator
from seglab.core.parameters import Parameters
from seglab.core.record import Kind
from seglab.core.seeds import derive
from seglab.errors import InputError
from seglab.experiment.equipment import Equipment
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader
from seglab.experiment.scenario import Scenario, SenderVariant
from seglab.experiment.serving import ServerProgram
from seglab.mail.message import Message
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.sender.registry import SenderFile
from seglab.sender.sender import Mail, Protocol, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """One session to carry out, with its ground truth.

    Attributes:
        session_id: unique among the scenario's sessions, readable, and fit for a file's name.
        scenario: the scenario's name.
        sender: the sender's name.
        variant: the label of the sender's variant, such as ``gap_ms=20``; empty where the sender
            has only one.
        parameters: a value for each parameter of the sender.
        style: the sender's style in the ground truth; ``unknown`` for a program.
        terminator: whether the end of data has a write of its own; ``None`` for raw TCP.
        nodelay: whether the client sets TCP_NODELAY.
        protocol: ``raw`` or ``smtp``; the server has a listener for each.
        network: the network's name; ``Scenario.network`` has the network.
        path_condition: the network's path condition in the ground truth.
        reader: how the server reads, or the program that serves instead of it.
        repeat: the number of the repetition, from 0.
        seed: 64 bits for everything that is drawn in this session, except the message.
        message: the mail to send: how to generate it, or one of the user's own.
        message_seed: 64 bits for the message. It depends on scenario, sender and repeat alone, so
            that the same bytes cross every network and come from every variant.
    """

    session_id: str
    scenario: str
    sender: str
    variant: str
    parameters: Parameters
    style: Style | Literal["unknown"]
    terminator: Terminator | None
    nodelay: bool
    protocol: Protocol
    network: str
    path_condition: PathCondition
    reader: Reader | ServerProgram
    repeat: int
    seed: int
    message: Mail
    message_seed: int

    @property
    def sender_path(self) -> str | None:
        """The path of the sender's file where it is the user's own; ``None`` for a shipped one."""
        return None

    @property
    def offers(self) -> Offers:
        """The service extensions that the server offers."""
        return USUAL_OFFERS

    @property
    def kind(self) -> Kind:
        """Whether the lab plays the sender, or runs a program."""
        return "emulated"

    @property
    def message_name(self) -> str:
        """The message's name: a kind of mail, a file's name, or ``raw`` where it is no mail."""
        return "raw" if self.protocol == "raw" else self.message.name


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSenderSession(SessionSpec):
    """One session of a user's own sender.

    It is a class of its own so that sessions of shipped senders, and with them the fingerprints of
    stored runs, are what they were before a sender could be a file.

    Attributes:
        sender_file: the sender's file, with a digest of its content.
    """

    sender_file: SenderFile

    @property
    def sender_path(self) -> str | None:
        """The path of the sender's file."""
        return self.sender_file.path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSession(SessionSpec):
    """One session of a program that was not written for the lab.

    Attributes:
        command: the program and its arguments, with placeholders.
        folder: the folder that it starts in.
        sender_address: the envelope's sender.
        recipient: the envelope's recipient.
        send: the shell's command that hands the message to the program, which then is a daemon;
            ``None`` where the program sends it by itself.
        ready: what says that a daemon is ready for it (``program.condition``).
        done: what says that the session is over; ``None``: of a daemon, that the server has the
            message, of another program, its end.
        layers: folders that the program sees above the machine's root, the uppermost first.
        equipment: what else it finds; ``None`` for a program of the user's own.
        offered: the service extensions that the server offers.
    """

    command: tuple[str, ...]
    folder: str
    sender_address: str
    recipient: str
    send: str | None = None
    ready: str | None = None
    done: str | None = None
    layers: tuple[str, ...] = ()
    equipment: Equipment | None = None
    offered: Offers = USUAL_OFFERS

    @property
    def offers(self) -> Offers:
        """The service extensions that the server offers."""
        return self.offered

    @property
    def kind(self) -> Kind:
        """A program."""
        return "program"


def plan(
    scenario: Scenario,
    seed: int,
    sessions: int | None = None,
    senders: Collection[str] | None = None,
    networks: Collection[str] | None = None,
) -> tuple[SessionSpec, ...]:
    """All sessions of a scenario.

    Variants and networks take turns within each repetition, so that a run that is stopped early
    has some sessions of everything.

    Args:
        scenario: what to run.
        seed: the run's.
        sessions: how many for each variant on each network; replaces the scenario's own number. A
            sweep keeps its own number, unless that is larger.
        senders: names of the senders to keep; ``None`` keeps all. A name that the scenario does not
            have keeps nothing: where several scenarios run, it belongs to another one.
        networks: names of the networks to keep, by the same rule.

    Raises:
        InputError: ``sessions`` is below 1, or makes more sessions than a run can hold.
    """
    if sessions is not None and sessions < 1:
        raise InputError(f"sessions: expected 1 or more, found {sessions}")
    scenario.check_size(sessions)
    kept = [
        (variant, count)
        for variant, count in scenario.variants(sessions)
        if senders is None or variant.sender.name in senders
    ]
    paths = [path for path in scenario.networks if networks is None or path.name in networks]
    repeats = max((count for _, count in kept), default=0)
    return tuple(
        session(scenario, variant, path, repeat, seed)
        for repeat in range(repeats)
        for variant, count in kept
        if repeat < count
        for path in paths
    )


def message(spec: SessionSpec, sender: Sender) -> Message:
    """The payload of a session."""
    return sender.message_for(spec.parameters, spec.message, spec.message_seed)


def session(
    scenario: Scenario, variant: SenderVariant, path: Network, repeat: int, seed: int
) -> SessionSpec:
    """One session of a scenario, without the others."""
    sender = variant.sender
    names = (scenario.name, sender.name, variant.label, path.name, f"{repeat:04}")
    session_id = ".".join(name for name in names if name)
    mail = scenario.message
    values: dict[str, Any] = {
        "session_id": session_id,
        "scenario": scenario.name,
        "sender": sender.name,
        "variant": variant.label,
        "parameters": variant.parameters,
        "style": sender.style_for(variant.parameters),
        "terminator": sender.terminator_for(variant.parameters),
        "nodelay": sender.nodelay_for(variant.parameters),
        "protocol": sender.protocol,
        "network": path.name,
        "path_condition": path.path_condition,
        "reader": scenario.reader,
        "repeat": repeat,
        "seed": derive(seed, "session", session_id),
        "message": mail.mail(repeat) if isinstance(mail, MailSource) else mail,
        "message_seed": derive(seed, "message", scenario.name, sender.name, repeat),
    }
    if variant.file is not None:
        return OwnSenderSession(**values, sender_file=variant.file)
    return SessionSpec(**values)
