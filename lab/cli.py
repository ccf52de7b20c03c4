"""The command line: ``seglab COMMAND``. Commands are loaded when they are called for."""

import sys
from importlib import import_module

import click

from lab.errors import SeglabError

COMMANDS = {
    "doctor": "doctor:doctor",
    "list": "list:list_command",
    "reproduce": "reproduce:reproduce",
    "report": "report:report",
    "run": "run:run",
    "serve": "serve:serve",
}
"""Command -> where it is defined, in ``lab.commands``."""


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
        command: click.Command = getattr(import_module(f"lab.commands.{module}"), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seglab", prog_name="seglab")
def seglab() -> None:
    r"""A traffic lab for mail: what was written, what the wire carried, what the server read.

    \b
    Start here:
      seglab doctor                 can this machine run the lab?
      seglab reproduce              the paper's experiments, and how they compare
      seglab list scenarios         what can be run
      seglab run scenario-1         one scenario, with your own options
    """


def main() -> None:
    """Run the command line; an error of ours is one line and its exit code."""
    try:
        sys.exit(seglab.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except SeglabError as error:
        click.echo(f"seglab: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
