"""Scenario files: what a good one means, and one clear line for every bad one."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.core.specfile import SIZE_MAX_BYTES, SpecTable, decode
from seglab.errors import InputError
from seglab.experiment import registry
from seglab.experiment.reader import Reader
from seglab.mail.message import MessageSpec
from seglab.networks.link import LinkParams
from seglab.reproduction import paper

GOOD = 'title = "mine"\nnetworks = ["vb2014"]\nsenders = ["relay"]\n'
OWN = 'title = "mine"\nsenders = ["relay"]\n[[network]]\nname = "mine"\ntitle = "my path"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a user's own scenario goes."""
    return tmp_path / "my.toml"


def problem(file: Path, content: str | bytes) -> str:
    """The one line that a file with this content ends in, without the folder before it."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        registry.scenario(str(file))
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert text.isprintable()
    assert len(text) < 500
    return text.removeprefix(f"{file.parent}/")


def test_all_that_a_file_can_say(file: Path) -> None:
    """Every key ends up in the value."""
    file.write_text(
        """
        title = "mine"
        source = "my own head"
        published = "listings.6"
        sessions = 7
        networks = ["mine", "vb2014"]
        senders = ["relay", { name = "fixed_buffer", parameters = { buffer_bytes = 4096 } }]
        reader = { kind = "recv-loop", buffer_bytes = 1000 }
        message = { payload_bytes = 9000, header_bytes = 600, received_bytes = 77 }
        sweep = { parameter = "terminator_bytes", values = [0, 5], sessions = 3 }

        [[network]]
        name = "mine"
        title = "my path"
        mtu = 576
        path_condition = "small_mss"
        client = { timestamps = false, sack = false, initcwnd = 1, congestion_control = "cubic" }

        [network.links.core]
        delay_ms = 5
        up = { delay_ms = 7.5, drop_data = [3], loss_pct = 1 }
        down = { bw_mbit = 1, max_queue_size = 10, jitter_distribution = "pareto" }
        """
    )
    scenario = registry.scenario(file)
    assert (scenario.name, scenario.title, scenario.source) == ("my", "mine", "my own head")
    assert scenario.expectation == paper.paper().listings[6]
    assert scenario.sessions == 7
    assert scenario.reader == Reader("recv-loop", 1000)
    assert scenario.message == MessageSpec(payload_bytes=9000, header_bytes=600, received_bytes=77)
    relay, buffer = scenario.senders
    assert relay.sender == registry.sender("relay")
    assert buffer.sender == registry.sender("fixed_buffer")
    assert buffer.parameters["buffer_bytes"] == 4096
    assert scenario.sweep is not None
    assert scenario.sweep.values == (0, 5)
    mine, published = scenario.networks
    assert published == registry.network("vb2014")
    assert scenario.network("mine") == mine
    assert (mine.mtu, mine.mss, mine.path_condition) == (576, 536, "small_mss")
    assert mine.client.initcwnd == 1
    assert mine.client.congestion_control == "cubic"
    assert not mine.client.sack
    assert mine.access.up == mine.access.down == LinkParams()
    assert mine.core.up == LinkParams(delay_ms=7.5, drop_data=(3,), loss_pct=1)
    assert mine.core.down == LinkParams(
        delay_ms=5, bw_mbit=1, max_queue_size=10, jitter_distribution="pareto"
    )
    assert mine.round_trip_s == pytest.approx(0.0125)


def test_least_that_a_file_must_say(file: Path) -> None:
    """A title, a sender and a network are enough; a network of its own need not be named."""
    file.write_text(OWN)
    scenario = registry.scenario(file)
    assert [network.name for network in scenario.networks] == ["mine"]
    assert scenario.networks[0].mtu == 1500
    assert scenario.reader == Reader()
    assert scenario.expectation is None


@pytest.mark.parametrize("mtu", [68, 65_535])
def test_mtu_at_its_limits(file: Path, mtu: int) -> None:
    """Both ends of RFC 791's range are MTUs."""
    file.write_text(f"{OWN}mtu = {mtu}\n")
    assert registry.scenario(file).networks[0].mtu == mtu


