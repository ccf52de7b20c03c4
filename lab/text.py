"""The words of generated mail: names, header fields and running text, drawn from a seed.

Domains and addresses are reserved for examples (RFC 2606, RFC 5737): they reach nobody.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

FILLER_MIN_BYTES = 9
"""The shortest field that ``filler`` makes."""

FIELD_MAX_BYTES = 80
"""One unfolded line of 78 characters, and its CRLF."""

_T = TypeVar("_T")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = _words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
_FIRST_NAMES = _words(
    "Alberta Adrian Bianca Carlos Dana Emil Farida George Hanna Ioana Jonas Karin Liam "
    "Marie Nadia Oscar Paula Radu Sofia Tudor Vera Walter"
)
_LAST_NAMES = _words(
    "Andrei Brandt Costa Dumitru Evans Fischer Garcia Hendrix Ionescu Jansen Kowalski "
    "Longley Moreau Novak Olsen Petrov Rossi Statler Trifan Weber"
)
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example", "news.example")
_SUBJECTS = (
    "Your weekly digest",
    "Notes from the meeting on Thursday",
    "Changes to the delivery schedule",
    "Invitation: spring lecture series",
    "Your order is on its way",
    "Photos from the trip, as promised",
    "Reminder about the library books",
)
_MAILERS = ("Example Mailer 6.00.2900", "Pine 4.64", "PostBox 3.1", "mailer.pl 1.4")
_WORDS = _words(
    "the a of and to in is it that was for on with as by at from this which are be or an "
    "not were had have has their its but they one all new more who time first two after "
    "year only over such some these may other between city river company station school "
    "history music theatre engineer battle government tower library garden market season "
    "letter picture road village island winter morning evening bridge castle railway museum "
    "harbour mountain forest number report member service family journey weather village "
    "football concert newspaper small large early late long short several many most public "
    "local national general common became began built called found held known left made "
    "moved opened played released returned said sent served started took used won works "
    "went wrote around before during later near north south east west often however "
    "although because while when where since until"
)
_LINE_TARGET = 72
_DOTTED_LINE_SHARE = 0.03


def pick(draw: Random, items: Sequence[_T]) -> _T:
    """One of the items, each as likely as the others."""
    return items[int(draw.random() * len(items))]


def token(draw: Random, length: int) -> str:
    """So many letters and digits."""
    return "".join(pick(draw, _ALPHANUMERIC) for _ in range(length))


class People:
    """Who writes to whom, from where and when: what the header fields of one mail agree on."""

    def __init__(self, draw: Random) -> None:
        self.author, self.author_address = _person(draw)
        self.reader, self.reader_address = _person(draw)
        self.ip = f"192.0.2.{1 + int(draw.random() * 254)}"
        self.sent = datetime(2014, 2, 1, tzinfo=UTC) + timedelta(
            seconds=int(draw.random() * 28 * 86_400)
        )

    @property
    def date(self) -> str:
        """The date of RFC 5322, 3.3, always 31 characters long."""
        sent = self.sent
        day = f"{_DAYS[sent.weekday()]}, {sent.day:02} {_MONTHS[sent.month - 1]} {sent.year}"
        return f"{day} {sent:%H:%M:%S} +0000"

    def required_fields(self) -> list[bytes]:
        """The fields that every mail has (RFC 5322, 3.6)."""
        return [
            _field(f"Date: {self.date}"),
            _field(f"From: {self.author} <{self.author_address}>"),
        ]

    def optional_fields(self, draw: Random) -> list[bytes]:
        """Fields that most mail has."""
        return [
            _field(f"To: {self.reader} <{self.reader_address}>"),
            _field(f"Subject: {pick(draw, _SUBJECTS)}"),
            _field(f"Message-ID: <{token(draw, 18)}@{pick(draw, _DOMAINS)}>"),
            _field("MIME-Version: 1.0"),
            _field("Content-Type: text/plain; charset=us-ascii"),
            _field("Content-Transfer-Encoding: 7bit"),
            _field(f"X-Mailer: {pick(draw, _MAILERS)}"),
        ]


def received(draw: Random, people: People, length: int) -> bytes:
    """A ``Received`` field of exactly ``length`` bytes, from 72 to 160, folded as it needs.

    The shortest kind is one line, as in Listing 5 of the paper; longer ones name a ``by`` host
    and an id, which take up the rest.
    """
    opening = f"Received: from {people.ip} (HELO "
    if length <= FIELD_MAX_BYTES:
        closing = f"); {people.date}\r\n"
        return f"{opening}{_host(draw, length - len(opening) - len(closing))}{closing}".encode()
    last = f"\r\n\t{people.date}\r\n"
    room = length - len(opening) - len(last)
    longest_host = FIELD_MAX_BYTES - 2 - len(opening) - len(");")
    if room - len(");") <= longest_host:
        return f"{opening}{_host(draw, room - len(');'))});{last}".encode()
    host = _host(draw, 12)
    by = ")\r\n\tby mx.example with SMTP id "
    identifier = token(draw, room - len(host) - len(by) - len(";"))
    return f"{opening}{host}{by}{identifier};{last}".encode()


def filler(draw: Random, length: int) -> bytes:
    """A header field of exactly ``length`` bytes, 9 or more, folded at 78 characters."""
    opening = "X-ID: "
    lines = []
    while length:
        size = min(length, FIELD_MAX_BYTES)
        if 0 < length - size < _FOLDED_MIN_BYTES:
            size -= _FOLDED_MIN_BYTES
        lines.append(opening + token(draw, size - len(opening) - 2) + "\r\n")
        length -= size
        opening = " "
    return "".join(lines).encode()


def lines(draw: Random) -> Iterator[bytes]:
    """Running text without end, line by line, each of 78 characters at most and not empty.

    Some lines begin with a dot, for which SMTP has a rule of its own.
    """
    line = ""
    sentence_words = 0
    while True:
        word = pick(draw, _WORDS)
        if sentence_words == 0:
            sentence_words = 5 + int(draw.random() * 10)
            word = word.capitalize()
        sentence_words -= 1
        if sentence_words == 0:
            word += "."
        if len(line) + 1 + len(word) > _LINE_TARGET:
            yield line.encode()
            line = f"...{word}" if draw.random() < _DOTTED_LINE_SHARE else word
        else:
            line = f"{line} {word}" if line else word


_FOLDED_MIN_BYTES = 4  # a space, a character, and CRLF
_RECEIVED_MAX_BYTES = 160

RECEIVED_BYTES = range(72, _RECEIVED_MAX_BYTES + 1)
"""The lengths that ``received`` can make."""

HEADER_REST_MIN_BYTES = 39 + FIELD_MAX_BYTES + FILLER_MIN_BYTES
"""What fits the required fields and a filler: ``Date`` takes 39 bytes, ``From`` one line."""


def _person(draw: Random) -> tuple[str, str]:
    first, last = pick(draw, _FIRST_NAMES), pick(draw, _LAST_NAMES)
    return f"{first} {last}", f"{first}.{last}@{pick(draw, _DOMAINS)}".lower()


def _field(line: str) -> bytes:
    return line.encode("ascii") + b"\r\n"


def _host(draw: Random, length: int) -> str:
    """A host's name of so many characters: with a domain where one fits."""
    domain = ".example"
    if length < len(domain) + 3:
        return token(draw, length)
    return token(draw, length - len(domain)) + domain
