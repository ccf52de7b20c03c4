"""``seglab dataset``: build labelled data, and check it."""

import asyncio
import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click

from seglab.commands.options import cluster_option, engine_option, jobs_option, seed_option
from seglab.commands.progress import CheckProgress, RunProgress
from seglab.commands.values import FILE, FOLDER, given
from seglab.core import processors
from seglab.core.files import replace_file, writing
from seglab.core.ownership import keep_owner
from seglab.core.record import RecordLine
from seglab.core.text import count, safe
from seglab.dataset.building import build_shards, unless_refused
from seglab.dataset.check import check
from seglab.dataset.check_result import CheckResult, Defect
from seglab.dataset.estimate import Estimate, estimate, room_bytes, size
from seglab.dataset.folder import begin, finish, missing_shards, results, settled
from seglab.dataset.integrity import contents_are_compared, lost_files, refuse_changed
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import DatasetManifest, read_manifest
from seglab.dataset.plan import fingerprint, shard_range
from seglab.dataset.shard import ShardBuild
from seglab.dataset.spec import DatasetSpec, read_spec
from seglab.dataset.splits import PARTS
from seglab.errors import EnvironmentLacksError, InputError
from seglab.execution.interruption import Interruption
from seglab.mail.source import MailSource


@click.group()
def dataset() -> None:
    """Build labelled datasets, and check them.

    A dataset is many sessions, each with the truth about its sender and its path, to train and test
    classifiers with. docs/datasets.md explains the specification and the files.

    \b
    Examples:
      seglab dataset build examples/dataset.toml --out data/mine
      seglab dataset check data/mine
    """  # noqa: D301 -- click looks for the backspace character itself


