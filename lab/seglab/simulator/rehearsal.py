"""What the server answers to a client's stream, found once for all sessions of one script.

The server's protocols take a stream in any pieces, and answer at the same bytes (``server.smtp``).
So which reply leaves behind which byte follows from the script alone, and only *when* the server
has read that byte differs from session to session. A rehearsal feeds the whole stream to the real
server's protocol and notes that. It hashes the message once, where a session would do so each time.

One thing does depend on the pieces: a command line that is too long is refused before its end. A
script with such a line is not rehearsed (``rehearsed`` returns ``None``), nor is raw TCP, and their
sessions feed the protocol piece by piece.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from seglab.server.limits import Limits
from seglab.server.session import ReceivedPayload
from seglab.server.smtp import SmtpSession

LIMITS: Final = Limits()
"""The limits of a lab's server."""


class Turn(NamedTuple):
    """What the server does when it has read the stream up to ``end``.

    Attributes:
        end: an offset in the client's stream.
        reply: what it sends.
        messages: the messages that ended.
        ended: why the session is over then; ``None`` where it is not.
        refused: the first reply so far by which a limit refused something.
    """

    end: int
    reply: bytes
    messages: Sequence[ReceivedPayload]
    ended: str | None
    refused: str | None


def rehearsed(protocol: str, stream: bytes) -> tuple[Turn, ...] | None:
    """Return the server's turns over a client's stream; ``None`` where they may depend on cuts."""
    if protocol != "smtp":
        return None
    session = SmtpSession(LIMITS)
    turns = []
    position = 0
    while position < len(stream) and session.ended is None:
        replies: list[bytes] = []
        messages: list[ReceivedPayload] = []
        begins = session.payload_start
        end = session.step(stream, position, replies, messages)
        if begins is None and end - position >= LIMITS.command_line_bytes:
            return None
        if replies:
            turns.append(Turn(end, b"".join(replies), messages, session.ended, session.refused))
        position = end
    return tuple(turns)
