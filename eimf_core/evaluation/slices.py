"""Parts of the users, and parts of the targets, that figures are given for separately.

Each choice of `--slice` is "name" or "name=value":

    history       users by the length of their history: thirds of the users, or =B,B… for bounds
    popularity    targets by training interactions: the most popular fifth of the items (head)
                  against the rest (tail), or =B,B… for bounds
    labels        users whose training line is labelled (--labels) against the others
    cold          users without a training line against the others
    repeat        targets that are in the history against new ones (only with --seen keep)
    category      targets by category: the ten with the most targets, or =NAME for one

Bounds begin a range: 5,10 makes <5, 5-9 and >=10. Liu et al., NeurIPS 2024 (LLM-ESR), have history=9 and popularity=4
on Beauty, 3 and 4 on Fashion, 12 and 13 on Yelp, as set in the code beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation.eval_users import EvalUsers
from eimf_core.io import jsonl
from eimf_core.numeric.arrays import Bools, Ints, ShortInts
from eimf_core.numeric.category_numbers import numbered
from eimf_core.records import Label


@dataclass(frozen=True)
class TargetSlice:
    """Figures as if only these items were targets; users without such a target do not count.

    Either `items`, a mask (N + 1,), or `repeated`: targets that are (True) or are not (False) in the
    user's history.
    """

    name: str
    items: Bools | None = None
    repeated: bool | None = None

    def of_lists(self, lists: Ints, histories: Sequence[ShortInts]) -> Bools:
        """Which places of lists hold an item of the slice.

        Args:
            lists: item indices (B, n).
            histories: of the users.

        Returns:
            (B, n).
        """
        rows = np.repeat(np.arange(len(lists)), lists.shape[1])
        return self.of_targets(rows, lists.ravel(), histories).reshape(lists.shape)

    def of_targets(self, rows: Ints, items: npt.NDArray[np.integer[Any]], histories: Sequence[ShortInts]) -> Bools:
        """Which items are in the slice.

        Args:
            rows: the row of the block that each item belongs to, (T,).
            items: their indices, (T,).
            histories: of the users of the block.

        Returns:
            (T,).
        """
        if self.items is not None:
            within: Bools = self.items[items]
            return within
        width = 1 + max(int(items.max(initial=0)), max(int(history.max(initial=0)) for history in histories))
        owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        had: Bools = np.isin(rows * width + items, owners * width + np.concatenate(histories))
        return had if self.repeated else ~had


HEAD_SHARE = 0.2
LARGEST_CATEGORIES = 10


@dataclass
class Slices:
    """The chosen parts: `users` by name (U,), `targets`, and a `size` of each in words."""

    users: dict[str, Bools] = field(default_factory=dict)
    targets: list[TargetSlice] = field(default_factory=list)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)


def choose(
    wanted: Sequence[str], users: EvalUsers, dataset: Dataset, *, seen: str, labels: Path | None = None
) -> Slices:
    """Parts of the users, or of the targets, that are measured beside all of them.

    Args:
        wanted: names, some with a value behind "=", as EvalConfig has checked them.
        users: that are evaluated.
        dataset: whose items and training lines say what is frequent, cold or of a category.
        seen: whether items of the history are dropped or kept; what was dropped is asked of nobody.
        labels: file of Label lines, for slices by whether a user is labelled.

    Returns:
        By name the users of each slice as a mask (U,), the targets of each as a mask of items (N + 1,), and the sizes.

    Raises:
        ConfigError: for one that cannot be made of this data.
        InputError: for a line of the labels that is none.
    """
    made = Slices()
    for word in wanted:
        name, _, value = word.partition("=")
        if name in BY_USER:
            for part, mask in BY_USER[name](value, users, dataset, labels).items():
                made.users[part] = mask
                made.sizes[part] = {"users": int(mask.sum())}
        elif name == "repeat":
            made.targets += _repeat(value, seen)
        else:
            masks = BY_ITEM[name](value, users, dataset)
            # two choices may make the same part
            masks = {part: mask for part, mask in masks.items() if part not in made.sizes}
            made.targets += [TargetSlice(part, items=mask) for part, mask in masks.items()]
            for part, mask in masks.items():
                within = mask[users.targets]
                asking = len(np.unique(users.target_users()[within]))
                made.sizes[part] = {"items": int(mask[1:].sum()), "targets": int(within.sum()), "users": asking}
    for chosen in made.targets:
        if chosen.repeated is not None:
            made.sizes[chosen.name] = _size_of_repeat(chosen, users)
    return made


def _by_history(value: str, users: EvalUsers, dataset: Dataset, labels: Path | None) -> dict[str, Bools]:
    lengths = users.history_lengths()
    thirds = np.quantile(lengths, [1 / 3, 2 / 3], method="inverted_cdf").astype(int) + 1
    bounds = _bounds("history", value) or sorted(set(thirds.tolist()))
    return _ranges("history", lengths, bounds)


def _by_label(value: str, users: EvalUsers, dataset: Dataset, labels: Path | None) -> dict[str, Bools]:
    _no_value("labels", value)
    if labels is None:
        raise ConfigError("--slice labels: no labels are given to tell labelled users; add --labels labels.jsonl")
    good = [label for label in jsonl.read(labels, Label) if label.error is None]
    keys, named = {label.key for label in good if label.key}, {label.user for label in good if not label.key}
    train = dataset.splits["train"]
    pairs = zip(train.users, dataset.training_keys(), strict=True)
    labelled = {user for user, key in pairs if key in keys or user in named}
    if not labelled:
        raise InputError("none of the labels belongs to a training line of this data", file=labels)
    mask = np.array([users.user(row) in labelled for row in range(len(users))], dtype=np.bool_)
    return {"labels=yes": mask, "labels=no": ~mask}


def _by_training(value: str, users: EvalUsers, dataset: Dataset, labels: Path | None) -> dict[str, Bools]:
    _no_value("cold", value)
    trained = set(dataset.splits["train"].users)
    cold = np.array([users.user(row) not in trained for row in range(len(users))], dtype=np.bool_)
    return {"cold=yes": cold, "cold=no": ~cold}


def _by_popularity(value: str, users: EvalUsers, dataset: Dataset) -> dict[str, Bools]:
    counts = dataset.counts()
    ordered = np.sort(counts[1:])[::-1]
    head = int(ordered[max(0, int(len(ordered) * HEAD_SHARE) - 1)])
    bounds = _bounds("popularity", value) or [max(1, head)]
    return _ranges("popularity", counts, bounds)


def _by_category(value: str, users: EvalUsers, dataset: Dataset) -> dict[str, Bools]:
    names, columns, bounds = numbered(item.categories for item in dataset.items)
    items = np.repeat(np.arange(1, len(bounds)), np.diff(bounds))[np.argsort(columns, kind="stable")]
    members = dict(zip(names, np.split(items, np.cumsum(np.bincount(columns))[:-1]), strict=True)) if names else {}
    if not members:
        raise ConfigError("--slice category: the items of this data have no categories")
    if value and value not in members:
        known = ", ".join(sorted(members, key=lambda name: -len(members[name]))[:LARGEST_CATEGORIES])
        raise ConfigError(f"--slice category={value}: no item is in it; the largest categories are {known}")
    asked = np.bincount(users.targets, minlength=len(dataset.vocab) + 1)
    largest = sorted(members, key=lambda name: (-int(asked[members[name]].sum()), name))[:LARGEST_CATEGORIES]
    masks = {}
    for name in [value] if value else largest:
        mask = np.zeros(len(dataset.vocab) + 1, dtype=np.bool_)
        mask[members[name]] = True
        masks[f"category={name}"] = mask
    return masks


def _repeat(value: str, seen: str) -> list[TargetSlice]:
    _no_value("repeat", value)
    if seen != "keep":
        raise ConfigError("--slice repeat: no target is in the history with --seen drop; add --seen keep")
    return [TargetSlice("repeat=yes", repeated=True), TargetSlice("repeat=no", repeated=False)]


def _size_of_repeat(part: TargetSlice, users: EvalUsers) -> dict[str, int]:
    histories = [users.history(row) for row in range(len(users))]
    rows = users.target_users()
    within = part.of_targets(rows, users.targets, histories)
    return {"targets": int(within.sum()), "users": len(np.unique(rows[within]))}


def _bounds(name: str, value: str) -> list[int]:
    if not value:
        return []
    try:
        bounds = sorted({int(word) for word in value.split(",")})
    except ValueError:
        raise ConfigError(
            f"--slice {name}={value}: expected whole numbers with commas between, such as {name}=5,20"
        ) from None
    if bounds[0] < 1:
        raise ConfigError(f"--slice {name}={value}: a bound is 1 or more")
    return bounds


def _no_value(name: str, value: str) -> None:
    if value:
        raise ConfigError(f"--slice {name}: takes no value, got '{value}'")


def _ranges(name: str, values: npt.NDArray[np.int64], bounds: Sequence[int]) -> dict[str, Bools]:
    """One part per range of the values, its name saying which."""
    edges = [0, *bounds]
    parts: dict[str, Bools] = {}
    for low, high in zip(edges, [*bounds, None], strict=True):
        if high is None:
            parts[f"{name}>={low}"] = values >= low
        elif low == 0:
            parts[f"{name}<{high}"] = values < high
        else:
            written = f"{low}-{high - 1}" if high - 1 > low else str(low)
            parts[f"{name}={written}"] = (values >= low) & (values < high)
    return parts


BY_USER: dict[str, Callable[[str, EvalUsers, Dataset, Path | None], dict[str, Bools]]] = {
    "history": _by_history,
    "labels": _by_label,
    "cold": _by_training,
}
BY_ITEM: dict[str, Callable[[str, EvalUsers, Dataset], dict[str, Bools]]] = {
    "popularity": _by_popularity,
    "category": _by_category,
}
SLICES = (*BY_USER, *BY_ITEM, "repeat")
