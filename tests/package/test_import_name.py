"""The one import name, beside what other people call ``lab``."""

import json
from pathlib import Path

from installation import Installed, call
from programs import need

OTHER = "lab==8.10"
"""Downward Lab, whose import name is ``lab``."""

OWN_TEST = """
import lab
from seglab.testing import parametrize_with_checks

def test_own_folder():
    assert lab.VALUE == 5

@parametrize_with_checks("lab.rules:classify", sessions="sample", checks=["answers"])
def test_classifier(check):
    check()
"""


def test_nothing_else_is_at_the_top(wheel_installed: Installed) -> None:
    """After an installation, ``lab``, ``senders`` and ``scenarios`` cannot be imported."""
    program = (
        "from importlib.util import find_spec;"
        "print(*(name for name in ('seglab', 'lab', 'senders', 'scenarios') if find_spec(name)))"
    )
    assert wheel_installed.succeed("python", "-c", program).split() == ["seglab"]


def test_a_project_with_a_lab_of_its_own(wheel_installed: Installed, tmp_path: Path) -> None:
    """A project whose own package is ``lab`` runs its pytest, and uses our plug-in there."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("VALUE = 5\n")
    (tmp_path / "lab" / "rules.py").write_text("def classify(observation):\n    return None\n")
    (tmp_path / "test_own.py").write_text(OWN_TEST)
    wheel_installed.pip("install", "--quiet", "pytest>=8")
    try:
        said = wheel_installed.succeed(
            "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path
        )
    finally:
        wheel_installed.pip("uninstall", "--quiet", "--yes", "pytest")
    assert " passed" in said
    assert " failed" not in said


def test_beside_another_package_called_lab(wheel_installed: Installed) -> None:
    """``pip install lab seglab``: both work, and each works when the other one is removed."""

    def lab_works() -> bool:
        program = "import lab.experiment; print(lab.experiment.Experiment.__name__)"
        return wheel_installed.run("python", "-c", program).stdout.split() == ["Experiment"]

    def seglab_works() -> bool:
        listed = wheel_installed.run("seglab", "list", "senders", "--json")
        return listed.returncode == 0 and "relay" in {s["name"] for s in json.loads(listed.stdout)}

    wheel_installed.pip("install", "--quiet", OTHER)
    try:
        assert (lab_works(), seglab_works()) == (True, True)
        wheel_installed.pip("uninstall", "--quiet", "--yes", "seglab")
        assert lab_works()
        wheel_installed.pip("install", "--quiet", "--no-deps", wheel_installed.wheel)
        assert (lab_works(), seglab_works()) == (True, True)
    finally:
        wheel_installed.pip("uninstall", "--quiet", "--yes", "lab")
    assert (lab_works(), seglab_works()) == (False, True)


def test_a_checkout_that_cannot_be_written(installed: Installed) -> None:
    """Senders load from a read-only checkout or installation, and nothing is said about it."""
    everything = installed.bin.parents[1]
    mounts = (
        f"mount --bind '{everything}' '{everything}' && mount -o remount,ro,bind '{everything}'"
    )
    proof = f"! touch '{everything}/x' 2>/dev/null"
    command = f"'{installed.bin}/seglab' list senders --json"
    call(
        *(need("unshare"), "--user", "--map-root-user", "--mount"),
        *("sh", "-c", f"{mounts} && {proof} && {command}"),
    )
