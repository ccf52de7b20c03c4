"""Programs from npm: ``npm install --prefix``, without the packages' own scripts."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from seglab.core.text import count
from seglab.software.clients import RefusedError, run
from seglab.software.program import TREE_NPM
from seglab.software.store import NPM_LOCK, Package

_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--omit=optional")


def install(
    names: Sequence[str],
    digests: Mapping[str, str],
    lock: Path,
    workshop: Path,
    tell: Callable[[str], None],
) -> list[Package]:
    """Put packages into the tree of a workshop.

    Args:
        names: the packages, each as ``NAME@VERSION``.
        digests: the integrity of those whose archive is known.
        lock: npm's own lock; it is taken where it is there, and made where not.
        workshop: has the folder ``tree``.
        tell: is told how far it is.

    Returns:
        All packages that are in the tree now.

    Raises:
        RefusedError: they are not to be had, or are not what they must be.
    """
    tell(", ".join(names))
    target = workshop / "tree" / TREE_NPM.lstrip("/")
    target.mkdir(parents=True)
    wanted = dict(name.rsplit("@", 1) for name in names)
    (target / "package.json").write_text(json.dumps({"private": True, "dependencies": wanted}))
    command = "install"
    if lock.is_file() and _wanted(lock) == wanted:
        shutil.copyfile(lock, target / "package-lock.json")
        command = "ci"
    cache = workshop / "npm"
    run(["npm", command, *_OPTIONS, "--cache", str(cache), "--prefix", str(target)], target)
    made = target / "package-lock.json"
    found = []
    for place, one in json.loads(made.read_text())["packages"].items():
        if place and (target / place).is_dir():
            name = place.rpartition("node_modules/")[2]
            found.append(Package("npm", name, one["version"], one.get("integrity", "")))
    for package in found:
        named = f"{package.name}@{package.version}"
        if digests.get(named, package.digest) != package.digest:
            raise RefusedError(f"{named}: expected {digests[named]}, found {package.digest}")
    shutil.copyfile(made, workshop / NPM_LOCK)
    tell(count(len(found), "package"))
    return found


def _wanted(lock: Path) -> Mapping[str, str]:
    """Return what a lock of npm was made for."""
    try:
        found: dict[str, str] = json.loads(lock.read_text())["packages"][""]["dependencies"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found
