"""The command line: ``seglab COMMAND``. Commands are loaded when they are called for."""

import errno
import os
import signal
import sys
from importlib import import_module
from io import TextIOWrapper

import click

from seglab.core.text import safe
from seglab.errors import SeglabError

COMMANDS = {
    "classify": "classify:classify",
    "dataset": "dataset:dataset",
    "doctor": "doctor:doctor",
    "list": "list:list_command",
    "reproduce": "reproduce:reproduce",
    "regress": "regress:regress",
    "report": "report:report",
    "run": "run:run",
    "serve": "serve:serve",
}
"""Command -> where it is defined, in ``seglab.commands``."""

_OUTPUT_ENDED = {errno.EPIPE: 141, errno.ENOSPC: 3}
"""What can befall standard output -> exit code; 141 is what a shell shows for SIGPIPE."""


class Commands(click.Group):
    """A group whose commands are imported when they are used, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command's name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"seglab.commands.{module}"), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seglab", prog_name="seglab")
def seglab() -> None:
    """A traffic lab for mail: what was written, what the wire carried, what the server read.

    \b
    Start here:
      seglab doctor                 can this machine run the lab?
      seglab reproduce              the paper's experiments, and how they compare
      seglab list scenarios         what can be run
      seglab run scenario-1         one scenario, with your own options
    """  # noqa: D301 -- click looks for the backspace character itself


def main() -> None:
    """Run the command line; an error of ours is one line and its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, for every command
    _open_closed()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text at all
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
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once more while we leave changes nothing
        click.echo("interrupted", err=True)
        status = 130
    except SeglabError as error:
        click.echo(f"seglab: {safe(str(error))}", err=True)
        status = error.exit_code
    except OSError as error:
        if error.errno not in _OUTPUT_ENDED:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        status = _OUTPUT_ENDED[error.errno]
        if error.errno != errno.EPIPE:
            click.echo(f"seglab: cannot write the output: {error.strerror}", err=True)
    sys.exit(status)


def _open_closed() -> None:
    """What a shell's ``>&-`` has closed leads nowhere, rather than into the next file opened."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this very one
            mode = "w" if descriptor else "r"
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _run(arguments: list[str]) -> int:
    """Call the command; without click's own ``main``, which has its own idea of these ends."""
    try:
        with seglab.make_context("seglab", arguments) as context:
            return seglab.invoke(context) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
