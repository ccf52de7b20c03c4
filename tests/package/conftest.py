"""seglab as its users install it: a wheel, and an editable checkout."""

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from checkout import ROOT, copy_checkout, copy_compiled
from installation import BUILDING, Installed, call, pip_on


@pytest.fixture(scope="session")
def wheel_installed() -> Iterator[Installed]:
    """The project's wheel, made from its source archive, installed into an empty environment."""
    # Half a gigabyte: pytest would keep the last three of them.
    with TemporaryDirectory(prefix="seglab-package-") as folder:
        built, empty = Path(folder, "built"), Path(folder, "empty")
        checkout = copy_checkout(Path(folder, "checkout"))
        venv.create(empty, symlinks=True)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        # Meanwhile: it takes as long as building. What the wheel asks for comes from this list.
        install = [*pip_on(empty / "bin" / "python"), "install", "--quiet"]
        with subprocess.Popen(
            [*install, *project["dependencies"]], cwd="/", env=os.environ | BUILDING
        ) as dependencies:
            call(sys.executable, "-m", "build", "--outdir", built, checkout)
        assert dependencies.returncode == 0
        (wheel,) = built.glob("*.whl")
        found = Installed(empty / "bin", wheel, checkout)
        found.pip("install", "--quiet", wheel)
        yield found


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, wheel_installed: Installed) -> Iterator[Installed]:
    """seglab, installed as a wheel, and then as an editable checkout (pip's own default form)."""
    if request.param == "wheel":
        yield wheel_installed
        return
    wheel_installed.pip("uninstall", "--quiet", "--yes", "seglab")
    copy_compiled(wheel_installed.checkout)
    wheel_installed.pip("install", "--quiet", "--no-deps", "--editable", wheel_installed.checkout)
    yield wheel_installed
    wheel_installed.pip("uninstall", "--quiet", "--yes", "seglab")
    wheel_installed.pip("install", "--quiet", "--no-deps", wheel_installed.wheel)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests in an environment that cannot build the package."""
    try:
        import build  # noqa: F401, PLC0415
    except ImportError:
        reason = "the package's own environment: tox -e package"
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))
