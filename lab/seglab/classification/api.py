"""Classifies files and observations: ``seglab classify`` for Python programs.

from seglab import classify

for verdict in classify("mail.pcapng"):
    print(verdict.id, verdict.style)
"""

import io
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, overload

from seglab.classification.classifier import Verdict
from seglab.classification.inputs import read, read_stream, sources
from seglab.classification.registry import ClassifierLike
from seglab.classification.registry import classifier as load
from seglab.classification.scored import or_abstention
from seglab.classification.stream import Warn
from seglab.classification.validation import validating
from seglab.core.observation import LAYERS, Layer, Observation
from seglab.core.text import safe
from seglab.errors import InputError

DEFAULT: Final = "boundaries"
"""The classifier that is used unless another one is named."""


@overload
def classify(
    source: Observation | Mapping[str, Any],
    *,
    classifier: ClassifierLike = ...,
    layer: Layer | None = ...,
    warn: Warn | None = ...,
) -> Verdict | None: ...


@overload
def classify(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    classifier: ClassifierLike = ...,
    layer: Layer | None = ...,
    warn: Warn | None = ...,
) -> Iterator[Verdict]: ...


def classify(
    source: Observation | Mapping[str, Any] | str | os.PathLike[str] | BinaryIO,
    *,
    classifier: ClassifierLike = DEFAULT,
    layer: Layer | None = None,
    warn: Warn | None = None,
) -> Verdict | Iterator[Verdict] | None:
    """Say how a message was written, or all messages of a file or folder.

    Args:
        source: an observation, or a mapping with its keys (``sizes`` at least, also as an array of
            NumPy; without an ``id`` it is called ``1``); or a path, or an open binary file.
        classifier: a built-in classifier's name, ``package.module:name`` of your own, a function
            that takes an ``Observation``, or a ``Classifier``. It is called in this process; a
            program, or a process with a time limit, is what
            ``seglab.runners.open.open_classifier`` opens.
        layer: which layer of stored sessions is classified, by default their segments; or what
            the sizes of one observation are, if it does not say so itself: reads by default.
        warn: takes warnings about the source, such as lines that are not understood, each as a
            line of text; by default they go to the logger ``seglab``.

    Returns:
        For one observation, its verdict, or ``None`` where the classifier abstains. For a file or
        folder, an iterator that reads on demand; an abstention has the style ``None``.

    Raises:
        InputError: there is no such classifier; the mapping has an unknown key; the observation is
            of another layer; or, also from the iterator, the source cannot be
            read, the classifier raised, or its answer is not a possible one.
        TypeError: the source is none of these types.
    """
    if layer is not None and layer not in LAYERS:
        raise InputError(f"layer: expected {' or '.join(LAYERS)}, found {layer!r}")
    one = validating(load(classifier))
    if isinstance(source, Mapping):
        source = Observation.from_dict({"id": "1", **({"layer": layer} if layer else {}), **source})
    if isinstance(source, Observation):
        if layer not in (None, source.layer):
            raise InputError(f"layer: {layer!r}, but the observation itself says {source.layer!r}")
        return one(source)
    if not isinstance(source, str | os.PathLike) and (
        isinstance(source, io.TextIOBase) or not callable(getattr(source, "read", None))
    ):
        raise TypeError(
            "classify: expected an observation, a mapping with its keys, a path or a file that is "
            f"open in binary mode, found {type(source).__name__}"
        )
    found = _observations(source, layer or "segments", warn)
    return (or_abstention(observation, one(observation)) for observation in found)


def _observations(
    source: str | os.PathLike[str] | BinaryIO, layer: Layer, warn: Warn | None
) -> Iterator[Observation]:
    say = logging.getLogger("seglab").warning if warn is None else warn
    if not isinstance(source, str | os.PathLike):
        name = getattr(source, "name", None)
        label = safe(name) if isinstance(name, str) else "stream"
        yield from read_stream(source, label, protocol="smtp", warn=say)
        return
    for found in sources(Path(source), say):
        yield from read(found, layer=layer, protocol="smtp", warn=say)
