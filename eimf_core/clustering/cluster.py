"""`eimf cluster`: from a prepared directory to representative users, each with the titles of its history.

Only the catalogue and the training lines are read. The steps are `user_vectors`, `user_clusters` and `representatives`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core import dataset
from eimf_core.clustering import representatives, user_clusters
from eimf_core.clustering.config import ClusterConfig
from eimf_core.clustering.user_clusters import Clustering
from eimf_core.clustering.user_vectors import ITEMS_AT_ONCE, UserVectors, distinct_items
from eimf_core.dataset import Dataset, sample_key
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import provenance
from eimf_core.naming import distinctive_terms, terms
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Cluster, HistoryItem, Item, Sample
from eimf_core.text.cache import Stored, encode_items
from eimf_core.text.loading import open_encoder
from eimf_core.text.ray_encoding import ray_encoder

MAX_WORDS = 8
NEAREST_ITEMS = 5
RICH_SHARE, RICH_AT_MOST = 0.25, 20  # of the users; distinct items
COUNTED_AT_ONCE = 200_000  # users
NEVER = np.float32(-np.inf)


@dataclass(frozen=True)
class ClusteredUsers:
    """What was found: `summaries` one per cluster, the largest first; `facts` for the sidecar.

    `categories` says whether samples carry those of their items.
    """

    data: Dataset
    clusters: Clustering
    chosen: list[list[int]]
    summaries: list[Cluster]
    facts: dict[str, Any]
    categories: bool

    def samples(self) -> Iterator[Sample]:
        """The chosen users, clusters mixed so that any beginning of the list is a fair choice too."""
        places = [
            ((rank + 0.5) / len(users), cluster, user)
            for cluster, users in enumerate(self.chosen)
            for rank, user in enumerate(users)
        ]
        for _, cluster, user in sorted(places):
            yield self._sample(user, cluster)

    def _sample(self, user: int, cluster: int) -> Sample:
        train = self.data.splits["train"]
        items = [self.data.items[index - 1] for index in train.history(user)]
        return Sample(
            key=sample_key(train.users[user], [item.item for item in items]),
            user=train.users[user],
            cluster=cluster,
            cluster_size=int(self.clusters.sizes[cluster]),
            distance=round(float(self.clusters.distances[user]), 6),
            history=[HistoryItem(item=item.item, title=item.title, categories=self._shown(item)) for item in items],
        )

    def _shown(self, item: Item) -> list[str] | None:
        return (self.categories and item.categories) or None

    def sidecar(self, settings: ClusterConfig) -> dict[str, Any]:
        """The provenance to write beside the samples."""
        return provenance.describe(
            command="cluster",
            arguments={**asdict(settings), "directory": self.data.directory},
            inputs=[self.data.directory / name for name in ("sequences.jsonl", "items.jsonl")],
            seed=settings.seed,
            facts=self.facts,
        )


def cluster_users(directory: str | Path, settings: ClusterConfig, reporter: Reporter = SILENT) -> ClusteredUsers:
    """Cluster the training users of a prepared directory and choose representative ones.

    Args:
        directory: that prepare wrote.
        settings: how many clusters and samples, and which encoder.
        reporter: hears of progress.

    Returns:
        The clusters, the representative users of each, and what each cluster is about.

    Raises:
        ConfigError: more clusters than users.
        InputError: bad data, and data without text.
        ModelError: an encoder that cannot be used.
    """
    data = dataset.load(directory, ("train",))
    train = data.splits["train"]
    path = data.directory / "sequences.jsonl"
    if not len(train):
        raise InputError("has no line with the split 'train'", file=path, field="split")
    if settings.wanted is not None and settings.wanted > len(train):
        raise ConfigError(f"--clusters is {settings.wanted}, but there are only {len(train):,} training users")
    encoder = open_encoder(settings.encoder, len(data.items))
    by_many = ray_encoder(settings.ray, settings.encoder, encoder, len(data.items), reporter)
    items = encode_items(directory, data.items, encoder, reporter, by_many)
    has_text = _has_text(items)
    distinct = distinct_items(train, has_text)
    if not distinct.any():
        raise InputError("no item of a training line has a text; cluster needs titles", file=path)
    budget = settings.samples(len(train))
    centre = None if settings.wanted == 1 else _mean(items, np.where(has_text, data.counts(), 0))
    users = UserVectors(train, items, centre)
    clusters = user_clusters.cluster(
        users, distinct > 0, settings.wanted, most=budget, seed=settings.seed, reporter=reporter
    )
    rich = settings.min_items or _default_min_items(distinct)
    chosen = representatives.choose(
        clusters.labels,
        clusters.distances,
        distinct,
        train,
        budget=budget,
        rich=rich,
        overlap=settings.overlap,
    )
    found = sum(map(len, chosen.users))
    facts = {
        "encoder": encoder.identity,
        "users": len(train),
        "users_without_text": int((clusters.labels < 0).sum()),
        "clusters": len(clusters.sizes),
        "held_out_cosine": {str(count): round(score, 4) for count, score in clusters.scores.items()},
        "budget": budget,
        "samples": found,
        "near_duplicates": chosen.near_duplicates,
        "rich_from_items": rich,
    }
    _report(facts, reporter)
    summaries = _summaries(data, users, has_text, clusters, chosen.users)
    return ClusteredUsers(data, clusters, chosen.users, summaries, facts, settings.categories)


def _has_text(items: Stored) -> npt.NDArray[np.bool_]:
    """Which items have a text: their vectors are not zero."""
    return np.asarray(np.concatenate([block.any(axis=1) for block in _blocks(items)]), dtype=np.bool_)


def _mean(items: Stored, weights: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The mean vector (D,) over all interactions: what all titles have in common tells no users apart."""
    total = np.zeros(items.shape[1])
    for start, block in zip(range(0, len(items), ITEMS_AT_ONCE), _blocks(items), strict=True):
        total += weights[start : start + ITEMS_AT_ONCE] @ block.astype(np.float64)
    return np.asarray(total / weights.sum(), dtype=np.float32)


