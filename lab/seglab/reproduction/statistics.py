"""The two statistics of a verdict: a permutation test, and Wilson's interval of a share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 9_999
"""The number of random permutations in a test: p near 0.05 is then known to about 0.005."""


def permutation_p(
    published: Sequence[int], lab: Sequence[int], *, seed: int, resamples: int = RESAMPLES
) -> float | None:
    """Two-sided p of the difference of two means in a permutation test.

    The test is exact if there are at most ``resamples`` permutations; otherwise it draws
    ``resamples`` random ones from ``seed``.

    Returns:
        ``None`` if either side has fewer than two sessions.
    """
    if min(len(published), len(lab)) < 2:
        return None
    from scipy import stats  # noqa: PLC0415, a second to import, and not all commands judge

    result = stats.permutation_test(
        (np.asarray(published, float), np.asarray(lab, float)),
        _difference_of_means,
        vectorized=True,
        permutation_type="independent",
        alternative="two-sided",
        n_resamples=resamples,
        batch=512,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share; ``(0, 1)`` if there were no trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927); without continuity correction.
    """
    if not trials:
        return 0.0, 1.0
    from scipy import stats  # noqa: PLC0415, a second to import, and not all commands judge

    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def _difference_of_means(
    published: NDArray[np.float64], lab: NDArray[np.float64], axis: int
) -> Any:
    return published.mean(axis=axis) - lab.mean(axis=axis)
