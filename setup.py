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
import shutil
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
CORE = HERE / "lab" / "seglab" / "capture" / "core"
COPIES = Path("build", "cython")
PACKAGE = "seglab.capture.compiled"
PLUGINS = {"seglab.shipped.senders": "senders", "seglab.shipped.scenarios": "scenarios"}
FLAGS = ["-g0"] if os.name == "posix" else []
"""For the C compiler: nobody debugs generated C, and without that it takes a quarter less time."""

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
        source = str(folder / f"{name}.py")
        found.append(Extension(f"{PACKAGE}.{name}", [source], extra_compile_args=FLAGS))
    made: list[Extension] = cythonize(
        found, include_path=[str(COPIES)], compiler_directives=DIRECTIVES, quiet=True
    )
    for extension in made:
        extension.optional = True
    return made


class ReusingBuild(build_ext):
    """Compiles, but for an editable installation takes what is compiled beside the sources.

    Such an installation builds in a temporary folder, so each would compile everything again: one
    for every environment of tox that is made.
    """

    def build_extension(self, ext: Extension) -> None:
        """Build one module."""
        target = Path(self.get_ext_fullpath(ext.name))
        beside = HERE / "lab" / Path(*ext.name.split(".")).parent / target.name
        if getattr(self, "editable_mode", False) and is_newer(beside, ext.sources):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(beside, target)
        else:
            super().build_extension(ext)


def is_newer(path: Path, sources: list[str]) -> bool:
    """Whether a file is there, and newer than all of its sources."""
    return path.is_file() and all(
        path.stat().st_mtime > Path(source).stat().st_mtime for source in sources
    )


os.chdir(HERE)
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
setup(
    packages=[*find_packages("lab"), *PLUGINS],
    package_dir={"": "lab", **PLUGINS},
    ext_modules=extensions(),
    cmdclass={"build_ext": ReusingBuild},
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
