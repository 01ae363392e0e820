"""How good labels are: the true interests of users that they recover, matched by text similarity.

The truth is what the items of a history are about (an interest or categories each), and if known
which of these a user really has. Each labelled interest stands for the true name nearest to its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.records import Label, LabelQuality, Sample, TrueItem, TrueUser
from eimf_core.text.encoder import TextEncoder
from eimf_core.text.encoder_input import interest_text

MIN_COSINE = 0.25  # a labelled interest farther than this from every true name stands for none
MIN_ITEMS = 2  # of a history, for an interest to be visible in it
MIN_SHARE = 0.2  # of a history, for a category to count as an interest of a user


@dataclass(frozen=True)
class Truth:
    """True interests by key of a sample, as positions in `names`; `about` those of each item, `key_of` each user's."""

    names: list[str]
    of_sample: dict[str, set[int]]
    about: dict[str, set[int]]
    key_of: dict[str, str] = field(default_factory=dict)


def truth(samples: str | Path, items: str | Path, users: str | Path | None = None) -> Truth:
    """The true interests that the histories of samples show.

    An interest is visible with MIN_ITEMS distinct items. Without `users` it must also hold
    MIN_SHARE of the history, since nobody is after every category of which he has two things.

    Args:
        samples: file of Sample lines.
        items: file of the interest or the categories of each item.
        users: file of the interests that users really have.

    Returns:
        The true interests of each sample, as numbers.

    Raises:
        InputError: for a bad line, and where no item has an interest or categories.
    """
    named: dict[str, int] = {}
    about: dict[str, set[int]] = {}
    for line in jsonl.read(items, TrueItem):
        words = [line.interest] if line.interest is not None else line.categories
        about[line.item] = {named.setdefault(name, len(named)) for name in words}
    if not named:
        raise InputError("no item has an 'interest' or 'categories'", file=items)
    really: dict[str, set[int]] | None = None
    if users is not None:
        really = {
            line.user: {named[entry.name] for entry in line.interests if entry.name in named}
            for line in jsonl.read(users, TrueUser)
        }
    of_sample = {}
    users_keys: dict[str, str] = {}
    for sample in jsonl.read(samples, Sample):
        history = {entry.item for entry in sample.history}
        counts = Counter(name for item in history for name in about.get(item, ()))
        least = MIN_ITEMS if really is not None else max(MIN_ITEMS, MIN_SHARE * len(history))
        visible = {name for name, count in counts.items() if count >= least}
        of_sample[sample.key] = visible if really is None else visible & really.get(sample.user, set())
        users_keys[sample.user] = sample.key
    return Truth(list(named), of_sample, about, users_keys)


def score(labels: str | Path, truth: Truth, encoder: TextEncoder) -> LabelQuality:
    """Precision and recall of a file of labels; those of no sample, or of one without truth, are left out.

    Args:
        labels: file of Label lines.
        truth: of the same samples.
        encoder: names of interests are compared by its vectors.

    Returns:
        Precision, the share of labelled interests that stand for a true one, each true one counted once; recall, the
        share of true interests that a labelled one stands for, all users together; `by_chance`, the recall of the
        same labels given to other users, on average over all other users; all from 0 to 1.

    Raises:
        InputError: for a bad line, and where no label can be compared.
    """
    found = list(jsonl.read(labels, Label))
    left_out = {"no sample": 0, "no true interest": 0}
    kept: list[Label] = []
    for label in found:
        if not label.key:
            label = msgspec.structs.replace(label, key=truth.key_of.get(label.user, ""), user=label.user)
        if label.key not in truth.of_sample:
            left_out["no sample"] += 1
        elif not truth.of_sample[label.key]:
            left_out["no true interest"] += 1
        else:
            kept.append(label)
    if not kept:
        raise InputError(
            "no label is of a user in --samples with a true interest; are these labels of other samples?", file=labels
        )
    stands_for = _nearest(kept, truth.names, encoder)
    true = [truth.of_sample[label.key] for label in kept]
    hits = _hits(stands_for, true)
    claimed = sum(len(label.interests) for label in kept)
    expected = sum(map(len, true))
    precision, recall = hits / claimed if claimed else 0.0, hits / expected
    right = _items_right(kept, stands_for, truth)
    return LabelQuality(
        labels=str(labels),
        engine=kept[0].engine,
        model=kept[0].model,
        users=len(kept),
        left_out={reason: count for reason, count in left_out.items() if count},
        errors=sum(label.error is not None for label in kept),
        first_try=_first_try(kept),
        precision=round(precision, 4),
        recall=round(recall, 4),
        f1=round(2 * precision * recall / (precision + recall), 4) if hits else 0.0,
        by_chance=round(_chance_hits(stands_for, true, hits) / expected, 4),
        items_right=None if right is None else round(right, 4),
    )


def _first_try(labels: Sequence[Label]) -> float | None:
    """The share of labels that a language model gave at once; None where none was asked."""
    if not any(label.prompt_sha256 for label in labels):
        return None
    return round(sum(label.error is None and label.attempts == 1 for label in labels) / len(labels), 4)


def _nearest(labels: Sequence[Label], names: Sequence[str], encoder: TextEncoder) -> list[list[int]]:
    """For each interest of each label the true name nearest to its text, -1 where none is near."""
    texts = [interest_text(interest) for label in labels for interest in label.interests]
    if not texts:
        return [[] for _ in labels]
    cosines = encoder.encode(texts) @ encoder.encode(list(names)).T
    best = np.where(cosines.max(axis=1) >= MIN_COSINE, cosines.argmax(axis=1), -1)
    ends = np.cumsum([len(label.interests) for label in labels])[:-1]
    return [part.tolist() for part in np.split(best, ends)]


def _hits(stands_for: Sequence[list[int]], true: Sequence[set[int]]) -> int:
    """True interests that are found, each counted once for a user."""
    return sum(len(names.intersection(found)) for found, names in zip(stands_for, true, strict=True))


def _chance_hits(stands_for: Sequence[list[int]], true: Sequence[set[int]], hits: int) -> float:
    """True interests that the labels of one other user find, on average over all; `hits` are those of the own."""
    found = Counter(name for names in stands_for for name in set(names))
    wanted = Counter(name for names in true for name in names)
    everyone = sum(count * wanted[name] for name, count in found.items())
    return (everyone - hits) / max(len(true) - 1, 1)


def _items_right(labels: Sequence[Label], stands_for: Sequence[list[int]], truth: Truth) -> float | None:
    """Share of the items of labelled interests that are about what the interest stands for."""
    right = total = 0
    for label, names in zip(labels, stands_for, strict=True):
        for interest, name in zip(label.interests, names, strict=True):
            total += len(interest.items)
            right += sum(name in truth.about.get(item, ()) for item in interest.items)
    return right / total if total else None
