"""Clusters, as far as no Dask is needed for it; ``tests/cluster`` has real ones."""

import sys

import pytest
from click.testing import CliRunner

from seglab.cluster.dask import connected, digest_of
from seglab.commands.regress import regress
from seglab.errors import EnvironmentLacksError, InputError


@pytest.mark.parametrize(
    "address",
    [
        "",
        "scheduler",
        "scheduler:8786",
        "http://scheduler:8786",
        "tcp://scheduler",
        "tcp://:8786",
        "tcp://scheduler:port",
        "tcp://scheduler:99999",
        "tcp://[::1",
        "tcp://scheduler:8786/x",
        "tcp://a\x1b[2J:x",
    ],
)
def test_no_address(address):
    """An address that is no scheduler's is an error of one line without control characters."""
    with (
        pytest.raises(InputError, match="expected a scheduler's address") as told,
        connected(address),
    ):
        pass
    assert str(told.value).isprintable()


def test_without_dask(monkeypatch):
    """Where Dask is not installed, the line says how to install it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(EnvironmentLacksError, match=r"pip install distributed"),
        connected("tcp://127.0.0.1:1"),
    ):
        pass


def test_sources_differ(tmp_path):
    """One byte or name makes another digest; what Python leaves in a folder does not."""
    tree = tmp_path / "lab" / "networks"
    tree.mkdir(parents=True)
    (tree / "dsl.toml").write_text("mtu = 1492\n")
    first = digest_of(tmp_path / "lab")
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "x.py").write_text("x")
    (tree / "core.so").write_text("x")
    assert digest_of(tmp_path / "lab") == first
    (tree / "dsl.toml").write_text("mtu = 1493\n")
    second = digest_of(tmp_path / "lab")
    (tree / "dsl.toml").rename(tree / "adsl.toml")
    assert len({first, second, digest_of(tmp_path / "lab")}) == 3


@pytest.mark.parametrize("option", [["--processes", "2"], ["--stderr", "said.txt"]])
def test_options_of_this_machine(option):
    """Options that are about processes of this machine are refused with a cluster."""
    run = CliRunner().invoke(regress, ["paper", "--cluster", "tcp://127.0.0.1:1", *option])
    assert run.exit_code == 2
    assert "of this machine" in run.output
