"""Says where the sources lie, and compiles the inner loop of ``seglab.capture``.

The sources of the package ``seglab`` lie in ``lab/``. The shipped senders and scenarios lie in
folders beside it, which are no packages; an installation carries them inside ``seglab``.
All else is declared in pyproject.toml.

The modules of ``lab/seglab/capture/core`` stay as they are and work as they are. Copies of them
become extension modules in ``seglab.capture.compiled``. An installation without a compiler is
complete, only slower.
"""

import os
import runpy
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
CORE = HERE / "lab" / "seglab" / "capture" / "core"
COPIES = Path("build", "cython")
PACKAGE = "seglab.capture.compiled"
PLUGINS = {"seglab.shipped.senders": "senders", "seglab.shipped.scenarios": "scenarios"}
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "nonecheck": True,
    "annotation_typing": False,
    "embedsignature": False,
}


def write(path: Path, text: str) -> None:
    """Write a file, unless it holds that already: what is not newer is not compiled again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def extensions() -> list[Extension]:
    """The extension modules; none where they cannot or shall not be made."""
    if os.environ.get("SEGLAB_PURE_PYTHON") == "1":
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - only there while building
    except ImportError:
        return []
    backend = runpy.run_path(str(HERE / "lab" / "seglab" / "capture" / "backend.py"))
    folder = COPIES.joinpath(*PACKAGE.split("."))
    for package in (folder, *folder.parents):
        if package.is_relative_to(COPIES) and package != COPIES:
            write(package / "__init__.py", "")
    found = []
    for name in backend["MODULES"]:
        text = (CORE / f"{name}.py").read_text(encoding="utf-8")
        write(folder / f"{name}.py", f"{text}\nSOURCES = {backend['digest'](CORE)!r}\n")
        types = CORE / f"{name}.pxd"
        if types.is_file():
            write(folder / f"{name}.pxd", types.read_text(encoding="utf-8"))
        found.append(Extension(f"{PACKAGE}.{name}", [str(folder / f"{name}.py")], optional=True))
    made: list[Extension] = cythonize(
        found, include_path=[str(COPIES)], compiler_directives=DIRECTIVES, quiet=True
    )
    for extension in made:
        extension.optional = True
    return made


os.chdir(HERE)
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
setup(
    packages=[*find_packages("lab"), *PLUGINS],
    package_dir={"": "lab", **PLUGINS},
    ext_modules=extensions(),
)