def test_parts_of_one_sender_are_told_apart(file: Path) -> None:
    """Where a sender plays several parts, each is named after what differs, and nothing else."""
    file.write_text(
        'title = "t"\nnetworks = ["vb2014"]\nsenders = ["fixed_buffer", "relay",\n'
        '{ name = "fixed_buffer", parameters = { buffer_bytes = 8192, nodelay = false } },\n'
        '{ name = "fixed_buffer", parameters = { buffer_bytes = 8192 } }]\n'
    )
    assert [variant.label for variant in registry.scenario(file).senders] == [
        "buffer_bytes=2048,nodelay=true",
        "",
        "buffer_bytes=8192,nodelay=false",
        "buffer_bytes=8192,nodelay=true",
    ]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("my own/../\n", "my-own"),
        ("...", "scenario"),
        ("x" * 200, "x" * 64),
        ("a.b_c-1", "a.b_c-1"),
    ],
)
def test_name_is_fit_for_a_file(stem: str, name: str) -> None:
    """Whatever a file is called, what is named after its scenario stays in its folder."""
    table = SpecTable("x", decode(OWN.encode(), "x"))
    scenario = registry.parse_scenario(stem, table)
    assert scenario.name.startswith(name)
    assert len(scenario.name) <= 64
    assert scenario.name.strip(".-") == scenario.name


