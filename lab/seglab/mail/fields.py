"""Makes the header fields of generated mail, each of exactly the wanted length.

All domains and addresses are reserved for examples (RFC 2606, RFC 5737), so they reach nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Self

from seglab.mail.words import Lexicon, exact, number, pick, token

LINE_MAX = 78
"""The longest line that is made, in bytes without its CRLF (RFC 5322, 2.1.1)."""

FIELD_MAX_BYTES = LINE_MAX + 2
"""The longest field in one line, with its CRLF."""

FILLER_MIN_BYTES = 9
"""The shortest field that ``filler`` makes."""

RECEIVED_BYTES = range(72, 161)
"""The lengths that ``received`` can make."""

NATURAL_RECEIVED_BYTES = 150
"""The length of a ``Received`` field where nothing asks for another one."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example", "news.example")
_MAILERS = ("Example Mailer 6.00.2900", "Pine 4.64", "PostBox 3.1", "mailer.pl 1.4")
_FOLDED_MIN_BYTES = 4  # a space, a character, and CRLF


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes or reads mail; the address is on an example domain."""

    name: str
    address: str

    @classmethod
    def drawn(cls, draw: Random, lexicon: Lexicon) -> Self:
        """Draw a person; the address is made of the name."""
        first, last = pick(draw, lexicon.first_names), pick(draw, lexicon.last_names)
        address = f"{first}.{last}@{pick(draw, _DOMAINS)}".lower().replace(" ", "-")
        return cls(f"{first} {last}", address)


@dataclass(frozen=True, slots=True)
class Story:
    """What the parts of one mail agree on: who writes to whom, from where, when, about what.

    Attributes:
        author: who writes.
        reader: who gets the mail.
        ip: the address that the author's host has.
        sent: when.
        subject: what the mail is about.
        boundary: the delimiter of the parts of a multipart mail (RFC 2046, 5.1.1).
    """

    author: Person
    reader: Person
    ip: str
    sent: datetime
    subject: str
    boundary: str = ""

    @classmethod
    def drawn(
        cls, draw: Random, lexicon: Lexicon, boundary: str = "", subjects: tuple[str, ...] = ()
    ) -> Self:
        """Draw a story in February 2014, when the paper's mails were sent."""
        return cls(
            author=Person.drawn(draw, lexicon),
            reader=Person.drawn(draw, lexicon),
            ip=f"192.0.2.{number(draw, 1, 254)}",
            sent=datetime(2014, 2, 1, tzinfo=UTC)
            + timedelta(seconds=int(draw.random() * 28 * 86_400)),
            subject=pick(draw, subjects or lexicon.subjects),
            boundary=boundary,
        )

    @property
    def date(self) -> str:
        """The date of RFC 5322, 3.3, always 31 characters long."""
        sent = self.sent
        day = f"{_DAYS[sent.weekday()]}, {sent.day:02} {_MONTHS[sent.month - 1]} {sent.year}"
        return f"{day} {sent.hour:02}:{sent.minute:02}:{sent.second:02} +0000"


def line(name: str, value: str) -> bytes:
    """Make a field of one line."""
    return f"{name}: {value}\r\n".encode("ascii")


def received(draw: Random, story: Story, length: int) -> bytes:
    """Make a ``Received`` field of exactly ``length`` bytes, from 72 to 160, folded where needed.

    The shortest form is one line, as in Listing 5 of the paper. Longer forms name a ``by`` host and
    an id, which take up the rest.
    """
    opening = f"Received: from {story.ip} (HELO "
    if length <= FIELD_MAX_BYTES:
        closing = f"); {story.date}\r\n"
        return f"{opening}{_host(draw, length - len(opening) - len(closing))}{closing}".encode()
    last = f"\r\n\t{story.date}\r\n"
    room = length - len(opening) - len(last)
    longest_host = FIELD_MAX_BYTES - 2 - len(opening) - len(");")
    if room - len(");") <= longest_host:
        return f"{opening}{_host(draw, room - len(');'))});{last}".encode()
    host = _host(draw, 12)
    by = ")\r\n\tby mx.example with SMTP id "
    identifier = token(draw, room - len(host) - len(by) - len(";"))
    return f"{opening}{host}{by}{identifier};{last}".encode()


