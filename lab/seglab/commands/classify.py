"""``seglab classify``: how messages were written, from captures, logs and runs."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args

import click
from rich.console import Console

from seglab.classification.api import DEFAULT
from seglab.classification.classifier import Classifier
from seglab.classification.message_filter import MessageFilter
from seglab.classification.reference import BuiltIn, Program, parse
from seglab.classification.scored import ClassifiedMessage, classified, label
from seglab.classification.weights import Weights, load
from seglab.commands.classify_input import Input
from seglab.commands.values import FILE, STORED, finite, given
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.observation import Layer, Observation
from seglab.core.text import safe
from seglab.errors import InputError, nearest
from seglab.report.client_table import ClientTable
from seglab.report.strip_message import page
from seglab.report.strip_table import AnswerTally, Sheet, line
from seglab.runners.open import TIME_LIMIT_S, OpenClassifier, open_classifier

_WIDTH_OF_A_PIPE = 80
_IDS_KEPT = 1000
_DIGITS_MAX = 18
_FILTERS = ("styles", "abstained", "terminators", "conditions", "clients", "min_confidence")


def _known_styles(
    _context: click.Context, _option: click.Parameter, styles: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a style that no verdict can have."""
    for style in styles:
        if style not in STYLES:
            raise click.BadParameter(f"unknown {safe(style)!r}; {nearest(style, STYLES)}")
    return styles


@click.command(
    epilog="Exit status: 0 read and classified; 2 an option, or an input that cannot be read "
    "(what could be read is printed nevertheless)."
)
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True), metavar="[PATH]..."
)
@click.option(
    "--classifier",
    "reference",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help="A built-in classifier (boundaries, paper), your own as package.module:name, or a program "
    "that answers lines of JSON: 'cmd:PROGRAM ARGS'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a verdict a line, as JSON.")
