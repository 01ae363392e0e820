"""Make the bundled example shop: an invented catalogue and the purchases of invented customers.

    python examples/make_shop.py [--seed 7] [--users 2000] [-o examples/shop]

Writes interactions.csv (user,item,time in unix seconds), items.jsonl (Item records) and the truth
that produced them: truth.users.jsonl (user, interests with first and last purchase) and
truth.items.jsonl (item, interest, holdout). The same seed gives the same bytes.

A customer has two to four latent interests with a period each; most purchases come from the
interests active at the time, later purchases from the expert's end of the theme, one in ten is a
popular thing from anywhere. `holdout` marks the 30 % of titles that the bundled labeler has never
seen (see make_labeler.py); no customer of this shop is in its training either.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from shop_catalogue import DEPARTMENTS, MAKERS, PURPOSES, VARIANTS

START = 1_640_995_200  # 2022-01-01
DAY = 86_400
DAYS = 730
VARIANTS_PER_KIND = 3
HOLDOUT = 0.3
NOISE = 0.1


@dataclass(frozen=True)
class Thing:
    """An item with its theme and its place in it, from 0 (beginner) to 1 (expert)."""

    item: str
    title: str
    department: str
    theme: str
    kind: str
    text: str
    place: float
    holdout: bool


def make_catalogue(rng: np.random.Generator) -> list[Thing]:
    """All items, three variants of each kind; titles are distinct."""
    things: list[Thing] = []
    taken: set[str] = set()
    for department, themes in DEPARTMENTS.items():
        for theme, kinds in themes.items():
            for at, kind in enumerate(kinds):
                for _ in range(VARIANTS_PER_KIND):
                    title = _new_title(kind, rng, taken)
                    text = f"{kind}, {PURPOSES[rng.integers(len(PURPOSES))]}."
                    place = at / (len(kinds) - 1)
                    number = f"S{1000 + len(things)}"
                    things.append(Thing(number, title, department, theme, kind, text, place, rng.random() < HOLDOUT))
    return things


def make_title(kind: str, rng: np.random.Generator) -> str:
    """A title for a kind of thing: maker, variant and kind in one of three forms."""
    maker, variant = MAKERS[rng.integers(len(MAKERS))], VARIANTS[rng.integers(len(VARIANTS))]
    return (f"{maker} {variant} {kind}", f"{kind} by {maker}, {variant}", f"{variant} {kind} ({maker})")[
        rng.integers(3)
    ]


def _new_title(kind: str, rng: np.random.Generator, taken: set[str]) -> str:
    while (title := make_title(kind, rng)) in taken:
        pass
    taken.add(title)
    return title


class Shop:
    """Draws customers: which interests they have, when, and what they buy."""

    def __init__(self, things: list[Thing], rng: np.random.Generator) -> None:
        self.things = things
        self.rng = rng
        self.themes = sorted({thing.theme for thing in things})
        self.members = {name: [at for at, thing in enumerate(things) if thing.theme == name] for name in self.themes}
        # a few themes and, within a theme, a few things sell much better than the rest
        self.theme_weight = _zipf(len(self.themes), 0.5, rng)
        self.popularity = np.zeros(len(things))
        for theme, weight in zip(self.themes, self.theme_weight, strict=True):
            members = self.members[theme]
            self.popularity[members] = weight * _zipf(len(members), 0.8, rng)

    def customer(self) -> tuple[list[tuple[str, float, float]], list[tuple[int, int]]]:
        """Interests (theme, first, last day) and purchases (item position, unix time) in time order."""
        rng = self.rng
        arrival = rng.uniform(0, DAYS * 0.8)
        stay = rng.uniform(60, DAYS - arrival + 60)
        leaving = min(arrival + stay, DAYS - 0.01)
        count = int(rng.choice([2, 3, 4], p=[0.4, 0.4, 0.2]))
        chosen = rng.permutation(rng.choice(len(self.themes), size=count, replace=False, p=self.theme_weight))
        periods = self._periods(count, arrival, leaving)
        number = int(np.clip(rng.lognormal(2.9, 0.45), 8, 40))
        days = np.sort(rng.uniform(arrival, leaving, number))
        bought: list[tuple[int, int]] = []
        owned: set[int] = set()
        for day in days:
            item = self._purchase(day, [self.themes[at] for at in chosen], periods, owned)
            owned.add(item)
            bought.append((item, START + int(day * DAY)))
        interests = [(self.themes[at], *period) for at, period in zip(chosen, periods, strict=True)]
        return interests, bought

    def _periods(self, count: int, arrival: float, leaving: float) -> list[tuple[float, float]]:
        """Overlapping stretches of the customer's time: old interests fade while new ones begin."""
        length = leaving - arrival
        share = 1.6 / count
        starts = np.linspace(0, max(0.0, 1 - share), count)
        return [(arrival + start * length, min(leaving, arrival + (start + share) * length)) for start in starts]

    def _purchase(self, day: float, themes: list[str], periods: list[tuple[float, float]], owned: set[int]) -> int:
        rng = self.rng
        active = [at for at, (first, last) in enumerate(periods) if first <= day <= last] or [len(themes) - 1]
        if rng.random() < NOISE:
            weights = self.popularity.copy()
        else:
            at = int(rng.choice(active))
            first, last = periods[at]
            progress = (day - first) / max(last - first, 1e-9)
            members = self.members[themes[at]]
            weights = np.zeros(len(self.things))
            nearness = [np.exp(-3 * abs(self.things[member].place - progress)) for member in members]
            weights[members] = self.popularity[members] * nearness
        weights[list(owned)] *= 0.02  # few things are bought twice
        return int(rng.choice(len(self.things), p=weights / weights.sum()))


def _zipf(count: int, exponent: float, rng: np.random.Generator) -> Any:
    weights = rng.permutation(np.arange(1, count + 1, dtype=float) ** -exponent)
    return weights / weights.sum()


def write(folder: Path, seed: int, users: int) -> None:
    """Write all files of the shop."""
    rng = np.random.default_rng(seed)
    things = make_catalogue(rng)
    shop = Shop(things, rng)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[int, str, str]] = []
    truth: list[dict[str, Any]] = []
    for number in range(users):
        user = f"C{number + 1:04d}"
        interests, bought = shop.customer()
        rows += [(time, user, things[item].item) for item, time in bought]
        truth.append(
            {
                "user": user,
                "interests": [
                    {"name": theme, "first": START + int(first * DAY), "last": START + int(last * DAY)}
                    for theme, first, last in interests
                ],
            }
        )
    rows.sort()
    lines = ["user,item,time", *(f"{user},{item},{time}" for time, user, item in rows)]
    (folder / "interactions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    items = [
        {"item": thing.item, "title": thing.title, "categories": [thing.department], "text": thing.text}
        for thing in things
    ]
    _lines(folder / "items.jsonl", items)
    _lines(folder / "truth.users.jsonl", truth)
    _lines(
        folder / "truth.items.jsonl",
        [{"item": thing.item, "interest": thing.theme, "holdout": thing.holdout} for thing in things],
    )


def _lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "shop")
    arguments = parser.parse_args()
    write(arguments.output, arguments.seed, arguments.users)


if __name__ == "__main__":
    main()
