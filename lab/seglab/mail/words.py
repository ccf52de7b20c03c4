"""The words of generated mail: names, places and running text, drawn from a seed.

There are two lexicons. The built-in one costs nothing. Faker's has far more of everything, and
takes about 0.2 s to load, once a process, so only the kinds of mail that need it load it.

A lexicon is the same in every session. A session draws from it only by ``random.Random.random``,
whose sequence Python keeps from version to version. Faker's word lists change with its versions;
the manifest of a run holds Faker's version.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal, TypeVar

LexiconName = Literal["built-in", "faker"]

_FAKER_SEED = 2014
_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
_HEX = "0123456789abcdef"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words that a mail's text is drawn from. All of them are printable ASCII."""

    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    companies: tuple[str, ...]
    cities: tuple[str, ...]
    streets: tuple[str, ...]
    subjects: tuple[str, ...]
    words: tuple[str, ...]


def lexicon(name: LexiconName) -> Lexicon:
    """The lexicon of that name. Each is made once a process."""
    return _faker() if name == "faker" else _BUILT_IN


def pick(draw: Random, items: Sequence[_T]) -> _T:
    """One of the items, each as likely as the others."""
    return items[int(draw.random() * len(items))]


def token(draw: Random, length: int, characters: str = _ALPHANUMERIC) -> str:
    """``length`` drawn characters, by default letters and digits."""
    chance, count = draw.random, len(characters)
    return "".join([characters[int(chance() * count)] for _ in range(length)])


def hexadecimal(draw: Random, length: int) -> str:
    """``length`` drawn hexadecimal digits."""
    return token(draw, length, _HEX)


def number(draw: Random, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    return low + int(draw.random() * (high - low + 1))


def exact(text: str, length: int) -> str:
    """The text, repeated or cut to exactly ``length`` characters, without a space at its end."""
    filled = " ".join([text] * (1 + length // (len(text) + 1)))[:length]
    return filled.rstrip(" ").ljust(length, ".")


@cache
def _faker() -> Lexicon:
    from faker import Faker  # noqa: PLC0415 - the only place, and slow: see above

    source = Faker("en_US", use_weighting=False)
    source.seed_instance(_FAKER_SEED)

    def some(count: int, make: Callable[[], str]) -> tuple[str, ...]:
        return _plain(make() for _ in range(count))

    return Lexicon(
        first_names=some(200, source.first_name),
        last_names=some(300, source.last_name),
        companies=some(100, source.company),
        cities=some(80, source.city),
        streets=some(80, source.street_address),
        subjects=some(150, source.catch_phrase),
        words=_plain(source.words(800, unique=True)),
    )


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that are printable ASCII and fit into a line, each once, in their order."""
    return tuple(
        dict.fromkeys(t for t in texts if t.isascii() and t.isprintable() and 0 < len(t) <= 60)
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_BUILT_IN = Lexicon(
    first_names=_split(
        "Alberta Adrian Bianca Carlos Dana Emil Farida George Hanna Ioana Jonas Karin Liam "
        "Marie Nadia Oscar Paula Radu Sofia Tudor Vera Walter"
    ),
    last_names=_split(
        "Andrei Brandt Costa Dumitru Evans Fischer Garcia Hendrix Ionescu Jansen Kowalski "
        "Longley Moreau Novak Olsen Petrov Rossi Statler Trifan Weber"
    ),
    companies=("Example Books", "Harbour Trading", "North Road Garden Supplies"),
    cities=_split("Amberfield Brookhaven Castleton Dunmore Eastbridge"),
    streets=("1 Station Road", "22 Harbour Street", "305 Garden Lane"),
    subjects=(
        "Your weekly digest",
        "Notes from the meeting on Thursday",
        "Changes to the delivery schedule",
        "Invitation: spring lecture series",
        "Your order is on its way",
        "Photos from the trip, as promised",
        "Reminder about the library books",
    ),
    words=_split(
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
    ),
)