@click.option(
    "--explain",
    "ids",
    multiple=True,
    metavar="ID",
    help="Draw this message's boundaries, and say why. Its number, ID, or SOURCE:ID.",
)
@click.option(
    "--by", type=click.Choice(("client",)),
    help="A summary instead of the messages: how many each client's address sent, their styles and "
    "scores.",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Continue as the files grow, until Ctrl-C.")
@click.option(
    "--style", "styles", multiple=True, metavar="STYLE", callback=_known_styles,
    help="Only messages of this style.",
)  # fmt: skip
@click.option("--abstained", is_flag=True, help="Only messages without a style.")
@click.option(
    "--terminator", "terminators", multiple=True, type=click.Choice(TERMINATORS),
    help="Only messages whose end of data was written in this way.",
)  # fmt: skip
@click.option(
    "--path-condition", "conditions", multiple=True, type=click.Choice(PATH_CONDITIONS),
    help="Only messages that came over such a path.",
)  # fmt: skip
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="TEXT",
    help="Only clients with this in ADDR:PORT.",
)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), callback=finite, default=0.0, metavar="P",
    help="Only styles at least this probable.",
)  # fmt: skip
@click.option(
    "--weights",
    "weights_file",
    metavar="FILE",
    help="Add up a score by these weights (TOML); 'example' is a file to begin from.",
)
@click.option(
    "--layer", type=click.Choice(("segments", "reads")),
    help="Of stored runs: what the wire carried, or what the server read.  [default: segments; "
    "with --evaluate both]",
)  # fmt: skip
@click.option(
    "--protocol", type=click.Choice(("smtp", "raw")), default="smtp", show_default=True,
    help="Of captures: mail, or each TCP connection as one message.",
)  # fmt: skip
@click.option(
    "--evaluate", "runs", multiple=True, metavar="RUN",
    type=STORED,
    help="Hold the classifier to the ground truth of a stored run, instead of reading PATHs.",
)  # fmt: skip
@click.option(
    "--network", "networks", multiple=True, metavar="NAME",
    help="With --evaluate: only the sessions over this network.",
)  # fmt: skip
@click.option(
    "--figures", "figures_file", metavar="FILE", type=FILE,
    help="With --evaluate: keep the figures in this file of JSON, as those of --side.",
)  # fmt: skip
@click.option(
    "--side", metavar="NAME", help="With --figures: what the runs together are called there.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N",
    help="How many processes classify.",
)  # fmt: skip
@click.option(
    "--time-limit", "time_limit_s", type=click.FloatRange(0.01, 3600), callback=finite,
    default=TIME_LIMIT_S, show_default=True, metavar="SECONDS",
    help="The time for one answer of a classifier of your own.",
)  # fmt: skip
def classify(
    paths: tuple[Path, ...],
    reference: str,
    ids: tuple[str, ...],
    by: str | None,
    weights_file: str | None,
    runs: tuple[Path, ...],
    networks: tuple[str, ...],
    figures_file: Path | None,
    side: str | None,
    layer: str | None,
    protocol: str,
    jobs: int,
    time_limit_s: float,
    *,
    as_json: bool,
    follow: bool,
    **filters: Any,
) -> int:
    """Say how the messages of a capture, a log or a run were written.

    The answer is a style, how the data was ended, what the path did, and where the writes ended.

    PATH is a capture (pcap, pcapng), a log of seglab serve (any of its formats), observations as
    lines of JSON, each also gzipped; Parquet with sessions; - for standard input. Contents
    decide, not names. A folder is searched for these, sorted; a run folder (one with run.json)
    and a dataset count as their stored sessions, not as their captures, which hold the same
    messages.

    A terminal gets a table. A pipe gets a line a message with tabs between source, id, client,
    style, terminator, path condition, buffer, confidence, score, sizes and number. Filters may be
    repeated: one of the values given has to fit, and each kind of filter has to.

    \b
    Examples:
        seglab classify mail.pcapng
        tcpdump -U -w - port 25 | seglab classify - --json
        seglab classify --follow /var/log/reads.log --style headers_then_body
        seglab classify mail.pcapng --explain 3
        seglab classify mail.pcapng --by client
    """  # noqa: D301 -- click looks for the backspace character itself
    if not runs and not paths:
        raise click.UsageError("which file? Give captures, logs or folders, or - for a pipe.")
    if runs and paths:
        raise click.UsageError("--evaluate RUN takes the run alone, without PATHs.")
    if networks and not runs:
        raise click.UsageError("--network is for --evaluate; else the network is not known.")
    kept = _kept_figures(figures_file, side, evaluates=bool(runs))
    if runs:
        _refuse_idle(
            "--evaluate", *_FILTERS, "ids", "by", "follow", "weights_file", "protocol", "jobs"
        )
    if ids:
        _refuse_idle("--explain", *_FILTERS, "by", "jobs")
    if follow and (ids or by or jobs > 1):
        raise click.UsageError("--follow goes neither with --explain, --by nor --jobs.")
    kind = parse(reference)
    if jobs > 1 and isinstance(kind, Program):
        raise click.UsageError("--jobs is for classifiers in Python, not for a program.")
    if isinstance(kind, BuiltIn) and given("time_limit_s"):
        raise click.UsageError("--time-limit is for a classifier of your own, or a program.")
    weights = None if weights_file is None else load(weights_file)
    wanted = MessageFilter(
        styles=filters["styles"],
        abstained=filters["abstained"],
        terminators=filters["terminators"],
        paths=filters["conditions"],
        clients=filters["clients"],
        min_confidence=filters["min_confidence"],
    )
    with open_classifier(reference, time_limit_s=time_limit_s, jobs=jobs) as classifier:
        if runs:
            return _evaluate(runs, classifier.classifier, networks, layer, kept, as_json=as_json)
        source = Input(paths, cast(Layer, layer or "segments"), protocol, follow=follow)
        if ids:
            return _explain(source, classifier, weights, ids, as_json=as_json)
        found = source.classified(classifier, weights)
        show = _show_clients if by else _show
        show(found, source, wanted, scored=weights is not None, as_json=as_json)
        return source.status


def _refuse_idle(option: str, *others: str) -> None:
    """Refuse options that have no effect beside another one, so that nobody relies on them.

    Raises:
        click.UsageError: one of them stands on the command line.
    """
    if idle := given(*others):
        raise click.UsageError(
            f"{option} goes without {', '.join(idle)}, which would have no effect."
        )


def _kept_figures(
    path: Path | None, side: str | None, *, evaluates: bool
) -> tuple[Path, str] | None:
    """Return the file of figures and the side whose figures go there; ``None`` without a file.

    Raises:
        click.UsageError: the options do not go together.
    """
    if path is None and side is None:
        return None
    if not evaluates:
        raise click.UsageError("--figures and --side are for --evaluate.")
    if path is None or side is None:
        raise click.UsageError("--figures FILE and --side NAME go together.")
    _refuse_idle("--figures", "networks", "layer")
    return path, side


