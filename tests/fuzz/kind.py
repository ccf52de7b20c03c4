"""A kind of input: how one is made, and what must hold of it whatever it is.

What holds of every kind stands here: an input is accepted, or refused by one of the project's own
errors whose text is one line; and it takes no more time and memory than the limits below. What
holds of one kind stands in its own module.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Final, TypeVar

from seglab.errors import InputError

CASE_CPU_S: Final = 10.0
"""How much processor time an input may take. The inputs are small: most take some milliseconds, and
a reader that needs seconds for 100 kB would need days for a capture of gigabytes."""

CASE_BYTES: Final = 256 << 20
"""By how much an input may make the process grow. The readers bound what they hold to some dozen
megabytes; a kind that is allowed more says so."""

LINE_MAX: Final = 1000
"""The longest text of an error, in characters: some lines of a terminal."""

_PACKAGE = "seglab"
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of input.

    Attributes:
        name: for the command line.
        summary: what is made and asked, in one line.
        make: makes an input. It draws from the ``Random`` that it is given, and from nothing else.
        check: raises ``AssertionError`` where an input breaks a rule; any other exception of it is
            a finding as well.
        units: cuts an input into the parts that minimising takes away, which join to the input.
        growth_bytes: by how much an input may make the process grow.
    """

    name: str
    summary: str
    make: Callable[[Random], bytes]
    check: Callable[[bytes], None]
    units: Callable[[bytes], list[bytes]] = lambda data: data.splitlines(keepends=True)
    growth_bytes: int = CASE_BYTES


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong about an input.

    Attributes:
        signature: what inputs with the same fault have in common.
        text: for people; may have many lines.
    """

    signature: str
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input was refused; ``text`` is what the user reads."""

    text: str


def case_random(kind: str, seed: int, number: int) -> Random:
    """Return the source of randomness of a case, which nothing but these three decides."""
    return Random(f"{kind}/{seed}/{number}")


def outcome(step: Callable[[], _T]) -> _T | Refusal:
    """Return what a step returns, or how it refused its input.

    Raises:
        AssertionError: the refusal is no clear line.
    """
    try:
        return step()
    except InputError as error:
        text = str(error)
    assert text.strip(), "an error without a text"
    assert "\n" not in text, f"an error of several lines: {text[:200]!r}"
    assert len(text) <= LINE_MAX, f"an error of more than {LINE_MAX} characters: {text[:200]!r}"
    return Refusal(text)


def examine(kind: Kind, data: bytes, *, cpu_s: float = CASE_CPU_S) -> Problem | None:
    """Return what is wrong about an input, if anything is."""
    before = _begin_measuring()
    begun = time.process_time()
    try:
        kind.check(data)
    except Exception as error:
        return _described(error)
    used_s = time.process_time() - begun
    if used_s > cpu_s:
        text = f"took {used_s:.1f} s of processor time; the limit is {cpu_s:g} s"
        return Problem("time", text)
    grown = _peak_bytes() - before
    if before and grown > kind.growth_bytes:
        text = f"grew by {grown >> 20} MiB; the limit is {kind.growth_bytes >> 20} MiB"
        return Problem("memory", text)
    return None


def _described(error: Exception) -> Problem:
    """Return a problem whose signature is the exception's type and its place in the package."""
    places = extract_tb(error.__traceback__)
    inside = [place for place in places if f"/{_PACKAGE}/" in place.filename] or list(places)
    place = inside[-1]
    name = Path(place.filename).name
    signature = f"{type(error).__name__} in {name}:{place.name}"
    if isinstance(error, AssertionError):
        checked = places[-1]
        signature = f"{type(error).__name__} in {Path(checked.filename).name}:{checked.lineno}"
    lines = [f"{Path(p.filename).name}:{p.lineno} {p.name}: {p.line}" for p in places]
    return Problem(signature, "\n".join([f"{type(error).__name__}: {error}"[:4000], *lines]))


def _begin_measuring() -> int:
    """Set the kernel's peak of this process back, and return its present size; 0 if it cannot."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return 0
    return _peak_bytes()


def _peak_bytes() -> int:
    try:
        text = _STATUS.read_text()
    except OSError:
        return 0
    _, _, rest = text.partition("VmHWM:")
    return int(rest.split(maxsplit=1)[0]) << 10 if rest else 0