BAD: list[tuple[str | bytes, str]] = [
    ("", "title is missing; expected one line of text"),
    ('titel = "x"', "unknown key 'titel'; did you mean 'title'?"),
    (GOOD + "sesions = 3", "unknown key 'sesions'; did you mean 'sessions'?"),
    (
        GOOD.replace("vb2014", "ppoe"),
        "networks[0]: unknown network 'ppoe'; did you mean 'pppoe'?",
    ),
    (
        GOOD.replace("relay", "realy"),
        "senders[0]: unknown sender 'realy'; did you mean 'relay'?",
    ),
    (GOOD.replace('["relay"]', "[5]"), "senders[0]: expected a sender's name, or a table"),
    (GOOD.replace('["relay"]', "[]"), "senders: expected a list of senders' names"),
    (GOOD.replace('["vb2014"]', "[[]]"), "networks[0]: expected a network's name, found []"),
    (GOOD.replace('["vb2014"]', '"vb2014"'), "networks: expected a list of networks' names"),
    (GOOD.replace('["relay"]', '["relay", "relay"]'), "senders[1]: the same sender stands"),
    (
        GOOD.replace('["vb2014"]', '["vb2014", "vb2014"]'),
        "networks[1]: 'vb2014' stands there twice",
    ),
    (GOOD.replace('["relay"]', '[{ nme = "relay" }]'), "senders[0]: unknown key 'nme'; did"),
    (
        GOOD.replace('["relay"]', '[{ name = "relay", parameters = { terminator = 3 } }]'),
        "senders[0].parameters: unknown parameter 'terminator'; did you mean 'terminator_bytes'?",
    ),
    (
        GOOD.replace('["relay"]', '[{ name = "fixed_buffer", parameters = "2k" }]'),
        "senders[0].parameters: expected a table, found '2k'",
    ),
    (GOOD + "sessions = 0", "sessions: expected a whole number, 1 to 1000000, found 0"),
    (GOOD + "sessions = -5", "sessions: expected a whole number, 1 to 1000000, found -5"),
    (GOOD + "sessions = 1e3", "sessions: expected a whole number, 1 to 1000000, found 1000.0"),
    (GOOD + 'sessions = "9"', "sessions: expected a whole number, 1 to 1000000, found '9'"),
    (GOOD + "sessions = true", "sessions: expected a whole number, 1 to 1000000, found true"),
    (GOOD + "sessions = 1979-05-27", "sessions: expected a whole number, 1 to 1000000, found"),
    (
        GOOD.replace('["vb2014"]', '["vb2014", "gprs"]') + "sessions = 600000",
        "senders x networks x sessions make 1200000 sessions; expected 1000000 at most",
    ),
    (OWN + "mtu = 12", "network[0].mtu: expected an IPv4 MTU from 68 to 65535 bytes (RFC 791)"),
    (OWN + "mtu = 67", "network[0].mtu: expected an IPv4 MTU from 68 to 65535 bytes (RFC 791)"),
    (OWN + "mtu = 70000", "network[0].mtu: expected an IPv4 MTU from 68 to 65535 bytes (RFC"),
    (OWN + "mtu = 65536", "network[0].mtu: expected an IPv4 MTU from 68 to 65535 bytes (RFC"),
    (OWN + "links = 5", "network[0].links: expected a table, found 5"),
    (OWN + "links = { acess = {} }", "network[0].links: unknown key 'acess'; did you mean"),
    (
        OWN + "links.core.delay_s = 3",
        "network[0].links.core: unknown key 'delay_s'; did you mean 'delay_ms'?",
    ),
    (
        OWN + "links.core.up.delay_s = 3",
        "network[0].links.core.up: unknown key 'delay_s'; did you mean 'delay_ms'?",
    ),
    (
        OWN + 'links.core.delay_ms = "70 parsecs"',
        "network[0].links.core.delay_ms: expected a number of milliseconds, found '70 parsecs'",
    ),
    (
        OWN + 'links.core.up.bw_mbit = "fast"',
        "network[0].links.core.up.bw_mbit: expected a number of Mbit/s, found 'fast'",
    ),
    (OWN + "links.core.delay_ms = nan", "network[0].links.core.delay_ms: expected a number of"),
    (OWN + "links.core.delay_ms = inf", "network[0].links.core.delay_ms: expected a number of"),
    (OWN + "links.core.delay_ms = true", "network[0].links.core.delay_ms: expected a number"),
    (OWN + "links.core.delay_ms = -1", "network[0].links.core.up.delay_ms: expected"),
    (OWN + "links.core.down.loss_pct = 200", "network[0].links.core.down.loss_pct: expected"),
    (OWN + "links.core.drop_data = 3", "network[0].links.core.drop_data: expected a list of"),
    (OWN + "links.core.max_queue_size = 9.5", "network[0].links.core.max_queue_size: expected"),
    (OWN + 'links.core.jitter_distribution = "odd"', "network[0].links.core.up.jitter_distr"),
    (OWN + 'path_condition = "stedy"', "network[0].path_condition: unknown 'stedy'; did you"),
    (OWN.replace('"mine"\ntitle = "my', '"pppoe"\ntitle = "my'), "network[0].name: there is a"),
    (
        OWN.replace('"mine"\ntitle = "my', '"../x"\ntitle = "my'),
        "network[0]: '../x' cannot name",
    ),
    (OWN.replace('name = "mine"\n', ""), "network[0]: name is missing; expected one line of"),
    (OWN + '[[network]]\nname = "mine"\ntitle = "t"', "network[1].name: there is a network"),
    (
        OWN + 'client.congestion_control = "x; reboot"',
        "network[0].client.congestion_control: expected an algorithm's name",
    ),
    (OWN + "client.initcwnd = 0", "network[0].client.initcwnd: expected a whole number, 1 to"),
    (OWN + "client.timestamps = 1", "network[0].client.timestamps: expected true or false"),
    (GOOD + 'reader = { knd = "x" }', "reader: unknown key 'knd'; did you mean 'kind'?"),
    (GOOD + 'reader = { kind = "node" }', "reader kind: 'node'; known: event-loop, recv-loop"),
    (GOOD + "reader = { buffer_bytes = 0 }", "reader buffer_bytes: expected 1 to"),
    (GOOD + 'reader = { buffer_bytes = "a\\n\\u001b[2J" }', "reader buffer_bytes: expected 1"),
    (GOOD + 'published = "scenarios.9"', "published: the paper has no 'scenarios.9'"),
    (GOOD + "message = { payload_bytes = 10 }", "message.payload_bytes: expected 207 to"),
    (
        GOOD + "message = { bytes = 10 }",
        "message: unknown key 'bytes'; did you mean 'value_bytes'?",
    ),
    (
        GOOD.replace("relay", "raw_writes") + "message = { payload_bytes = 1000 }",
        "message: of no effect, the senders' parameters settle the payload; leave it out",
    ),
    (
        GOOD + 'sweep = { parameter = "pieces", values = [1] }',
        "sweep.parameter: relay has no 'pieces'; known: end_wait_ms, gap_ms, nodelay",
    ),
    (
        GOOD + 'sweep = { parameter = "terminator_bytes", values = [5, 4] }',
        "sweep.values[1]: expected one of 0, 3, 5, found 4",
    ),
    (
        GOOD + 'sweep = { parameter = "terminator_bytes", values = [5, 5] }',
        "sweep.values[1]: 5 stands there twice",
    ),
    (GOOD + "sweep = { values = [5] }", "sweep: parameter is missing; expected one line"),
    (GOOD + 'sweep = { parameter = "nodelay", values = [] }', "sweep.values: expected a list"),
    (
        GOOD + 'sweep = { parameter = "nodelay", values = [true], sessions = 0 }',
        "sweep.sessions: expected a whole number, 1 to 1000000, found 0",
    ),
    ('title = """a\nb"""', "title: expected one line of text of 1000 characters at most"),
    ("title = 5", "title: expected one line of text of 1000 characters at most, found 5"),
    ('title = "x"\n\nsessions = = 3', "not TOML: Invalid value (at line 3, column 12)"),
    ("title =", "not TOML: Invalid value (at line 1, the end of the file)"),
    (b'title = "x"\n\xff = 1', "not UTF-8 at line 2"),
    (b"a = " + b"[" * 100_000, "not usable TOML: nested too deeply"),
    (b"a = " + b"9" * 5000, "not usable TOML: a number has too many digits"),
    (GOOD + "sessions = 0x" + "f" * 5000, "sessions: expected a whole number, 1 to 1000000"),
    (b"#" * (SIZE_MAX_BYTES + 1), "larger than 1048576 bytes, the limit for such a file"),
    ('"' + "k" * 10_000 + '" = 1\n' + GOOD, "unknown key 'kkkkk"),
]
"""Contents of a file, and how the line begins that they end in."""


