"""`--refit`: a model that the validation split has chosen is trained once more, on its lines as well.

The first training chooses epochs, weights of members and the graph of next items on the validation split. The second
one starts over with these choices, on what came until the end of that split. In its place the same is done by hand
with `--epochs-from` and data without a validation split.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset, SplitData
from eimf_core.errors import InputError
from eimf_core.evaluation import eval_users
from eimf_core.io import files
from eimf_core.model_directory import artifact
from eimf_core.training.config import TrainConfig

Values = TypeVar("Values", bound=npt.NDArray[np.generic])
NONE = np.zeros(0, dtype=np.int32)
EMPTY = SplitData([], np.zeros(1, dtype=np.int64), NONE, np.zeros(1, dtype=np.int64), NONE, None)


def first_training(settings: TrainConfig) -> TrainConfig:
    """The settings of the first training, which has half of the time where that is limited."""
    limit = None if settings.max_minutes is None else settings.max_minutes / 2
    return replace(settings, refit=False, max_minutes=limit)


def folder(output: str | Path) -> Path:
    """Where the model of the first training lies until the second one has ended."""
    target = files.resolved(output)
    return target.with_name(f".{target.name}.refit") / "chosen"


def check(data: Dataset) -> None:
    """InputError where the validation split cannot choose, or knows less of its targets than of histories."""
    train, valid, file = data.splits["train"], data.splits["valid"], data.directory / "sequences.jsonl"
    if not len(valid):
        raise InputError(
            "has no line with the split 'valid', which --refit chooses with; run prepare with another --split",
            file=file, field="split",
        )  # fmt: skip
    users = eval_users.select(data, "valid", "drop", [])
    if not len(users):
        reasons = eval_users.reasons_text(users.left_out, "valid")
        raise InputError(
            f"has no validation line that counts, which --refit chooses with; left out: {reasons}",
            file=file, field="targets",
        )  # fmt: skip
    for name in ("times", "events"):
        known = [getattr(train, name), getattr(valid, name)]
        if all(values is not None for values in known) and getattr(valid, f"target_{name}") is None:
            raise InputError(
                f"a validation line lacks them, which --refit makes a training line of; give them with the {name}, "
                "or run prepare again",
                file=file, field=f"target_{name}",
            )  # fmt: skip


def validation_ndcg(model: str | Path) -> float | None:
    """NDCG@10 on the validation split, as the training of a model recorded it."""
    facts = artifact.open_model(model).provenance["facts"]
    # that of an ensemble, also where one member alone stayed, or of a single model
    found: float | None = facts["ndcg"] if "ndcg" in facts else facts["summary"]["ndcg"]
    return found


def with_validation(data: Dataset) -> Dataset:
    """Data whose training lines end with the validation split.

    Args:
        data: with the splits `train` and `valid`.

    Returns:
        The same without validation lines. A user's training line is the history of the validation line or, where that
        says less, the line of before, with the targets at its end; users of validation lines alone come last. Labels
        are about the lines of before.
    """
    train, valid = data.splits["train"], data.splits["valid"]
    known = set(train.users)
    users = [*train.users, *(user for user in valid.users if user not in known)]
    pieces, counts = _pieces(train, valid, users)
    ends = [train.offsets, valid.offsets, valid.target_offsets]
    lengths = np.concatenate([np.diff(each) for each in ends])[pieces]
    before = np.cumsum([0, len(train.items), len(valid.items)])
    starts = np.concatenate([each[:-1] + number for each, number in zip(ends, before, strict=True)])[pieces]
    places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])[np.cumsum([0, *counts])]

    def joined(first: Values | None, then: Values | None, last: Values | None) -> Values | None:
        if first is None or then is None or last is None:
            return None
        made: Values = np.concatenate([first, then, last])[places]
        return made

    items = joined(train.items, valid.items, valid.targets)
    assert items is not None
    merged = SplitData(
        users=users,
        offsets=offsets,
        items=items,
        target_offsets=np.zeros(len(users) + 1, dtype=np.int64),
        targets=NONE,
        times=joined(train.times, valid.times, valid.target_times),
        events=joined(train.events, valid.events, valid.target_events),
    )
    return replace(data, splits={"train": merged, "valid": EMPTY}, labelled=train)


def _pieces(train: SplitData, valid: SplitData, users: list[str]) -> tuple[list[int], list[int]]:
    """Which histories and targets the line of each user is made of, one user after the other, and how many of them:
    numbers of training lines, behind these of validation histories, behind these of their targets."""
    place = {user: number for number, user in enumerate(valid.users)}
    of_history, of_targets = len(train), len(train) + len(valid)
    trained = [*np.diff(train.offsets).tolist(), *[0] * (len(users) - len(train))]
    told = np.diff(valid.offsets).tolist()
    pieces: list[int] = []
    counts = []
    for number, user in enumerate(users):
        at = place.get(user)
        # lines that another program wrote may say less in a later split
        own = number if at is None or trained[number] > told[at] else of_history + at
        pieces += [own] if at is None else [own, of_targets + at]
        counts.append(1 if at is None else 2)
    return pieces, counts
