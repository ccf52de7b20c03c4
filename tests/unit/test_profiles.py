"""Profiles: programs as senders with parameters, by their names, on every way to a session."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seglab.commands.list import list_command
from seglab.core.specfile import SpecTable
from seglab.dataset import records
from seglab.dataset.check import check
from seglab.errors import InputError
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.sender.contract import check_declaration, check_labels, check_writes
from seglab.sender.named import sender as sender_named
from seglab.sender.profiles import WANTED_SHARE, Profile, parse, profiles, profiles_in
from seglab.sender.registry import senders

GIVEN: dict[str, Any] = {
    "program": "mailer",
    "version": "1.2",
    "summary": "a mailer",
    "source": "its manual",
    "sender": "fixed_buffer",
    "parameters": {"buffer_bytes": 4096, "nodelay": False},
}

MEASURED: dict[str, Any] = {
    "equal": 19,
    "sessions": 20,
    "networks": 5,
    "messages": ["text 2000"],
    "system": "Linux",
}


def made(name: str = "mailer", **changed: Any) -> Profile:
    """The profile of ``GIVEN``, with some keys changed."""
    return parse(name, SpecTable("mailer.toml", {**GIVEN, **changed}), senders())


def test_a_profile_is_its_sender_with_other_defaults() -> None:
    """It has the parameters that it gives as defaults, and all others of its sender."""
    profile = made()
    base = senders()["fixed_buffer"]
    assert profile.sender.name == "mailer"
    assert profile.sender.defaults == {
        **base.defaults,
        "buffer_bytes": 4096,
        "nodelay": False,
    }
    assert not profile.sender.nodelay
    assert profile.sender.style == "fixed_buffer"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sender": "fixed_bufer"}, "unknown sender 'fixed_bufer'.*fixed_buffer"),
        ({"parameters": {"buffer": 1}}, "parameters: unknown parameter 'buffer'"),
        ({"parameters": {"buffer_bytes": 0}}, r"parameters\.buffer_bytes: expected"),
        ({"versoin": "1"}, "versoin"),
        ({"measured": {**MEASURED, "equal": 21}}, r"measured\.equal: expected"),
        ({"measured": {**MEASURED, "messages": [16**9000]}}, r"measured\.messages: expected"),
        ({"measured": {**MEASURED, "messages": ["a\nb"]}}, r"measured\.messages: expected"),
        ({"measured": {**MEASURED, "program_itself": [3, 2]}}, r"program_itself: expected two num"),
        ({"measured": {**MEASURED, "profile_itself": [True, 2]}}, r"profile_itself: expected two"),
        ({"measured": {**MEASURED, "profile_itself": [1]}}, r"profile_itself: expected two"),
        ({"measured": {**MEASURED, "equal": 18}}, "18 of 20.*say why"),
    ],
)
def test_a_profile_that_cannot_be_used(changed: dict[str, Any], words: str) -> None:
    """The error names the file, the key and what is wrong."""
    with pytest.raises(InputError, match=words) as error:
        made(**changed)
    assert str(error.value).startswith("mailer.toml")


@pytest.mark.parametrize("name", ["single_write", "a.b", "1st"])
def test_a_profile_needs_a_name_of_its_own(name: str) -> None:
    """A sender's name, and one that cannot be a part of a session's id, are refused."""
    with pytest.raises(InputError, match="is no name for a profile"):
        made(name)


def test_a_share_below_the_wanted_one_has_a_reason() -> None:
    """With its reason such a profile loads, and says both."""
    profile = made(measured={**MEASURED, "equal": 10, "reason": "it pauses"})
    assert profile.measured is not None
    assert (profile.measured.share, profile.measured.reason) == (0.5, "it pauses")


def test_how_often_a_program_agrees_with_itself_is_in_its_profile() -> None:
    """It is what no profile of it can exceed for long; a file may leave it out."""
    agreement = {"program_itself": [5, 6], "profile_itself": [19, 20]}
    profile = made(measured={**MEASURED, **agreement})
    assert profile.to_dict()["measured"]["program_itself"] == (5, 6)
    assert profile.to_dict()["measured"]["profile_itself"] == (19, 20)
    assert made(measured=MEASURED).to_dict()["measured"]["program_itself"] is None


@pytest.mark.parametrize("profile", profiles().values(), ids=profiles())
def test_shipped_profiles_keep_the_senders_contract(profile: Profile) -> None:
    """A shipped profile is a sender like any other, and says how it was measured."""
    check_declaration(profile.sender)
    check_writes(profile.sender)
    check_labels(profile.sender)
    assert sender_named(profile.name) is profile.sender
    assert profile.measured is not None
    assert profile.measured.share >= WANTED_SHARE or profile.measured.reason


def test_a_missing_folder_has_no_profiles(tmp_path: Path) -> None:
    """An installation without profiles still finds its senders."""
    assert profiles_in(tmp_path / "none", senders()) == {}


SCENARIO = """
title = "Programs"
senders = {senders}
networks = ["ethernet"]
sessions = 1
"""


def scenario_of(tmp_path: Path, names: str) -> Path:
    """A scenario with these senders."""
    path = tmp_path / "programs.toml"
    path.write_text(SCENARIO.format(senders=names))
    return path


def test_a_scenario_takes_all_profiles_or_some(tmp_path: Path) -> None:
    """``profiles`` stands for all; one may be named, with or without its prefix."""
    everything = registry.scenario(scenario_of(tmp_path, '"profiles"'))
    assert [v.sender.name for v in everything.senders] == [*profiles()]
    some = scenario_of(tmp_path, '["single_write", "profile:smtplib", "curl"]')
    assert [v.sender.name for v in registry.scenario(some).senders] == [
        "single_write",
        "smtplib",
        "curl",
    ]
    with pytest.raises(InputError, match=r"senders\[0\]: unknown sender 'profile:smtplob'.*"):
        registry.scenario(scenario_of(tmp_path, '["profile:smtplob"]'))


def test_run_takes_a_profile_beside_a_scenario() -> None:
    """``--sender profile:NAME`` adds it, and runs nothing else."""
    request = RunRequest(("listing-12",), senders=("profile:curl",), sessions=1)
    assert {spec.sender for spec, _ in request.specs(1)} == {"curl"}
    with pytest.raises(InputError, match=r"unknown profile 'crul'.*curl"):
        RunRequest(("listing-12",), senders=("profile:crul",), sessions=1).specs(1)
    with pytest.raises(InputError, match=r"'curl': not in listing-12; .* write profile:curl$"):
        RunRequest(("listing-12",), senders=("curl",), sessions=1).specs(1)


DATASET = """
title = "Programs"
senders = "profiles"
networks = ["ethernet", "jumbo"]
repeats = 1

[[messages]]
kind = "text"
payload_bytes = 9000
"""


def test_a_dataset_of_profiles_is_built_and_checked(tmp_path: Path) -> None:
    """Its rows have the profiles' names, and the check makes their writes again."""
    spec, out = tmp_path / "spec.toml", tmp_path / "built"
    spec.write_text(DATASET)
    build = ["dataset", "build", str(spec), "--engine", "simulator", "--out", str(out), "-q"]
    done = subprocess.run(
        [sys.executable, "-c", "from seglab.cli import main; main()", *build],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [found for found in check(out).findings if found.check != "balance"] == []
    assert {record.sender for record in records(out)} == {*profiles()}


def test_list_shows_what_a_profile_was_measured_over() -> None:
    """``seglab list profiles`` has program, version, sender and share."""
    found = json.loads(CliRunner().invoke(list_command, ["profiles", "--json"]).output)
    assert [one["name"] for one in found] == [*profiles()]
    curl = next(one for one in found if one["name"] == "curl")
    assert (curl["sender"], curl["parameters"]["fills"]) == ("fixed_buffer", "unstuffed")
    assert curl["version"]
