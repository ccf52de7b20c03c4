"""Finds classifiers: the built-in ones by name, a user's own as ``package.module:name``."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from seglab.classification.classifier import Classifier, Verdict
from seglab.core.observation import Observation
from seglab.errors import InputError, nearest


@cache
def classifiers() -> Mapping[str, Classifier]:
    """All built-in classifiers by name.

    Raises:
        InputError: a file has no classifier, or more than one.
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


def classifier(reference: str) -> Classifier:
    """The built-in classifier of that name, or a user's own.

    Args:
        reference: a name, or ``package.module:name`` of a callable that takes an
            ``Observation`` and returns a ``Verdict``, a mapping with a verdict's keys, a style,
            several styles, or ``None``. The current folder is searched first.

    Raises:
        InputError: there is none; says what was looked for.
    """
    module_name, colon, attribute = reference.partition(":")
    if not colon:
        known = classifiers()
        if reference not in known:
            raise InputError(
                f"unknown classifier {reference!r} (one of your own is package.module:name, "
                "a program is cmd:PROGRAM); "
                f"{nearest(reference, known)}"
            )
        return known[reference]
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        value: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
    except Exception as error:  # whatever somebody's module raises
        raise InputError(
            f"classifier {reference!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(value):
        raise InputError(f"classifier {reference!r} is {type(value).__name__}, not callable")
    return of_callable(value, reference)


def of_callable(function: Callable[[Observation], object], name: str | None = None) -> Classifier:
    """A user's function as a classifier; one that is a classifier already stays as it is."""
    if isinstance(function, Classifier):
        return function
    called = name or str(getattr(function, "__name__", type(function).__name__))
    words = str(getattr(function, "__doc__", None) or called).strip().splitlines()[0]
    return Classifier(called, words, lambda one: as_verdict(one, function(one)))


def as_verdict(observation: Observation, answer: object) -> Verdict | None:
    """A verdict of whatever a user's classifier returned.

    Raises:
        InputError: the answer is none of the forms that are taken, or lacks the style.
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
