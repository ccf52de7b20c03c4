"""The simulator's TCP, one endpoint at a time, against scripts that play its peer."""

from pathlib import Path

import pytest
from tcp_script import Runner, Script, scripts

from seglab.errors import InputError
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.personality import PERSONALITIES
from seglab.simulator.settings import EndpointSettings

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("simulator_*.txt"))
CASES = [script for path in FILES for script in scripts(path)]


@pytest.mark.parametrize("script", CASES, ids=lambda script: script.title)
def test_script(script: Script) -> None:
    """The endpoint sends exactly what the script says, when it says so."""
    expected, sent = Runner(script).run(script.lines)
    assert sent == expected


def test_scripts_cite_a_rule() -> None:
    """Every script says which rule of an RFC or of the kernel it shows."""
    assert [script.title for script in CASES if not script.source] == []
    assert len(CASES) > 10


def test_an_unknown_personality_is_refused_by_name() -> None:
    """A personality that the simulator does not have is never approximated by another."""
    with pytest.raises(InputError, match=r"'solaris'.*linux, windows, lwip"):
        TcpEndpoint(EndpointSettings(personality="solaris"))


def test_only_linux_was_checked() -> None:
    """Whatever shows segments of another personality can tell that nobody compared it."""
    assert [one.name for one in PERSONALITIES.values() if one.checked] == ["linux"]


def test_the_send_buffer() -> None:
    """What a socket takes without an acknowledgement is what the kernel took.

    On Linux 6.18, with Reno and an MSS of 1448, ``send`` of 59 850 bytes behind a message header of
    150 bytes returned 44 888 (tracefs, ``sock_send_length``): 9 segments that left, and a buffer of
    22. The buffer of the socket is 2 * 10 * 2304 bytes (``tcp_sndbuf_expand``).
    """
    endpoint = Runner(Script("", "", {"timestamps": True})).endpoint
    assert endpoint.sndbuf == 46_080
    taken = [endpoint.write(40_000_000, size) for size in (150, 59_850)]
    assert taken == [150, 44_888]
    assert not endpoint.writable
