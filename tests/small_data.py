"""A small prepared directory for tests: two tastes, a few dozen users, seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from eimf_core import jsonl
from eimf_core.records import Item, Sequence

TASTES = {
    "tea": ["Green Tea", "Black Tea", "Tea Pot", "Tea Strainer", "Oolong Tea", "White Tea", "Tea Cup", "Mint Tea"],
    "yarn": ["Wool Yarn", "Cotton Yarn", "Knitting Needles", "Yarn Bowl", "Silk Yarn", "Crochet Hook", "Loom", "Felt"],
    "fish": ["Guppy Food", "Fish Tank", "Air Pump", "Tank Filter", "Aquarium Lamp", "Gravel", "Fish Net", "Water Test"],
}


def write_small_data(folder: Path, *, users: int = 60, seed: int = 0) -> Path:
    """Write items.jsonl and sequences.jsonl (train, valid and test lines, next item); returns the folder."""
    rng = np.random.default_rng(seed)
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
        lines.append(Sequence(user=name, split="train", items=history[:-2]))
        lines.append(Sequence(user=name, split="valid", items=history[:-2], targets=history[-2:-1]))
        lines.append(Sequence(user=name, split="test", items=history[:-1], targets=history[-1:]))
    jsonl.write(folder / "items.jsonl", items)
    jsonl.write(folder / "sequences.jsonl", lines)
    facts = {"facts": {"split": "leave-one-out", "targets": "next"}}
    (folder / "sequences.jsonl.meta.json").write_bytes(orjson.dumps(facts))
    return folder
