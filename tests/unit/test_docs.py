"""What the documents say is true: links, commands, examples, columns and paths."""

import json
import re
import shlex
import shutil
import tomllib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import click
import pytest
from documents import DOCUMENTS, ROOT, anchors, blocks, example, mentioned, shown, table, text

from seglab import networks
from seglab.cli import COMMANDS, seglab
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.specfile import SpecTable, decode
from seglab.experiment import registry, scenario_file
from seglab.mail.kinds import KINDS
from seglab.mail.message import MessageSpec, generate
from seglab.networks import network
from seglab.runs.manifest import Manifest
from seglab.runs.parquet import SCHEMA
from seglab.sender.registry import senders_in
from seglab.sender.steps import Wait, Write

PLANNED = "\n## What it does not do yet\n"

every_document = pytest.mark.parametrize("document", DOCUMENTS)


def parsed(path: str) -> SpecTable:
    """Return the table of a TOML example in the guide."""
    return SpecTable(path, decode(example(path).encode(), path))


@every_document
def test_links_resolve(document: str) -> None:
    """A link to a file of the project finds the file, and the heading that it names."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(document)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), f"{document}: {target}"
        if anchor:
            assert anchor in anchors(file.relative_to(ROOT).as_posix()), f"{document}: {target}"


@every_document
def test_paths_exist(document: str) -> None:
    """Each path that a document names exists; one with NAME in it stands for any."""
    examples = {"senders/slow_body.py", "lab/seglab/networks/gre.toml"}
    pattern = r"`((?:lab|senders|scenarios|tests|docs|benchmarks)/[\w./-]*)`"
    for path in set(re.findall(pattern, text(document))) - examples:
        assert "NAME" in path or (ROOT / path).exists(), f"{document}: {path}"


@pytest.mark.parametrize(
    "line", [*dict.fromkeys(command.line.partition(" | ")[0] for command in shown())]
)
def test_commands_parse(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command accepts every command line that a document shows, with its options."""
    program, name, *arguments = shlex.split(line, comments=True)
    if program == "./bootstrap.sh":
        assert name == "--help" or re.search(rf"^  {name}\)$", text("bootstrap.sh"), re.MULTILINE)
        return
    assert program == "seglab"
    monkeypatch.chdir(tmp_path)
    for run in ("mine", "tuning-small"):
        (tmp_path / "runs" / run).mkdir(parents=True)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    command = seglab.get_command(click.Context(seglab), name)
    assert command is not None, name
    command.make_context(name, arguments)


def test_all_commands_are_listed() -> None:
    """The table of commands has every command, and no other."""
    assert {name.split()[1] for name in table("docs/commands.md", "# Commands")} == set(COMMANDS)


def test_the_readme_is_short() -> None:
    """The README has fewer than 200 lines; reference belongs into ``docs``."""
    assert text("README.md").count("\n") < 200


def test_every_document_is_found() -> None:
    """Each page of ``docs`` is linked from the README, or from a page that is linked there."""
    linked, new = set(), {"README.md"}
    while new:
        document = new.pop()
        linked.add(document)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", text(document)):
            path = (ROOT / document).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
            new |= {path} - linked
    assert {path for path in DOCUMENTS if path.startswith("docs/")} <= linked


