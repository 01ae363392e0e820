"""The clusters of users: how many there are, and who belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.clustering.user_vectors import UserVectors
from eimf_core.numeric import kmeans
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter

FITTED_AT_MOST = 200_000  # users that shape the centres; all are assigned
COMPARED = 4000  # users the number of clusters is chosen on
MAX_CLUSTERS = 128
SHARE_OF_BEST = 0.9  # of the best held-out cosine: further clusters would tell little more
USERS_EACH = 10  # users a cluster should have on average, at least, when its number is chosen
STARTS = 3


@dataclass(frozen=True)
class Clustering:
    """K clusters, the largest first. `centres` (K, D) in unit length; `labels` int32 (U,), -1 for a
    user without text; `distances` float32 (U,), 1 - cosine to the own centre; `sizes` (K,)."""

    centres: Floats
    labels: npt.NDArray[np.int32]
    distances: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int64]
    scores: dict[int, float]


def cluster(
    users: UserVectors,
    has_text: npt.NDArray[np.bool_],
    wanted: int | None,
    *,
    most: int,
    seed: int,
    reporter: Reporter = SILENT,
) -> Clustering:
    """Cluster the users that have a text, in one thread, so that the result depends on the seed alone.

    Args:
        users: U users in the text space.
        has_text: bool (U,).
        wanted: number of clusters; None: as `choose_count` does. Fewer come out where fewer users are distinct.
        most: number of clusters at most when it is chosen.
        seed: of the FITTED_AT_MOST users that the centres come from, and of k-means.
        reporter: hears of progress.

    Returns:
        The cluster of each user, its distance to the centre, and the scores that the number was chosen by.
    """
    rng = np.random.default_rng(seed)
    sample = np.flatnonzero(has_text)
    if len(sample) > FITTED_AT_MOST:
        sample = np.sort(rng.choice(sample, FITTED_AT_MOST, replace=False))
    with kmeans.one_thread():
        vectors = users.rows(sample)
        scores: dict[int, float] = {}
        if wanted is None:
            scores = held_out_cosines(vectors, most=most, rng=rng, reporter=reporter)
            wanted = choose_count(scores)
        reporter.begin(f"k-means, {wanted} clusters of {len(vectors):,} users")
        centres = kmeans.fit(vectors, wanted, rng, starts=STARTS)
        reporter.end()
        return _assigned(users, has_text, centres, scores, reporter)


def candidates(users: int, most: int) -> list[int]:
    """Numbers of clusters that are compared: 2, 3, 4, 6, 8, 12, … while users and budget allow."""
    powers = (base * 2**power for power in range(8) for base in (2, 3))
    return sorted(count for count in powers if count <= min(most, MAX_CLUSTERS, users // USERS_EACH))


def held_out_cosines(
    vectors: Floats, *, most: int, rng: np.random.Generator, reporter: Reporter = SILENT
) -> dict[int, float]:
    """For each candidate number of clusters the mean cosine of held-out users to their nearest centre.

    It rises with the number while further clusters are about something, and falls once they describe single users.

    Args:
        vectors: unit vectors (n, D); of COMPARED of them, drawn with `rng`, one in five is held out.
        most: number of clusters at most.
    """
    sample = rng.permutation(len(vectors))[:COMPARED]
    held_out, fitted = np.split(vectors[sample], [len(sample) // 5])
    counts = candidates(len(fitted), most)
    reporter.begin("choosing the number of clusters", len(counts))
    scores = {}
    for count in counts:
        scores[count] = float((held_out @ kmeans.fit(fitted, count, rng, starts=1).T).max(axis=1).mean())
        reporter.advance()
    reporter.end()
    return scores


def choose_count(scores: dict[int, float]) -> int:
    """The fewest clusters that reach SHARE_OF_BEST of the best score; 1 without a score above 0."""
    best = max(scores.values(), default=0.0)
    return min(count for count, score in scores.items() if score >= SHARE_OF_BEST * best) if best > 0 else 1


def _assigned(
    users: UserVectors,
    has_text: npt.NDArray[np.bool_],
    centres: Floats,
    scores: dict[int, float],
    reporter: Reporter,
) -> Clustering:
    labels = np.full(len(users), -1, dtype=np.int32)
    distances = np.zeros(len(users), dtype=np.float32)
    reporter.begin("assigning users", len(users))
    for block, vectors in users.blocks():
        cosines = vectors @ centres.T
        nearest = np.argmax(cosines, axis=1)
        labels[block] = np.where(has_text[block], nearest, -1)
        distances[block] = np.clip(1 - cosines[np.arange(len(block)), nearest], 0, 2)
        reporter.advance(len(block))
    reporter.end()
    sizes = np.bincount(labels[labels >= 0], minlength=len(centres))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    renamed = np.full(len(centres) + 1, -1, dtype=np.int32)  # the last entry is for the label -1
    renamed[order] = np.arange(len(order))
    return Clustering(centres[order], renamed[labels], distances, sizes[order], scores)
