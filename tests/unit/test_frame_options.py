"""A segment's options and checksums, read from frames; Scapy makes the frames independently."""

import pytest
from frames import ETHER
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from seglab.frames.options import TcpOptions, checksums_right, tcp_options

NUMBERS = st.integers(0, (1 << 32) - 1)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3)
IPS = [IP(src="10.64.0.1", dst="10.0.0.1"), IPv6(src="fd00:2::1", dst="fd00:1::1")]


@pytest.mark.parametrize("ip", IPS, ids=["IPv4", "IPv6"])
@given(mss=st.integers(0, 65_535), scale=st.integers(0, 14), window=st.integers(0, 65_535))
def test_the_options_of_a_syn(ip: IP, mss: int, scale: int, window: int) -> None:
    """MSS, window scaling, and whether selective acknowledgements are permitted."""
    options = [("MSS", mss), ("SAckOK", b""), ("NOP", None), ("WScale", scale)]
    frame = bytes(ETHER / ip / TCP(flags="S", window=window, options=options))
    assert tcp_options(frame) == TcpOptions(window, mss, scale, sack_permitted=True)
    assert checksums_right(frame)


@pytest.mark.parametrize("ip", IPS, ids=["IPv4", "IPv6"])
@given(ranges=RANGES, clocks=st.tuples(NUMBERS, NUMBERS), payload=st.binary(max_size=99))
def test_the_options_of_an_acknowledgement(
    ip: IP, ranges: list[tuple[int, int]], clocks: tuple[int, int], payload: bytes
) -> None:
    """Timestamps, and up to three ranges beside them."""
    sack = tuple(number for one in ranges for number in one)
    options = [("NOP", None), ("NOP", None), ("Timestamp", clocks), ("SAck", sack)]
    frame = bytes(ETHER / ip / TCP(flags="A", window=7, options=options) / payload)
    expected = TcpOptions(7, sack=tuple(ranges), ts_val=clocks[0], ts_ecr=clocks[1])
    assert tcp_options(frame) == expected
    assert checksums_right(frame)


@pytest.mark.parametrize("ip", IPS, ids=["IPv4", "IPv6"])
@given(payload=st.binary(min_size=1, max_size=99), data=st.data())
def test_a_flipped_bit_is_a_wrong_checksum(ip: IP, payload: bytes, data: st.DataObject) -> None:
    """Any one bit of the segment; of the IPv4 header too, but where its length says less."""
    frame = bytearray(bytes(ETHER / ip / TCP(flags="A") / payload))
    first = 14 + len(ip)
    bit = data.draw(st.integers(8 * first, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    assert not checksums_right(bytes(frame))


@given(data=st.binary(max_size=120), cut=st.integers(0, 120))
def test_any_bytes_are_no_error(data: bytes, cut: int) -> None:
    """Frames that are cut, or that are no TCP, give nothing and raise nothing."""
    whole = bytes(ETHER / IPS[0] / TCP(options=[("MSS", 1460), ("Timestamp", (1, 2))])) + data
    for frame in (data, whole[:cut], whole[:34] + data):
        tcp_options(frame)
        checksums_right(frame)
