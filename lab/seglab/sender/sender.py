"""What a sender is: a name, its ground truth, its parameters, and its steps.

A sender is a pure value. Each file in ``senders/`` holds one under the name ``SENDER``, where the
registry finds it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from typing import Any, Literal

from seglab.core.kept import Kept
from seglab.core.labels import Style, Terminator
from seglab.core.parameters import Flag, Integer, Number, Parameter, Parameters, resolve
from seglab.mail.message import Message, MessageSpec, generate, raw, with_received
from seglab.mail.stored import StoredMail
from seglab.sender.steps import Step, Wait, Write

SenderKind = Literal["emulated", "real"]
Protocol = Literal["raw", "smtp"]

RECIPIENTS_MAX = 100
"""The most recipients of a message: so many every server takes (RFC 5321, 4.5.3.1.8)."""

GAP_MAX_MS = 60_000
"""The longest pause between two writes, in milliseconds."""

Steps = Callable[[Message, Parameters], Iterator[Step]]
"""Makes the payload's steps from a message and all parameters of the sender."""

Cuts = Callable[[Message, Parameters], Iterable[int]]
"""Returns where writes end: offsets into ``Message.wire``, in ascending order."""

Mail = MessageSpec | StoredMail
"""What a session sends: the measures of a generated mail, or one of the user's own mails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One way of sending.

    Attributes:
        name: an identifier, unique among all senders.
        summary: one line for people.
        source: where the behaviour is described: a listing of the paper, an RFC, a program.
        style: the ground truth with the default parameters; see ``style_for``.
        parameters: what a user can set, by name. ``smtp_parameters`` has the parameters that all
            SMTP senders share.
        steps: makes the payload's steps. The pieces that they write join to ``Message.wire``, and
            the same input gives the same steps.
        protocol: ``smtp`` puts the common dialogue around the steps; a ``raw`` sender writes to
            the connection as soon as it is open.
        first_header: the header field that generated mail begins with, unless the scenario says
            otherwise. A relay has its own Received there, for example.
        relays: whether the sender passes on what others wrote. It then adds a Received field to
            mail that does not begin with one (RFC 5321, 4.4).
        kind: ``emulated``, or ``real`` for a program that the lab runs.
        style_of: makes the style from the parameters; ``None`` where it is always ``style``.
        payload_bytes_of: makes the payload's length from the parameters, in bytes; ``None`` where
            the scenario decides about the payload.
    """

    name: str
    summary: str
    source: str
    style: Style
    parameters: Mapping[str, Parameter]
    steps: Steps
    protocol: Protocol = "smtp"
    first_header: str | None = None
    relays: bool = False
    kind: SenderKind = "emulated"
    style_of: Callable[[Parameters], Style] | None = field(default=None, repr=False)
    payload_bytes_of: Callable[[Parameters], int] | None = field(default=None, repr=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """The default values of all parameters."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    @property
    def terminator(self) -> Terminator | None:
        """The ground truth with the default parameters; ``None`` where there is no SMTP."""
        return self.terminator_for(self.defaults)

    @property
    def nodelay(self) -> bool:
        """Whether the client sets TCP_NODELAY with the default parameters."""
        return self.nodelay_for(self.defaults)

    def resolve(self, given: Mapping[str, object], where: str | None = None) -> dict[str, Any]:
        """Check the given parameters, and add the defaults of all others.

        Raises:
            InputError: an unknown name or a value that does not fit; the message begins with
                ``where``, by default the sender's name.
        """
        return resolve(self.parameters, given, where or self.name)

    def style_for(self, parameters: Parameters) -> Style:
        """The style of the sender with these parameters: the ground truth."""
        return self.style if self.style_of is None else self.style_of(parameters)

    def terminator_for(self, parameters: Parameters) -> Terminator | None:
        """The terminator with these parameters: the ground truth; ``None`` for raw TCP."""
        if self.protocol == "raw":
            return None
        return "own_write" if parameters["terminator_bytes"] else "with_body"

    def nodelay_for(self, parameters: Parameters) -> bool:
        """Whether the client sets TCP_NODELAY, which switches Nagle's algorithm off."""
        return bool(parameters["nodelay"])

    def wait_s_for(self, parameters: Parameters) -> float:
        """The seconds between the 354 reply and the first write of the payload."""
        return float(parameters.get("wait_ms", 0)) / 1000

    def recipients_for(self, parameters: Parameters) -> int:
        """How many RCPT commands there are, each with a reply of its own."""
        return int(parameters.get("recipients", 1))

    def pipelining_for(self, parameters: Parameters) -> bool:
        """Whether MAIL, RCPT and DATA go out in one write (RFC 2920)."""
        return bool(parameters.get("pipelining", False))

    def mail_for(self, mail: Mail) -> Mail:
        """The mail that this sender sends where a scenario asks for ``mail``.

        Raises:
            ValueError: it cannot send such a mail; the message begins with the name of an attribute
                of ``MessageSpec``.
        """
        if isinstance(mail, StoredMail) or self.first_header is None:
            return mail
        if mail.first is None:
            return _beginning_with(self.first_header)(mail)
        if self.relays and mail.first != self.first_header:
            raise ValueError(
                f"first: {self.name} puts its own {self.first_header} first, found {mail.first!r}"
            )
        return mail

    def message_for(self, parameters: Parameters, mail: Mail, seed: int) -> Message:
        """Make the payload of one session, the same for the same seed.

        Args:
            parameters: all parameters, checked.
            mail: what the scenario asks for. It has no effect where the sender's parameters decide
                about the payload.
            seed: the message's own seed.

        Raises:
            InputError: the user's own mail cannot be read any more, or has changed.
        """
        if self.payload_bytes_of is not None:
            return raw(seed, self.payload_bytes_of(parameters))
        mail = self.mail_for(mail)
        if isinstance(mail, MessageSpec):
            return generate(seed, mail)
        message = mail.read()
        return with_received(message, seed) if self.relays else message


@cache
def _beginning_with(first: str) -> Kept[MessageSpec, MessageSpec]:
    """Return the function that makes a mail's first header field this one."""
    return Kept(partial(replace, first=first))


def in_writes(cuts: Cuts) -> Steps:
    """Make the steps of a sender from the offsets at which its writes end.

    The last ``terminator_bytes`` of the message have their own write. The pause ``gap_ms`` lies
    between each two writes, and ``end_wait_ms`` is added before a terminator of its own. Offsets
    that repeat, or lie outside the text, are skipped.
    """

    def steps(message: Message, parameters: Parameters) -> Iterator[Step]:
        end = len(message.wire)
        text_end = end - parameters["terminator_bytes"]
        inside = (cut for cut in cuts(message, parameters) if 0 < cut < text_end)
        for number, (start, stop) in enumerate(
            pairwise(dict.fromkeys((0, *inside, text_end, end)))
        ):
            pause_ms = parameters["gap_ms"] if number else 0
            if start == text_end:
                pause_ms += parameters["end_wait_ms"]
            if pause_ms:
                yield Wait(pause_ms / 1000)
            yield Write(message.wire[start:stop])

    return steps


def nodelay_parameter(default: bool) -> dict[str, Parameter]:
    """The parameter that every sender has."""
    return {
        "nodelay": Flag(default, "whether TCP_NODELAY is set, which switches Nagle's algorithm off")
    }


def smtp_parameters(
    *, terminator_bytes: int = 0, nodelay: bool = False, gap_ms: float = 0
) -> dict[str, Parameter]:
    """The parameters that every SMTP sender has, with the defaults of one sender.

    Args:
        terminator_bytes: how many bytes of the end of data have their own write: 5 for
            ``CRLF . CRLF``, 3 for ``. CRLF``, 0 for none.
        nodelay: whether TCP_NODELAY is set.
        gap_ms: the pause between two writes of the payload.
    """
    own = "bytes of the end of data in a write of their own: 5 CRLF.CRLF, 3 .CRLF, 0 none"
    wait = "the pause between the 354 reply and the first write of the payload"
    pause = "the pause between one write of the payload and the next"
    last = "a pause before an end of data in a write of its own, beside gap_ms (sSMTP: 1000)"
    many = "how many RCPT commands there are (git send-email: 2, as the header has one more)"
    group = "whether MAIL, RCPT and DATA go out in one write (RFC 2920)"
    return {
        "terminator_bytes": Integer(terminator_bytes, 0, 5, own, choices=(0, 3, 5)),
        "wait_ms": Number(0, 0, GAP_MAX_MS, wait),
        "gap_ms": Number(gap_ms, 0, GAP_MAX_MS, pause),
        "end_wait_ms": Number(0, 0, GAP_MAX_MS, last),
        "pipelining": Flag(False, group),
        "recipients": Integer(1, 1, RECIPIENTS_MAX, many),
        **nodelay_parameter(nodelay),
    }
