"""Run folders and datasets some of whose files are changed, and the commands that read them.

An input is a line of JSON: the command's arguments, in which ``FOLDER`` stands for the folder, and
of each file its name and its bytes in hexadecimal.
"""

import json
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from dataset_making import build, spec_of
from stored_runs import stored_run
from synthetic import simulated

from fuzz import tables
from fuzz.command_lines import seen_by_the_user
from fuzz.kind import CASE_BYTES, Kind
from fuzz.mutation import changed_bytes, changed_text, changed_tree

_FOLDER = "FOLDER"
_SPEC: Final = """
title = "Tiny"
senders = ["single_write", "relay"]
networks = ["unimpaired", "ethernet"]
repeats = 2
shard_sessions = 5

[[messages]]
payload_bytes = 1500
"""
_RUN_COMMANDS: Final = (
    ("classify", _FOLDER, "--classifier", "paper", "--json"),
    ("classify", "--evaluate", _FOLDER, "--classifier", "paper"),
    ("regress", "paper", "--sessions", _FOLDER, "--check", "answers"),
    ("report", _FOLDER),
)
_DATASET_COMMANDS: Final = (
    ("dataset", "check", _FOLDER),
    ("dataset", "check", _FOLDER, "--thorough"),
    ("classify", _FOLDER, "--classifier", "paper"),
    ("regress", "paper", "--sessions", _FOLDER, "--split", "train", "--check", "answers"),
)
_WORDS: Final = ("{", "}", "null", "1e999", "-1", "99999999999999999999", '"', "NaN", "[[[[")


@cache
def _good() -> dict[str, dict[str, bytes]]:
    """Return the files of a run that is over, of one whose writer was killed, and of a dataset."""
    records = [simulated(number, writes=(1500, 700, 5)) for number in range(3)]
    with TemporaryDirectory(prefix="seglab-fuzz-") as folder:
        whole = stored_run(Path(folder, "whole"), records)
        killed = stored_run(Path(folder, "killed"), records, status=None)
        dataset = Path(folder, "dataset")
        build(dataset, spec_of(_SPEC, "tiny"))
        return {path.name: _files(path) for path in (whole, killed, dataset)}


def _files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def make(random: Random) -> bytes:
    """Return a command and a folder of which one file or two are changed."""
    name = random.choice(("whole", "killed", "dataset", "dataset"))
    files = dict(_good()[name])
    for changed in random.sample(sorted(files), random.choice((1, 1, 2))):
        files[changed] = _changed(random, changed, files[changed])
    if random.random() < 0.1:
        del files[random.choice(sorted(files))]
    commands = _DATASET_COMMANDS if name == "dataset" else _RUN_COMMANDS
    weights = [1 if "report" in one else 4 for one in commands]
    (arguments,) = random.choices(commands, weights)
    held = {name: data.hex() for name, data in files.items()}
    return json.dumps({"arguments": arguments, "files": held}).encode()


def _changed(random: Random, name: str, data: bytes) -> bytes:
    """Change a file in the way that its format allows."""
    if name.endswith(".parquet") and random.random() < 0.8:
        return tables.changed_file(random, data)
    if name.endswith((".json", ".jsonl")) and random.random() < 0.8:
        lines = data.splitlines(keepends=True) if name.endswith("l") else [data]
        at = random.randrange(len(lines)) if lines else 0
        if not lines:
            return b"{}\n"
        tree: Any = changed_tree(random, json.loads(lines[at]), most=3)
        lines[at] = json.dumps(tree).encode("utf-8", "surrogatepass") + b"\n"
        return b"".join(lines)
    if name.endswith((".json", ".jsonl", ".txt", ".md")) and random.random() < 0.5:
        text = changed_text(random, data.decode("utf-8", "replace"), _WORDS)
        return text.encode("utf-8", "surrogatepass")
    return changed_bytes(random, data, 3)


def check(data: bytes) -> None:
    """A command ends with one of its exit codes, and prints what can be printed."""
    known = json.loads(data)
    with TemporaryDirectory(prefix="seglab-fuzz-") as folder:
        for name, content in known["files"].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes.fromhex(content))
        arguments = [folder if one == _FOLDER else one for one in known["arguments"]]
        seen_by_the_user(arguments)


FOLDERS: Final = Kind(
    "folders",
    "run folders and datasets, and the commands that read them",
    make,
    check,
    lambda data: [data],
    growth_bytes=4 * CASE_BYTES,
)
