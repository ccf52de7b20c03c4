"""Which SMTP service extensions a server offers in its reply to EHLO, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offers:
    """The service extensions of which a scenario has the choice.

    The server always offers 8BITMIME and SIZE as well.

    Attributes:
        pipelining: PIPELINING (RFC 2920): a client may send commands before the replies to earlier
            ones have come.
        chunking: CHUNKING (RFC 3030): a client may send the message by BDAT, in chunks of known
            sizes, without added dots and without an end of data.
    """

    pipelining: bool = True
    chunking: bool = False

    @property
    def label(self) -> str:
        """What differs from the usual offers, as a part of names; empty where nothing does."""
        usual = Offers()
        changed = [
            f"{name}={str(value).lower()}"
            for name, value in (("pipelining", self.pipelining), ("chunking", self.chunking))
            if value != getattr(usual, name)
        ]
        return ",".join(changed)

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords of the extensions that are offered, as they stand in the reply to EHLO."""
        return tuple(
            word
            for word, offered in (("PIPELINING", self.pipelining), ("CHUNKING", self.chunking))
            if offered
        )


USUAL_OFFERS = Offers()
"""What servers offer where nobody says anything else."""


def announced(replies: bytes) -> Offers:
    """Return what a server offered, by its stream from the first byte on.

    Its first reply of code 250 is the one to EHLO (RFC 5321, 4.1.1.1), with a keyword in each line.
    """
    words = set()
    for line in replies.split(b"\r\n"):
        if line[:3] == b"250":
            words.add(line[4:].split(b" ")[0].upper())
            if line[3:4] != b"-":
                break
    return Offers(pipelining=b"PIPELINING" in words, chunking=b"CHUNKING" in words)
