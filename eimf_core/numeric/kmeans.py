"""k-means over unit vectors, of users as of items."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.vectors import unit_rows

LARGE = 20_000
"""Vectors from which on k-means goes in mini-batches."""


def fit(vectors: Floats, clusters: int, rng: np.random.Generator, *, starts: int) -> Floats:
    """K-means of unit vectors.

    Args:
        vectors: (n, d), of length 1.
        clusters: how many centres are wanted; no more than there are distinct vectors are made.
        rng: seeds the starts.
        starts: runs from other first centres, of which the one with the least squared distances counts.

    Returns:
        Centres (K, d) in unit length, K at most `clusters`.

    Source: Lloyd, Least Squares Quantization in PCM, 1982, from the starts of Arthur and Vassilvitskii, k-means++,
    2007; from `LARGE` vectors on in mini-batches (Sculley, Web-Scale K-Means Clustering, 2010).
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans

    distinct = len(np.unique(vectors, axis=0)) if len(vectors) <= LARGE else len(vectors)
    settings = {"n_clusters": min(clusters, distinct), "random_state": int(rng.integers(2**31)), "n_init": starts}
    model = KMeans(**settings) if len(vectors) <= LARGE else MiniBatchKMeans(batch_size=4096, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct points than clusters: empty ones are dropped
        return unit_rows(model.fit(vectors).cluster_centers_)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in parallel depend on who comes first; one thread gives the same centres every time."""
    import sklearn.cluster  # noqa: F401 (its libraries must be loaded to be limited)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
