"""Labels for training: whose they are, which texts they hold, and the text vectors of these.

A label belongs to a user with exactly the training history it was made from: its key is computed
again from the training lines, and a label whose key is not found is left out, counted and named. One without a key
belongs to its user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset
from eimf_core.errors import InputError, counted
from eimf_core.io import jsonl
from eimf_core.numeric.arrays import Ints
from eimf_core.numeric.padding import spans
from eimf_core.progress import Reporter
from eimf_core.records import Label, SemanticInterest
from eimf_core.text.encoder_input import interest_text

NAMED_AT_MOST, LONGEST_SHOWN = 3, 100
LEFT_OUT_REASONS = {"empty": "without an interest", "repeated": "of a user with an earlier one"}


@dataclass(frozen=True)
class Labels:
    """Labelled user i is the training user `users[i]` and has `texts[offsets[i]:offsets[i + 1]]`.

    `texts` int64 are positions in `interests` (all distinct) and rows of `vectors` (n, D). `text_items`
    int64 (2, P) are the pairs of a text and an item that the label gives for it, of its user's training history, as
    item indices. `clusters` int64, the cluster of each labelled user.
    """

    users: Ints
    offsets: Ints
    texts: Ints
    text_items: Ints
    clusters: Ints
    interests: list[SemanticInterest]
    vectors: npt.NDArray[np.float32]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.users)

    def padded(self, chosen: Ints) -> Ints:
        """The texts of some labelled users.

        Args:
            chosen: which, (B,).

        Returns:
            Numbers of texts (B, M), -1 where a user has fewer than M.
        """
        at, exists = spans(self.offsets[chosen], np.diff(self.offsets)[chosen])
        return np.where(exists, self.texts[at], -1)


def load(
    path: str | Path, data: Dataset, encode: Callable[[list[str]], npt.NDArray[np.float32]], reporter: Reporter
) -> Labels:
    """Read labels and match them with training users.

    Args:
        path: the file that `label` wrote.
        data: whose training users are meant.
        encode: turns n texts into (n, D).
        reporter: hears how many match, and which are left out.

    Returns:
        The labels that match.

    Raises:
        InputError: for a bad line, and when no label matches.
    """
    keys, named = _training_keys(data), _training_users(data)
    texts: dict[str, int] = {}
    interests: list[SemanticInterest] = []
    users: dict[int, list[int]] = {}
    clusters: dict[int, int] = {}
    text_items: list[tuple[int, int]] = []
    strangers: list[str] = []
    failed: list[str] = []
    unknown: dict[str, str] = {}
    left_out = {"error": 0, "no match": 0, "empty": 0, "repeated": 0}
    for label in jsonl.read(path, Label):
        user = keys.get(label.key) if label.key else named.get(label.user)
        if label.error is not None:
            left_out["error"] += 1
            failed.append(f"{label.user or label.key}: {label.error[:LONGEST_SHOWN]}")
        elif user is None:
            left_out["no match"] += 1
            strangers.append(label.user or label.key)
        elif not any(interest_text(interest) for interest in label.interests):
            left_out["empty"] += 1
        elif user in users:
            left_out["repeated"] += 1
        else:
            users[user], clusters[user] = [], label.cluster
            history = set(data.splits["train"].history(user).tolist())
            for interest in filter(interest_text, label.interests):
                row = texts.setdefault(interest_text(interest), len(texts))
                if row == len(interests):
                    interests.append(SemanticInterest(name=interest.name, description=interest.description))
                if row not in users[user]:
                    users[user].append(row)
                for item in interest.items:
                    if not data.vocab.get(item):
                        unknown.setdefault(item, label.user or label.key)
                # what is not in the training history says nothing here, whoever wrote it
                text_items += [(row, item) for item in data.vocab.indices(interest.items).tolist() if item in history]
    if not users:
        raise InputError(_no_label(left_out), file=path)
    _report(left_out, strangers, failed, reporter)
    if unknown:
        item, owner = next(iter(unknown.items()))
        reporter.warn(
            f"{path}: {counted(len(unknown), 'item')} of labels not in the catalogue (the first: {item} of {owner}); "
            "the names count, those items do not"
        )
    order = sorted(users)
    return Labels(
        users=np.array(order, dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(users[user]) for user in order])]).astype(np.int64),
        texts=np.array([row for user in order for row in users[user]], dtype=np.int64),
        text_items=np.array(sorted(set(text_items)), dtype=np.int64).reshape(-1, 2).T,
        clusters=np.array([clusters[user] for user in order], dtype=np.int64),
        interests=interests,
        vectors=encode([interest_text(interest) for interest in interests]),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _training_keys(data: Dataset) -> dict[str, int]:
    train = data.splits["train"]
    return {key: number for number, key in enumerate(data.training_keys()) if len(train.history(number))}


def _training_users(data: Dataset) -> dict[str, int]:
    train = data.splits["train"]
    return {user: number for number, user in enumerate(train.users) if len(train.history(number))}


def _no_label(left_out: dict[str, int]) -> str:
    if left_out["no match"]:
        return (
            f"none of the labels belongs to a training line of this data ({left_out['no match']} have another key or "
            "user); run cluster and label on this data"
        )
    return "no label can be used (all have an error or no interests); run label again"


def _report(left_out: dict[str, int], strangers: list[str], failed: list[str], reporter: Reporter) -> None:
    if strangers:
        named = _first_few(strangers, ", ")
        reporter.warn(
            f"{counted(len(strangers), 'label')} left out: not the training history of this data (of {named})"
        )
    if failed:
        named = _first_few(failed, "; of ")
        reporter.warn(f"{counted(len(failed), 'label')} left out: with an error in place of interests (of {named})")
    for reason, count in left_out.items():
        if count and reason not in ("no match", "error"):
            reporter.warn(f"{counted(count, 'label')} left out: {LEFT_OUT_REASONS[reason]}")


def _first_few(named: list[str], between: str) -> str:
    return between.join(named[:NAMED_AT_MOST]) + (" …" if len(named) > NAMED_AT_MOST else "")
