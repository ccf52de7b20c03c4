"""Header lengths and full segments: expected values are those of the RFCs and of the paper."""

import pytest

from seglab.core.tcpip import (
    IP_VERSIONS,
    IPV4_HEADER_BYTES,
    IPV6_HEADER_BYTES,
    IPV6_MTU_MIN_BYTES,
    MSS_DEFAULT_BYTES,
    MSS_DEFAULT_IPV6_BYTES,
    full_segment,
    full_segment_of_mss,
    full_segments,
    headers_bytes,
)


@pytest.mark.parametrize(
    ("mtu", "ip_version", "timestamps", "expected"),
    [
        (1500, 4, False, 1460),  # RFC 6691, 1: 1500 - 20 - 20
        (1500, 4, True, 1448),  # RFC 7323, appendix A: 12 bytes of each segment
        (1500, 6, False, 1440),  # RFC 8200, 8.3: 20 bytes more than IPv4
        (1500, 6, True, 1428),
        (1492, 4, True, 1440),  # VB2014, the scenarios' 1440 over PPPoE
        (1480, 4, False, 1440),  # VB2014, Table 1
        (17914, 4, False, 17874),  # RFC 1191, 7.1, less 40
        (576, 4, False, 536),  # VB2014, Listing 10: GPRS
    ],
)
def test_a_full_segment_is_what_the_headers_leave(mtu, ip_version, timestamps, expected):
    """The MTU less IP header, TCP header and timestamps."""
    assert full_segment(mtu, ip_version=ip_version, timestamps=timestamps) == expected
    assert mtu - headers_bytes(ip_version=ip_version, timestamps=timestamps) == expected


def test_the_default_mss_fits_the_smallest_packets_that_every_host_takes():
    """RFC 9293, 3.7.1: 536 is 576 less 40 bytes; 1220 is the least MTU of IPv6 less 60."""
    assert full_segment(576) == MSS_DEFAULT_BYTES
    assert full_segment(IPV6_MTU_MIN_BYTES, ip_version=6) == MSS_DEFAULT_IPV6_BYTES


def test_an_announced_mss_loses_the_timestamps():
    """RFC 6691, 3: the sender takes the options off the MSS that was announced."""
    assert full_segment_of_mss(1460, timestamps=True) == 1448
    assert full_segment_of_mss(1460, timestamps=False) == 1460


def test_both_versions_of_ip():
    """A full segment of IPv6 is smaller by what its header is longer."""
    four, six = full_segments(1500, timestamps=True)
    assert (four, six) == (1448, 1428)
    assert four - six == IPV6_HEADER_BYTES - IPV4_HEADER_BYTES
    assert IP_VERSIONS == (4, 6)


def test_an_ip_version_that_does_not_exist_is_a_mistake_of_the_caller():
    """There is no length for it to guess."""
    with pytest.raises(KeyError):
        headers_bytes(ip_version=5)
