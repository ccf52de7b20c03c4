"""The tutorial, done as its reader does it: every command, in order; and every number in it.

Only the installation is left out, because anyone who runs these tests has gone through it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INSTALLATIONS = ("./bootstrap.sh install\n. .venv/bin/activate\n", "pip install .\n")
TIMEOUT_S = 600
LAYER = re.compile(r"^\s*(writes|segments|reads)((?: +\d+)+)$")
RUN = re.compile(r"^seglab run ", re.MULTILINE)
MARK = "--- the next block of commands ---"


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, what the tutorial says it prints, and what it printed."""

    commands: str
    told: str
    printed: str


def blocks() -> Iterator[tuple[str, str]]:
    """Language and content of each block, the installation left out."""
    for language, body in FENCE.findall(TUTORIAL):
        if body not in INSTALLATIONS:
            yield language, body


def done(folder: Path, *, simulated: bool) -> list[Step]:
    """Do everything that the tutorial's reader does, in an empty folder by one shell.

    Args:
        folder: where.
        simulated: as a reader without namespaces does it: with ``--engine simulator`` in each run,
            and without the question whether the lab runs.
    """
    found = [*blocks()]
    script, commands, told = ["set -eu -o pipefail"], [], []
    for index, (language, body) in enumerate(found):
        if language == "sh":
            after = found[index + 1] if index + 1 < len(found) else ("", "")
            own, output = body, after[1] if after[0] == "text" else ""
            if simulated:
                own, output = _without_a_lab(body, output)
            commands.append(own)
            told.append(output)
            script.append(f"echo '{MARK}'\n{own}")
        elif language in {"toml", "python"}:
            name = body.split()[1]
            script.append(f"cat > {name} <<'END OF FILE'\n{body}END OF FILE")
    ended = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    printed = ended.stdout.split(f"{MARK}\n")[1:]
    return [Step(*step) for step in zip(commands, told, printed, strict=True)]


def _without_a_lab(commands: str, told: str) -> tuple[str, str]:
    if "seglab doctor\n" in commands:
        return commands.replace("seglab doctor\n", ""), ""
    return RUN.sub("seglab run --engine simulator ", commands), told


def environment() -> Mapping[str, str]:
    """What activating the virtual environment does, with the one that runs this test."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "COLUMNS": "100"}


def layers(text: str) -> list[dict[str, list[int]]]:
    """The sessions that ``layers.py`` printed: the sizes of each layer."""
    sessions: list[dict[str, list[int]]] = []
    for line in text.splitlines():
        if " MSS " in line:
            sessions.append({})
        elif found := LAYER.match(line):
            sessions[-1][found[1]] = [int(size) for size in found[2].split()]
    return sessions


def words(text: str) -> list[str]:
    """Its lines, with a single space for each gap."""
    return [" ".join(line.split()) for line in text.splitlines()]


def assert_printed(steps: list[Step]) -> None:
    """Every line of output in the tutorial was printed, in that order, except for reads."""
    for step in steps:
        printed = iter(words(step.printed))
        for line in words(step.told):
            if not line.startswith("reads "):
                assert any(found.startswith(line) for found in printed), (
                    f"{step.commands}: {line!r} is not in what it printed:\n{step.printed}"
                )


def assert_whole_rows(steps: list[Step]) -> None:
    """The tutorial shows all sessions of a run, and rows of sizes to their ends."""
    for step in steps:
        shown, found = layers(step.told), layers(step.printed)
        if not shown:
            continue
        assert len(shown) == len(found), step.commands
        for told, made in zip(shown, found, strict=True):
            for layer in told.keys() - {"reads"}:
                assert told[layer] == made[layer], step.commands


def assert_reads_merge_segments(steps: list[Step]) -> None:
    """Reads, as printed now and as shown, merge segments and split none."""
    sessions = [s for step in steps for s in layers(step.told) + layers(step.printed)]
    assert any("reads" in session for session in sessions)
    for session in sessions:
        if "reads" in session:
            ends = {*accumulate(session["segments"])}
            assert {*accumulate(session["reads"])} <= ends, session
            assert sum(session["reads"]) == sum(session["writes"]), session


def assert_conclusion(steps: list[Step]) -> None:
    """The rule that memorised sizes fails wherever the sizes differ; the other rule never fails."""
    verdicts = [line for line in words(steps[-1].printed) if "memorised" in line]
    wrong = {line.split()[1] for line in verdicts if "memorised WRONG" in line}
    assert wrong == {"mtu-576", "ethernet", "fddi", "pppoe-clamped"}
    assert not [line for line in verdicts if "reasoned WRONG" in line]
