"""``seglab try``: a program of the user's own over networks of the lab, with what it writes."""

import json
from pathlib import Path
from typing import Final

import click

from seglab.commands.options import (
    interrupted,
    jobs_option,
    resume_option,
    seed_option,
    time_limit_option,
)
from seglab.commands.progress import RunProgress
from seglab.commands.values import FILE, given, refuse_unwritable
from seglab.core.files import writing
from seglab.errors import InputError
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.trying import SESSIONS_MAX, Planned, TryRequest, request_of, resume
from seglab.experiment.named import RECIPIENT, SENDER_ADDRESS
from seglab.mail.kinds import KINDS
from seglab.mail.source import MailSource
from seglab.report import build_report
from seglab.report.tried import refuse_incomparable, tried
from seglab.report.tried_junit import to_junit
from seglab.report.tried_terminal import show
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

_FIXED_BY_RUN: Final = (
    *("command", "program_name", "networks", "sessions", "message", "payload_bytes"),
    *("sender_address", "recipient", "name", "send", "ready", "done", "seed", "out"),
)
"""The parameters that a run keeps from its beginning to its end."""

_FIXED_BY_PROGRAM: Final = ("command", "name", "send", "ready", "done")
"""The parameters that a named program brings along."""


@click.command("try", context_settings={"ignore_unknown_options": False})
@click.argument("command", nargs=-1, metavar="-- PROGRAM [ARGUMENT...]")
@click.option(
    "--program",
    "program_name",
    metavar="NAME",
    help="Instead of a command: a program that is installed by `seglab software install`.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    default=("ethernet",),
    show_default=True,
    metavar="NAME",
    help="A network to try the program over (`seglab list networks`). May be repeated.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, SESSIONS_MAX),
    metavar="N",
    help="How often the program runs over each network.  [default: 1; with --compare as often as "
    "there, and twice at least]",
)
@click.option(
    "--message",
    default="text",
    show_default=True,
    metavar="FILE|KIND",
    help="What it is to send: your own mail, or a kind of generated mail.",
)
@click.option(
    "--size",
    "payload_bytes",
    type=click.IntRange(1),
    metavar="BYTES",
    help="The size of a generated mail on the wire.  [default: 6000]",
)
@click.option(
    "--from",
    "sender_address",
    default=SENDER_ADDRESS,
    show_default=True,
    metavar="ADDRESS",
    help="What {from} stands for.",
)
@click.option(
    "--to",
    "recipient",
    default=RECIPIENT,
    show_default=True,
    metavar="ADDRESS",
    help="What {to} stands for.",
)
@click.option(
    "--send",
    metavar="CMD",
    help="Of a daemon: the shell's command that hands it the message, which is on its standard "
    "input.",
)
@click.option(
    "--ready",
    metavar="CMD|/REGEX/",
    help="When a daemon can be handed the message: once the command succeeds, or it prints this.",
)
@click.option(
    "--done",
    metavar="CMD|/REGEX/",
    help="When a session is over.  [default: the program has ended; of a daemon, the server has "
    "the message]",
)
@click.option("--name", metavar="NAME", help="What to call it.  [default: the program's file name]")
@time_limit_option(
    "--timeout",
    "After how long a program that still runs is ended, and its session has failed.",
)
@seed_option("The generated mail and all that the networks draw come from it.")
@jobs_option("How many networks run side by side; over one network, one program runs at a time.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run folder, new or empty.  [default: runs/NAME-DATE-TIME]",
)
@resume_option()
@click.option(
    "--compare",
    "reference",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Say what the program does otherwise than in the earlier run in DIR.",
)
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Print a line for each session that fails, and why."
)
def try_(
    command: tuple[str, ...],
    program_name: str | None,
    networks: tuple[str, ...],
    sessions: int | None,
    message: str,
    payload_bytes: int | None,
    sender_address: str,
    recipient: str,
    send: str | None,
    ready: str | None,
    done: str | None,
    name: str | None,
    time_limit_s: float,
    seed: int,
    jobs: int,
    out: Path | None,
    resumed: Path | None,
    reference: Path | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Try your own mail program, and see what it writes.

    The program runs in the lab's client and sends one mail to the lab's server. It reaches nothing
    else. It may write where it likes, and all that is gone when its session ends. The kernel
    records each of its write calls, the wire each segment, and the server each read.

    \b
    In its arguments these stand for:
      {host} {port}   the lab's server
      {message}       the file with the mail to send; it is also on standard input
      {from} {to}     the addresses of the envelope
    The environment has the same as SEGLAB_HOST, SEGLAB_PORT, SEGLAB_MESSAGE, ... The server is
    also called mx.seglab.test, which suits a URL over IPv6.

    \b
    Examples:
      seglab try -- python3 examples/send.py {host} {port} {message}
      seglab try -- curl smtp://{host} --mail-from {from} --mail-rcpt {to} -T {message}
      seglab try --network gprs --network ethernet -- ./mailer.py --server {host} {message}
      seglab try --sessions 5 --message mine.eml -- sh -c 'msmtp --host={host} -f {from} {to}'
      seglab try --program postfix --network pppoe --size 25000
      seglab try --compare runs/version-1 --junit changes.xml -- ./mailer {host} {message}
      seglab try --ready 'postfix status' --send 'sendmail -f {from} {to}' -- postfix start-fg

    As root the kernel's tracing records it, else notifications of its calls do.

    Exit code 0: every session is complete, or failed as its network is expected to make it fail; 1:
    others failed, and the reason is printed, or the program does something else than in the run of
    --compare.
    """  # noqa: D301 -- click looks for the backspace character itself
    refuse_unwritable(junit)
    earlier = None if reference is None else _earlier(reference)
    if resumed is not None:
        folder, planned = _continued(resumed, earlier)
        if not given("time_limit_s"):
            time_limit_s = folder.manifest.arguments["time_limit_s"]
    elif command or program_name is not None:
        if program_name is not None and (fixed := given(*_FIXED_BY_PROGRAM)):
            raise click.UsageError(f"--program says itself what runs; leave out {', '.join(fixed)}")
        request = TryRequest(
            command=command,
            program=program_name,
            networks=networks,
            sessions=sessions or _sessions_like(earlier),
            message=message if message in KINDS else str(Path(message).absolute()),
            payload_bytes=payload_bytes,
            sender_address=sender_address,
            recipient=recipient,
            name=name,
            send=send,
            ready=ready,
            done=done,
            folder=str(Path.cwd()),
        )
        mail = request.mail()
        if isinstance(mail, MailSource) and (words := mail.skipped_words) and not quiet:
            click.echo(f"{message}: {words}", err=True)
        planned = request.planned(mail, seed)
        manifest = request.manifest(planned, seed, time_limit_s)
        _check(earlier, manifest)
        path = out or new_run_path(f"try-{planned[0][0].sender}")
        folder = RunFolder.create(path, manifest)
    else:
        raise click.UsageError("which program? give it after --, such as: seglab try -- ./mailer")
    with folder:
        try:
            if folder.writable:
                with RunProgress(quiet=quiet, verbose=verbose) as progress:
                    carry_out(
                        folder, [planned], jobs=jobs, time_limit_s=time_limit_s, progress=progress
                    )
            result = tried(folder, build_report(folder), earlier)
        except KeyboardInterrupt:
            interrupted(folder)
    try:
        if junit is not None:
            with writing(junit):
                junit.write_bytes(to_junit(result))
    finally:
        if as_json:
            click.echo(json.dumps(result.to_dict(), indent=2))
        else:
            show(result)
    return 1 if result.findings else 0


def _continued(path: Path, earlier: RunFolder | None) -> tuple[RunFolder, Planned]:
    """Open the run that is to be continued, and plan its sessions."""
    if fixed := given(*_FIXED_BY_RUN):
        raise click.UsageError(
            f"--resume takes everything from the run folder; leave out {', '.join(fixed)}"
        )
    _check(earlier, RunFolder.open(path).manifest)
    folder, request = resume(path)
    return folder, request.planned(request.mail(), folder.manifest.seed)


def _earlier(path: Path) -> RunFolder:
    """Open an earlier run, and refuse one that says nothing yet."""
    folder = RunFolder.open(path)
    request_of(folder.manifest, path)
    if folder.manifest.status == "running":
        raise InputError(f"{path}: this run has not ended; wait until it has")
    if not folder.statuses():
        raise InputError(
            f"{path}: no session of this run is stored; try --resume {path}, or make it again"
        )
    return folder


def _check(earlier: RunFolder | None, manifest: Manifest) -> None:
    """Refuse an earlier run that this one cannot be compared with, before a session runs."""
    if earlier is not None:
        messages, networks = manifest.arguments.get("messages"), manifest.networks
        refuse_incomparable(earlier.manifest, earlier.path, messages, networks)


def _sessions_like(reference: RunFolder | None) -> int:
    """Return how many sessions tell what varies by itself, when they are compared with a run."""
    if reference is None:
        return 1
    there = reference.manifest.arguments.get("sessions")
    return max(2, there) if isinstance(there, int) else 2
