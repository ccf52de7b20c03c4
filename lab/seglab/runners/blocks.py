"""What comes back of a block of observations that another process was asked about."""

from collections.abc import Iterable
from dataclasses import dataclass

from seglab.classification.answer import Answer, ClassifierFailedError


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The answers to the observations of one block.

    Attributes:
        answers: to the first observations of the block, or to all of them.
        failed: why there is not an answer to each, in one line; ``None`` where there is.
    """

    answers: list[Answer]
    failed: str | None = None


def joined(results: Iterable[BlockResult]) -> list[Answer]:
    """Return the answers of blocks that follow each other.

    Raises:
        ClassifierFailedError: one of the blocks has not an answer to each of its observations;
            the error has the answers up to there.
    """
    gathered: list[Answer] = []
    for result in results:
        gathered += result.answers
        if result.failed is not None:
            raise ClassifierFailedError(result.failed, gathered)
    return gathered