def x_received(draw: Random, story: Story) -> bytes:
    """Make the field that a webmail adds, as in Listings 3, 4, 9, 11 and 13 of the paper."""
    by = f"X-Received: by {story.ip} with SMTP id {token(draw, 14)}mr{number(draw, 1000, 9999)}"
    return f"{by};\r\n\t{story.date}\r\n".encode()


def filler(draw: Random, length: int) -> bytes:
    """Make a field of random text of exactly ``length`` bytes, 9 or more, in lines of up to 78."""
    opening = "X-ID: "
    parts = []
    while length:
        size = min(length, FIELD_MAX_BYTES)
        if 0 < length - size < _FOLDED_MIN_BYTES:
            size -= _FOLDED_MIN_BYTES
        parts.append(opening + token(draw, size - len(opening) - 2) + "\r\n")
        length -= size
        opening = " "
    return "".join(parts).encode()


def adjustable(draw: Random, story: Story, name: str, value_bytes: int | None) -> bytes:
    """Make one of the fields whose value can have any length.

    Args:
        draw: the source of all draws.
        story: the mail's.
        name: one of ``VALUE_NAMES``.
        value_bytes: the length from the colon to the CRLF, with the space; ``None`` leaves it to
            the draw.
    """
    return f"{name}:{_VALUES[name](draw, story, value_bytes)}\r\n".encode("ascii")


def value_range(name: str) -> range:
    """The lengths that the value of an adjustable field can have within one line."""
    return range(_VALUE_MIN[name], LINE_MAX - len(name))


def _subject(_draw: Random, story: Story, length: int | None) -> str:
    return f" {story.subject if length is None else exact(story.subject, length - 1)}"


def _mailer(draw: Random, _story: Story, length: int | None) -> str:
    mailer = pick(draw, _MAILERS)
    return f" {mailer if length is None else exact(mailer, length - 1)}"


def _message_id(draw: Random, _story: Story, length: int | None) -> str:
    domain = _DOMAINS[0] if length is not None else pick(draw, _DOMAINS)
    around = f" <@{domain}>"
    size = 18 if length is None else length - len(around)
    return f" <{token(draw, size)}@{domain}>"


def _from(draw: Random, story: Story, length: int | None) -> str:
    return _mailbox(draw, story.author, length)


def _to(draw: Random, story: Story, length: int | None) -> str:
    return _mailbox(draw, story.reader, length)


def _mailbox(draw: Random, person: Person, length: int | None) -> str:
    if length is None:
        named = f" {person.name} <{person.address}>"
        return named if len(named) <= LINE_MAX - len("From:") else f" {person.address[-60:]}"
    domain = _DOMAINS[0]
    for opening, closing in ((f" {person.name} <", f"@{domain}>"), (" ", f"@{domain}")):
        local = length - len(opening) - len(closing)
        if local > 0:
            return opening + token(draw, local) + closing
    raise ValueError(f"no mailbox is {length} bytes long")


_VALUES: Mapping[str, Callable[[Random, Story, int | None], str]] = {
    "From": _from,
    "To": _to,
    "Subject": _subject,
    "Message-ID": _message_id,
    "X-Mailer": _mailer,
}

_VALUE_MIN = {"From": 14, "To": 14, "Subject": 2, "Message-ID": 16, "X-Mailer": 2}

VALUE_NAMES = tuple(_VALUES)
"""The fields whose value can be given a length."""


def _host(draw: Random, length: int) -> str:
    """Make a host's name of ``length`` characters, with a domain where one fits."""
    domain = ".example"
    if length < len(domain) + 3:
        return token(draw, length)
    return token(draw, length - len(domain)) + domain
