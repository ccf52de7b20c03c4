"""``seglab regress``: whether a classifier has learned the sender, or the network."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click
from rich.console import Console

from seglab.classification.answer import Runner
from seglab.commands.options import (
    Command,
    cluster_option,
    engine_option,
    interrupted,
    jobs_option,
    seed_option,
)
from seglab.commands.progress import RunProgress
from seglab.commands.values import FILE, finite, given, refuse_unwritable
from seglab.core import garbage, processors
from seglab.core.files import replace_file, writing
from seglab.core.text import count
from seglab.engine import DEFAULT_TIME_LIMIT_S
from seglab.errors import EnvironmentLacksError
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.request import RunRequest
from seglab.regress import checks as checks_
from seglab.regress.baseline import Baseline
from seglab.regress.case import Case, LayerChoice
from seglab.regress.judgement import Settings
from seglab.regress.junit import to_junit
from seglab.regress.page import page
from seglab.regress.record import to_dict
from seglab.regress.result import RegressResult
from seglab.regress.run import run
from seglab.regress.sessions import load
from seglab.regress.suite import read_baseline, read_known
from seglab.regress.terminal import show
from seglab.runners.open import open_runner
from seglab.runs.folder import RunFolder


def _file_option(name: str, words: str) -> Callable[[Command], Command]:
    return click.option(name, type=FILE, metavar="FILE", help=words)


@click.command()
@click.argument("classifier")
@click.option(
    "--sessions",
    "sources",
    multiple=True,
    metavar="PATH",
    help="Stored sessions: a dataset, a run folder, a Parquet file, or `sample`, which comes with"
    " seglab; repeatable.  [default: a fresh run]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Only this part of a dataset: what a classifier was not trained on.",
)
@click.option(
    "--split-column",
    type=click.Choice(["split", "split_network", "split_template"]),
    default="split",
    show_default=True,
    help="The column that says which part a session is in.",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help="What a fresh run carries out, by name or path; repeatable.  [default: regress]",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Sessions of each sender on each network in a fresh run.  [default: the scenario's]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The fresh run's folder.  [default: runs/regress-DATE-TIME]",
)
@click.option(
    "--layer",
    type=click.Choice(["segments", "reads", "both"]),
    default="segments",
    show_default=True,
    help="What the classifier is shown.",
)
@click.option(
    "--check",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this check; repeatable.",
)
@_file_option("--baseline", "Accuracies of an earlier run, below which no network may fall.")
@click.option("--update-baseline", is_flag=True, help="Write this run's accuracies to --baseline.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    callback=finite,
    metavar="SHARE",
    help="By how much a network's accuracy may fall: 0.02 below a baseline, 0.25 below the mean of"
    " the others without one.",
)
@_file_option(
    "--known-failures",
    "TOML tables [[known]] with check, reason, and where needed network, style and layer.",
)
@_file_option("--junit", "Write JUnit XML.")
@_file_option("--html", "Write a page that opens from disk.")
@click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(0.01, 3600),
    callback=finite,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="The time for one answer of the classifier.",
)
@_file_option(
    "--stderr", "Add what a classifier of your own prints on standard error to this file."
)
@seed_option("All randomness of the run and of the checks flows from it.")
@jobs_option("Sessions side by side in a fresh run.")
@engine_option
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    metavar="N",
    help="How many processes share the work of a slow classifier of Python."
    "  [default: one a processor]",
)
@cluster_option("Ask the classifier on the workers")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Print examples of each check, as in a pipe.")
def regress(
    classifier: str,
    sources: tuple[str, ...],
    split: str | None,
    split_column: str,
    scenarios: tuple[str, ...],
    repeats: int | None,
    out: Path | None,
    layer: LayerChoice,
    names: tuple[str, ...],
    baseline: Path | None,
    update_baseline: bool,
    tolerance: float | None,
    known_failures: Path | None,
    junit: Path | None,
    html: Path | None,
    time_limit_s: float,
    stderr: Path | None,
    seed: int,
    jobs: int,
    engine: str,
    processes: int | None,
    cluster: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Let a classifier face the same senders under every MTU.

    CLASSIFIER is a built-in's name, package.module:name of your own, or cmd:PROGRAM ARGS, which
    reads observations and prints verdicts as lines of JSON.

    \b
    Examples:
      seglab regress paper --sessions sample
      seglab regress my_package.rules:classify --baseline accuracy.json --junit junit.xml
      seglab regress "cmd:./classify.pl --strict" --sessions runs/mine --layer reads

    Exit code 0: every check passed, or what failed is known; 1: a check found something, or the
    classifier failed; 2: bad input; 3: no lab can be built here for a fresh run.
    """  # noqa: D301 -- click looks for the backspace character itself
    if sources and (scenarios or repeats or out or given("engine")):
        raise click.UsageError(
            "--scenario, --repeats, --out and --engine are of a fresh run, not --sessions"
        )
    if split is not None and not sources:
        raise click.UsageError("--split is of a dataset: give it by --sessions")
    if split is None and given("split_column"):
        raise click.UsageError("--split-column needs --split, which is one of its parts")
    if update_baseline and baseline is None:
        raise click.UsageError("--update-baseline needs --baseline FILE")
    if cluster is not None and (stderr or processes):
        raise click.UsageError("--stderr and --processes are of this machine, not of a --cluster")
    checks = checks_.chosen(names)
    refuse_unwritable(junit, html, baseline if update_baseline else None)
    known = read_known(known_failures) if known_failures else ()
    before = read_baseline(baseline) if baseline and not update_baseline else None
    processes = processes or processors.usable()
    with _opened(classifier, time_limit_s, stderr, processes, cluster) as runner:
        if not sources:
            sources = (str(_fresh_run(scenarios, repeats, out, seed, jobs, engine, quiet=quiet)),)
        with garbage.exempt():  # ten thousand sessions would take twice as long
            cases = [c for source in sources for c in load(source, layer, split, split_column)]
        with _showing_progress(quiet=quiet) as progress:
            result = run(
                cases,
                runner,
                checks,
                progress=progress,
                settings=Settings.of(seed, tolerance),
                baseline=before,
                known=known,
                sources=[
                    f"{source} ({split_column} {split})" if split else source for source in sources
                ],
            )
    for path, text in ((junit, to_junit), (html, page)):
        if path is not None:
            _write(path, text(result))
    if as_json:
        click.echo(json.dumps(to_dict(result), indent=2))
    else:
        show(result, verbose=verbose)
    if update_baseline and baseline is not None:
        _update(baseline, result, cases)
    return 0 if result.good else 1


