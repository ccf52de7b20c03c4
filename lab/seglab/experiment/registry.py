"""Finds the senders, networks and scenarios: there is one file for each, in a folder of its kind.

To add one is to add a file. Nothing else lists them: the command line, the matrix, the tests and
the plots all ask here.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from seglab.core import plugins
from seglab.core.lookup import named
from seglab.core.specfile import SIZE_MAX_BYTES, SpecTable, decode, read
from seglab.experiment import scenario_file
from seglab.experiment.readers import NamedReader, readers
from seglab.experiment.scenario import Scenario
from seglab.networks import network as network_
from seglab.networks.network import Network
from seglab.sender.named import sender
from seglab.sender.profiles import Profile, profiles
from seglab.sender.registry import senders
from seglab.software.program import programs

__all__ = [
    "NamedReader",
    "Profile",
    "network",
    "networks",
    "parse_scenario",
    "profiles",
    "readers",
    "scenario",
    "scenarios",
    "sender",
    "senders",
]

_T = TypeVar("_T")
_ENDING = ".toml"


@cache
def networks() -> Mapping[str, Network]:
    """All networks by name. A network is named after its file, without the ending."""
    return dict(_specs(plugins.PACKAGE / "networks", network_.parse))


@cache
def scenarios() -> Mapping[str, Scenario]:
    """All shipped scenarios by name. A scenario is named after its file, without the ending."""
    return dict(_specs(plugins.shipped("scenarios"), parse_scenario))


def network(name: str) -> Network:
    """The network of that name.

    Raises:
        InputError: there is no such network; the message has the nearest name.
    """
    return named("network", name, networks())


def scenario(name_or_path: str | Path) -> Scenario:
    """The shipped scenario of that name, or the one in a file.

    Example::

        few = dataclasses.replace(seglab.scenario("scenario-1"), name="few", sessions=5)

    Args:
        name_or_path: a string is a path where it ends in ``.toml`` or holds a slash.

    Raises:
        InputError: there is no such scenario, or the file cannot be used; says where and why.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and path.suffix != _ENDING and path.name == name_or_path:
        remark = f" (a file of your own needs the ending {_ENDING})"
        return named("scenario", name_or_path, scenarios(), remark=remark)
    return parse_scenario(path.stem, SpecTable(str(path), read(path)))


def parse_scenario(name: str, table: SpecTable) -> Scenario:
    """The scenario that a table describes, with the registered senders and networks.

    Raises:
        InputError: the table cannot be used; says where and why.
    """
    return scenario_file.parse(name, table, senders(), networks(), programs())


def _specs(folder: Path, parse: Callable[[str, SpecTable], _T]) -> Iterable[tuple[str, _T]]:
    for file in plugins.files(folder, _ENDING):
        where = f"{folder.name}/{file.name}"
        with file.open("rb") as content:
            yield (
                file.stem,
                parse(file.stem, SpecTable(where, decode(content.read(SIZE_MAX_BYTES), where))),
            )
