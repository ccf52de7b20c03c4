"""A user's own sender in its worker: what it does wrong is one line, and harms nobody."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from seglab.confined import remote, view
from seglab.confined.own_sender import own_sender
from seglab.errors import InputError
from seglab.mail.message import Message, MessageSpec
from seglab.sender.steps import Expect, Wait, Write

GOOD = """
import os, socket, struct, time
from seglab.sender import *

def channel():
    for fd in range(3, 64):
        try:
            return socket.socket(fileno=fd)
        except OSError:
            continue

def steps(message, parameters):
    yield Write(message.wire[:5])
    yield Wait(0.5)
    yield Write(message.wire[5:], payload=False)
    yield Expect(250)

SENDER = Sender(
    name="own", summary="one", source="a test", style="single_write", steps=steps,
    parameters={"size": Integer(10, 1, 1 << 40, "bytes"), **smtp_parameters()},
    payload_bytes_of=lambda p: p["size"],
    style_of=lambda p: "fixed_buffer" if p["size"] == 20 else "single_write",
)
"""
MESSAGE = Message.raw(b"0123456789")


def sender_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """The good sender, with pieces of its source replaced."""
    source = GOOD
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    file = folder / "own.py"
    file.write_text(source)
    return file


def test_it_is_as_if_it_were_here(tmp_path: Path) -> None:
    """Attributes, functions and steps are those of the file."""
    own, _ = own_sender(sender_file(tmp_path))
    parameters = own.resolve({"size": 20})
    assert (own.name, own.protocol, own.defaults["size"]) == ("own", "smtp", 10)
    assert own.style_for(own.resolve({})) == "single_write"
    assert own.style_for(parameters) == "fixed_buffer"
    assert len(own.message_for(parameters, MessageSpec(), 1).wire) == 20
    made = [*own.steps(MESSAGE, parameters)]
    assert made == [Write(b"01234"), Wait(0.5), Write(b"56789", payload=False), Expect(250)]


STEPS_AT = "    yield Write(message.wire[:5])\n"
FAULTS = {
    "raises": (
        "    raise ValueError('no\\n\\x1b[31m')\n",
        r"the sender raised ValueError: no \x1b[31m",
    ),
    "exits": ("    raise SystemExit(3)\n", "the sender raised SystemExit: 3"),
    "ends": ("    os._exit(0)\n", "the sender ended its process"),
    "no step": ("    yield 'EHLO'\n", "the sender yielded 'EHLO', which is no step"),
    "too slow": ("    time.sleep(60)\n", "the sender took more than 2 s to make its steps"),
    "another answer": (
        "    channel().sendall(struct.pack('!I', 8) + b'\\x81\\xa5steps\\x07')\n",
        "the sender yielded what is no step: Expected `array`, got `int`",
    ),
    "no message": ("    channel().sendall(b'\\0\\0\\0\\1x')\n", "the sender ended its process"),
    "a huge message": ("    channel().sendall(b'\\xff' * 9)\n", "the sender ended its process"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_steps_that_go_wrong(fault: str, tmp_path: Path) -> None:
    """One line each; the next question is answered as if nothing had been."""
    text, words = FAULTS[fault]
    once = "    if parameters['size'] == 10:\n    "
    own, _ = own_sender(sender_file(tmp_path, (STEPS_AT, once + text + STEPS_AT)))
    with pytest.raises(InputError) as raised:
        [*own.steps(MESSAGE, own.resolve({}))]
    assert str(raised.value) == words
    assert len([*own.steps(MESSAGE, own.resolve({"size": 11}))]) == 4


DECLARED = {
    "style": (('style="single_write"', 'style="none"'), "SENDER: Invalid enum value 'none'"),
    "name": (('name="own"', "name=7"), "SENDER: Expected `str`, got `int`"),
    "parameter": (
        ("Integer(10, 1, 1 << 40", "Integer(10, 'x', 4"),
        "SENDER.parameters: size: Expected `int`",
    ),
    "default": (("Integer(10, 1", "Integer(0, 1"), "SENDER.parameters: size: the default is not"),
    "cannot travel": (('summary="one"', "summary=object()"), "raised TypeError: "),
    "exits": (("import os", "import sys; sys.exit(1); import os"), "raised SystemExit: 1"),
    "ends": (("import os", "import os; os._exit(1)"), "its process ended"),
}


@pytest.mark.parametrize("fault", DECLARED)
def test_declared_wrongly(fault: str, tmp_path: Path) -> None:
    """A sender that cannot be used is refused in one line that names the file."""
    change, words = DECLARED[fault]
    file = sender_file(tmp_path, change)
    with pytest.raises(InputError) as raised:
        own_sender(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert words in str(raised.value)
    assert str(raised.value).isprintable()


FUNCTIONS = {
    "style_of": ('"fixed_buffer" if p["size"] == 20 else "single_write"', "'\\x1b'"),
    "payload_bytes_of": ('lambda p: p["size"]', "lambda p: -1"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_go_wrong(name: str, tmp_path: Path) -> None:
    """What a function of the sender returns is checked as a stranger's data."""
    own, file = own_sender(sender_file(tmp_path, FUNCTIONS[name]))
    ask = own.style_of if name == "style_of" else own.payload_bytes_of
    assert ask is not None
    with pytest.raises(InputError) as raised:
        ask(own.defaults)
    assert str(raised.value).startswith(f"{file.path}: {name}: expected ")
    assert str(raised.value).isprintable()


def test_without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system has none, the worker still has no privileges, no network and no children."""
    monkeypatch.setattr(remote, "unshare_command", lambda _program: ["false"])
    tries = "\n".join(
        f"try:\n    {code}\n    SUMMARY += ' {name}'\nexcept OSError:\n    pass"
        for name, code in {
            "fork": "os.fork()",
            "socket": "socket.socket()",
            "write": f"open({str(tmp_path / 'x')!r}, 'w').write('x')",
        }.items()
    )
    change = ("def channel", f"SUMMARY = 'reached:'\n{tries}\n\ndef channel")
    own, _ = own_sender(sender_file(tmp_path, change, ('summary="one"', "summary=SUMMARY")))
    assert own.summary == "reached:"


def test_nothing_is_left(tmp_path: Path) -> None:
    """When the command ends, so does the worker, even if nobody tidies up."""
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from seglab.confined.own_sender import own_sender\n"
        "own_sender(Path(sys.argv[1]))\n"
        "children = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()\n"
        "print(children, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sender_file(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (pid,) = json.loads(done.stdout.replace("'", '"'))
    end_s = time.monotonic() + 60
    while not _ended(int(pid)):
        assert time.monotonic() < end_s, "the worker is left"
        os.sched_yield()


def _ended(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        (["/a/b", "/a", "/ab"], ["/a", "/ab"]),
        (["/a/", "/a/b/c", "/b/../a"], ["/a"]),
        ([], []),
    ],
)
def test_outermost(paths: Sequence[str], kept: Sequence[str]) -> None:
    """A folder inside another one is seen with that; names that only begin alike are not."""
    assert view.outermost(paths) == kept


def test_whose_files(tmp_path: Path) -> None:
    """Where everyone may read, nobody in particular must; else the owner of what is private."""
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open" / "a.py").touch(0o644)
    assert view.owner([str(tmp_path / "open")]) is None
    (tmp_path / "open" / "b.py").touch(0o600)
    assert view.owner([str(tmp_path / "open")]) == os.getuid()
