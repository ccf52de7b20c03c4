"""The registries: what is found, from where, and how a wrong file is refused."""

from pathlib import Path

import pytest

from seglab.core.labels import PATH_CONDITIONS
from seglab.errors import InputError
from seglab.experiment import registry
from seglab.networks.link import LinkParams
from seglab.sender.registry import senders_in

SENDER = """
from seglab.sender import Sender, smtp_parameters
{name} = Sender(name="{value}", summary="s", source="s", style="relay",
                parameters=smtp_parameters(), steps=lambda message, parameters: iter(()))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of senders."""
    folder = tmp_path / "some_senders"
    folder.mkdir()
    return folder


def test_a_new_sender_is_a_new_file(folder: Path) -> None:
    """A file with one SENDER is all it takes, and its name is the sender's own."""
    (folder / "one.py").write_text(SENDER.format(name="SENDER", value="first"))
    (folder / "two.py").write_text(SENDER.format(name="SENDER", value="second"))
    assert list(senders_in(folder)) == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "expected one sender, called SENDER, found none"),
        (SENDER.format(name="MINE", value="x"), "expected one sender, called SENDER, found MINE"),
        (
            SENDER.format(name="SENDER", value="x") + SENDER.format(name="OTHER", value="y"),
            "expected one sender, called SENDER, found OTHER, SENDER",
        ),
        ("SENDER = 5", "expected one sender, called SENDER, found none"),
        ("import nonsuch", "cannot be imported: ModuleNotFoundError: No module named 'nonsuch'"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_wrong_file_is_named(folder: Path, content: str, found: str) -> None:
    """A file without a sender, with two, or that does not load: its path, and what is wrong."""
    (folder / "wrong.py").write_text(content)
    with pytest.raises(InputError) as caught:
        senders_in(folder)
    assert str(caught.value) == f"{folder / 'wrong.py'}: {found}"


def test_clashing_names_name_both_files(folder: Path) -> None:
    """Two files with one name between them are both named."""
    for file in ("a.py", "b.py"):
        (folder / file).write_text(SENDER.format(name="SENDER", value="same"))
    with pytest.raises(InputError) as caught:
        senders_in(folder)
    assert str(caught.value) == (
        f"{folder / 'b.py'}: the name 'same' is taken by {folder / 'a.py'}"
    )


def test_every_file_is_found() -> None:
    """What lies in the folders is what the registries have: no list is kept by hand."""
    root = Path(__file__).parents[2]

    def stems(folder: str, ending: str) -> set[str]:
        return {file.stem for file in (root / folder).iterdir() if file.suffix == ending}

    assert {*registry.senders()} == stems("senders", ".py")
    assert {*registry.networks()} == stems("lab/seglab/networks", ".toml")
    assert {*registry.scenarios()} == stems("scenarios", ".toml")


def test_names_are_the_keys() -> None:
    """Whatever is found is found under its own name."""
    assert all(name == sender.name for name, sender in registry.senders().items())
    assert all(name == network.name for name, network in registry.networks().items())
    assert all(name == scenario.name for name, scenario in registry.scenarios().items())


@pytest.mark.parametrize(
    ("find", "name", "nearest"),
    [(registry.sender, "realy", "relay"), (registry.network, "ppoe", "pppoe")],
)
def test_unknown_names(find: object, name: str, nearest: str) -> None:
    """A name that is not known is answered with the nearest one."""
    assert callable(find)
    with pytest.raises(InputError, match=f"unknown .* '{name}'; did you mean '{nearest}'"):
        find(name)


@pytest.mark.parametrize(
    ("name", "mtu", "mss"),
    [
        ("unimpaired", 1500, 1500 - 52),
        ("ethernet", 1500, 1500 - 52),
        ("vb2014", 1480, 1480 - 40),
        ("pppoe", 1480, 1480 - 52),
        ("gprs", 576, 576 - 52),
    ],
)
def test_mtu_and_mss(name: str, mtu: int, mss: int) -> None:
    """The MSS is the MTU without 40 bytes of headers, and 12 of timestamps where they are on."""
    network = registry.network(name)
    assert (network.mtu, network.mss) == (mtu, mss)


def test_networks_declare_what_lies_between() -> None:
    """Each network says in the design's words which path it is, and where it is from."""
    for network in registry.networks().values():
        assert network.path_condition in PATH_CONDITIONS
        assert network.title
        assert network.source


def test_unimpaired_does_nothing() -> None:
    """The network for measuring the lab itself has links that only pass frames on."""
    network = registry.network("unimpaired")
    assert {*(network.access.up, network.access.down, network.core.up, network.core.down)} == {
        LinkParams()
    }


def test_the_papers_path() -> None:
    """What the paper fixes: MSS 1440 by MTU 1480 without timestamps, and 140 ms there and back.

    All else of this network is calibrated against the published sessions.
    """
    network = registry.network("vb2014")
    assert (network.mtu, network.mss) == (1480, 1440)
    assert not network.client.timestamps
    assert network.round_trip_s == pytest.approx(0.14)
    assert network.core.up.loss_pct == network.core.down.loss_pct == 0


def test_gprs_is_as_slow_as_gprs() -> None:
    """Loadero's GPRS: 20 kbit/s up, 80 down, 1 % loss, 650 +- 100 ms each way."""
    access = registry.network("gprs").access
    assert (access.up.bw_mbit, access.down.bw_mbit) == (0.02, 0.08)
    for way in (access.up, access.down):
        assert (way.loss_pct, way.delay_ms, way.jitter_ms) == (1, 650, 100)