def _blocks(items: Stored) -> Iterator[Stored]:
    """All rows, some at a time: those of a million items, spread, would take gigabytes."""
    return (items[start : start + ITEMS_AT_ONCE] for start in range(0, len(items), ITEMS_AT_ONCE))


def _default_min_items(distinct: npt.NDArray[np.int64]) -> int:
    return int(np.clip(np.quantile(distinct[distinct > 0], 1 - RICH_SHARE), 1, RICH_AT_MOST))


def _report(facts: dict[str, Any], reporter: Reporter) -> None:
    if facts["users_without_text"]:
        reporter.warn(f"{facts['users_without_text']} training users left out: their items have no text")
    if facts["held_out_cosine"]:
        scores = ", ".join(f"{count}: {score:.2f}" for count, score in facts["held_out_cosine"].items())
        reporter.note(
            f"{facts['clusters']} clusters: the fewest with {user_clusters.SHARE_OF_BEST:.0%} of the best mean cosine"
            f" of held-out users to their nearest centre ({scores})"
        )
    if facts["samples"] < facts["budget"]:
        reporter.note(
            f"{facts['samples']} representative users for a budget of {facts['budget']}:"
            f" {facts['near_duplicates']} near-duplicates passed over (raise 'overlap' in --config to keep more)"
        )


def _summaries(
    data: Dataset,
    users: UserVectors,
    has_text: npt.NDArray[np.bool_],
    clusters: Clustering,
    chosen: list[list[int]],
) -> list[Cluster]:
    count = len(clusters.sizes)
    words = _distinctive_words(data, clusters)
    shown = has_text & (data.counts() > 0)
    scores = np.where(
        shown, np.concatenate([clusters.centres @ block.T for block in users.item_blocks()], axis=1), NEVER
    )
    totals = np.bincount(clusters.labels + 1, weights=clusters.distances, minlength=count + 1)[1:]
    return [
        Cluster(
            cluster=at,
            size=int(clusters.sizes[at]),
            samples=len(chosen[at]),
            distance=round(float(totals[at] / clusters.sizes[at]), 6),
            words=words[at],
            items=_nearest(data, scores[at]),
        )
        for at in range(count)
    ]


def _nearest(data: Dataset, scores: npt.NDArray[np.float32]) -> list[HistoryItem]:
    """The items with the best scores; of equal titles only the first."""
    found: dict[str, HistoryItem] = {}
    for index in np.argsort(-scores, kind="stable")[: 4 * NEAREST_ITEMS]:
        item = data.items[index - 1]
        if index and scores[index] > NEVER and len(found) < NEAREST_ITEMS:
            found.setdefault(item.title.casefold(), HistoryItem(item=item.item, title=item.title))
    return list(found.values())


def _distinctive_words(data: Dataset, clusters: Clustering) -> list[list[str]]:
    """For each cluster the title words that tell it from the others, each item counted as often as it was taken."""
    from scipy.sparse import csr_array

    train = data.splits["train"]
    count, width = len(clusters.sizes), len(data.items) + 1
    vocabulary, rows, columns = terms.word_counts(["", *(item.title for item in data.items)])
    if not vocabulary:
        return [[] for _ in range(count)]
    holds = csr_array((np.ones(len(rows)), (rows, columns)), shape=(width, len(vocabulary)))
    frequent = np.zeros((count, len(vocabulary)))
    for start in range(0, len(train), COUNTED_AT_ONCE):
        bounds = train.offsets[start : start + COUNTED_AT_ONCE + 1]
        owner = np.repeat(clusters.labels[start : start + COUNTED_AT_ONCE], np.diff(bounds))
        kept = owner >= 0
        pairs = owner[kept], train.items[bounds[0] : bounds[-1]][kept]
        frequent += (csr_array((np.ones(len(pairs[0])), pairs), shape=(count, width)) @ holds).toarray()
    # a single cluster has no other to be told from
    weights = distinctive_terms.divergence(frequent) if count > 1 else frequent
    best = np.argsort(-weights, axis=1, kind="stable")[:, :MAX_WORDS]
    return [[vocabulary[at] for at in best[row] if weights[row, at] > 0] for row in range(count)]
