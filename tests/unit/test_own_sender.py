"""A user's own sender: a file that scenarios, datasets and commands name by its path."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from dataset_making import SPEC, build

from seglab.commands.list import list_command
from seglab.confined.own_sender import own_sender, sender
from seglab.dataset.check import check
from seglab.dataset.plan import fingerprint, planned
from seglab.dataset.spec import parse_text, read_spec
from seglab.engine.schedule import estimate_s
from seglab.errors import InputError
from seglab.execution.request import RunRequest, request_of
from seglab.experiment import registry
from seglab.experiment.plan import OwnSenderSession, SessionSpec, plan
from seglab.kernel import luggage
from seglab.kernel.client import steps_of
from seglab.kernel.join import client_job
from seglab.sender import contract
from seglab.sender.registry import sender_of, senders
from seglab.sender.steps import Write
from seglab.testing import parametrize_with_sender_checks

SENDER = """
from seglab.sender import Integer, Sender, in_writes, smtp_parameters

def cuts(message, parameters):
    return range(parameters["step"], len(message.wire), parameters["step"])

SENDER = Sender(
    name="mine",
    summary="writes in steps",
    source="this test",
    style="fixed_buffer",
    parameters={"step": Integer(500, 1, 9000, "bytes of a write"), **smtp_parameters()},
    steps=in_writes(cuts),
)
"""
SCENARIO = """
title = "mine"
networks = ["ethernet"]
sessions = 2
senders = [{senders}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a sender and a scenario that names it."""
    (tmp_path / "my_sender.py").write_text(SENDER)
    (tmp_path / "s.toml").write_text(SCENARIO.format(senders='"./my_sender.py", "relay"'))
    return tmp_path


def test_a_scenario_names_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path counts from the scenario's file, wherever the command is called."""
    monkeypatch.chdir("/")
    specs = plan(registry.scenario(folder / "s.toml"), 1)
    assert [spec.sender for spec in specs] == ["mine", "relay"] * 2
    assert [spec.sender_path for spec in specs] == [str(folder / "my_sender.py"), None] * 2
    assert [type(spec) for spec in specs] == [OwnSenderSession, SessionSpec] * 2
    assert specs[0].style == "fixed_buffer"
    assert "mine" not in senders()


def test_with_parameters(folder: Path) -> None:
    """A table has the path under ``name``; variants of one file are reported apart."""
    tables = ", ".join(f'{{ name = "my_sender.py", parameters.step = {n} }}' for n in (100, 200))
    (folder / "s.toml").write_text(SCENARIO.format(senders=tables))
    specs = plan(registry.scenario(folder / "s.toml"), 1)
    assert [spec.variant for spec in specs] == ["step=100", "step=200"] * 2


def test_the_client_gets_the_steps(folder: Path) -> None:
    """The lab's client gets the steps and no code; engines know how long they take."""
    spec, *_ = plan(registry.scenario(folder / "s.toml"), 1)
    assert luggage.needed(spec)
    job = client_job(spec, 60.0) | luggage.of(spec)
    assert str(folder) not in str(job)
    written = [step for step in steps_of(job) if isinstance(step, Write) and step.payload]
    assert {len(step.data) for step in written[:-1]} == {500}
    assert estimate_s([spec], registry.network("ethernet")) > 0
    assert sender(spec.sender, spec.sender_path) is own_sender(folder / "my_sender.py")[0]
    (folder / "my_sender.py").write_text(SENDER + "# changed\n")
    path = folder / "my_sender.py"
    assert luggage.of(spec) == {"refused": f"{path}: has changed since the run was planned"}


def test_run_adds_a_file(folder: Path) -> None:
    """``--sender FILE`` runs the file's sender in a scenario that does not name it."""
    path = str(folder / "my_sender.py")
    alone = RunRequest(("listing-12",), senders=(path,), sessions=1)
    assert {spec.sender for spec, _ in alone.specs(1)} == {"mine"}
    both = RunRequest(("listing-12",), senders=(path, "fixed_buffer"), sessions=1)
    assert {spec.sender for spec, _ in both.specs(1)} == {"mine", "fixed_buffer"}
    with pytest.raises(InputError, match="sender 'nobody': not in listing-12"):
        RunRequest(("listing-12",), senders=(path, "nobody")).specs(1)


def test_a_run_remembers_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest has the whole path, and a change of the file is a change of the plan."""
    monkeypatch.chdir(folder)
    request = RunRequest(("listing-12",), senders=("./my_sender.py",), sessions=1)
    manifest = request.manifest("run", 1, 1, 60)
    assert manifest.arguments["senders"] == [str(folder / "my_sender.py")]
    assert request_of(manifest, folder).fingerprints(1) == request.fingerprints(1)
    shipped = RunRequest(("listing-12",), sessions=1).fingerprints(1)
    assert shipped != request.fingerprints(1)
    (folder / "my_sender.py").write_text(SENDER + "# changed\n")
    assert request.fingerprints(1) != manifest.arguments["plan"]


FAULTS = {
    "name of a shipped one": (
        SENDER.replace('"mine"', '"relay"'),
        "SENDER.name: 'relay' is the name of a shipped sender; choose another",
    ),
    "no name for a file": (SENDER.replace('"mine"', '"a/b"'), "SENDER.name: expected up to 64"),
    "no sender": ("x = 1", "expected one sender, called SENDER, found none"),
    "a mistake": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    "no Python": ("SENDER = = 1", "cannot be imported: SyntaxError: invalid syntax"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used(folder: Path, fault: str) -> None:
    """One line: the scenario, the place in it, the file, and what is wrong there."""
    text, words = FAULTS[fault]
    (folder / "my_sender.py").write_text(text)
    with pytest.raises(InputError) as raised:
        registry.scenario(folder / "s.toml")
    assert str(raised.value).startswith(f"{folder / 's.toml'}: senders[0]: {folder}/my_sender.py: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(folder: Path) -> None:
    """A missing file is named; a name without an ending is no file."""
    (folder / "my_sender.py").unlink()
    with pytest.raises(InputError, match=r"my_sender.py: cannot be read: No such file"):
        registry.scenario(folder / "s.toml")
    (folder / "s.toml").write_text(SCENARIO.format(senders='"my_sender"'))
    with pytest.raises(InputError, match=r"unknown sender 'my_sender'"):
        registry.scenario(folder / "s.toml")


def test_two_files_with_one_name(folder: Path) -> None:
    """Their sessions could not be told apart."""
    (folder / "other.py").write_text(SENDER)
    (folder / "s.toml").write_text(SCENARIO.format(senders='"my_sender.py", "other.py"'))
    with pytest.raises(InputError, match=r"senders\[1\]: two files have a sender called 'mine'"):
        registry.scenario(folder / "s.toml")


def test_list_has_it(folder: Path) -> None:
    """``seglab list senders --sender FILE`` shows it with the shipped ones."""
    path = str(folder / "my_sender.py")
    done = CliRunner().invoke(list_command, ["senders", "--sender", path, "--json"])
    found = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert {*found} == {*senders(), "mine"}
    assert (found["mine"]["file"], found["relay"]["file"]) == (path, None)
    assert found["mine"]["parameters"]["step"]["default"] == 500
    assert CliRunner().invoke(list_command, ["networks", "--sender", path]).exit_code == 2


def dataset_of(folder: Path) -> Path:
    """A specification with the folder's sender."""
    file = folder / "small.toml"
    file.write_text(SPEC.replace('"single_write"', '"./my_sender.py"'))
    return file


def test_a_dataset_names_a_file(folder: Path) -> None:
    """Its sessions are the file's, and its fingerprint has the file's content."""
    spec = read_spec(dataset_of(folder))
    placed = [p.spec for p in planned(spec, 1, 0)]
    assert {s.sender_path for s in placed} == {None, str(folder / "my_sender.py")}
    before = fingerprint(spec, 1)
    (folder / "my_sender.py").write_text(SENDER + "# changed\n")
    (folder / "again").mkdir()
    (folder / "again" / "my_sender.py").write_text(SENDER + "# changed\n")
    assert fingerprint(read_spec(dataset_of(folder / "again")), 1) != before


def test_a_check_runs_no_code_unasked(folder: Path) -> None:
    """A manifest may be a stranger's: the code that it names runs only if the user gives it."""
    file = dataset_of(folder)
    build(folder / "made", read_spec(file))
    path = folder / "my_sender.py"
    parse_text.cache_clear()
    path.write_text("raise RuntimeError('it ran')\n" + SENDER)
    unasked = check(folder / "made")
    (note,) = unasked.notes
    assert f"'./my_sender.py' is Python code; if you trust it, give --sender {path}" in note
    asked = check(folder / "made", trusted=[str(path)])
    assert any("RuntimeError: it ran" in note for note in asked.notes)
    assert not any("is Python code" in note for note in asked.notes)


@parametrize_with_sender_checks(*senders().values())
def test_shipped_senders_keep_the_contract(check: contract.CHECKS) -> None:  # type: ignore[valid-type]
    """The checks for authors pass for every sender of the lab."""
    check()


BROKEN = {
    "writes": SENDER.replace(
        "steps=in_writes(cuts)",
        "steps=lambda m, p: iter([__import__('seglab.sender').sender.Write(m.wire[:-1])])",
    ),
    "steps": SENDER.replace(
        "steps=in_writes(cuts)",
        "steps=lambda m, p: iter([__import__('seglab.sender').sender.Wait(1)])",
    ),
    "same-again": SENDER.replace(
        "return range(", "import random; return range(random.randrange(1, 400) + "
    ),
    "labels": SENDER.replace('"fixed_buffer"', '"single_write"'),
    "declaration": SENDER.replace('summary="writes in steps"', 'summary=""'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_finds_its_fault(tmp_path: Path, name: str) -> None:
    """A sender that breaks one rule fails that check, in words that name what is wrong."""
    (tmp_path / "broken.py").write_text(BROKEN[name])
    broken = sender_of(tmp_path / "broken.py")
    with pytest.raises(AssertionError) as raised:
        contract.CHECKS[name](broken)
    assert str(raised.value)


def test_a_sound_sender_passes(folder: Path) -> None:
    """The example of this file keeps the whole contract."""
    own, file = own_sender(folder / "my_sender.py")
    assert file.path == str(folder / "my_sender.py")
    for one in contract.CHECKS.values():
        one(own)
