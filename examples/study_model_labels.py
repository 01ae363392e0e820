"""What the study makes of a language model's answers, as files for `study.py --labels NAME=FILE`.

    python examples/study_model_labels.py groups MODEL -o groups.jsonl
    python examples/study_model_labels.py everyone groups.jsonl DATA -o labels.jsonl
    python examples/study_model_labels.py plain labels.jsonl -o labels.jsonl

groups: the named groups of a model's items (`eimf label MODEL/`), a line each. everyone: each training user of the
prepared directory DATA has the names of the groups of his items as interests. plain: labels by user, with names and
items alone. --shuffled SEED makes the control: groups swap their names, or users (plain) theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import orjson
import study_labels

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.io import files, jsonl
from eimf_core.model_directory import artifact
from eimf_core.naming import interest_names
from eimf_core.records import Label, SemanticInterest


def groups(model: Path) -> Iterator[SemanticInterest]:
    """The groups of a model's items that a language model has named."""
    opened = artifact.open_model(model)
    found = interest_names.groups_of(opened)
    for at, group in enumerate(found.names):
        if group.by == "answer" and group.name:
            members = found.members(at).tolist()
            yield SemanticInterest(name=group.name, items=[opened.catalogue.item(index).item for index in members])


def swapped(named: list[SemanticInterest], seed: int) -> list[SemanticInterest]:
    """Each name is given the items of another one; groups of one name have one name again."""
    names = list(dict.fromkeys(group.name for group in named))
    order = np.random.default_rng(seed).permutation(len(names))
    other = {names[at]: names[order[(place + 1) % len(order)]] for place, at in enumerate(order)}
    return [SemanticInterest(name=other[group.name], items=group.items) for group in named]


def everyone(named: list[SemanticInterest], data: Dataset) -> Iterator[Label]:
    """A label of each training user: the names of the groups of his items, that of most items first."""
    name_of = {item: group.name for group in named for item in group.items}
    train, ids = data.splits["train"], data.vocab.ids
    for number, user in enumerate(train.users):
        shown: dict[str, list[str]] = {}
        for item in dict.fromkeys(ids[index - 1] for index in train.history(number)):
            if item in name_of:
                shown.setdefault(name_of[item], []).append(item)
        if shown:
            interests = [SemanticInterest(name=name, items=items) for name, items in shown.items()]
            yield Label(user=user, interests=sorted(interests, key=lambda interest: -len(interest.items)))


def write(path: Path, records: Iterable[SemanticInterest | Label]) -> None:
    """Lines with names and items alone, and the user of labels."""
    with files.atomic(path) as stream:
        for record in records:
            line = (
                _short(record)
                if isinstance(record, SemanticInterest)
                else {"user": record.user, "interests": [_short(interest) for interest in record.interests]}
            )
            stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _short(interest: SemanticInterest) -> dict[str, object]:
    return {"name": interest.name, "items": interest.items}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["groups", "everyone", "plain"])
    parser.add_argument("source", type=Path, help="a model, named groups, or labels")
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="prepared directory")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--shuffled", type=int, metavar="SEED", help="the control: names of others")
    asked = parser.parse_args(arguments)
    if asked.what == "everyone" and asked.data is None:
        parser.error("everyone needs DATA")
    if asked.what == "groups":
        write(asked.output, groups(asked.source))
    elif asked.what == "everyone":
        named = list(jsonl.read(asked.source, SemanticInterest))
        named = named if asked.shuffled is None else swapped(named, asked.shuffled)
        write(asked.output, everyone(named, dataset.load(asked.data, ("train",))))
    else:
        labels = [label for label in jsonl.read(asked.source, Label) if label.error is None]
        labels = labels if asked.shuffled is None else study_labels.shuffled(labels, asked.shuffled)
        write(asked.output, labels)


if __name__ == "__main__":
    main()
