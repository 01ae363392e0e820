"""A small prepared directory for tests: two tastes, a few dozen users, seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from eimf_core.io import jsonl
from eimf_core.records import Item, Sequence

TASTES = {
    "tea": ["Green Tea", "Black Tea", "Tea Pot", "Tea Strainer", "Oolong Tea", "White Tea", "Tea Cup", "Mint Tea"],
    "yarn": ["Wool Yarn", "Cotton Yarn", "Knitting Needles", "Yarn Bowl", "Silk Yarn", "Crochet Hook", "Loom", "Felt"],
    "fish": ["Guppy Food", "Fish Tank", "Air Pump", "Tank Filter", "Aquarium Lamp", "Gravel", "Fish Net", "Water Test"],
}


def write_small_data(
    folder: Path, *, users: int = 60, seed: int = 0, times: bool = False, events: bool = False
) -> Path:
    """Write items.jsonl and sequences.jsonl (train, valid and test lines, next item); returns the folder.

    With `times`, in unix seconds, up to some weeks lie between two items. With `events` each is one of two kinds of
    behaviour at random.
    """
    rng = np.random.default_rng(seed)
    clock, behaviour = np.random.default_rng(seed + 1), np.random.default_rng(seed + 2)
    names = list(TASTES)
    items = [
        Item(item=f"{taste}-{at}", title=title, categories=[taste])
        for taste, titles in TASTES.items()
        for at, title in enumerate(titles)
    ]
    lines = []
    for user in range(users):
        tastes = rng.choice(len(names), size=2, replace=False)
        history = [f"{names[rng.choice(tastes)]}-{rng.integers(8)}" for _ in range(int(rng.integers(6, 12)))]
        name = f"user-{user}"
        when = (1.6e9 + 86_400 * 30 * clock.random(len(history)).cumsum()).round().tolist()
        kinds = behaviour.choice(["view", "buy"], size=len(history)).tolist()
        for split, end, asked in (("train", -2, []), ("valid", -2, history[-2:-1]), ("test", -1, history[-1:])):
            known = when[:end] if times else None
            did = kinds[:end] if events else None
            last = len(history) + end + len(asked)
            line = Sequence(
                user=name,
                split=split,
                items=history[:end],
                times=known,
                targets=asked,
                target_times=when[end:last] if times and asked else None,
                events=did,
                target_events=kinds[end:last] if events and asked else None,
            )
            lines.append(line)
    jsonl.write(folder / "items.jsonl", items)
    jsonl.write(folder / "sequences.jsonl", lines)
    facts = {"facts": {"split": "leave-one-out", "targets": "next"}}
    (folder / "sequences.jsonl.meta.json").write_bytes(orjson.dumps(facts))
    return folder
