"""Captures: what the inner loop does by itself, for speed, is what slower ways to it do."""

from importlib import import_module

import pytest
from capturing import Talk, mail, message, pcap
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seglab.capture.backend import Core
from seglab.capture.core.header import fields_of
from seglab.capture.reader import Capture
from seglab.mail.header_layout import header_layout

pytest_plugins = ["capture_core"]

PCAP_HEADER_BYTES = 24
PIECES = [b"Subject", b"X-y", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\x7f", b"\x80", b"a b"]


def headers() -> st.SearchStrategy[bytes]:
    """Bytes like those of headers, well-formed or not."""
    pieces = st.one_of(st.sampled_from(PIECES), st.binary(max_size=2))
    return st.lists(pieces, max_size=16).map(b"".join)


def test_the_header_is_laid_out_as_in_the_lab(core: Core) -> None:
    """Where fields stand, by a scan of the bytes, is where the lab's own expressions find them."""
    package = "compiled" if core.compiled else "core"
    scan = import_module(f"seglab.capture.{package}.header").fields_of

    @settings(max_examples=2000, deadline=None)
    @given(headers())
    @example(b"")
    @example(b"\r\n")
    @example(b"A: b\r\n c\r\n\r\n")
    @example(b"A: b\r\n c\rd\r\n\r\n")
    def same(payload: bytes) -> None:
        expected = header_layout(payload)
        end, fields = scan(payload)
        assert end == expected.header_end
        assert tuple(fields) == expected.fields

    same()


def test_a_header_and_its_fields() -> None:
    """Fields end with their folded lines; the header where the empty line begins."""
    end, fields = fields_of(b"A: b\r\n c\r\nDe:\r\n\r\nF: g\r\n")
    assert end == 15
    assert [(field.name, field.start, field.end) for field in fields] == [
        ("A", 0, 10),
        ("De", 10, 15),
    ]


@pytest.mark.parametrize("v6", [False, True])
def test_ports_that_were_of_no_interest(core: Core, v6: bool) -> None:
    """What was not looked at is, once a half that was given up says something of interest."""
    web = Talk(port=8025, v6=v6)
    web.handshake()
    web.send(0, b"GET / HTTP/1.1\r\n\r\n")
    web.send(1, b"HTTP/1.1 200 OK\r\n\r\n")
    talk = Talk(port=8025, v6=v6)
    talk.begin()
    talk.body(mail(500), (300, 200))
    talk.finish()
    capture = Capture("x", core=core)
    capture.feed(pcap(web.packets))
    table = capture._table
    (client,) = (key for key in table.young if key[-2:] == (8025).to_bytes(2, "big"))
    (server,) = table.young.keys() - {client}
    del table.young[server]  # as what is silent goes, when there are more than are remembered
    table.epoch += 1
    capture.feed(pcap(web.packets[-2:-1])[PCAP_HEADER_BYTES:])
    found = capture.feed(pcap(talk.packets[3:])[PCAP_HEADER_BYTES:])
    assert [observation.sizes for observation in found + capture.close()] == [(300, 200)]


def test_packets_in_turns(core: Core) -> None:
    """Connections whose packets come in turns are all followed, also those that share a place."""
    talks = [message((300, 200), client_port=port) for port in range(20000, 20150)]
    rounds = zip(*(talk.packets for talk in talks), strict=True)
    capture = Capture("x", core=core)
    found = capture.feed(pcap([packet for side_by_side in rounds for packet in side_by_side]))
    assert [observation.sizes for observation in found] == [(300, 200)] * len(talks)
