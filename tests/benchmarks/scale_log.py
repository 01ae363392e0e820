"""An invented log of any size as Parquet: popular and rare items, users with a few tastes, items that follow items.

Items lie in themes of 500, a theme is a material and a thing ("oak lamp"); four items share each title, as sizes of one
product do. A user has from two to four themes, popular themes more often. In a theme the next item is with FOLLOWS one
that lies just behind the one before, else one by popularity. Everything is drawn from one seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

USERS, ITEMS, MEAN_LENGTH = 1_000_000, 1_000_000, 20
A_THEME, SAME_TITLE = 500, 4
SHORTEST, LONGEST = 5, 200
TASTES, FOLLOWS = 4, 0.4
START, DAYS, GAP = 1_600_000_000, 700, 8.0  # Unix seconds; days; days between two interactions on average
BLOCK = 100_000  # users at a time
MATERIALS = (
    "oak", "pine", "steel", "brass", "glass", "wool", "linen", "cotton", "leather", "paper", "clay", "stone", "silver",
    "copper", "bamboo", "cork", "silk", "denim", "rubber", "ceramic", "walnut", "marble", "felt", "wicker", "velvet",
    "garden", "kitchen", "travel", "office", "camping", "winter", "summer", "baby", "music", "sewing", "fishing",
    "cycling", "running", "baking", "painting", "reading", "sailing", "climbing", "pottery", "astronomy", "beekeeping",
    "cooking", "skiing", "swimming", "hiking",
)  # fmt: skip
THINGS = (
    "lamp", "chair", "table", "bowl", "knife", "bag", "jacket", "glove", "hat", "book", "clock", "mirror", "brush",
    "rope", "box", "cup", "kettle", "pan", "towel", "blanket", "pillow", "shelf", "basket", "vase", "frame", "pen",
    "notebook", "scarf", "boot", "belt", "tool", "wheel", "tray", "rack", "cover", "stand", "holder", "hook", "set",
    "kit",
)  # fmt: skip
MAKERS = (
    "Alder", "Birch", "Cedar", "Dorn", "Ebb", "Fenn", "Garth", "Holm", "Isle", "Jura", "Kell", "Lund", "Mere", "Nord",
    "Orla", "Pell", "Quay", "Rill", "Strand", "Thorn", "Ulm", "Vale", "Wick", "Yarrow", "Zell",
)  # fmt: skip
KINDS = ("classic", "small", "large", "light", "double")


def write(folder: Path, share: float, seed: int = 0) -> None:
    """Write log.parquet (user, item, time; in order of time) and items.parquet (item, title, category).

    Args:
        folder: where they go.
        share: of USERS and ITEMS.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    users, themes = round(USERS * share), min(round(ITEMS * share) // A_THEME, len(MATERIALS) * len(THINGS))
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "scratch.duckdb"
    scratch.unlink(missing_ok=True)
    with duckdb.connect(str(scratch)) as connection:
        connection.execute("SET memory_limit = '3GB'")
        connection.execute("CREATE TABLE log (owner INTEGER, thing INTEGER, moment BIGINT)")
        for start in range(0, users, BLOCK):
            rows = _rows(rng, start, min(BLOCK, users - start), themes)  # noqa: F841 (read by name)
            connection.execute("INSERT INTO log SELECT * FROM rows")
        connection.execute(
            f"COPY (SELECT 'u' || owner AS user, 'i' || thing AS item, moment AS time FROM log ORDER BY moment, owner) "
            f"TO '{folder / 'log.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        titles = _titles(themes)  # noqa: F841 (read by name)
        connection.execute(
            f"COPY (SELECT * FROM titles) TO '{folder / 'items.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
    scratch.unlink()


def _rows(rng: np.random.Generator, start: int, users: int, themes: int) -> dict[str, Any]:
    """The interactions of a block of users, one user after the other."""
    lengths = np.clip(SHORTEST + rng.exponential(MEAN_LENGTH - SHORTEST, users), SHORTEST, LONGEST).astype(np.int64)
    tastes = (themes * rng.random((users, TASTES)) ** 2).astype(np.int64)
    known = rng.integers(2, TASTES + 1, users)
    last = np.full((users, TASTES), -1)
    longest = int(lengths.max())
    items = np.zeros((users, longest), dtype=np.int32)
    everyone = np.arange(users)
    for step in range(longest):
        taste = rng.integers(known)
        before = last[everyone, taste]
        near = (before + rng.integers(1, 4, users)) % A_THEME
        popular = (A_THEME * rng.random(users) ** 2).astype(np.int64)
        place = np.where((before >= 0) & (rng.random(users) < FOLLOWS), near, popular)
        last[everyone, taste] = place
        items[:, step] = tastes[everyone, taste] * A_THEME + place
    gaps = rng.exponential(GAP * 86_400, (users, longest))
    times = START + rng.integers(DAYS * 86_400, size=(users, 1)) + np.cumsum(gaps, axis=1).astype(np.int64)
    there = np.arange(longest) < lengths[:, None]
    owners = np.repeat(np.arange(start, start + users, dtype=np.int32), lengths)
    return {"owner": owners, "thing": items[there], "moment": times[there]}


def _titles(themes: int) -> dict[str, Any]:
    """Id, title and category of every item."""
    at = np.arange(themes * A_THEME)
    theme, title = at // A_THEME, at % A_THEME // SAME_TITLE
    material, thing = np.array(MATERIALS)[theme % len(MATERIALS)], np.array(THINGS)[theme // len(MATERIALS)]
    maker, kind = np.array(MAKERS)[title % len(MAKERS)], np.array(KINDS)[title // len(MAKERS)]
    texts = [" ".join(words) for words in zip(maker, kind, material, thing, strict=True)]
    return {
        "item": np.array([f"i{number}" for number in at], dtype=object),
        "title": np.array(texts, dtype=object),
        "category": thing.astype(object),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of a million users and a million items")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.folder, given.share, given.seed)
