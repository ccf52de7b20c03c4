"""``seglab regress``: has a classifier learned the sender, or the network?"""

import json

import click

from lab.asking import LocalAsker
from lab.classifier_registry import classifier as find_classifier
from lab.commands.running import DEFAULT_SEED
from lab.regress import checks as checks_
from lab.regress.case import Layers
from lab.regress.judgement import Settings
from lab.regress.record import to_dict
from lab.regress.result import run
from lab.regress.terminal import show
from lab.session_source import load


@click.command()
@click.argument("classifier")
@click.option(
    "--sessions",
    "sources",
    multiple=True,
    metavar="PATH",
    help="A dataset, a run folder, a Parquet file of sessions, or `sample`; repeatable.",
)
@click.option(
    "--check", "names", multiple=True, metavar="NAME", help="Only this check; repeatable."
)
@click.option(
    "--layer",
    type=click.Choice(["segments", "reads", "both"]),
    default="segments",
    show_default=True,
    help="What the classifier is shown.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=DEFAULT_SEED, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def regress(
    classifier: str,
    sources: tuple[str, ...],
    names: tuple[str, ...],
    layer: Layers,
    seed: int,
    as_json: bool,
) -> int:
    """Let a classifier face the same senders under every MTU."""
    found = find_classifier(classifier)
    cases = [case for source in sources or ("sample",) for case in load(source, layer)]
    result = run(
        found.name, cases, LocalAsker(found), checks_.chosen(names), settings=Settings(seed=seed)
    )
    if as_json:
        click.echo(json.dumps(to_dict(result), indent=2))
    else:
        show(result)
    return 0 if result.good else 1
