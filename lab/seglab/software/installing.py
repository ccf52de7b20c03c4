"""Installing named programs: each in a folder of its own, exactly as it was the first time."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from seglab.software import debian, npm, pypi
from seglab.software.clients import RefusedError, run
from seglab.software.program import NamedProgram
from seglab.software.store import Installation, Package, Store, StoreWriter, size_of

BUILD: Final = "debian-build"
"""What packages that were needed to build a program have as their registry."""

Tell = Callable[[str, str], None]
"""Is told a program's name, and how far its installation is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one program.

    Attributes:
        name: the program's.
        installation: what is installed; ``None`` where it is refused.
        reason: why it is refused; empty where it is not.
        new: whether this call installed it.
    """

    name: str
    installation: Installation | None
    reason: str = ""
    new: bool = False


def install(
    programs: Iterable[NamedProgram], store: Store, tell: Tell, *, upgrade: bool = False
) -> list[Outcome]:
    """Install programs. One that cannot be had does not hinder the others.

    Args:
        programs: those to install; what is installed stays as it is.
        store: where to.
        tell: is told how far it is.
        upgrade: install also what is installed, and take the versions that there are now.

    Raises:
        InputError: another process changes the store, or it cannot be written.
        DiskFullError: the disk is full; what was complete before is there.
    """
    outcomes = []
    with store.writer() as writer:
        for program in programs:
            found = None if upgrade else store.installation(program.name)
            if found is not None:
                outcomes.append(Outcome(program.name, found))
                continue
            if upgrade:
                writer.unlock(program.name)
            try:
                found = _install(program, writer, tell)
            except RefusedError as error:
                writer.refuse(program.name, str(error))
                outcomes.append(Outcome(program.name, None, str(error)))
            else:
                outcomes.append(Outcome(program.name, found, new=True))
    return outcomes


def _install(program: NamedProgram, writer: StoreWriter, tell: Tell) -> Installation:
    """Install one program.

    Raises:
        RefusedError: it cannot be had.
    """
    store = writer.store

    def say(words: str) -> None:
        tell(program.name, words)

    borrowed, brought = _needed(program)
    with writer.workshop(program.name) as workshop:
        packages: list[Package] = []
        if program.pypi:
            packages += pypi.install(program.pypi, program.digests, workshop, say)
        if program.npm:
            lock = store.npm_lock(program.name)
            packages += npm.install(program.npm, program.digests, lock, workshop, say)
        if names := [*program.debian, *brought]:
            locked = [p for p in store.locked(program.name) if p.registry == "debian"]
            if not {package.name for package in locked}.issuperset(names):
                locked = []
            packages += debian.install(names, locked, store.path / "apt", workshop, say)
        if program.build is not None:
            packages += _build(program, store, workshop, say)
        version = next((p.version for p in packages if p.name == program.main_package), "")
        size = size_of(workshop / "tree")
        made = Installation(program.name, version, tuple(packages), size, borrowed)
        writer.put(made, workshop)
    say(f"{version or 'nothing to download'}, {size / 1e6:.1f} MB")
    return made


def _build(
    program: NamedProgram, store: Store, workshop: Path, say: Callable[[str], None]
) -> list[Package]:
    """Build a program into the tree of a workshop; return what was needed for that.

    Raises:
        RefusedError: the tools cannot be had, or it cannot be built.
    """
    assert program.build is not None
    locked = [
        replace(package, registry="debian")
        for package in store.locked(program.name)
        if package.registry == BUILD
    ]
    if not {package.name for package in locked}.issuperset(program.build_debian):
        locked = []
    tools = debian.install(
        program.build_debian, locked, store.path / "apt", workshop, say, tree="tools"
    )
    home = workshop / "home"
    home.mkdir()
    say("builds it")
    places = {"TOOLS": workshop / "tools", "TREE": workshop / "tree", "HOME": home}
    run(["/bin/sh", "-euc", program.build], home, {name: str(p) for name, p in places.items()})
    return [replace(package, registry=BUILD) for package in tools]


def _needed(program: NamedProgram) -> tuple[dict[str, str], list[str]]:
    """Return what a program uses of this machine, and which packages bring what is missing."""
    borrowed, brought = {}, []
    for tool, package in program.needs.items():
        if path := shutil.which(tool):
            borrowed[tool] = str(Path(path))
        else:
            brought.append(package)
    return borrowed, brought