@dataset.command()
@click.argument("spec", type=FILE, metavar="SPEC.toml")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="The dataset's folder: new, empty, or one whose build was interrupted.",
)
@seed_option("All randomness of the dataset comes from it.")
@jobs_option()
@engine_option
@cluster_option("Build on the workers")
@click.option("--yes", is_flag=True, help="Do not ask before a large build.")
@click.option("--resume", is_flag=True, help="Continue a build that has begun; never begin one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Print a line for each session that fails, and why."
)
def build(
    spec: Path,
    out: Path,
    seed: int,
    jobs: int,
    engine: str,
    cluster: str | None,
    yes: bool,
    resume: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Build the dataset that SPEC.toml describes.

    Before a large build it says what that will cost, and asks. After an interruption the same
    command continues the build; where everything is built, it changes nothing.

    \b
    Examples:
      seglab dataset build examples/dataset.toml --out data/mine
      seglab dataset build mine.toml --out data/mine --seed 7 --yes
      seglab dataset build mine.toml --out data/mine --cluster tcp://scheduler:8786

    Exit code 0: every session is a row of the dataset; 1: some failed, and manifest.json says why.
    """  # noqa: D301 -- click looks for the backspace character itself
    what = read_spec(spec)
    if not quiet:
        _tell_left_out(what)
    stored = read_manifest(Layout(out).manifest)
    if stored is not None:
        seed = seed if given("seed") else stored.seed
        engine = engine if given("engine") else stored.engine
    if resume and stored is None:
        raise InputError(f"{out}: no dataset has been begun here; leave out --resume")
    if stored is not None:
        begin(what, seed, out, engine)  # refuses another dataset before anything is asked
        if stored.status == "complete":
            refuse_changed(Layout(out), stored)
    there = settled(what, out, fingerprint(what, seed))
    done = sum(len(shard_range(what, shard)) for shard in there)
    left = what.sessions - done - _under_way(what, seed, out, there)
    if stored is not None and not quiet:
        click.echo(_found(what, stored, out, there), err=True)
    progress = RunProgress(quiet=quiet, verbose=verbose)
    try:
        if len(there) == what.shards:
            begin(what, seed, out, engine)
        elif cluster is not None:
            _build_far(
                cluster, what, seed, out, there, jobs, progress, yes=yes, quiet=quiet, engine=engine
            )
        else:
            _ask(what, estimate(what, jobs, left, engine), out, yes=yes, quiet=quiet)
            with unless_refused(out):
                begin(what, seed, out, engine)
                _build(what, seed, out, there, jobs, progress)
        manifest = finish(what, seed, out)
    except KeyboardInterrupt:
        _interrupted(spec, seed, out, what, cluster)
    if as_json:
        click.echo(json.dumps(manifest.summary(), indent=2))
    else:
        _show(manifest, what, out)
    return 1 if manifest.failed else 0


@dataset.command("check")
@click.argument("path", type=FOLDER, metavar="DIR")
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    help="The folder for the summary figure.  [default: the dataset's own]",
)
@click.option(
    "--sender",
    "senders",
    multiple=True,
    type=FILE,
    metavar="FILE.py",
    help="Your own sender that the dataset was built with, which the check runs; repeatable.",
)
@click.option(
    "--thorough", is_flag=True, help="Make all rows again and compare all captures, not a sample."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def check_command(
    path: Path,
    out: Path | None,
    senders: tuple[Path, ...],
    thorough: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check a dataset: its files, its rows and its splits.

    Compares files with their checksums, rows with the plan and each row's layers with each other,
    and makes sure that no message is in two parts of a split. Also draws a figure of how many
    sessions there are of each kind.

    \b
    Examples:
      seglab dataset check data/mine
      seglab dataset check data/mine --json --out figures

    Exit code 0: no findings; 1: each line names one.
    """  # noqa: D301 -- click looks for the backspace character itself
    with CheckProgress(quiet=quiet) as progress:
        trusted = [str(sender.absolute()) for sender in senders]
        checked = check(
            path,
            progress.report,
            trusted=trusted,
            thorough=thorough,
            processes=processors.usable(),
        )
    figure = _draw(checked, out or path, required=out is not None)
    findings = [*checked.findings, *checked.unlisted()]
    if as_json:
        click.echo(json.dumps(_result(checked, findings, path, figure), indent=2))
        return 1 if findings else 0
    for note in checked.notes:
        click.echo(f"note: {note}")
    for finding in findings:
        click.echo(str(finding))
    counts = checked.counts
    words = count(len(findings), "finding") if findings else "no findings"
    parts = _parts(counts.splits)
    shares = f" ({parts})" if parts else ""
    click.echo(f"{path}: {count(counts.sessions, 'session')}{shares}, {words}")
    if figure is not None:
        click.echo(f"figure: {figure}")
    return 1 if findings else 0


def _parts(splits: Mapping[str, Mapping[str, int]]) -> str:
    """How many sessions each part of ``split`` has, in words."""
    sizes = splits.get("split", {})
    return ", ".join(f"{part} {sizes[part]}" for part in PARTS if part in sizes)


def _draw(checked: CheckResult, out: Path, *, required: bool) -> Path | None:
    """Write the summary figure.

    Returns:
        Its path; ``None`` where there is nothing to draw, or where the folder cannot be written
        and nobody has asked for the figure there.
    """
    from seglab.dataset.summary_figure import summary_figure  # noqa: PLC0415 -- Matplotlib is slow

    if not checked.counts.sessions:
        return None
    try:
        with writing(out, "--out DIR puts the figure elsewhere"):
            out.mkdir(parents=True, exist_ok=True)
            for suffix, data in summary_figure(checked).items():
                keep_owner(out / f"summary.{suffix}")
                replace_file(out / f"summary.{suffix}", partial(_put, data))
    except InputError as error:
        if required:
            raise
        checked.notes.append(f"no figure: {error}")
        return None
    return out / "summary.svg"


def _put(data: bytes, file: BinaryIO) -> None:
    file.write(data)


def _result(
    checked: CheckResult, findings: list[Defect], path: Path, figure: Path | None
) -> dict[str, Any]:
    counts = checked.counts
    return {
        "dataset": str(path),
        "name": checked.manifest.name,
        "seed": checked.manifest.seed,
        "planned": checked.manifest.planned,
        "sessions": counts.sessions,
        "failed": checked.manifest.failed,
        "splits": counts.splits,
        "labels": counts.labels,
        "notes": checked.notes,
        "findings": [asdict(finding) for finding in findings],
        "figure": None if figure is None else str(figure),
    }


def _build(
    spec: DatasetSpec, seed: int, out: Path, there: set[int], jobs: int, progress: RunProgress
) -> None:
    """Build the shards that are missing."""
    with Interruption() as interruption, progress:
        done = sum(len(shard_range(spec, shard)) for shard in there)
        done += _under_way(spec, seed, out, there)
        progress.plan(spec.sessions, done)
        missing = missing_shards(spec, there)
        count_one = partial(_count, progress)
        work = partial(build_shards, spec, seed, out, missing, jobs=jobs, on_record=count_one)
        try:
            interruption.run(work)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def _build_far(
    address: str,
    spec: DatasetSpec,
    seed: int,
    out: Path,
    there: set[int],
    jobs: int,
    progress: RunProgress,
    *,
    yes: bool,
    quiet: bool,
    engine: str,
) -> None:
    """Build the shards that are missing on a cluster."""
    from seglab.cluster.building import build_on, refuse_unfit  # noqa: PLC0415
    from seglab.cluster.dask import connected  # noqa: PLC0415 -- Dask only where it is used
    from seglab.cluster.shards import BuildRequest  # noqa: PLC0415

    done = sum(len(shard_range(spec, shard)) for shard in there)
    whole = estimate(spec, jobs, spec.sessions - done, engine)
    with connected(address, say=progress.say) as cluster:
        request = BuildRequest(spec.text, spec.where, seed, jobs, cluster.name, engine)
        refuse_unfit(spec, whole, request, cluster)
        shared = replace(whole, seconds=whole.seconds / cluster.threads)
        _ask(spec, shared, out, yes=yes, quiet=quiet)
        with unless_refused(out), Interruption() as interruption, progress:
            begin(spec, seed, out, engine)
            progress.plan(spec.sessions, done)
            build_on(
                cluster, spec, request, out, missing_shards(spec, there), progress, interruption
            )


def _count(progress: RunProgress, record: RecordLine) -> None:
    progress.ended(record.session_id, record.error)


def _tell_left_out(spec: DatasetSpec) -> None:
    """Say which of the user's own mails are not sent."""
    for template in dict.fromkeys(c.template.name for c in spec.combinations):
        mail = next(c.template.mail for c in spec.combinations if c.template.name == template)
        if isinstance(mail, MailSource) and (words := mail.skipped_words):
            click.echo(f"{template}: {words}", err=True)


def _found(spec: DatasetSpec, stored: DatasetManifest, out: Path, there: set[int]) -> str:
    """Say what an earlier build has left."""
    if len(there) == spec.shards:
        shards = "its one shard is" if spec.shards == 1 else f"all {spec.shards} shards are"
        words = f"{out}: {shards} built"
        if stored.status == "complete" and not contents_are_compared(stored):
            words += ", by the sizes of their files; `seglab dataset check` reads them"
        return words
    if stored.status == "complete":
        why = next(_reasons(spec, stored, out), "a shard's description is missing")
        return f"{out}: {count(spec.shards - len(there), 'shard')} to be built again: {why}"
    words = f"{out}: continuing a build: {len(there)} of {spec.shards} shards are there"
    more = _under_way(spec, stored.seed, out, there)
    return f"{words}, and {count(more, 'session')} more" if more else words


def _reasons(spec: DatasetSpec, stored: DatasetManifest, out: Path) -> Iterator[str]:
    """Say what is wrong with a finished dataset that is built again."""
    yield from lost_files(Layout(out), stored)
    untried = sum(len(result.untried) for result in results(Layout(out), spec.shards))
    if untried:
        yield f"a part of the lab died over {count(untried, 'session')}"


def _under_way(spec: DatasetSpec, seed: int, out: Path, there: set[int]) -> int:
    """How many sessions are complete in shards that are not complete."""
    begun = (path.name for path in (out / "building").glob("*"))
    shards = {int(name) for name in begun if name.isdecimal()} - there
    return sum(ShardBuild(spec, seed, shard, out).recorded() for shard in shards)


def _ask(spec: DatasetSpec, whole: Estimate, out: Path, *, yes: bool, quiet: bool) -> None:
    """Say what the build will cost, and ask before a large one.

    Raises:
        InputError: the build is large, and there is no terminal to ask at.
        EnvironmentLacksError: the disk has no room for it.
    """
    free = shutil.disk_usage(_existing(out)).free
    short = room_bytes(spec, whole) > free
    words = f"{whole.words}, and the disk has {size(free)} left" if short else whole.words
    if yes or not whole.large:
        if short and not yes:
            raise EnvironmentLacksError(
                f"{out}: {words}; free some space, give another --out, build less, or say --yes "
                "to try"
            )
        if not quiet:
            click.echo(words, err=True)
        return
    if not sys.stdin.isatty():
        raise InputError(f"{spec.name}: {words}; say --yes to build that much")
    click.echo(words, err=True)
    click.confirm("Build it?", abort=True, err=True)


def _existing(out: Path) -> Path:
    """The nearest folder above ``out`` that exists."""
    return next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())


