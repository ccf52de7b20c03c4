"""Which sessions of a program are planned, what they send, and what cannot be planned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import simulated

from seglab.errors import InputError
from seglab.execution.trying import message_of
from seglab.experiment import registry
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import condition, content, plan, program_name
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.regress.case import cases


def planned(**given: Any) -> list[tuple[ProgramSession, Network]]:
    """Two sessions over each of two networks, unless asked for otherwise."""
    values: dict[str, Any] = {
        "command": ["/bin/mailer", "{host}"],
        "networks": [registry.network("ethernet"), registry.network("gprs")],
        "message": MessageSpec(),
        "sessions": 2,
        "seed": 7,
        "sender_address": "a@example.org",
        "recipient": "b@example.org",
        "folder": Path("/"),
    } | given
    return plan(**values)


def test_sessions() -> None:
    """Ids and seeds are unique, and all sessions carry the same message."""
    found = [spec for spec, _ in planned()]
    assert [spec.session_id for spec in found] == [
        "try.mailer.ethernet.0000",
        "try.mailer.gprs.0000",
        "try.mailer.ethernet.0001",
        "try.mailer.gprs.0001",
    ]
    assert len({content(spec) for spec in found}) == 1
    assert len({spec.seed for spec in found}) == 4
    assert all(spec.kind == "program" and spec.style == "unknown" for spec in found)


def test_another_program_has_the_same_message_and_paths() -> None:
    """So two versions of a program differ only in what they do."""
    one = [spec for spec, _ in planned(command=["/bin/mailer-1"])]
    other = [spec for spec, _ in planned(command=["/bin/mailer-2"])]
    assert [spec.seed for spec in one] == [spec.seed for spec in other]
    assert content(one[0]) == content(other[0])
    assert {spec.session_id for spec in one}.isdisjoint(spec.session_id for spec in other)


def test_a_mail_of_the_users_own_is_handed_over_as_it_is(tmp_path: Path) -> None:
    """Not a byte of it changes, whatever its line ends."""
    file = tmp_path / "own.eml"
    file.write_bytes(b"Subject: x\nFrom: a@b.c\n\n.\nbody\n")
    source = message_of(str(file), None)
    assert isinstance(source, MailSource)
    ((spec, _), *_) = planned(message=source)
    assert content(spec) == file.read_bytes()
    file.write_bytes(b"Subject: y\nFrom: a@b.c\n\n.\nbody\n")
    with pytest.raises(InputError, match="has changed"):
        content(spec)


def test_messages() -> None:
    """A kind of generated mail may have a size; nothing else can."""
    assert message_of("newsletter", 12_000) == MessageSpec(kind="newsletter", payload_bytes=12_000)
    for given, size, words in (
        ("text", 3, "payload_bytes: expected"),
        ("nothing", None, "neither a file nor a kind"),
        (__file__, 100, "leave out --size"),
        (__file__, None, "none of its 1 mails can be sent"),
    ):
        with pytest.raises(InputError, match=words):
            message_of(given, size)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"command": []}, "which program"),
        ({"command": ["a", "b\0"]}, "NUL byte"),
        ({"name": "../x"}, "expected letters"),
        ({"sender_address": "a b"}, "from 'a b'"),
        ({"recipient": "-oQ/tmp"}, "to '-oQ/tmp'"),
    ],
)
def test_what_cannot_be_planned(given: dict[str, Any], words: str) -> None:
    """Each is an error of input that says what."""
    with pytest.raises(InputError, match=words):
        planned(**given)


def test_networks_of_another_tcp() -> None:
    """A program has the kernel's TCP, so a network whose client has another is refused."""
    network = registry.network("ethernet")
    for client in (
        replace(network.client, send_window_bytes=5840),
        replace(network.client, tcp="simulator"),
    ):
        with pytest.raises(InputError, match="not this kernel's TCP"):
            planned(networks=[replace(network, client=client)])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/msmtp", "msmtp"),
        ("./my mailer", "my_mailer"),
        ("..", "program"),
        ("é", "program"),
    ],
)
def test_names(path: str, name: str) -> None:
    """They are parts of file names."""
    assert program_name([path]) == name


def test_rows_without_a_style_are_not_judged() -> None:
    """A classifier cannot be held against a style that nobody knows."""
    known = simulated(3)
    unknown = replace(known, kind="program", style="unknown", terminator=None)
    assert [case.style for case in cases([known, unknown], "segments")] == [known.style]


def test_conditions() -> None:
    """What stands between slashes is a pattern; all else is the shell's."""
    assert condition("ready", "/daemon started/") == ("pattern", "daemon started")
    assert condition("ready", "/usr/sbin/postfix status") == ("command", "/usr/sbin/postfix status")
    assert condition("done", "//") == ("command", "//")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ready": "true"}, "add how: --send CMD"),
        ({"send": " "}, "send: expected a command"),
        ({"send": "cat", "ready": ""}, "ready: expected a command"),
        ({"send": "cat", "done": "/(/"}, r"done /\(/: not a regular expression"),
        ({"done": "a\0b"}, "holds a NUL byte"),
    ],
)
def test_daemons_that_cannot_be_planned(given: dict[str, Any], words: str) -> None:
    """It is said which option is wrong."""
    with pytest.raises(InputError, match=words):
        planned(**given)
