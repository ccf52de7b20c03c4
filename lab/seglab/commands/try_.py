"""``seglab try``: a program of the user's own over networks of the lab, with what it writes."""

import json
import sys
from pathlib import Path

import click

from seglab.commands.options import jobs_option, seed_option, time_limit_option
from seglab.commands.progress import RunProgress
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.trying import manifest, message_of
from seglab.experiment import registry
from seglab.experiment.named import RECIPIENT, SENDER_ADDRESS, plan_named
from seglab.experiment.program import plan
from seglab.mail.source import MailSource
from seglab.report import build_report
from seglab.report.tried import show, tried
from seglab.runs.folder import RunFolder
from seglab.software.available import available
from seglab.software.program import program as named_program
from seglab.software.store import Store


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
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="How often the program runs over each network.",
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
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Print a line for each session that fails, and why."
)
def try_(
    command: tuple[str, ...],
    program_name: str | None,
    networks: tuple[str, ...],
    sessions: int,
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
      seglab try --ready 'postfix status' --send 'sendmail -f {from} {to}' -- postfix start-fg

    It needs root, for the kernel's tracing. Exit code 0: every session is complete, or failed as
    its network is expected to make it fail; 1: others failed, and the reason is printed.
    """  # noqa: D301 -- click looks for the backspace character itself
    mail = message_of(message, payload_bytes)
    if isinstance(mail, MailSource) and (words := mail.skipped_words) and not quiet:
        click.echo(f"{message}: {words}", err=True)
    paths = [registry.network(network) for network in dict.fromkeys(networks)]
    if program_name is not None:
        if command or send or ready or done or name:
            raise click.UsageError(
                "--program says itself what runs: leave out the command, --name,"
                " --send, --ready and --done"
            )
        planned = plan_named(
            available(named_program(program_name), Store.usual()),
            paths,
            mail,
            sessions=sessions,
            seed=seed,
            sender_address=sender_address,
            recipient=recipient,
        )
    else:
        planned = plan(
            command,
            paths,
            mail,
            sessions=sessions,
            seed=seed,
            name=name,
            sender_address=sender_address,
            recipient=recipient,
            folder=Path.cwd(),
            send=send,
            ready=ready,
            done=done,
        )
    path = out or new_run_path(f"try-{planned[0][0].sender}")
    with RunFolder.create(path, manifest(planned, seed, time_limit_s)) as folder:
        try:
            with RunProgress(quiet=quiet, verbose=verbose) as progress:
                carry_out(
                    folder, [planned], jobs=jobs, time_limit_s=time_limit_s, progress=progress
                )
            summary = build_report(folder)
        except KeyboardInterrupt:
            click.echo(
                f"interrupted: {len(folder.statuses())} sessions are kept in {folder.path}",
                err=True,
            )
            sys.exit(130)
        result = tried(folder)
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
    else:
        show(result)
    return 1 if summary.unexpected_failures else 0
