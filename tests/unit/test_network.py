"""Networks as values: what their numbers make, and what their files may say."""

import math
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.core.specfile import SpecTable, decode
from seglab.errors import InputError
from seglab.experiment import registry
from seglab.networks.network import Network, Router, ScheduledMtu, parse


def network(text: str, base: Network | None = None) -> Network:
    """The network that some TOML describes."""
    return parse(
        "mine", SpecTable("my.toml", decode(b'title = "t"\n' + text.encode(), "my.toml")), base
    )


@pytest.mark.parametrize(
    ("text", "mss"),
    [
        ("mtu = 1500", 1448),
        ("client.timestamps = false", 1460),
        ("mtu = 1280\nip_version = 6", 1208),
        ("ip_version = 6\nclient.timestamps = false", 1440),
        ("router = { mtu = 1400 }", 1448),
        ("router = { mtu = 1492, mss_clamp = true }", 1440),
        ("router = { mss_clamp = true }", 1448),
    ],
)
def test_mss(text: str, mss: int) -> None:
    """20 or 40 bytes of IP, 20 of TCP and 12 of timestamps less than the MTU that SYNs know."""
    assert network(text).mss == mss


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("", "steady"),
        ("mtu = 1280", "steady"),
        ("mtu = 960", "small_mss"),
        ("mtu = 576\nclient.timestamps = false", "small_mss"),
        ("router.mtu = 1400", "pmtu_fall"),
        ("router.mtu = 1600", "steady"),
        ("router = { mtu = 1400, icmp = false }", "pmtu_fall"),
        ("router = { mtu = 1400, mss_clamp = true }", "steady"),
        ("router = { mtu = 900, mss_clamp = true }", "small_mss"),
        ("router.schedule = [{ at_ms = 5, mtu = 1400 }]", "pmtu_fall"),
        ("router.schedule = [{ at_ms = 5, mtu = 9000 }]", "steady"),
        ("router.schedule = [{ at_ms = 5, mtu = 576 }, { at_ms = 9, mtu = 1500 }]", "fluctuating"),
        ("router = { mtu = 576, schedule = [{ at_ms = 5, mtu = 1500 }] }", "fluctuating"),
        ('mtu = 576\npath_condition = "steady"', "steady"),
    ],
)
def test_path_condition(text: str, condition: str) -> None:
    """It follows from the numbers, unless the file says otherwise."""
    assert network(text).path_condition == condition


def test_no_registered_network_contradicts_its_numbers() -> None:
    """The ground truth of what lies between is what the numbers make."""
    for found in registry.networks().values():
        assert found.path_condition == found.typical_condition, found.name


SCHEDULE = "router.schedule = [{ at_ms = 10, mtu = 1400 }, { at_ms = 25, mtu = 1500 }]\n"


def test_changes_end_with_the_schedule() -> None:
    """Without repetition each change comes once."""
    assert list(network(SCHEDULE).router.changes()) == [
        ScheduledMtu(10, 1400),
        ScheduledMtu(25, 1500),
    ]
    assert list(Router().changes()) == []


