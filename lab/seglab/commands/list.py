"""``seglab list``: which senders, networks, readers and scenarios there are."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from seglab.confined.own_sender import own_sender
from seglab.core.text import safe
from seglab.experiment import registry
from seglab.experiment.scenario import Scenario, SenderVariant
from seglab.networks.network import Network
from seglab.networks.personality import LINUX
from seglab.report.console import as_markup
from seglab.sender.registry import SenderFile
from seglab.sender.sender import Sender

_LISTS = {
    "senders": ("name", "kind", "protocol", "style", "terminator", "summary"),
    "profiles": ("name", "program", "version", "sender", "share", "itself", "summary"),
    "networks": ("name", "mtu", "mss", "path_condition", "round_trip_ms", "title"),
    "readers": ("name", "kind", "buffer_bytes", "server", "version", "summary"),
    "scenarios": ("name", "published", "sessions", "senders", "networks", "title"),
}
"""What can be listed, and which keys of an entry the table has as columns."""

_SENTENCE_LEAST = 26
"""The columns of a terminal that a table's last column needs, which is a sentence."""

_WHOLE = ("name", "style")
"""The columns that hold names, which are never folded onto two lines."""


@click.command(name="list")
@click.argument("what", type=click.Choice(list(_LISTS)), metavar="|".join(_LISTS))
@click.option(
    "--sender",
    "files",
    multiple=True,
    metavar="FILE.py",
    help="With `senders`: also list the sender in this file. May be repeated.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON list with an object for each entry."
)
def list_command(what: str, files: tuple[str, ...], as_json: bool) -> int:
    """List the senders, profiles, networks, readers or scenarios.

    On a terminal this is a table. In a pipe each entry is one line, with tabs between the columns,
    and there is no heading. --json has everything that is known of an entry.

    \b
    Examples:
      seglab list scenarios
      seglab list networks | cut -f 1
      seglab list senders --json
      seglab list senders --sender ./my_sender.py
    """  # noqa: D301 -- click looks for the backspace character itself
    if files and what != "senders":
        raise click.UsageError("--sender goes with `seglab list senders`")
    entries = [*_entries(what), *(_sender(*own_sender(Path(file))) for file in files)]
    if as_json:
        click.echo(json.dumps(entries, indent=2))
    elif sys.stdout.isatty():
        _print_table(entries, _LISTS[what])
    else:
        for entry in entries:
            click.echo("\t".join(safe(_cell(entry, column)) for column in _LISTS[what]))
    return 0


def _entries(what: str) -> Iterable[dict[str, Any]]:
    if what == "senders":
        return map(_sender, registry.senders().values())
    if what == "profiles":
        return map(_profile, registry.profiles().values())
    if what == "networks":
        return map(_network, registry.networks().values())
    if what == "readers":
        return (reader.to_dict() for reader in registry.readers().values())
    return map(_scenario, registry.scenarios().values())


def _sender(sender: Sender, file: SenderFile | None = None) -> dict[str, Any]:
    return {
        "name": sender.name,
        "kind": sender.kind,
        "style": sender.style,
        "terminator": sender.terminator,
        "protocol": sender.protocol,
        "nodelay": sender.nodelay,
        "summary": sender.summary,
        "source": sender.source,
        "file": None if file is None else file.path,
        "parameters": {
            name: {
                "default": parameter.default,
                "expected": parameter.expected,
                "summary": parameter.summary,
            }
            for name, parameter in sender.parameters.items()
        },
    }


def _profile(profile: registry.Profile) -> dict[str, Any]:
    found = profile.to_dict()
    measured = profile.measured
    share = None if measured is None else f"{measured.share:.1%} of {measured.sessions}"
    itself = None if measured is None else measured.program_itself
    own = None if itself is None or not itself[1] else f"{itself[0] / itself[1]:.1%} of {itself[1]}"
    return {**found, "share": share, "itself": own}


def _network(network: Network) -> dict[str, Any]:
    return {
        **asdict(network),
        "mss": network.mss,
        "client_tcp": network.client.label,
        "round_trip_ms": network.round_trip_s * 1000,
    }


def _scenario(scenario: Scenario) -> dict[str, Any]:
    sweep = scenario.sweep
    return {
        "name": scenario.name,
        "title": scenario.title,
        "source": scenario.source,
        "published": scenario.published,
        "sessions": scenario.sessions,
        "senders": [_sender_variant(variant) for variant in scenario.senders],
        "networks": [network.name for network in scenario.networks],
        "client_tcp": {network.name: network.client.label for network in scenario.networks},
        "reader": msgspec.to_builtins(scenario.reader),
        "message": asdict(scenario.message),
        "programs": list(scenario.programs),
        "sizes_bytes": list(scenario.sizes_bytes),
        "sweep": None if sweep is None else asdict(sweep),
    }


def _sender_variant(variant: SenderVariant) -> dict[str, Any]:
    return {
        "name": variant.sender.name,
        "variant": variant.label,
        "parameters": dict(variant.parameters),
    }


def _print_table(entries: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> None:
    """Print a table; its last column, a sentence, stands below each row where it has no room."""
    console = Console()
    rows = [[_cell(entry, column) for column in columns] for entry in entries]
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(map(cell_len, cells)) for cells in zip(heads, *rows, strict=True)][:-1]
    room = console.width - sum(widths) - 2 * len(widths)
    below = -2 <= room < _SENTENCE_LEAST
    shown = slice(-1) if below else slice(None)
    for number in range(len(rows) if below else 1):
        table = Table(box=None, pad_edge=False, show_header=number == 0, header_style="bold")
        for at, head in enumerate(heads[shown]):
            width, whole = widths[at] if below else None, columns[at] in _WHOLE
            table.add_column(head, overflow="fold", no_wrap=whole, width=width)
        for cells in [rows[number]] if below else rows:
            table.add_row(*map(as_markup, cells[shown]))
        console.print(table)
        if below:
            console.print(Padding(as_markup(rows[number][-1]), (0, 0, 0, 4), expand=False))


def _cell(entry: Mapping[str, Any], column: str) -> str:
    value = entry[column]
    if value is None:
        return "-"
    if column == "networks":
        return ", ".join(
            name if label == LINUX.label else f"{name} ({label})"
            for name, label in entry["client_tcp"].items()
        )
    if isinstance(value, list):
        return ", ".join(item["name"] if isinstance(item, dict) else str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
