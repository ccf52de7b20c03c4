"""The environments of tox: which share one folder, and that they agree on what is in it."""

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = {"testenv:lint", "testenv:format", "testenv:package"}
"""Environments that do not install the project, each with a folder of its own."""


def test_what_shares_a_folder_installs_the_same() -> None:
    """Tox would make the folder again for each environment that asks for something else."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert tox["testenv"]["runner"] == "shared"
    sections = {name for name in tox.sections() if name.startswith("testenv:")}
    installs = {"env_dir", "extras", "deps", "package", "skip_install", "runner"}
    for name in sections - OWN:
        assert not installs & set(tox[name]), name
    folders = [tox[name]["env_dir"] for name in OWN]
    assert len({*folders, tox["testenv"]["env_dir"]}) == len(OWN) + 1
    assert {tox[name]["runner"] for name in OWN} == {"virtualenv"}


def test_every_lab_is_tested_once() -> None:
    """What runs alone is all that is left out of what runs side by side."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    (together,), (alone,) = (
        re.findall(r"tests/emulation -m (\w+|\".*?\")", tox[f"testenv:{name}"]["commands"])
        for name in ("emulation", "timing")
    )
    assert together == f'"not {alone}"'
    listed = [name.strip() for name in tox["tox"]["env_list"].split(",")]
    assert listed[-2:] == ["emulation", "timing"]


def test_the_folder_is_where_others_look_for_it() -> None:
    """``.ci/run`` takes its Python from there."""
    assert ".tox/tests/bin/python tests/anywhere.py" in (ROOT / ".ci/run").read_text()
