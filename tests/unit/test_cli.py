"""The command line's ends: each error one line, each with its exit code."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from seglab import cli
from seglab.errors import EnvironmentLacksError, InputError, PartDiedError

ROOT = Path(__file__).parents[2]


def ended(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], action: Callable[[], object] | None
) -> int:
    """The exit code of the command line; ``action`` is what ``seglab list`` then does."""
    if action is not None:
        command = click.Command("list", callback=action)
        monkeypatch.setattr(cli.Commands, "get_command", lambda *_: command)
    monkeypatch.setattr(sys, "argv", ["seglab", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def raiser(error: BaseException) -> Callable[[], object]:
    """A command that fails."""

    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset", "check", "FILE"], "'DIR': {0}/FILE is a file; expected a folder"),
        (["dataset", "build", "FOLDER", "--out", "x"], "{0}/FOLDER is a folder; expected a file"),
        (["classify", "--evaluate", "FILE"], "'--evaluate': {0}/FILE is a file; expected a folder"),
        (["regress", "paper", "--html", "FOLDER"], "{0}/FOLDER is a folder; expected a file"),
        (["run", "--resume", "FILE"], "{0}/FILE is a file; expected a folder"),
    ],
)
def test_files_for_folders(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """One where the other is expected is reported as what it is, by its name."""
    (tmp_path / "FILE").write_text("")
    (tmp_path / "FOLDER").mkdir()
    given = [str(tmp_path / word) if word.isupper() else word for word in arguments]
    assert ended(monkeypatch, given, None) == 2
    assert words.format(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_summary_is_the_command_s_own(name: str) -> None:
    """The list of all commands says the same as the command's own help."""
    command = cli.seglab.get_command(click.Context(cli.seglab), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == cli.COMMANDS[name][1]


@pytest.mark.parametrize(
    ("program", "without"),
    [
        ("cli.seglab.get_help(context)", {"numpy", "pyarrow", "rich", "seglab.commands"}),
        (
            "[cli.seglab.get_command(context, name) for name in cli.COMMANDS]",
            {"matplotlib", "mininet", "scipy"},
        ),
    ],
)
def test_starting_imports_little(program: str, without: set[str]) -> None:
    """The list of commands imports no command, and no command imports what takes a second."""
    code = (
        "import sys, click; from seglab import cli; context = click.Context(cli.seglab);"
        f"assert {program}; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not without & set(done.stdout.split())


@pytest.mark.parametrize("group", ["seglab", "seglab dataset"])
def test_no_summary_is_cut(group: str) -> None:
    """The list of commands says of each what it is for, in 80 columns, to the sentence's end."""
    name, *rest = group.split()
    command: click.Command = cli.seglab
    for word in rest:
        command = cli.seglab.get_command(click.Context(command), word) or command
    shown = command.get_help(click.Context(command, info_name=name, terminal_width=80))
    summaries = shown.partition("Commands:\n")[2].splitlines()
    assert len(summaries) >= 2
    assert [line for line in summaries if not line.endswith(".") or line.endswith("..")] == []


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("x.toml: mtu: expected"), 2, "seglab: x.toml: mtu: expected"),
        (EnvironmentLacksError("no mnexec"), 3, "seglab: no mnexec"),
        (PartDiedError("gave up"), 1, "seglab: gave up"),
        (InputError("a\x1b[31m\udcff.toml: no"), 2, "seglab: a\\x1b[31m\\udcff.toml: no"),
        (
            click.UsageError("a\x1b[31m?"),
            2,
            "seglab list: a\\x1b[31m? (see seglab list --help)",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard error, with the exit code that its kind has."""
    assert ended(monkeypatch, ["list"], raiser(error)) == code
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "seglab: No such command 'rnu'."),
        (["run", "--jobs", "0", "x"], "seglab run: Invalid value for '--jobs': 0 is not"),
        (["run", "--sessions", "many", "x"], "seglab run: Invalid value for '--sessions': 'many'"),
        (["list"], "seglab list: Missing argument"),
        (["run"], "seglab run: which scenario?"),
        (["run", "--resume", "/nowhere"], "seglab run: Invalid value for '--resume': Directory"),
        (["--frobnicate"], "seglab: No such option"),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says which command, what is wrong, and where help is."""
    assert ended(monkeypatch, arguments, None) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert "--help)" in err


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_a_commands_result_is_the_exit_code(
    result: int | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that returns nothing went well."""
    assert ended(monkeypatch, ["list"], lambda: result) == code


def test_help_and_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both go to standard output, with exit code 0; the examples keep their lines."""
    assert ended(monkeypatch, ["--version"], None) == 0
    assert capsys.readouterr().out.startswith("seglab, version ")
    assert ended(monkeypatch, ["--help"], None) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  Start here:" in lines
    assert {"doctor", "list", "reproduce", "report", "run", "serve"} <= {
        line.split()[0] for line in lines if line.startswith("  ") and line.strip()
    }


def test_no_command_shows_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``seglab`` alone is a question, not a mistake to complain of in one line."""
    assert ended(monkeypatch, [], None) == 2
    assert "Usage: seglab" in capsys.readouterr().err


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no user's fault must be seen whole: also an OSError that is not about output."""
    with pytest.raises(OSError, match="odd"):
        ended(monkeypatch, ["list"], raiser(OSError(errno.EIO, "odd")))


@pytest.mark.parametrize(
    "arguments",
    [
        ["try", "--junit", "LONG", "--", "true"],
        ["try", "--message", "LONG", "--", "true"],
        ["try", "--resume", "LONG"],
        ["classify", "LONG"],
    ],
)
def test_a_path_that_no_file_can_have(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """One line, which names it."""
    given = ["a" * 300 if word == "LONG" else word for word in arguments]
    assert ended(monkeypatch, given, None) == 2
    said = capsys.readouterr().err
    assert f"{'a' * 300}: File name too long; give another path" in said
    assert said.count("\n") == 1


def test_a_place_that_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of another user is no traceback."""
    error = PermissionError(errno.EACCES, "Permission denied", "/root/\x1b")
    assert ended(monkeypatch, ["list"], raiser(error)) == 2
    assert capsys.readouterr().err.startswith("seglab: /root/\\x1b: Permission denied; give")


def test_sigterm_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever command runs, and whatever it is doing."""
    assert ended(monkeypatch, ["list"], lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130


def seglab(*arguments: str, out: int) -> tuple[int, str]:
    """A real ``seglab``: its exit code, and what it says on standard error."""
    command = [sys.executable, "-c", "from seglab.cli import main; main()", *arguments]
    done = subprocess.run(
        command,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [["list", "senders"], ["list", "networks", "--json"]])
def test_nobody_reads_the_output(arguments: list[str]) -> None:
    """As ``| head`` does when it has enough: silence, and the exit code of SIGPIPE."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    assert seglab(*arguments, out=write_end) == (141, "")
    os.close(write_end)


def test_the_output_is_full() -> None:
    """Standard output on a full disk is one clear line."""
    with Path("/dev/full").open("wb") as full:
        code, said = seglab("list", "senders", out=full.fileno())
    assert (code, said) == (3, "seglab: cannot write the output: No space left on device\n")


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("<&- >&- 2>&-", 0), ("0 <&- >&-", 2)])
def test_closed_output_is_no_traceback(closed: str, code: int) -> None:
    """What the shell has closed leads nowhere; the exit code still tells."""
    script = f'"$1" -c "from seglab.cli import main; main()" list senders {closed}'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable], cwd=ROOT, capture_output=True, check=False
    )
    assert ran.returncode == code
    assert ran.stdout == b""
    assert b"Traceback" not in ran.stderr


PROGRAM = "import sys; sys.argv[1:] = {0!r}; from seglab.cli import main; main()"


@pytest.mark.parametrize("module", ["click", "rich"])
def test_ctrl_c_while_modules_are_imported_prints_nothing(tmp_path: Path, module: str) -> None:
    """Both while the command line itself is imported, and while a command is."""
    slow = "import time; print('importing', flush=True); time.sleep(60)"
    (tmp_path / f"{module}.py").write_text(slow)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(["classify", "x"])],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert errors == ""
    assert process.returncode == -signal.SIGINT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("name", "status"), [("paper.log", 3), ("none.log", 2)])
def test_a_full_standard_error_ends_nothing(name: str, status: int) -> None:
    """The command does its work, and its exit code says that something was not said."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(["classify", f"examples/{name}"])],
            check=False, cwd=ROOT, stdout=subprocess.PIPE, stderr=full, text=True,
        )  # fmt: skip
    assert done.returncode == status
    assert len(done.stdout.splitlines()) == (5 if status == 3 else 0)


def test_too_many_open_files_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how to raise the limit."""
    error = OSError(errno.EMFILE, "Too many open files")
    assert ended(monkeypatch, ["list"], raiser(error)) == 3
    said = capsys.readouterr().err
    assert said.startswith("seglab: Too many open files: ")
    assert "ulimit -n" in said
    assert said.count("\n") == 1
