"""Says where the sources lie, and compiles what takes most of the time.

The sources of the package ``seglab`` lie in ``lab/``. The shipped senders and scenarios lie in
folders beside it, which are no packages; an installation carries them inside ``seglab``.
All else is declared in pyproject.toml.

The inner loop of ``seglab.capture``, the model of ``seglab.simulator`` and the text of generated
mail stay as they are and work as they are. Copies of their modules become extension modules in
packages ``compiled``. An installation without a compiler is complete, only slower.
"""

import json
import multiprocessing
import os
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
sys.path.insert(0, str(HERE / "lab"))
from seglab.core import c_copies, compiling  # noqa: E402 - it needs no other package

del sys.path[0]

COPIES = Path("build", "cython")
BUILT = COPIES / f"built{sysconfig.get_config_var('EXT_SUFFIX')}.json"
"""Of each compiled module beside the sources, what it was made of and what it holds, as digests."""
PLUGINS = {
    "seglab.shipped.senders": "senders",
    "seglab.shipped.senders.programs": "senders/programs",
    "seglab.shipped.senders.profiles": "senders/profiles",
    "seglab.shipped.servers": "servers",
    "seglab.shipped.servers.readers": "servers/readers",
    "seglab.shipped.scenarios": "scenarios",
}
FLAGS = ["-g0"] if os.name == "posix" else []
"""For the C compiler: nobody debugs generated C, and without that it takes a quarter less time."""
LESS = ["-O1"] if os.name == "posix" and "CFLAGS" not in os.environ else []
"""Added for the simulator's many modules, which compile in half of the time and run no slower."""

TRANSLATORS = (os.cpu_count() or 1) if multiprocessing.get_start_method() == "fork" else 0
"""Processes that translate to C. Unless it is forked, each would run this file."""

METADATA = {"egg_info", "dist_info", "sdist"}
"""Commands that need no extension modules: pip runs one or two of them before it builds."""
BESIDE = "editable_wheel" in sys.argv or {"build_ext", "--inplace"} <= set(sys.argv)
"""Whether the modules go beside the sources, where those of the last time may lie."""

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "nonecheck": True,
    "annotation_typing": False,
    "embedsignature": False,
}
ANNOTATED = {"infer_types": True, "overflowcheck": True, "auto_pickle": False}
"""For modules whose types of C come from annotations: a number that is too large is an error."""


def write(path: Path, text: str) -> None:
    """Write a file, unless it holds that already: what is not newer is not compiled again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def extensions() -> list[Extension]:
    """The extension modules to be made; none where they cannot or shall not be made."""
    if os.environ.get("SEGLAB_PURE_PYTHON") == "1" or METADATA & set(sys.argv):
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - only there while building
    except ImportError:
        return []
    made: list[Extension] = []
    built = noted() if BESIDE else {}
    for modules in compiling.ALL:
        wanted = copied(modules)
        made += cythonize(
            [one for one in wanted if not is_built(one, built)],
            include_path=[str(COPIES)],
            compiler_directives=DIRECTIVES | (ANNOTATED if modules.annotated else {}),
            nthreads=TRANSLATORS,
            quiet=True,
        )
    for extension in made:
        extension.optional = True
    return made


def copied(modules: compiling.Compiled) -> list[Extension]:
    """Write the copies that are compiled; each knows the digest of its source."""
    folder = COPIES.joinpath(*modules.package.split("."))
    for package in (folder, *folder.parents):
        if package.is_relative_to(COPIES) and package != COPIES:
            write(package / "__init__.py", "")
    texts = {}
    for source in modules.sources:
        name = source.rpartition(".")[2]
        texts[name] = Path(f"{compiling.file_of(source)}.py").read_text(encoding="utf-8")
        types = Path(f"{compiling.file_of(source)}.pxd")
        if types.is_file():
            write(folder / f"{name}.pxd", types.read_text(encoding="utf-8"))
    names = {source.rpartition(".")[2]: source for source in modules.sources}
    if modules.annotated:
        for name, (text, declarations) in c_copies.copies(texts, names).items():
            texts[name] = text
            write(folder / f"{name}.pxd", declarations)
    for name, text in texts.items():
        write(folder / f"{name}.py", f"{text}\nSOURCE = {compiling.digest(names[name])!r}\n")
    flags = FLAGS + (LESS if modules.annotated else [])
    return [
        Extension(modules.copy_of(name), [str(folder / f"{name}.py")], extra_compile_args=flags)
        for name in texts
    ]


def ingredients(ext: Extension) -> str:
    """Return a digest of all that decides what a compiled module is."""
    import Cython  # noqa: PLC0415 - only there while building

    (source,) = (Path(name).with_suffix(".py") for name in ext.sources)
    found = sha256(f"{sys.version} {Cython.__version__}".encode())
    for path in (HERE / "setup.py", source, *sorted(source.parent.glob("*.pxd"))):
        found.update(sha256(path.read_bytes()).digest())
    return found.hexdigest()


def beside_sources(ext: Extension) -> Path:
    """Return where a module lies in this checkout."""
    package, _, name = ext.name.rpartition(".")
    ending = sysconfig.get_config_var("EXT_SUFFIX")
    return Path("lab", *package.split("."), f"{name}{ending}")


def noted() -> dict[str, list[str]]:
    """Return what was noted of the compiled modules, by their names."""
    try:
        return dict(json.loads(BUILT.read_bytes()))
    except (OSError, ValueError):
        return {}


def is_built(ext: Extension, built: dict[str, list[str]]) -> bool:
    """Whether the module beside the sources is the one that would be compiled."""
    path = beside_sources(ext)
    return path.is_file() and built.get(ext.name) == [ingredients(ext), digest(path)]


def digest(path: Path) -> str:
    """Return a digest of a file."""
    return sha256(path.read_bytes()).hexdigest()


class NotingBuild(build_ext):
    """Compiles, and notes what came out.

    Each environment of tox that is made installs this folder in editable form, and has its own
    Cython, whose files are newer than what was compiled before. So times do not tell what can stay
    as it is, and ``BUILT`` does.
    """

    def run(self) -> None:
        """Build the modules, and note those that go beside the sources."""
        super().run()
        made = {}
        for ext in self.extensions:
            path = Path(self.get_ext_fullpath(ext.name))
            if path.is_file():  # else it could not be compiled, and that is no error
                made[ext.name] = [ingredients(ext), digest(path)]
        if made and BESIDE:
            write(BUILT, json.dumps(noted() | made, indent=0))


os.chdir(HERE)
setup(
    packages=[*find_packages("lab"), *PLUGINS],
    package_dir={"": "lab", **PLUGINS},
    ext_modules=extensions(),
    cmdclass={"build_ext": NotingBuild},
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
