"""The statistics of verdicts and comparisons.

SciPy's tests take a second to import, and most commands test nothing: so what every reproduction
tests is done here by NumPy, and each other function imports SciPy when it is called.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb, sqrt
from statistics import NormalDist

import numpy as np

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
    chosen, pooled = len(published), [*published, *lab]
    if comb(len(pooled), chosen) <= resamples:
        sums, itself = np.array([sum(some) for some in combinations(pooled, chosen)]), 0
    else:  # of a random permutation, only how often it takes each number counts
        numbers, often = np.unique(pooled, return_counts=True)
        rng = np.random.default_rng(seed)
        sums, itself = rng.multivariate_hypergeometric(often, chosen, resamples) @ numbers, 1
    observed = sum(published)  # the difference of the means rises with it
    tail = min(np.count_nonzero(sums <= observed), np.count_nonzero(sums >= observed))
    return min(1.0, 2 * (int(tail) + itself) / (len(sums) + itself))


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share; ``(0, 1)`` if there were no trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927); without continuity correction.
    """
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = successes / trials, z * z / trials
    centre = share + weight / 2
    reach = z * sqrt(share * (1 - share) / trials + weight / (4 * trials))
    low, high = (centre - reach) / (1 + weight), (centre + reach) / (1 + weight)
    return (low if successes else 0.0), (high if successes < trials else 1.0)


def welch_p(first: Sequence[int], second: Sequence[int]) -> float:
    """Two-sided p of Welch's test of two means; either side has two values or more, with spread.

    Source: B. L. Welch, The generalization of "Student's" problem when several different population
    variances are involved, Biometrika 34 (1947).
    """
    from scipy import stats  # noqa: PLC0415

    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def fisher_p(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Two-sided p of Fisher's exact test of two shares, each given as ``(part, whole)``."""
    from scipy import stats  # noqa: PLC0415

    table = [[part, whole - part] for part, whole in (first, second)]
    return float(stats.fisher_exact(table).pvalue)
