"""The process in which a Python classifier runs, for ``runners.worker`` and ``cluster.runner``.

It reads observations and prints answers in the way that ``seglab.runners.program`` expects of any
program. An exception of the classifier is an answer of its own, ``{"raised": "..."}``.
"""

import json
import os
import select
import signal
import sys
import threading
import time
from dataclasses import replace
from math import isfinite
from typing import Any, BinaryIO

import msgspec

from seglab.classification.answer import raised
from seglab.classification.classifier import Classifier, Verdict
from seglab.classification.registry import classifier
from seglab.classification.validation import normalised
from seglab.core.observation import Observation
from seglab.core.text import safe
from seglab.errors import SeglabError

_LEAVE_S = 2.0


def main() -> None:
    """Load the classifier that the argument names, and answer until there are no more questions."""
    questions, answers = _streams()
    try:
        one = classifier(sys.argv[1])
    except SeglabError as error:
        sys.exit(str(error))
    _answer_all(one, questions, answers)


def main_of_worker() -> None:
    """Do the work of ``main`` after a first line: the classifier's name, or why there is none.

    This process ends with the process that asks, even if that is killed.
    """
    questions, answers = _streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process gets Ctrl-C too, and ends us
    threading.Thread(target=_end_with_asker, args=(questions.fileno(),), daemon=True).start()
    try:
        one = classifier(sys.argv[1])
    except SeglabError as error:
        _say(answers, {"error": str(error)})
        return
    except BaseException as error:
        words = raised(error).reason
        why = f"classifier {safe(sys.argv[1])!r} cannot be loaded: {words}"
        _say(answers, {"error": why})
        return
    _say(answers, {"name": one.name, "summary": one.summary})
    _answer_all(one, questions, answers)


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes of questions and answers, out of reach of what a classifier reads or prints.

    Standard input is empty from now on, and standard output goes to standard error.
    """
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # as it is at the start
    return questions, answers


def _answer_all(one: Classifier, questions: BinaryIO, answers: BinaryIO) -> None:
    for line in questions:
        observation = Observation.from_json(line)
        try:
            verdict = one.classify(observation)
            if verdict is not None:
                verdict = normalised(replace(verdict, id=observation.id))
            answer = _line(verdict)
        except BaseException as error:
            answer = _line({"id": observation.id, "raised": raised(error).reason})
        _send(answers, answer)


def _say(answers: BinaryIO, value: Any) -> None:
    _send(answers, _line(value))


def _line(value: Any) -> bytes:
    if isinstance(value, Verdict) and not _finite(value):
        return json.dumps(value.to_dict()).encode()  # with NaN, where msgspec writes null
    return msgspec.json.encode(value)


def _send(answers: BinaryIO, line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def _finite(verdict: Verdict) -> bool:
    return all(map(isfinite, (verdict.confidence or 0.0, *verdict.boundary_confidence)))


def _end_with_asker(questions: int) -> None:
    """Wait until the pipe of questions is closed, and then end the whole process group."""
    poll = select.poll()
    poll.register(questions, 0)  # with no event asked for, poll reports only that it was closed
    poll.poll()
    time.sleep(_LEAVE_S)  # the main thread ends by itself, unless the classifier does not return
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
