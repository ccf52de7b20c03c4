"""Profiles: programs as parameterised senders, which give the same segments without the program.

A profile is one file, ``senders/profiles/NAME.toml``. It names a program and its version, a shipped
sender, and the parameters with which that one writes as the program does::

    program = "curl"                     # what it is called, and what sessions of it may be called
    version = "7.88.1"
    summary = "curl, and with it programs of libcurl"
    source = "https://curl.se/libcurl/"  # where the behaviour is described
    sender = "fixed_buffer"

    [parameters]                         # those that differ from the sender's defaults
    buffer_bytes = 65536

    [measured]                           # against the program, as docs/profiles.md says
    equal = 118                          # sessions with the very same segments
    sessions = 120                       # of so many
    networks = 20
    messages = ["text 2000", "text 25000"]
    system = "Linux 6.18"
    program_itself = [52, 60]            # of so many pairs of the program's sessions, equal ones
    profile_itself = [114, 120]          # the same of the profile, which sent each message twice
    reason = "..."                       # where fewer than 95 % are equal

A profile is a ``Sender`` under its own name, so every engine, scenario and dataset takes it as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from seglab.core import plugins
from seglab.core.lookup import named
from seglab.core.specfile import SpecTable, read
from seglab.errors import InputError
from seglab.sender.registry import NAME, senders
from seglab.sender.sender import Sender

PREFIX: Final = "profile:"
"""What stands before a profile's name where a sender's name may stand as well."""

WANTED_SHARE: Final = 0.95
"""The share of equal sessions below which a profile says why."""

_SESSIONS_MAX: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """How often a profile gave the very same segments as its program.

    Attributes:
        equal: sessions whose segments had the same sizes, as they were first sent.
        sessions: of so many, each with the same message over the same network.
        networks: how many networks they crossed.
        messages: what was sent.
        system: whose TCP it was.
        program_itself: how many pairs of sessions of the program had the same segments, and of how
            many: pairs with one mail of one length over one network, with the same losses;
            ``None`` where there was no such pair.
        profile_itself: the same of the profile, which sent each message twice.
        reason: why the share is below ``WANTED_SHARE``; empty where it is not.
    """

    equal: int
    sessions: int
    networks: int
    messages: tuple[str, ...]
    system: str
    program_itself: tuple[int, int] | None
    profile_itself: tuple[int, int] | None
    reason: str

    @property
    def share(self) -> float:
        """The share of equal sessions."""
        return self.equal / self.sessions


@dataclass(frozen=True, slots=True)
class Profile:
    """A program, and the sender that writes as it does.

    Attributes:
        name: the file's name without its ending.
        program: the program.
        version: the one that was compared.
        base: the name of the shipped sender.
        parameters: those of that sender which differ from its defaults.
        sender: the shipped sender with these parameters as defaults, and the profile's name.
        measured: the comparison; ``None`` before there was one.
    """

    name: str
    program: str
    version: str
    base: str
    parameters: Mapping[str, Any]
    sender: Sender
    measured: Measured | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        measured = self.measured
        return {
            "name": self.name,
            "program": self.program,
            "version": self.version,
            "sender": self.base,
            "parameters": dict(self.parameters),
            "style": self.sender.style,
            "terminator": self.sender.terminator,
            "summary": self.sender.summary,
            "source": self.sender.source,
            "measured": None
            if measured is None
            else {
                "equal": measured.equal,
                "sessions": measured.sessions,
                "share": measured.share,
                "networks": measured.networks,
                "messages": list(measured.messages),
                "system": measured.system,
                "program_itself": measured.program_itself,
                "profile_itself": measured.profile_itself,
                "reason": measured.reason,
            },
        }


def profiles_in(folder: Path, known: Mapping[str, Sender]) -> dict[str, Profile]:
    """The profiles of a folder's TOML files, by name.

    Args:
        folder: may be missing.
        known: the senders that a profile can name.

    Raises:
        InputError: a file cannot be used; says where and why.
    """
    if not folder.is_dir():
        return {}
    return {
        file.stem: parse(file.stem, SpecTable(f"{folder.name}/{file.name}", read(file)), known)
        for file in plugins.files(folder, ".toml")
    }


def parse(name: str, table: SpecTable, known: Mapping[str, Sender]) -> Profile:
    """The profile that a table describes.

    Raises:
        InputError: the table cannot be used; says where and why.
    """
    if not NAME.fullmatch(name) or name in known:
        raise InputError(f"{table.where}: {name!r} is no name for a profile, or a sender has it")
    base = table.text("sender")
    written_by = named("sender", base, known, where=f"{table.where}: sender")
    given = dict(table.table("parameters").items())
    program, version = table.text("program"), table.text("version")
    values = written_by.resolve(given, f"{table.where}: parameters")
    sender = replace(
        written_by,
        name=name,
        summary=table.text("summary"),
        source=table.text("source"),
        style=written_by.style_for(values),
        parameters={
            key: replace(parameter, default=values[key])
            for key, parameter in written_by.parameters.items()
        },
    )
    measured = _measured(table.table("measured")) if "measured" in table else None
    table.finish()
    own = {key: value for key, value in values.items() if key in given}
    return Profile(name, program, version, base, own, sender, measured)


def _measured(table: SpecTable) -> Measured:
    sessions = table.integer("sessions", 1, _SESSIONS_MAX)
    messages = table.array("messages", "a list of messages")
    for message in messages:
        if not isinstance(message, str) or not message.isprintable():
            raise table.problem("messages", "a list of messages, each in one line", message)
    found = Measured(
        equal=table.integer("equal", 0, sessions),
        sessions=sessions,
        networks=table.integer("networks", 1, _SESSIONS_MAX),
        messages=tuple(messages),
        system=table.text("system"),
        program_itself=_pairs(table, "program_itself"),
        profile_itself=_pairs(table, "profile_itself"),
        reason=table.text("reason", default=""),
    )
    table.finish()
    if found.share < WANTED_SHARE and not found.reason:
        raise InputError(
            f"{table.where}: reason: {found.equal} of {sessions} sessions are equal, which is "
            f"below {WANTED_SHARE:.0%}; say why"
        )
    return found


def _pairs(table: SpecTable, key: str) -> tuple[int, int] | None:
    """Read how many pairs were equal, and of how many."""
    if key not in table:
        return None
    found = table.array(key, "two numbers: equal pairs, and pairs")
    if len(found) != 2 or not all(type(n) is int for n in found) or not 0 <= found[0] <= found[1]:
        raise table.problem(key, "two numbers: equal pairs, and pairs, such as [19, 20]", found)
    return found[0], found[1]


@cache
def profiles() -> Mapping[str, Profile]:
    """All shipped profiles by name."""
    return profiles_in(plugins.shipped("senders") / "profiles", senders())
