"""The documents: their blocks, tables, anchors and command lines, and how these are run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = (
    ".",
    "docs",
    "benchmarks",
    "examples",
    "results",
    "scenarios",
    "senders",
    "senders/programs",
    "results/survey",
)
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).glob("*.md"))
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^ {4}(?=\S)(.*(?:\\\n.*)*)$", re.MULTILINE)
_INLINE = re.compile(r"`seglab ([a-z]+)[^`]*`")

NEEDS_A_LAB = ("run", "reproduce", "try", "dataset build", "validate")
"""Commands that carry sessions out; so does ``regress`` without ``--sessions``."""

SEGLAB = (sys.executable, "-P", "-c", "import sys, seglab.cli as cli; sys.exit(cli.main())")
"""The command ``seglab`` of this Python, wherever its script may be."""

ONLY_PARSED = (
    "bootstrap.sh",
    "serve",
    "--follow",
    "--cluster",
    "--compare",
    "benchmarks/quality",
    "slow.toml",
    "runs/agreement",
    "runs/kernel",
    "postfix",
    "software install",
    "--program",
    "run survey",
    "./mailer",
)
"""Command lines with these words install, wait, take minutes, or are examples tested elsewhere."""


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [body for found, body in FENCE.findall(text(document)) if found == language]


def example(path: str, document: str = "docs/extending.md") -> str:
    """Return the block whose first line is a comment with that path."""
    found = [
        body
        for language in ("python", "toml")
        for body in blocks(document, language)
        if body.startswith(f"# {path}\n")
    ]
    assert len(found) == 1, path
    return found[0]


def anchors(document: str) -> set[str]:
    """Return the anchors that a code host makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(document: str, heading: str) -> list[str]:
    """Return the names in backquotes in the first column of the table under a heading."""
    _, _, section = f"\n{text(document)}".partition(f"\n{heading}\n")
    rows = [line for line in re.split(r"\n#+ ", section)[0].splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


@dataclass(frozen=True, slots=True)
class Shown:
    """A command line that a document shows.

    Attributes:
        document: which one.
        line: without a prompt, a comment, and what is piped into it.
        where: ``runs`` for one that runs anywhere; ``lab`` for one that runs sessions; ``parses``
            for one that tests only parse: it waits, installs, takes minutes, or has a test of its
            own.
    """

    document: str
    line: str
    where: str

    @property
    def arguments(self) -> list[str]:
        """Return the command line as a list."""
        return shlex.split(self.line, comments=True)


def shown() -> Iterator[Shown]:
    """Yield every command line of ``seglab`` and ``bootstrap.sh`` that stands in a block."""
    for document in DOCUMENTS:
        prose = FENCE.sub("", text(document))
        lines = [found.replace("\\\n", " ") for found in _INDENTED.findall(prose)]
        for language in ("sh", "text"):
            for block in blocks(document, language):
                found = block.replace("\\\n", " ").splitlines()
                prompt = "$ " if language == "text" else ""
                lines += [line.removeprefix(prompt) for line in found if line.startswith(prompt)]
        for line in lines:
            piped, _, last = line.rpartition("| ")
            own = last.strip() if piped.startswith("tcpdump") else line.strip()
            own = re.sub(r"^(sudo )?(\.venv/bin/)?(?=seglab )", "", own)
            if re.match(r"seglab [a-z]|\./bootstrap\.sh ", own) and "(parent)" not in own:
                yield Shown(document, re.sub(r"\s+(#.*|$)", "", own), kind(own))


def mentioned() -> set[str]:
    """Return the names of the commands that sentences mention, such as ``report``."""
    return {name for page in DOCUMENTS for name in _INLINE.findall(FENCE.sub("", text(page)))}


def kind(line: str) -> str:
    """Return where a command line can run, as ``Shown.where`` explains."""
    own = line.split("#", maxsplit=1)[0].split("|", maxsplit=1)[0]
    if any(word in own for word in ONLY_PARSED):
        return "parses"
    _, command, *rest = own.split()
    name = f"{command} {rest[0]}" if command == "dataset" else command
    if name in NEEDS_A_LAB or (name == "regress" and "--sessions" not in rest):
        return "lab"
    return "runs"


def furnish(folder: Path) -> Path:
    """Put into a folder what the documents suppose to lie there, and return the folder.

    These are the samples and specifications of the sources, and the classifier and the list of
    known failures that the guides show. ``runs`` and ``data`` are left to the caller.
    """
    for name in ("examples", "benchmarks", "results"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("mail.pcapng", "reads.log", "paper.log"):
        (folder / name).symlink_to(ROOT / "examples" / name)
    for name in ("my_package", "tests", "runs", "data"):
        (folder / name).mkdir()
    rules = folder / "my_package" / "rules.py"
    rules.write_text(example("my_package/rules.py"), encoding="utf-8")
    (known,) = (block for block in blocks("docs/regress.md", "toml") if "[[known]]" in block)
    (folder / "tests" / "known.toml").write_text(known, encoding="utf-8")
    return folder


def call(command: Shown, folder: Path, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command line in such a folder, with the capture as standard input."""
    with (folder / "examples" / "mail.pcapng").open("rb") as stdin:
        return subprocess.run(
            [*SEGLAB, *command.arguments[1:]],
            cwd=folder,
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            **kwargs,
        )


def is_well(command: Shown, done: "subprocess.CompletedProcess[str]") -> bool:
    """Return whether a command ended well: no traceback, and 0, or 1 for ``regress``."""
    codes = {0, 1} if command.arguments[1] == "regress" else {0}
    return done.returncode in codes and "Traceback" not in done.stderr