def test_changes_repeat() -> None:
    """A schedule that repeats counts on from where it began again."""
    found = network(SCHEDULE + "router.repeat_ms = 100").router.changes()
    assert [(change.at_ms, change.mtu) for change in islice(found, 5)] == [
        (10, 1400),
        (25, 1500),
        (110, 1400),
        (125, 1500),
        (210, 1400),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "router.schedule = [{ at_ms = 25, mtu = 1400 }, { at_ms = 10, mtu = 1500 }]",
            "my.toml: router.schedule[1].at_ms: expected milliseconds from the first SYN, "
            "after 25, found 10",
        ),
        (
            "router.schedule = [{ at_ms = 25, mtu = 1400 }, { at_ms = 25, mtu = 1500 }]",
            "after 25, found 25",
        ),
        ("router.schedule = [{ at_ms = -1, mtu = 1400 }]", "after 0, found -1"),
        ("router.schedule = [{ at_ms = nan, mtu = 1400 }]", "found nan"),
        ("router.schedule = [{ at_ms = 5 }]", "router.schedule[0]: mtu is missing"),
        ("router.schedule = [5]", "router.schedule[0]: expected a table, found 5"),
        ("router.schedule = 5", "router.schedule: expected a list of changes"),
        ("router.schedule = [{ at_ms = 5, mtu = 67 }]", "router.schedule[0].mtu: expected an IPv4"),
        (
            "ip_version = 6\nrouter.schedule = [{ at_ms = 5, mtu = 1279 }]",
            "my.toml: router.schedule[0].mtu: expected an IPv6 MTU from 1280 to 65535 bytes "
            "(RFC 8200), found 1279",
        ),
        ("router.repeat_ms = 100", "router.repeat_ms: expected a schedule to repeat, found"),
        (SCHEDULE + "router.repeat_ms = 20", "router.repeat_ms: expected milliseconds, 100 or"),
        ("mtu = 67", "mtu: expected an IPv4 MTU from 68 to 65535 bytes (RFC 791), found 67"),
        ("mtu = 65536", "found 65536"),
        ("ip_version = 6\nmtu = 1279", "mtu: expected an IPv6 MTU from 1280"),
        ("ip_version = 6\nrouter.mtu = 576", "router.mtu: expected an IPv6 MTU from 1280"),
        ("ip_version = 5", "ip_version: expected 4 or 6, found 5"),
        ("client.mtu_probing = 3", "client.mtu_probing: expected a whole number, 0 to 2, found 3"),
        ('client.congestion_control = "a b"', "expected an algorithm's name, such as 'reno'"),
        ("client.initcwnd = 0", "client.initcwnd: expected a whole number, 1 to 1024, found 0"),
        ("client.timestamp = true", "unknown key 'timestamp'; did you mean 'timestamps'?"),
        ("router.icpm = true", "unknown key 'icpm'; did you mean 'icmp'?"),
        ("time_limit_s = 0", "time_limit_s: expected seconds, above 0, found 0"),
        ("links.access.mtu = 60", "links.access.up.mtu: expected bytes from 68 to 65535, found 60"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text: str, says: str) -> None:
    """The line says where, what was expected and what was found."""
    with pytest.raises(InputError) as caught:
        network(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_like_takes_over_what_is_not_said() -> None:
    """Down to a link's one direction; the path condition follows the new numbers."""
    base = network(
        'source = "s"\nmtu = 1480\nclient.initcwnd = 4\nclient.send_window_bytes = 1460\n'
        "links.core = { delay_ms = 30, bw_mbit = 8 }\n"
        "router = { mtu = 1400, mss_clamp = true }\ntime_limit_s = 5"
    )
    found = network("mtu = 576\nclient.timestamps = false\nlinks.core.up.bw_mbit = 2", base)
    assert (found.title, found.source, found.mtu, found.time_limit_s) == ("t", "s", 576, 5)
    assert (found.client.initcwnd, found.client.timestamps) == (4, False)
    assert found.client.send_window_bytes == 1460
    assert (found.core.up.bw_mbit, found.core.down.bw_mbit) == (2, 8)
    assert found.core.up.delay_ms == found.core.down.delay_ms == 30
    assert (found.router.mtu, found.router.mss_clamp) == (1400, True)
    assert (base.path_condition, found.path_condition) == ("steady", "small_mss")


def test_only_clamps_and_black_holes_filter() -> None:
    """The rest of what a router does needs no nftables."""
    needing = {found.name for found in registry.networks().values() if found.router.filters}
    assert needing == {"pppoe-clamped", "black-hole", "black-hole-probing"}
    assert {n.name for n in registry.networks().values() if n.black_hole} == {
        "black-hole",
        "black-hole-probing",
    }


def test_estimates_know_the_wait_at_a_black_hole() -> None:
    """A client that probes waits for its timers, another one for the limit; small mail passes."""
    networks = registry.networks()
    hole, probing = networks["black-hole"], networks["black-hole-probing"]
    assert (hole.completes, probing.completes) == (False, True)
    assert 10 < hole.estimate_s(12_000) < 11
    assert 4 < probing.estimate_s(12_000) < 5
    assert hole.estimate_s(1348) < 1 < hole.estimate_s(1349)


def test_estimate_of_a_slow_link() -> None:
    """The round trips of the dialogue and one of data, and the bytes at the rate."""
    found = network("links.core.delay_ms = 500\nlinks.access.up.bw_mbit = 0.1")
    bits = 8 * (10 * 1448 + 10 * (52 + 14))
    assert found.estimate_s(14_480) == pytest.approx(8 + 1 + bits / 1e5)
    assert network("").estimate_s(1_000_000) < 0.001


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_mail_takes_no_less_time(one: int, other: int) -> None:
    """Estimates are finite, positive, and grow with the payload, on every network."""
    few, many = sorted((one, other))
    for found in registry.networks().values():
        assert 0 <= found.estimate_s(few) <= found.estimate_s(many) < math.inf
