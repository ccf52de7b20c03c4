"""``seglab software``: the mail programs that the lab knows by name, and their installations."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from seglab.core.text import safe
from seglab.errors import InputError
from seglab.report.console import as_markup
from seglab.software.installing import Outcome
from seglab.software.installing import install as install_programs
from seglab.software.program import NamedProgram, program, programs, servers
from seglab.software.store import Store

_COLUMNS = ("name", "state", "version", "size", "title")

_names = click.argument("names", nargs=-1, metavar="[NAME...]")
_all = click.option("--all", "everything", is_flag=True, help="All programs that there are.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def software() -> None:
    """Install real mail programs, each in a folder of its own.

    `seglab try --program NAME` and `seglab run survey` run those that send. Those whose names end
    in -server serve: `seglab run SCENARIO --server NAME`. They lie below ~/.cache/seglab (or
    XDG_CACHE_HOME), and only a program's own sessions see them. Nothing of this machine's own
    software, configuration or queues changes.
    """


@software.command()
@_names
@_all
@click.option(
    "--upgrade",
    is_flag=True,
    help="Take the versions that the registries have now, also of what is installed.",
)
@_json
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def install(
    names: tuple[str, ...], everything: bool, upgrade: bool, as_json: bool, quiet: bool
) -> int:
    """Install programs.

    A program that was installed before is installed again exactly as it was: the same versions,
    with the same digests. --upgrade takes what there is now.

    \b
    Examples:
      seglab software install swaks msmtp
      seglab software install --all

    Exit code 0: all of them are installed; 1: some cannot be had, and the reason is printed.
    """  # noqa: D301 -- click looks for the backspace character itself

    def tell(name: str, words: str) -> None:
        if not quiet:
            click.echo(f"{name}: {safe(words)}", err=True)

    outcomes = install_programs(_chosen(names, everything), Store.usual(), tell, upgrade=upgrade)
    if as_json:
        click.echo(json.dumps([_outcome(one) for one in outcomes], indent=2))
    else:
        for one in outcomes:
            click.echo("\t".join(_line(one)))
    return 1 if any(one.installation is None for one in outcomes) else 0


@software.command(name="list")
@_json
def list_command(as_json: bool) -> int:
    """List the programs: what is installed, and why the others are not."""
    store = Store.usual()
    entries = [_entry(one, store) for one in (*programs().values(), *servers().values())]
    if as_json:
        click.echo(json.dumps(entries, indent=2))
    elif sys.stdout.isatty():
        table = Table(box=None, pad_edge=False)
        for column in _COLUMNS:
            table.add_column(column, overflow="fold", no_wrap=column == "name")
        for entry in entries:
            table.add_row(*map(as_markup, _cells(entry)))
        Console().print(table)
    else:
        for entry in entries:
            click.echo("\t".join(map(safe, _cells(entry))))
    return 0


@software.command()
@_names
@_all
def remove(names: tuple[str, ...], everything: bool) -> int:
    """Remove programs; what was chosen for them stays, so that they can be installed again."""
    chosen = _chosen(names, everything)
    with Store.usual().writer() as writer:
        for one in chosen:
            removed = writer.remove(one.name)
            click.echo(f"{one.name}\t{'removed' if removed else 'was not installed'}")
    return 0


def _chosen(names: Sequence[str], everything: bool) -> list[NamedProgram]:
    if everything and names:
        raise click.UsageError("names or --all, not both")
    if not everything and not names:
        raise click.UsageError("which programs? `seglab software list` shows them; or --all")
    if everything:
        return [*programs().values(), *servers().values()]
    return list(map(program, dict.fromkeys(names)))


def _line(one: Outcome) -> tuple[str, str, str]:
    if one.installation is None:
        return one.name, "cannot be had", safe(one.reason)
    state = "installed" if one.new else "was installed"
    return one.name, state, one.installation.version or "-"


def _outcome(one: Outcome) -> dict[str, Any]:
    version = None if one.installation is None else one.installation.version
    return {
        "name": one.name,
        "installed": one.installation is not None,
        "version": version,
        "reason": one.reason or None,
    }


def _entry(one: NamedProgram, store: Store) -> dict[str, Any]:
    """What is known of a program, for ``--json``."""
    refusal = None
    try:
        found = store.installation(one.name)
    except InputError as error:
        found, refusal = None, str(error)
    if found is None:
        refusal = refusal or store.refusal(one.name)
    return {
        "name": one.name,
        "title": one.title,
        "source": one.source,
        "settings": one.settings,
        "packages": [*one.pypi, *one.npm, *one.debian],
        "installed": found is not None,
        "version": None if found is None else found.version,
        "size_bytes": None if found is None else found.size_bytes,
        "contents": []
        if found is None
        else [
            {
                "registry": package.registry,
                "name": package.name,
                "version": package.version,
                "digest": package.digest,
            }
            for package in found.packages
        ],
        "reason": refusal,
    }


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    if entry["installed"]:
        size = f"{entry['size_bytes'] / 1e6:.1f} MB"
        return entry["name"], "installed", entry["version"] or "-", size, entry["title"]
    state = f"cannot be had: {entry['reason']}" if entry["reason"] else "not installed"
    return entry["name"], state, "-", "-", entry["title"]