def test_folders_of_the_architecture() -> None:
    """The page of the architecture names the package's folders and modules, from the top down."""
    package = ROOT / "lab" / "seglab"
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in package.iterdir()
        if path.name not in {"__pycache__", "py.typed"}
    }
    _, _, tree = text("docs/architecture.md").partition("    lab/seglab/")
    rows = tree.partition("\n\n")[0].splitlines()[1:]
    named = [name for row in rows for name in re.findall(r"^ {6}([\w./]+)", row)]
    assert sorted(named) == sorted(there)

    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    floor = {name: at for at, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    floors = [floor[name.removesuffix("/").removesuffix(".py")] for name in named[1:]]
    assert floors == sorted(floors), "the list is in the order of the contract"


def test_the_glossary_is_sorted() -> None:
    """The words of the glossary are in alphabetical order."""
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", text("docs/glossary.md"), re.MULTILINE)
    assert len(words) > 20
    assert words == sorted(words)


def test_numbers_of_senders_and_networks() -> None:
    """The README states how many senders and networks there are."""
    counted = re.search(r"(\d+) senders with any of its (\d+) networks", text("README.md"))
    assert counted is not None
    assert int(counted[1]) == len(registry.senders())
    assert int(counted[2]) == len(registry.networks())


def test_reference_run() -> None:
    """The table of experiments is that of the reference run."""
    summary = json.loads(text("results/reference/summary.json"))
    verdicts = {True: "reproduced", False: "not reproduced"}
    for found in summary["scenarios"]:
        row = (found["name"], found["published"], found["lab"], verdicts[found["reproduced"]])
        assert f"| {' | '.join(row)} |\n" in text("docs/reproduce.md"), found["name"]


def test_mentioned_commands_exist() -> None:
    """Each command that a sentence names exists, except for those that are planned."""
    _, later = text("README.md").split(PLANNED)
    planned = set(re.findall(r"`seglab (\w+)`, is planned", later))
    assert planned
    assert mentioned() == set(COMMANDS) | planned
    assert not planned & set(COMMANDS)


def test_examples(tmp_path: Path) -> None:
    """The sender, network and scenario of the guide are valid, and fit together."""
    (tmp_path / "slow_body.py").write_text(example("senders/slow_body.py"), encoding="utf-8")
    sender = senders_in(tmp_path)["slow_body"]
    message = generate(1, MessageSpec())
    headers, pause, rest = sender.steps(message, sender.resolve({"gap_ms": 50}))
    assert headers == Write(message.headers)
    assert pause == Wait(0.05)
    assert headers.data + rest.data == message.wire
    assert sender.name not in registry.senders(), "the example has the name of a shipped sender"

    gre = network.parse("gre", parsed("lab/seglab/networks/gre.toml"))
    assert gre.mss == 1476 - 40
    assert gre.round_trip_s == pytest.approx(0.070)
    assert gre.name not in registry.networks(), "the example has the name of a shipped network"

    mine = scenario_file.parse(
        "slow",
        parsed("slow.toml"),
        {**registry.senders(), sender.name: sender},
        {**registry.networks(), gre.name: gre},
    )
    assert [part.sender.name for part in mine.senders] == ["single_write", "slow_body"]
    assert [path.name for path in mine.networks] == ["gre", "unimpaired"]


def explained(module: ModuleType) -> str:
    """Return the TOML file that a package's docstring explains."""
    _, _, block = (module.__doc__ or "").partition("::\n")
    indented = [line for line in block.splitlines() if not line or line.startswith("    ")]
    return dedent("\n".join(indented))


def test_all_keys_of_a_network() -> None:
    """The file that explains networks is a valid network."""
    table = SpecTable("mine.toml", decode(explained(networks).encode(), "mine.toml"))
    mine = network.parse("mine", table)
    assert (mine.mtu, mine.router.mtu) == (1500, 1400)


@pytest.mark.parametrize("mail", ["generated", "own"])
def test_all_keys_of_a_scenario(mail: str, tmp_path: Path) -> None:
    """The file that explains scenarios is valid, with generated mail and with the user's own."""
    (explained,) = blocks("scenarios/README.md", "toml")
    before, generated, own = re.split(r"^\[message\].*\n", explained, flags=re.MULTILINE)
    own, sweep, after = own.partition("[sweep]")
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "one.eml").write_bytes(b"Subject: one\r\n\r\ntext\r\n")
    file = tmp_path / "mine.toml"
    message = generated if mail == "generated" else own
    file.write_text(f"{before}[message]\n{message}\n{sweep}{after}", encoding="utf-8")
    mine = registry.scenario(file)
    assert isinstance(mine.message, MessageSpec) == (mail == "generated")
    assert [part.parameters["terminator_bytes"] for part, _ in mine.variants()][-3:] == [0, 3, 5]


def test_all_kinds_of_mail() -> None:
    """The page about datasets lists all kinds of generated mail."""
    (line,) = re.findall(r"^A message's `kind` is (.*?)\.$", text("docs/datasets.md"), re.M | re.S)
    assert re.findall("`(.*?)`", line) == list(KINDS)


def test_columns() -> None:
    """The documented columns and fields of layers are the stored ones, in their order."""
    assert table("docs/run-folder.md", "## sessions.parquet") == SCHEMA.names
    stored = {
        field.name
        for layer in ("writes", "segments", "reads")
        for field in SCHEMA.field(layer).type.value_type
    }
    assert set(table("docs/run-folder.md", "### The layers")) == stored


@pytest.mark.parametrize(
    ("column", "words"),
    [("style", STYLES), ("terminator", TERMINATORS), ("path_condition", PATH_CONDITIONS)],
)
def test_ground_truth(column: str, words: tuple[str, ...]) -> None:
    """The row of a label names all of its words."""
    (row,) = re.findall(rf"^\| `{column}` \| text \| (.*) \|$", text("docs/run-folder.md"), re.M)
    assert set(re.findall("`(.*?)`", row)) == set(words)


def test_manifest() -> None:
    """The documented fields of run.json are the written ones."""
    written = json.loads(Manifest(command="run").to_json())
    assert set(table("docs/run-folder.md", "## run.json")) == set(written)


def test_calibrated_values() -> None:
    """The values that the page about calibration quotes are those of the file."""
    (quoted,) = blocks("docs/calibration.md", "toml")
    file = decode(text("lab/seglab/networks/vb2014.toml").encode(), "vb2014.toml")

    def check(part: dict[str, object], whole: dict[str, object]) -> None:
        for key, value in part.items():
            if isinstance(value, dict):
                check(value, whole[key])
            else:
                assert whole[key] == value, key

    check(decode(quoted.encode(), "calibration.md"), file)


def test_calibration_program() -> None:
    """The program of the page about calibration runs; reads merge in each scenario."""
    (program,) = blocks("docs/calibration.md", "python")
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(program, "docs/calibration.md", "exec"), {})
    one, two, three = (float(line.split()[1]) for line in output.getvalue().splitlines())
    assert 1 < one < 4
    assert one < two < 2 * one
    assert 2 * one - 0.1 < three < 8
