"""Labels that the study compares with those of typical users: other users, and words that belong to others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eimf_core import dataset
from eimf_core.dataset import sample_key
from eimf_core.io import jsonl
from eimf_core.records import HistoryItem, Label, Sample, SemanticInterest


def shuffled(labels: list[Label], seed: int) -> list[Label]:
    """Every user gets the words of another one: names and descriptions move, the items stay where they are.

    A user keeps the number of interests; if the other has fewer, their words repeat.
    """
    rng = np.random.default_rng(seed)
    told = [label for label in labels if label.error is None and label.interests]
    order = rng.permutation(len(told))
    donors = {int(user): told[int(order[(at + 1) % len(order)])] for at, user in enumerate(order)}
    made = []
    for at, label in enumerate(told):
        words = donors[at].interests
        moved = [
            SemanticInterest(
                name=words[number % len(words)].name,
                description=words[number % len(words)].description,
                items=interest.items,
            )
            for number, interest in enumerate(label.interests)
        ]
        fields = {name: getattr(label, name) for name in Label.__struct_fields__}
        made.append(Label(**{**fields, "interests": moved}))
    return made


def other_users(directory: Path, kind: str, count: int, seed: int) -> list[Sample]:
    """So many training users, drawn at random ("random") or with the longest histories ("active")."""
    data = dataset.load(directory, ("train",))
    train = data.splits["train"]
    lengths = np.diff(train.offsets)
    able = np.flatnonzero(lengths > 1)
    if kind == "random":
        chosen = np.random.default_rng(seed).permutation(able)[:count]
    else:
        chosen = able[np.argsort(-lengths[able], kind="stable")][:count]
    samples = []
    for user in chosen.tolist():
        items = [data.items[index - 1] for index in train.history(user)]
        samples.append(
            Sample(
                key=sample_key(train.users[user], [item.item for item in items]),
                user=train.users[user],
                cluster=0,
                cluster_size=len(train),
                distance=0.0,
                history=[HistoryItem(item=item.item, title=item.title) for item in items],
            )
        )
    return samples


def write_shuffled(source: Path, target: Path, seed: int) -> None:
    """Labels read from `source`, their words moved, written to `target`."""
    jsonl.write(target, shuffled(list(jsonl.read(source, Label)), seed))