def _show(manifest: DatasetManifest, spec: DatasetSpec, out: Path) -> None:
    parts = _parts(manifest.splits)
    made = f"{count(manifest.complete, 'session')} in {count(manifest.shards, 'shard')}"
    click.echo(f"{made}: {parts}" if parts else made)
    for part, pct in spec.splits.pct.items():
        if pct and not manifest.splits.get("split", {}).get(part):
            words = f"note: no session is in {part}, which was to have {pct} %; more repeats"
            click.echo(safe(words))
    for network, entry in manifest.failures.items():
        failed = count(entry["failed"], "session")
        click.echo(safe(f"failed on {network}: {failed}; the first: {entry['error']}"))
    if manifest.redone:
        click.echo(f"carried out again, since they were late: {count(manifest.redone, 'session')}")
    if manifest.too_late:
        click.echo(
            f"the machine was too busy for {count(manifest.too_late, 'session')}, marked too_late"
        )
    click.echo(f"dataset:   {out}")
    click.echo(f"datasheet: {Layout(out).datasheet}")


def _interrupted(
    spec: Path, seed: int, out: Path, what: DatasetSpec, cluster: str | None
) -> NoReturn:
    """Tell a user who pressed Ctrl-C what is kept and how to continue, and exit with 130."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    there = settled(what, out, fingerprint(what, seed))
    kept = sum(len(shard_range(what, shard)) for shard in there)
    kept += _under_way(what, seed, out, there)
    where = ["--cluster", cluster] if cluster is not None else []
    again = shlex.join(
        ["seglab", "dataset", "build", str(spec), "--out", str(out), "--seed", str(seed), *where]
    )
    click.echo(
        f"interrupted: {kept} of {what.sessions} sessions are kept in {out}; "
        f"continue with: {again}",
        err=True,
    )
    sys.exit(130)
