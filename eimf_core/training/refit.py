"""`--refit`: a model that the validation split has chosen is trained once more, on its lines as well.

The first training chooses epochs, weights of members and the graph of next items on the validation split. The second
one starts over with these choices, on what came until the end of that split. In its place the same is done by hand
with `--epochs-from` and data without a validation split.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

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
    target = files.real(output)
    return target.with_name(f".{target.name}.refit") / "chosen"


def check(data: Dataset) -> None:
    """InputError where the validation split cannot choose, or knows less of its targets than of histories."""
    train, valid, file = data.splits["train"], data.splits["valid"], data.directory / "sequences.jsonl"
    if not len(valid):
        raise InputError(
            "has no line with the split 'valid', which --refit chooses with; run prepare with another --split",
            file=file, field="split",
        )  # fmt: skip
    if not len(eval_users.select(data, "valid", "drop", [])):
        raise InputError(
            "has no validation line that counts, which --refit chooses with: all targets are in the histories",
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


def chosen(model: str | Path) -> dict[str, Any]:
    """What the model of the first training was chosen by, for the record: NDCG@10 on the validation split, and the
    epochs of each member."""
    opened = artifact.open_model(model)
    facts = opened.provenance["facts"]
    members = opened.config.members
    summary = facts.get("summary", {})
    return {
        "ndcg": facts["ndcg"] if members else summary.get("ndcg"),
        "epochs": [member.epochs for member in members] or [summary.get("best_epoch")],
    }


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
    place = {user: number for number, user in enumerate(valid.users)}
    known = set(train.users)
    users = [*train.users, *(user for user in valid.users if user not in known)]
    # of each user the pieces that the line is made of: in train.items, or in valid.items and valid.targets behind them
    of_history, of_targets = len(train), len(train) + len(valid)
    before_valid = [*np.diff(train.offsets).tolist(), *[0] * (len(users) - len(train))]
    in_valid = np.diff(valid.offsets).tolist()
    pieces: list[int] = []
    counts = []
    for number, user in enumerate(users):
        at = place.get(user)
        # lines that another program wrote may say less in a later split
        own = number if at is None or before_valid[number] > in_valid[at] else of_history + at
        pieces += [own] if at is None else [own, of_targets + at]
        counts.append(1 if at is None else 2)
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
