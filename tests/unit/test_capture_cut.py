"""Captures that were cut by the snap length: what can be known, and what is not claimed."""

import pytest
from capturing import Talk, enhanced, interface, mail, opened, pcap, read, read_noting, section

from seglab import classify
from seglab.capture import backend
from seglab.capture.backend import Core

pytest_plugins = ["capture_core"]

SIZES = (1460, 1460, 580)
LINUX_SYN = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]


@pytest.mark.parametrize("snaplen", [68, 96, 128])
@pytest.mark.parametrize(
    "sizes", [(1460, 700, 3), (1460, 1460, 1460, 600, 5), (40, 1460, 900, 2, 3), (1460, 600)]
)
def test_a_message_in_a_cut_capture(core: Core, snaplen: int, sizes: tuple[int, ...]) -> None:
    """With ``tcpdump -s`` the server's reply ends the message; QUIT is no payload."""
    talk = opened()
    talk.envelope()
    talk.body(mail(sum(sizes)), sizes)
    talk.send(1, b"250 Queued\r\n")
    talk.send(0, b"QUIT\r\n")
    talk.send(1, b"221 Bye\r\n")
    talk.close()
    (found,) = read(pcap(talk.packets, snaplen=snaplen - 14), core)  # it counts Ethernet's header
    assert (found.sizes, found.complete, found.reply) == (sizes, True, "accepted")


@pytest.mark.parametrize("snaplen", [68, 96, 128])
@pytest.mark.parametrize("sizes", [(84, 1460, 1460, 700), (47, 1460, 700, 5), (62, 22, 1460, 900)])
def test_a_header_that_was_not_captured(snaplen: int, sizes: tuple[int, ...]) -> None:
    """What only the header tells is not claimed where it was cut; the truth is in the answer."""
    talk = opened()
    talk.envelope()
    talk.body(mail(sum(sizes)), sizes, "PA")
    talk.finish()
    (whole,) = read(pcap(talk.packets), backend.best())
    (found,) = read(pcap(talk.packets, snaplen=snaplen - 14), backend.best())
    known, guessed = (classify(one, classifier="boundaries") for one in (whole, found))
    assert known is not None
    assert guessed is not None
    assert set(known.styles) <= set(guessed.styles)
    if found.header_end is None:
        assert guessed.confidence is not None
        assert guessed.confidence <= 0.5
        assert (found.hidden_bytes or 0) > 0


def test_options_that_were_cut(core: Core) -> None:
    """With ``-s 68`` half of the SYN's timestamp is missing; the segments tell if it is used."""
    talk = Talk()
    for way, flags in ((0, "S"), (1, "SA")):
        talk.packet(way, flags=flags, options=LINUX_SYN)
        talk.seq[way] += 1
    talk.packet(0)
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.envelope()
    talk.body(mail(3399), (1448, 1448, 503))
    talk.finish()
    (found,) = read(pcap(talk.packets, snaplen=68 - 14), core)
    assert (found.timestamps, found.mss) == (True, 1460 - 12)


def test_an_mss_that_was_cut(core: Core) -> None:
    """Where no option of the SYN was captured, the default MSS does not stand for the real one."""
    talk = opened()
    talk.envelope()
    talk.body(mail(1900), (460, 460, 460, 460, 60))
    talk.finish()
    cut = [
        (t, p[:40]) if len(p) == 44 else (t, p) for t, p in talk.packets
    ]  # only SYNs have options
    data = b"".join(
        enhanced(t // 1000, whole, kept=len(kept))
        for (t, whole), (_, kept) in zip(talk.packets, cut, strict=True)
    )
    (found,) = read(section() + interface() + data, core)
    assert (found.mss, found.timestamps, found.sizes[:2]) == (None, False, (460, 460))


@pytest.mark.parametrize("snaplen", [20, 39, 41, 54, 73])
@pytest.mark.parametrize("v6", [False, True])
def test_headers_that_were_cut(core: Core, snaplen: int, v6: bool) -> None:
    """Where headers were cut, a note says so, and not that there is no TCP."""
    talk = opened(v6=v6)
    talk.envelope()
    talk.body(mail(3500), SIZES)
    talk.finish()
    found, notes = read_noting(pcap(talk.packets, snaplen=snaplen), core)
    whole = 60 if v6 else 40  # the headers of IP and TCP, without options
    if snaplen < whole:
        assert notes == [
            f"0 messages: the headers of {len(talk.packets)} packets were not captured whole"
        ]
    elif snaplen < whole + 2:
        assert "segments were not captured" in notes[0] or "0 messages" in notes[0]
    assert found == [] or snaplen >= whole + 2
