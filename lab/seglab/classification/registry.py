"""Loads classifiers of Python into this process, and makes verdicts of what they return."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from seglab.classification.classifier import Classifier, Verdict
from seglab.classification.reference import BuiltIn, Program, PythonCallable, parse
from seglab.core.lookup import named
from seglab.core.observation import Observation
from seglab.errors import InputError

ClassifierLike = str | Classifier | Callable[[Observation], object]
"""Whatever stands for a classifier: a reference, a ``Classifier``, or a function."""


@cache
def classifiers() -> Mapping[str, Classifier]:
    """Return all built-in classifiers by name.

    Raises:
        InputError: a module of ``seglab.classifiers`` has no classifier, or more than one.
    """
    package = importlib.import_module("seglab.classifiers")
    found: dict[str, Classifier] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.ispkg or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"seglab.classifiers.{info.name}")
        values = [name for name, value in vars(module).items() if isinstance(value, Classifier)]
        if values != ["CLASSIFIER"]:
            raise InputError(
                f"{module.__file__}: expected one classifier, called CLASSIFIER, "
                f"found {', '.join(values) or 'none'}"
            )
        one: Classifier = module.CLASSIFIER
        found[one.name] = one
    return found


def classifier(reference: ClassifierLike) -> Classifier:
    """Return the classifier that a reference names, loaded into this process.

    Args:
        reference: a built-in classifier's name; ``package.module:name`` of a callable, of which
            the module is searched in the current folder first; or a callable itself. A callable
            takes an ``Observation`` and returns a ``Verdict``, a mapping with a verdict's keys, a
            style, several styles, or ``None``.

    Raises:
        InputError: there is none, or it is a program, which cannot be loaded.
    """
    if not isinstance(reference, str):
        return of_callable(reference)
    match parse(reference):
        case BuiltIn(name):
            return _built_in(name)
        case PythonCallable(module, attribute):
            return of_callable(_loaded(module, attribute, reference), reference)
        case Program():
            raise InputError(
                f"classifier {reference!r} is a program, which cannot be called in this process;"
                " open_classifier starts it"
            )


def _built_in(name: str) -> Classifier:
    remark = " (one of your own is package.module:name, a program is cmd:PROGRAM)"
    return named("classifier", name, classifiers(), remark=remark)


def _loaded(module: str, attribute: str, reference: str) -> Callable[[Observation], object]:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except Exception as error:  # whatever a user's module raises
        raise InputError(
            f"classifier {reference!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(value):
        raise InputError(f"classifier {reference!r} is {type(value).__name__}, not callable")
    function: Callable[[Observation], object] = value
    return function


def of_callable(function: Callable[[Observation], object], name: str | None = None) -> Classifier:
    """Make a classifier of a user's function; a ``Classifier`` is returned as it is.

    Without a ``name``, the function's own is taken; its docstring's first line is the summary.
    """
    if isinstance(function, Classifier):
        return function
    called = name or str(getattr(function, "__name__", type(function).__name__))
    words = str(getattr(function, "__doc__", None) or called).strip().splitlines()[0]
    return Classifier(called, words, lambda one: as_verdict(one, function(one)))


def as_verdict(observation: Observation, answer: object) -> Verdict | None:
    """Make a verdict of whatever a user's classifier returned.

    Raises:
        InputError: the answer has none of the forms that are accepted, or lacks the style.
    """
    match answer:
        case None | Verdict():
            return answer
        case str():
            return Verdict(id=observation.id, style=answer)
        case Mapping() if "style" not in answer:
            raise InputError("the answer has no key 'style'; a style of null abstains")
        case Mapping():
            return Verdict.from_dict({"id": observation.id, **answer})
        case list() | tuple() | set() | frozenset() if all(isinstance(a, str) for a in answer):
            return Verdict(id=observation.id, style=tuple(sorted(answer)))
    raise InputError(
        f"the classifier returned {type(answer).__name__}; expected a Verdict, a mapping, a style, "
        "several styles, or None"
    )
