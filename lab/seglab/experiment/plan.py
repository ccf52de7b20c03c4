"""Which sessions a scenario consists of: pure, and the same for the same seed.

A session's name and seeds depend on what it is, never on how many run side by side, on their
order, or on which others run: a session that runs alone is the one of the whole run.
"""

from collections.abc import Collection
from dataclasses import dataclass

from seglab.core.labels import PathCondition, Style, Terminator
from seglab.core.parameters import Parameters
from seglab.core.seeds import derive
from seglab.errors import InputError
from seglab.experiment.reader import Reader
from seglab.experiment.scenario import Cast, Scenario
from seglab.mail.message import Message
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.sender.sender import Mail, Protocol, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """One session to carry out, with its ground truth. All but ``reader`` are plain values.

    Attributes:
        session_id: unique among the scenario's sessions, readable, and fit for a file's name.
        scenario: the scenario's name.
        sender: the sender's name.
        variant: which part of the scenario, such as ``gap_ms=20``; empty for the plain one.
        parameters: all parameters of the sender.
        style: who writes, in the ground truth's words.
        terminator: whether the end of data has a write of its own; ``None`` for raw TCP.
        nodelay: whether the client sets TCP_NODELAY.
        protocol: ``raw`` or ``smtp``: which of the server's listeners is meant.
        network: the network's name; ``Scenario.network`` has the network.
        path_condition: what lies between, in the ground truth's words.
        reader: how the server reads.
        repeat: which repetition, from 0.
        seed: 64 bits for all that is drawn in this session, the message excepted.
        message: the mail that is sent: generated, or one of the user's own.
        message_seed: 64 bits for the message. It depends on scenario, sender and repeat alone,
            so that the same bytes cross every network and every variant.
    """

    session_id: str
    scenario: str
    sender: str
    variant: str
    parameters: Parameters
    style: Style
    terminator: Terminator | None
    nodelay: bool
    protocol: Protocol
    network: str
    path_condition: PathCondition
    reader: Reader
    repeat: int
    seed: int
    message: Mail
    message_seed: int

    @property
    def message_name(self) -> str:
        """What the message is called: a kind of mail, a file's name, or ``raw`` for no mail."""
        return "raw" if self.protocol == "raw" else self.message.name


def plan(
    scenario: Scenario,
    seed: int,
    sessions: int | None = None,
    senders: Collection[str] | None = None,
    networks: Collection[str] | None = None,
) -> tuple[SessionSpec, ...]:
    """All sessions of a scenario.

    Variants and networks take turns, repeat by repeat, so that a run that is stopped early has
    some of everything.

    Args:
        scenario: what to run.
        seed: the run's.
        sessions: how many for each variant on each network, instead of the scenario's own
            number. A sweep's values have their own number, and never more than this.
        senders: names to keep; ``None`` keeps all. One that the scenario does not have keeps
            nothing: with several scenarios, it is another one's.
        networks: names to keep, likewise.

    Raises:
        InputError: ``sessions`` is below 1, or too many.
    """
    if sessions is not None and sessions < 1:
        raise InputError(f"sessions: expected 1 or more, found {sessions}")
    scenario.check_size(sessions)
    kept = [
        (part, count)
        for part, count in scenario.variants(sessions)
        if senders is None or part.sender.name in senders
    ]
    paths = [path for path in scenario.networks if networks is None or path.name in networks]
    most = max((count for _, count in kept), default=0)
    return tuple(
        session(scenario, part, path, repeat, seed)
        for repeat in range(most)
        for part, count in kept
        if repeat < count
        for path in paths
    )


def message(spec: SessionSpec, sender: Sender) -> Message:
    """The payload of a session."""
    return sender.message_for(spec.parameters, spec.message, spec.message_seed)


def session(scenario: Scenario, part: Cast, path: Network, repeat: int, seed: int) -> SessionSpec:
    """One session of a scenario, without the others."""
    sender = part.sender
    names = (scenario.name, sender.name, part.variant, path.name, f"{repeat:04}")
    session_id = ".".join(name for name in names if name)
    asked = scenario.message
    return SessionSpec(
        session_id=session_id,
        scenario=scenario.name,
        sender=sender.name,
        variant=part.variant,
        parameters=part.parameters,
        style=sender.style_for(part.parameters),
        terminator=sender.terminator_for(part.parameters),
        nodelay=sender.nodelay_for(part.parameters),
        protocol=sender.protocol,
        network=path.name,
        path_condition=path.path_condition,
        reader=scenario.reader,
        repeat=repeat,
        seed=derive(seed, "session", session_id),
        message=asked.mail(repeat) if isinstance(asked, MailSource) else asked,
        message_seed=derive(seed, "message", scenario.name, sender.name, repeat),
    )