@pytest.mark.parametrize(("content", "line"), BAD, ids=[line for _, line in BAD])
def test_bad_file(file: Path, content: str | bytes, line: str) -> None:
    """One line: the file, the place in it, what was expected, what was found."""
    assert problem(file, content).startswith(f"my.toml: {line}")


def test_too_many_entries(file: Path) -> None:
    """A list that no run could hold is refused before anything is made of it."""
    names = ", ".join(['"relay"'] * 1001)
    assert "senders: expected 1000 entries at most" in problem(
        file, f'title = "t"\nnetworks = ["vb2014"]\nsenders = [{names}]'
    )


def test_what_is_not_a_file(tmp_path: Path) -> None:
    """A folder, a device and a missing file are named, and none of them is waited for."""
    for path, why in (
        (tmp_path, "expected a regular file"),
        (Path("/dev/zero"), "expected a regular file"),
        (tmp_path / "absent.toml", "No such file or directory"),
    ):
        with pytest.raises(InputError) as caught:
            registry.scenario(path)
        assert str(caught.value) == f"{path}: {why}"


def test_unknown_scenario_name() -> None:
    """A name that is not known is answered with the nearest, and with how to give a file."""
    with pytest.raises(InputError) as caught:
        registry.scenario("scenario-4")
    assert "unknown scenario 'scenario-4'" in str(caught.value)
    assert "did you mean 'scenario-" in str(caught.value)
    assert ".toml" in str(caught.value)


@settings(max_examples=200)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_scenario_or_an_input_error(data: bytes) -> None:
    """No content of a file raises anything but the error that the command line prints."""
    with suppress(InputError):
        registry.parse_scenario("x", SpecTable("x.toml", decode(data, "x.toml")))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = ("sessions", "networks", "senders", "reader", "message", "sweep", "network", "published")


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(_KEYS), _ANY, max_size=3))
def test_any_values_are_a_scenario_or_an_input_error(values: dict[str, object]) -> None:
    """No type in any place of an otherwise good file raises anything but that error."""
    table = {"title": "t", "networks": ["vb2014"], "senders": ["relay"], **values}
    said = "x.toml: "
    try:
        registry.parse_scenario("x", SpecTable("x.toml", table))
    except InputError as error:
        said = str(error)
    assert said.startswith("x.toml: ")
    assert said.isprintable()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_shipped_scenarios_are_the_papers(number: int) -> None:
    """Scenarios 1 to 3 write what the paper's client wrote, over a base segment of 1440 bytes."""
    scenario = registry.scenario(f"scenario-{number}")
    published = paper.paper().scenarios[number]
    assert scenario.expectation == published
    (part,) = scenario.senders
    assert part.sender.protocol == "raw"
    assert part.parameters["writes"] == published.writes
    assert part.parameters["gap_ms"] == (published.gap_ms or 0)
    assert [network.mss for network in scenario.networks] == [1440]


def test_scenario_3_sweeps_the_gap() -> None:
    """The separation curve has both ends, the paper's 100 ms, and enough in between."""
    sweep = registry.scenario("scenario-3").sweep
    assert sweep is not None
    assert sweep.parameter == "gap_ms"
    assert [*sweep.values] == sorted(sweep.values)
    assert {0, 100, 200} <= {*sweep.values}
    assert len(sweep.values) >= 10
