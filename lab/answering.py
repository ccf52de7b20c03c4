"""A classifier of Python as a program: ``python -m lab.answering REFERENCE``.

It reads observations and prints answers as ``lab.foreign`` speaks with any program, so that a
slow classifier can be asked in several processes. What it raises is an answer of its own.
"""

import os
import sys

import msgspec

from lab.classifier import Verdict
from lab.classifier_registry import classifier
from lab.errors import SeglabError
from lab.observation import Observation
from lab.regress.judgement import raised


def main() -> None:
    """Answer line by line, until there are no more."""
    try:
        one = classifier(sys.argv[1])
    except SeglabError as error:
        sys.exit(str(error))
    # What a classifier prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        observation = Observation.from_json(line)
        try:
            answer: Verdict | dict[str, str] | None = one.classify(observation)
            text = msgspec.json.encode(answer)
        except (Exception, SystemExit) as error:
            text = msgspec.json.encode({"id": observation.id, "raised": raised(error).reason})
        answers.write(text + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
