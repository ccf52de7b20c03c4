"""The command line, ``seglab COMMAND``. A command is imported when it is called."""

import errno
import gc
import os
import signal
import sys
from importlib import import_module
from io import TextIOWrapper

from seglab.core import garbage, stderr
from seglab.core.interrupts import QuietInterrupt

with QuietInterrupt():
    import click

    from seglab.core.text import safe
    from seglab.errors import SeglabError

COMMANDS = {
    "classify": (
        "classify:classify",
        "Say how the messages of a capture, a log or a run were written.",
    ),
    "dataset": ("dataset:dataset", "Build labelled datasets, and check them."),
    "doctor": ("doctor:doctor", "Check whether the lab can run on this machine."),
    "list": ("list:list_command", "List the senders, profiles, networks, readers or scenarios."),
    "reproduce": ("reproduce:reproduce", "Make the paper's experiments happen again, and compare."),
    "regress": ("regress:regress", "Let a classifier face the same senders under every MTU."),
    "report": ("report:report", "Rebuild the figures and report.html of a stored run."),
    "run": ("run:run", "Run scenarios: shipped ones by name, your own by path."),
    "serve": ("serve:serve", "Log what each read of a TCP or SMTP connection returns."),
    "software": ("software:software", "Install real mail programs, each in a folder of its own."),
    "try": ("try_:try_", "Try your own mail program, and see what it writes."),
    "validate": ("validate:validate", "Compare the simulator with the kernel engine."),
}
"""The module of ``seglab.commands`` and the name in it that define each command, and its summary.

The summaries are the commands' own. They stand here too, so that the list of them imports nothing.
"""

_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
_FULL_EXIT = 3
_NO_SUCH_PLACE = (errno.EACCES, errno.ENAMETOOLONG)
_OUTPUT_ENDED = {errno.EPIPE: 141, errno.ENOSPC: _FULL_EXIT}
"""The exit code for each error of standard output; a shell shows SIGPIPE as 141."""


class Commands(click.Group):
    """A group that imports a command when it is used, so that each command starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name; ``None`` if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        with QuietInterrupt(), garbage.exempt():
            command: click.Command = getattr(import_module(f"seglab.commands.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the names and summaries of all commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seglab", prog_name="seglab")
def seglab() -> None:
    """A traffic lab for mail: what was written, what the wire carried, what the server read.

    \b
    Start here:
      seglab doctor                 can this machine run the lab?
      seglab reproduce              run the paper's experiments, and compare
      seglab list scenarios         what can be run?
      seglab run scenario-1         run one scenario, with your own options
      seglab try -- PROGRAM         what does your own mail program write?
      seglab classify mail.pcapng   how was each message of a capture written?
      seglab regress paper          has a classifier learned the sender, or the MTU?

    `seglab COMMAND --help` explains a command; README.md and docs/ explain the rest.
    """  # noqa: D301 -- click looks for the backspace character itself


def main() -> None:
    """Run the command line. An error that users can meet becomes one line and an exit code."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # SIGTERM ends every command as Ctrl-C does
    _open_closed()
    stderr.drop_what_does_not_fit()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be valid text
    try:
        status = _run(sys.argv[1:])
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "seglab"
        reason = safe(" ".join(error.format_message().split()))
        click.echo(f"{command}: {reason} (see {command} --help)", err=True)
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing
        click.echo("interrupted", err=True)
        status = 130
    except SeglabError as error:
        click.echo(f"seglab: {safe(str(error))}", err=True)
        status = error.exit_code
    except OSError as error:
        status = _status_of(error)
    sys.stderr.flush()
    gc.freeze()  # otherwise Python would look through all objects before it ends
    sys.exit(status or (_FULL_EXIT if stderr.was_full() else 0))


def _status_of(error: OSError) -> int:
    """Return the exit code for an error of the system that users can meet, and say what it was.

    Raises:
        OSError: it is another one.
    """
    if error.errno in _TOO_MANY_FILES:
        click.echo(
            f"seglab: {error.strerror}: the limit is too low; raise it, such as by "
            "`ulimit -n 1024`",
            err=True,
        )
        return 3
    if error.errno in _NO_SUCH_PLACE and isinstance(error.filename, str):
        reason = f"{error.strerror}; give another path, or change its permissions"
        click.echo(f"seglab: {safe(error.filename)}: {reason}", err=True)
        return 2
    if error.errno not in _OUTPUT_ENDED:
        raise error
    os.dup2(
        os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
    )  # discards what is still buffered
    if error.errno != errno.EPIPE:
        click.echo(f"seglab: cannot write the output: {error.strerror}", err=True)
    return _OUTPUT_ENDED[error.errno]


def _open_closed() -> None:
    """Open standard streams that the shell closed (``>&-``) on ``/dev/null``.

    Otherwise the next file that is opened would get their descriptor, and our output.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
            mode = "w" if descriptor else "r"
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _run(arguments: list[str]) -> int:
    """Call the command, without click's own ``main``: that one handles errors differently."""
    try:
        with seglab.make_context("seglab", arguments) as context:
            return seglab.invoke(context) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
