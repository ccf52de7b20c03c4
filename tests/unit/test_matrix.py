"""The scenarios that cross senders with networks: the matrix, Table 1, and the words they use."""

from pathlib import Path

import pytest

from seglab.errors import InputError
from seglab.experiment import plan, registry
from seglab.experiment.scenario import Scenario
from seglab.reproduction import paper


def scenario(folder: Path, text: str) -> Scenario:
    """The scenario of a file with this text."""
    file = folder / "own.toml"
    file.write_text('title = "t"\n' + text)
    return registry.scenario(file)


def test_the_matrix_is_all_senders_by_all_networks() -> None:
    """A new file in senders/ or lab/seglab/networks/ is in it without being named."""
    matrix = registry.scenario("matrix")
    assert [part.sender.name for part in matrix.senders] == [*registry.senders()]
    assert [network.name for network in matrix.networks] == [*registry.networks()]
    cells = {(spec.sender, spec.network) for spec in plan.plan(matrix, 1)}
    assert len(cells) == len(registry.senders()) * len(registry.networks())


def test_table_1_has_every_medium_twice() -> None:
    """With the paper's MTU, once with timestamps and once without."""
    networks = registry.scenario("table-1").networks
    published = sorted(paper.paper().mtu_table.values())
    for timestamps, headers in ((True, 52), (False, 40)):
        found = [network for network in networks if network.client.timestamps is timestamps]
        assert sorted(network.mtu for network in found) == published
        assert all(network.mss == network.mtu - headers for network in found)


def test_all_includes_networks_of_the_files_own(tmp_path: Path) -> None:
    """Those of the scenario's own file stand beside the registered ones."""
    own = scenario(
        tmp_path,
        'senders = ["relay"]\nnetworks = "all"\n[[network]]\nname = "mine"\ntitle = "t"\n',
    )
    assert {network.name for network in own.networks} == {*registry.networks(), "mine"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('senders = "every"\nnetworks = "all"', "'all' or 'profiles', found 'every'"),
        ('senders = "all"\nnetworks = "every"', "networks: expected a list of networks' names"),
        (
            'senders = "all"\n[[network]]\nname = "mine"\nlike = "ppoe"',
            "network[0].like: unknown network 'ppoe'; did you mean 'pppoe'?",
        ),
        (
            'senders = "all"\n[[network]]\nname = "mine"\nlike = "mine"',
            "network[0].like: unknown network 'mine'",
        ),
        ('senders = "all"\n[[network]]\nname = "mine"\nlike = 5', "like: expected one line"),
    ],
)
def test_what_is_neither_a_list_nor_all(tmp_path: Path, text: str, says: str) -> None:
    """Other words are refused, and so is a network that is like an unknown one."""
    with pytest.raises(InputError) as caught:
        scenario(tmp_path, text)
    assert says in str(caught.value)


def test_like_may_name_a_network_of_the_file(tmp_path: Path) -> None:
    """One that stands before it."""
    own = scenario(
        tmp_path,
        'senders = "all"\n[[network]]\nname = "a"\ntitle = "first"\nmtu = 1000\n'
        '[[network]]\nname = "b"\nlike = "a"\nclient.initcwnd = 3\n',
    )
    first, second = own.networks
    assert (second.title, second.mtu, second.client.initcwnd) == ("first", 1000, 3)
    assert first.client.initcwnd == 10