def _evaluate(
    runs: tuple[Path, ...],
    one: Classifier,
    networks: tuple[str, ...],
    layer: str | None,
    kept: tuple[Path, str] | None,
    *,
    as_json: bool,
) -> int:
    from seglab.commands.evaluate import (  # noqa: PLC0415, loads what only it needs
        KeptFigures,
        evaluate_run,
    )

    layers = get_args(Layer) if layer is None else (cast(Layer, layer),)
    return evaluate_run(
        runs,
        one,
        as_json=as_json,
        layers=layers,
        networks=networks or None,
        kept=None if kept is None else KeptFigures(*kept),
    )


def _show(
    found: Iterator[ClassifiedMessage],
    source: Input,
    wanted: MessageFilter,
    *,
    scored: bool,
    as_json: bool,
) -> None:
    """Print each message as soon as it is classified, and then the summary."""
    terminal = sys.stdout.isatty() and not as_json
    summary = AnswerTally()
    sheet = None
    if terminal:
        sheet = Sheet(Console(highlight=False), scored=scored, sources=source.several)
        source.quiet.append(sheet.flush)
    emit: Callable[[ClassifiedMessage], object] = (
        sheet.add if sheet else _emit_json if as_json else _emit
    )
    try:
        with _until_stopped(source):
            for one in found:
                shown = wanted.accepts(one)
                summary.add(one, shown=shown)
                if shown:
                    emit(one)
                source.progress(summary.messages)
    finally:
        if sheet:
            sheet.flush()
    source.progress(None)
    click.echo(("\n" if sheet else "") + summary.words(), err=not terminal)


def _show_clients(
    found: Iterator[ClassifiedMessage],
    source: Input,
    wanted: MessageFilter,
    *,
    scored: bool,
    as_json: bool,
) -> None:
    """Print a line a client when all messages are classified, and then the summary."""
    summary = AnswerTally()
    clients = ClientTable()
    for one in found:
        shown = wanted.accepts(one)
        summary.add(one, shown=shown)
        if shown:
            clients.add(one)
        source.progress(summary.messages)
    source.progress(None)
    terminal = sys.stdout.isatty() and not as_json
    if terminal:
        clients.show(Console(highlight=False), scored=scored)
    else:
        for text in clients.json_lines() if as_json else clients.lines():
            click.echo(text)
    click.echo(("\n" if terminal else "") + summary.words(), err=not terminal)


@contextmanager
def _until_stopped(source: Input) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the following of files, and a second one interrupt."""
    if not source.follow:
        yield
        return

    def stop(*_: object) -> None:
        source.stop()
        for number in before:
            signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _emit_json(one: ClassifiedMessage) -> None:
    sys.stdout.write(one.to_json().decode() + "\n")
    sys.stdout.flush()


def _emit(one: ClassifiedMessage) -> None:
    sys.stdout.write(line(one) + "\n")
    sys.stdout.flush()


def _explain(
    source: Input,
    one: OpenClassifier,
    weights: Weights | None,
    ids: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Draw the messages with these ids or numbers; the others are not classified.

    The ids of a log are numbers too, and an id comes first: a number counts only if no message has
    it as its id, which is known at the end.
    """
    console = Console(highlight=False)
    width = console.width if console.is_terminal else _WIDTH_OF_A_PIPE
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    seen: list[str] = []
    missing = dict.fromkeys(ids)
    first = True
    numbers = {int(name): name for name in ids if name.isdecimal() and len(name) <= _DIGITS_MAX}
    numbered = dict[str, tuple[int, Observation]]()

    def explain(number: int, observation: Observation) -> None:
        nonlocal first
        found = classified(observation, one(observation), weights, number)
        if as_json:
            _emit_json(found)
            return
        if not first:
            click.echo()
        first = False
        for text in page(found, width, unicode=unicode):
            click.echo(text)

    for number, observation in enumerate(source.observations(), 1):
        if len(seen) < _IDS_KEPT:
            seen.append(label(observation))
        matched = {*_names(observation)} & {*ids}
        if number in numbers:
            numbered[numbers[number]] = number, observation
        if not matched:
            continue
        for name in matched:
            missing.pop(name, None)
        explain(number, observation)
    for name in [name for name in missing if name in numbered]:
        del missing[name]
        explain(*numbered[name])
    for name in missing:
        near_ones = ", ".join(map(safe, get_close_matches(name, seen, n=3) or seen[:5]))
        raise InputError(
            f"--explain {safe(name)}: no message has this id or number"
            + (f"; there are {near_ones}" if near_ones else "")
        )
    return source.status


def _names(observation: Observation) -> tuple[str, ...]:
    short = label(observation)
    return observation.id, short, f"{observation.source}:{short}"
