"""How sure a figure is: bootstrap intervals over users, paired randomisation tests, Holm's correction.

Users are the units everywhere. Resampling is done in blocks, each with a generator of its own
spawned from the seed, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from eimf_core.numeric.arrays import Doubles, Floats

LEVEL = 0.95
DETECTION = 1.959964 + 0.841621
"""Standard errors of a difference that a two-sided test at .05 finds with a power of .80."""
BLOCK_NUMBERS = 1 << 23
MAX_DRAWS = 2_000_000_000
FEWEST_RESAMPLES = 1_000


def resamples_for(users: int, wanted: int) -> int:
    """Resamples to draw: as many as wanted, fewer (never under 1,000) beyond 2e9 draws in all."""
    return min(wanted, max(FEWEST_RESAMPLES, MAX_DRAWS // max(1, users)))


def bootstrap_means(values: Floats, resamples: int, rng: np.random.Generator, threads: int = 1) -> Doubles:
    """Means over users drawn with replacement.

    All columns see the same draws, so that differences of columns are paired.

    Args:
        values: (U, C).
        resamples: how often users are drawn.
        rng: draws them.
        threads: that share the work; the result is the same with any number.

    Returns:
        (resamples, C).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6.
    """
    users = len(values)
    values = np.ascontiguousarray(values, dtype=np.float32)

    def block(count: int, generator: np.random.Generator) -> Doubles:
        weights = np.empty((count, users), dtype=np.float32)
        for row in weights:
            row[:] = np.bincount(generator.integers(0, users, users, dtype=np.uint32), minlength=users)
        means: Doubles = (weights @ values).astype(np.float64) / users
        return means

    return _in_blocks(block, resamples, users, rng, threads)


def interval(means: Doubles) -> tuple[Doubles, Doubles]:
    """Percentile bounds of the 95 % interval.

    Args:
        means: resampled, (R, C).

    Returns:
        Low and high bounds, each (C,).
    """
    bounds: Doubles = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return bounds[0], bounds[1]


def randomisation_p(differences: Floats, resamples: int, rng: np.random.Generator, threads: int = 1) -> Doubles:
    """Two-sided p of paired differences: how often random signs give as large a mean.

    Under the hypothesis that the two systems are exchangeable for every user, each difference is as
    likely with either sign. p = (1 + number of sign draws with |mean| >= observed) / (1 + draws).

    Args:
        differences: (U, C).
        resamples: how often signs are drawn.
        rng: draws them.
        threads: that share the work; the result is the same with any number.

    Returns:
        (C,).

    Source: Smucker, Allan and Carterette, CIKM 2007.
    """
    # users without any difference do not matter, whatever their sign
    differences = np.ascontiguousarray(differences[(differences != 0).any(axis=1)], dtype=np.float32)
    users = len(differences)
    if users == 0:
        return np.ones(differences.shape[1])
    total = differences.sum(axis=0, dtype=np.float64)

    def block(count: int, generator: np.random.Generator) -> Doubles:
        raw = np.frombuffer(generator.bytes(count * math.ceil(users / 8)), dtype=np.uint8).reshape(count, -1)
        positive = np.unpackbits(raw, axis=1, count=users).astype(np.float32)
        # signs are 2 * bit - 1
        sums: Doubles = np.abs(2.0 * (positive @ differences).astype(np.float64) - total)
        return sums

    sums = _in_blocks(block, resamples, users, rng, threads)
    # sums of the same numbers in another order differ in their last digits
    slack = 1e-5 * np.abs(differences).sum(axis=0, dtype=np.float64)
    p: Doubles = (1 + (sums >= np.abs(total) - slack).sum(axis=0)) / (1 + resamples)
    return p


def detectable(differences: Floats) -> Doubles:
    """The least difference that so many users show: (z_.975 + z_.80) * s / sqrt(U), s the deviation over users.

    A true difference of this size is significant at .05 in 80 % of such samples; half of it in 29 %. Holm's
    correction asks for more.

    Args:
        differences: paired, (U, C).

    Returns:
        (C,), NaN with one user.

    Source: Bloom, Minimum Detectable Effects, Evaluation Review 19(5), 1995.
    """
    users, columns = differences.shape
    if users < 2:
        return np.full(columns, np.nan)
    found: Doubles = DETECTION * differences.std(axis=0, ddof=1, dtype=np.float64) / math.sqrt(users)
    return found


def holm(p: Doubles) -> Doubles:
    """p-values corrected for their number.

    Args:
        p: (n,).

    Returns:
        (n,), in the order given.

    Source: Holm, Scand. J. Statist. 6, 1979.
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, steps)
    return corrected


def _in_blocks(
    block: Callable[[int, np.random.Generator], Doubles],
    resamples: int,
    users: int,
    rng: np.random.Generator,
    threads: int,
) -> Doubles:
    size = max(1, min(256, BLOCK_NUMBERS // max(1, users)))
    counts = [min(size, resamples - start) for start in range(0, resamples, size)]
    generators = rng.spawn(len(counts))
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(block, counts, generators)))