def _opened(
    classifier: str, time_limit_s: float, stderr: Path | None, processes: int, cluster: str | None
) -> AbstractContextManager[Runner]:
    """Start the classifier, here or on a cluster."""
    if cluster is None:
        return open_runner(
            classifier, time_limit_s=time_limit_s, stderr=stderr, processes=processes
        )
    from seglab.cluster.runner import open_runner_on  # noqa: PLC0415 -- loads Dask

    return open_runner_on(cluster, classifier, time_limit_s)


def _fresh_run(
    scenarios: tuple[str, ...],
    repeats: int | None,
    out: Path | None,
    seed: int,
    jobs: int,
    engine: str,
    *,
    quiet: bool,
) -> Path:
    """Carry out scenarios, and return the run's folder."""
    request = RunRequest(scenarios or ("regress",), sessions=repeats)
    specs = request.specs(seed)
    manifest = request.manifest("run", seed, jobs, DEFAULT_TIME_LIMIT_S, engine)
    try:
        with RunFolder.create(out or new_run_path("regress"), manifest) as folder:
            try:
                with RunProgress(quiet=quiet) as progress:
                    carry_out(folder, [specs], jobs=jobs, progress=progress)
            except KeyboardInterrupt:
                where = shlex.quote(str(folder.path))
                interrupted(folder, f"seglab run --resume {where}, then --sessions {where}")
    except EnvironmentLacksError as error:
        raise EnvironmentLacksError(
            f"{error} (or take stored sessions: --sessions sample)"
        ) from error
    if not quiet:
        counts = folder.manifest.counts
        failed = f"; {counts.failed} failed and are left out" if counts.failed else ""
        complete = count(counts.complete, "session")
        click.echo(f"run folder: {folder.path}, {complete}{failed}", err=True)
    return folder.path


@contextmanager
def _showing_progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows on a terminal which part of the work has begun."""
    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_terminal:
        yield lambda _: None
    else:
        with console.status("sessions") as status:
            yield status.update


def _update(path: Path, result: RegressResult, cases: list[Case]) -> None:
    if result.stopped is not None:
        click.echo(f"{path}: left as it was, since not every session was answered", err=True)
        return
    _write(path, Baseline.of(result, cases).to_json())
    click.echo(f"baseline written: {path}", err=True)


def _write(path: Path, text: bytes) -> None:
    with writing(path):
        replace_file(path, lambda file: file.write(text))
