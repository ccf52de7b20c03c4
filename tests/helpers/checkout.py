"""A copy of this checkout."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

_ANYWHERE = shutil.ignore_patterns(".git", "*.egg-info", "__pycache__")
_AT_THE_TOP = shutil.ignore_patterns(
    ".venv", ".t*", ".*_cache", ".hypothesis", "build", "dist", "runs"
)
_COMPILED = shutil.ignore_patterns("*.so")


def copy_checkout(target: Path, *, compiled: bool = False) -> Path:
    """Copy what git would have in a clone: no environments, no results of builds, no caches.

    Args:
        target: the copy's folder, which must not exist.
        compiled: whether the compiled modules are copied too.

    Returns:
        The target.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        found = _ANYWHERE(folder, names)
        if not compiled:
            found |= _COMPILED(folder, names)
        if Path(folder) == ROOT:
            found |= _AT_THE_TOP(folder, names)
        return found

    shutil.copytree(ROOT, target, ignore=left_out, symlinks=True)
    return target


def copy_compiled(target: Path) -> None:
    """Give a copy the compiled modules, and what ``setup.py`` notes of them, if there are any.

    An editable installation then takes them, as that of the checkout itself does.
    """
    found = (*(ROOT / "lab").rglob("*.so"), *(ROOT / "build" / "cython").glob("built*.json"))
    for path in found:
        beside = target / path.relative_to(ROOT)
        beside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, beside)
