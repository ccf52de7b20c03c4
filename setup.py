"""Says where the sources lie, and compiles what takes most of the time.

The sources of the package ``seglab`` lie in ``lab/``. The shipped senders and scenarios lie in
folders beside it, which are no packages; an installation carries them inside ``seglab``.
All else is declared in pyproject.toml.

The inner loop of ``seglab.capture``, the model of ``seglab.simulator`` and the text of generated
mail stay as they are and work as they are. Copies of their modules become extension modules in
packages ``compiled``. An installation without a compiler is complete, only slower.
"""

import json
import os
import shutil
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
sys.path.insert(0, str(HERE / "lab"))
from seglab.core import c_copies, c_types, compiling  # noqa: E402 - it needs no other package

del sys.path[0]

COPIES = Path("build", "cython")
BUILT = COPIES / f"built{sysconfig.get_config_var('EXT_SUFFIX')}.json"
"""What was compiled last, and from what."""
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

METADATA = {"egg_info", "dist_info", "sdist"}
"""Commands that need no extension modules: pip runs one or two of them before it builds."""

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
    """The extension modules; none where they cannot or shall not be made."""
    if os.environ.get("SEGLAB_PURE_PYTHON") == "1":
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - only there while building
    except ImportError:
        return []
    if METADATA & set(sys.argv) or ("editable_wheel" in sys.argv and is_built()):
        return []
    made: list[Extension] = []
    for modules in compiling.ALL:
        made += cythonize(
            copied(modules),
            include_path=[str(COPIES)],
            compiler_directives=DIRECTIVES | (ANNOTATED if modules.annotated else {}),
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


def ingredients() -> str:
    """Return a digest of all that decides what the compiled modules are."""
    import Cython  # noqa: PLC0415 - only there while building

    found = sha256(f"{sys.version} {Cython.__version__}".encode())
    sources = [name for group in compiling.ALL for name in group.sources]
    files = [
        Path(compiling.file_of(name) + ending) for name in sources for ending in (".py", ".pxd")
    ]
    makers = (Path(module.__file__) for module in (c_copies, c_types, compiling))
    for path in (Path("setup.py"), *makers, *files):
        found.update(sha256(path.read_bytes() if path.is_file() else b"").digest())
    return found.hexdigest()


def is_built() -> bool:
    """Whether the modules beside the sources are those that would be compiled."""
    try:
        built = json.loads(BUILT.read_bytes())
        return built["of"] == ingredients() and all(
            sha256(Path(path).read_bytes()).hexdigest() == digest
            for path, digest in built["modules"].items()
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False


class ReusingBuild(build_ext):
    """Compiles, but for an editable installation takes what is compiled beside the sources.

    Such an installation builds in a temporary folder, so each would compile everything again: one
    for every environment of tox that is made. And each has its own Cython, whose files are newer,
    so times do not tell; ``BUILT`` does.
    """

    def run(self) -> None:
        """Build all modules, and note them."""
        super().run()
        modules = {}
        for ext in self.extensions:
            path, name = Path(self.get_ext_fullpath(ext.name)), Path(*ext.name.split("."))
            if not path.is_file():  # it could not be compiled, and that is no error
                return
            beside = Path("lab", name.parent, path.name)
            modules[beside.as_posix()] = sha256(path.read_bytes()).hexdigest()
        if modules:
            write(BUILT, json.dumps({"of": ingredients(), "modules": modules}))

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
setup(
    packages=[*find_packages("lab"), *PLUGINS],
    package_dir={"": "lab", **PLUGINS},
    ext_modules=extensions(),
    cmdclass={"build_ext": ReusingBuild},
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
