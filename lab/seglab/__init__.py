"""seglab: how a mail sender's writes become TCP segments and then server reads.

Everything that a program needs is one call from here. ``docs/python.md`` has an example of each.

Each name is imported from its own module when it is first asked for, so that importing ``seglab``
itself costs next to nothing: the processes of a lab do that all the time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglab.classification.api import classify as classify
    from seglab.core.observation import Observation as Observation
    from seglab.dataset.stored_dataset import Dataset as Dataset
    from seglab.dataset.stored_dataset import open_dataset as open_dataset
    from seglab.errors import SeglabError as SeglabError
    from seglab.execution.run import run as run
    from seglab.experiment.registry import scenario as scenario
    from seglab.regress.suite import check_classifier as check_classifier
    from seglab.runners.open import open_classifier as open_classifier
    from seglab.runs.stored_run import StoredRun as StoredRun
    from seglab.runs.stored_run import open_run as open_run
    from seglab.runs.stored_session import StoredSession as StoredSession

    __version__: str

_WHERE = {
    "Dataset": "seglab.dataset.stored_dataset",
    "Observation": "seglab.core.observation",
    "StoredRun": "seglab.runs.stored_run",
    "SeglabError": "seglab.errors",
    "StoredSession": "seglab.runs.stored_session",
    "check_classifier": "seglab.regress.suite",
    "classify": "seglab.classification.api",
    "open_classifier": "seglab.runners.open",
    "open_dataset": "seglab.dataset.stored_dataset",
    "open_run": "seglab.runs.stored_run",
    "run": "seglab.execution.run",
    "scenario": "seglab.experiment.registry",
}
"""Each public name, and the module that defines it."""

__all__ = [  # the names of _WHERE, written out for type checkers and editors
    "Dataset",
    "Observation",
    "SeglabError",
    "StoredRun",
    "StoredSession",
    "__version__",
    "check_classifier",
    "classify",
    "open_classifier",
    "open_dataset",
    "open_run",
    "run",
    "scenario",
]


def __getattr__(name: str) -> Any:
    """Look a public name up when it is first asked for."""
    if name == "__version__":
        from seglab.core.version import version  # noqa: PLC0415

        return version()
    if name not in _WHERE:
        raise AttributeError(f"module 'seglab' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """The public names, also those that nobody has asked for yet."""
    return sorted(__all__)
