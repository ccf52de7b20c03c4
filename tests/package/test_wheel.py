"""An installation in an empty environment, away from the sources: is all there that it needs?"""

import json
import os
import shutil
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from checkout import ROOT
from installation import Installed

SOURCES = {
    "lab/seglab": "seglab",
    "senders": "seglab/shipped/senders",
    "scenarios": "seglab/shipped/scenarios",
}
"""Folders of the checkout, and where an installation has them."""


def _tracked() -> set[str]:
    """The files of the package, as paths in an installation."""
    return {
        f"{installed}/{path.relative_to(ROOT / folder)}"
        for folder, installed in SOURCES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }


def test_every_file_of_the_package_is_in_the_wheel(wheel_installed: Installed) -> None:
    """Modules, scenario and network files, templates: none is left out."""
    with zipfile.ZipFile(wheel_installed.wheel) as archive:
        assert _tracked() - set(archive.namelist()) == set()


def test_modules_are_compiled_where_they_can_be(installed: Installed) -> None:
    """With a C compiler and Python's headers, there are extension modules of these sources."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which("gcc") is None or not headers.is_file():
        pytest.skip("no gcc or no Python.h; ./bootstrap.sh test installs them")
    program = "from seglab.core.compiling import *; print(*{built(modules) for modules in ALL})"
    assert installed.succeed("python", "-c", program).split() == ["compiled"]


def test_the_wheel_holds_nothing_but_the_package(wheel_installed: Installed) -> None:
    """Nothing is wheel_installed beside the one package."""
    with zipfile.ZipFile(wheel_installed.wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"seglab"}


def test_every_module_imports(installed: Installed) -> None:
    """Each module finds what it imports among the declared dependencies."""
    program = """if True:
        import importlib, pkgutil, sys
        import seglab
        assert sys.argv[1] in seglab.__file__, seglab.__file__
        for found in pkgutil.walk_packages(seglab.__path__, "seglab."):
            # Left out: a plugin of pytest, and what needs the extra "scapy".
            if not found.name.endswith(("__main__", "seglab.testing", "runs.packets")):
                importlib.import_module(found.name)
                print(found.name)
    """
    beside = str(installed.bin.parent.parent)
    assert "seglab.cli" in installed.succeed("python", "-c", program, beside).split()


def test_version_is_the_project_s(installed: Installed) -> None:
    """``seglab --version`` tells the version in pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in installed.succeed("seglab", "--version").split()


@pytest.mark.parametrize("how", [["--help"], ["-h"]])
def test_help_names_every_command(installed: Installed, how: list[str]) -> None:
    """The help of the whole names the commands of the public interface that there are."""
    words = set(installed.succeed("seglab", *how).split())
    assert {"doctor", "list", "run", "reproduce", "report", "serve"} <= words


def test_every_command_has_help(installed: Installed) -> None:
    """Each command's module loads, and says how it is used."""
    program = (
        "import click, seglab.cli as c; print(*c.seglab.list_commands(click.Context(c.seglab)))"
    )
    for command in installed.succeed("python", "-c", program).split():
        assert f"seglab {command}" in installed.succeed("seglab", command, "--help")


def test_scenarios_are_found(installed: Installed) -> None:
    """The installed scenarios are listed under their public names."""
    listed = json.loads(installed.succeed("seglab", "list", "scenarios", "--json"))
    assert {"scenario-1", "scenario-2", "scenario-3"} <= {scenario["name"] for scenario in listed}


def test_senders_are_found(installed: Installed) -> None:
    """The installed senders are listed with the fields that are public interface."""
    listed = json.loads(installed.succeed("seglab", "list", "senders", "--json"))
    assert listed
    for sender in listed:
        assert {"name", "kind", "style", "terminator"} <= sender.keys()


def test_networks_are_found(installed: Installed) -> None:
    """The installed network files are listed."""
    assert json.loads(installed.succeed("seglab", "list", "networks", "--json"))


def test_sessions_for_regress_are_found(installed: Installed) -> None:
    """A classifier can be put to the checks at once, without a lab."""
    checks = ("--check", "answers", "--json")
    found = json.loads(
        installed.succeed("seglab", "regress", "paper", "--sessions", "sample", *checks)
    )
    assert found["sessions"] == 420


def test_pytest_finds_the_plugin(installed: Installed) -> None:
    """The wheel says that it has a plugin of pytest."""
    program = (
        "from importlib.metadata import entry_points;"
        "print(*(e.value for e in entry_points(group='pytest11') if e.name == 'seglab'))"
    )
    assert installed.succeed("python", "-c", program).split() == ["seglab.testing"]


def test_doctor_answers(installed: Installed) -> None:
    """``doctor`` gives one JSON value, and says by its exit code whether a lab can be built."""
    result = installed.run("seglab", "doctor", "--json")
    assert result.returncode in {0, 3}, result.stderr
    assert json.loads(result.stdout)
    if os.environ.get("SEGLAB_REQUIRE_ALL") == "1":
        assert result.returncode == 0, result.stdout


def test_bad_usage_exits_with_2(installed: Installed) -> None:
    """An unknown command is one clear line on standard error, not a traceback."""
    result = installed.run("seglab", "no-such-command")
    assert result.returncode == 2
    assert "no-such-command" in result.stderr
    assert "Traceback" not in result.stderr
