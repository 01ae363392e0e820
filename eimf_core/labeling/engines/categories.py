"""`categories`: interests without a language model, as the categories that a history's items share.

Nobody reads a title: an interest is a category of the catalogue that two items of the history have in
common, nameable by its own words. What a shop knows of its items anyway, and so what any labels have to beat.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from eimf_core.dataset import read_items
from eimf_core.errors import InputError
from eimf_core.io import files
from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    MAX_ITEMS,
    Answer,
    Request,
    SynchronousEngine,
)
from eimf_core.naming.terms import cut_at_word
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

FORM = 1  # of choosing and naming: any change of what comes out is a new one
MIN_ITEMS = 2  # that a category must gather to be an interest; one does where no two items share any


class Categories(SynchronousEngine):
    """The categories of items, from the catalogue.

    Raises InputError where no item of the samples has one.
    """

    name: ClassVar[str] = "categories"
    uses: ClassVar[frozenset[str] | None] = frozenset({"items"})
    reads_titles: ClassVar[bool] = False
    needs_catalogue: ClassVar[bool] = True

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__()
        path = str(config.items)
        self.prompt = prompts.load(prompts.DESCRIBED)
        self._of = {item.item: nameable(item.categories) for item in read_items(path)}
        self._holding = Counter(name for names in self._of.values() for name in names)
        self._max_interests = config.max_interests
        self.model = f"categories of {Path(path).name}"
        self.model_sha256 = files.sha256(path)
        self.settings = {"form": FORM, "max_interests": config.max_interests}
        items = [entry.item for sample in samples for entry in sample.history]
        if items and not any(self._of.get(item) for item in items):
            known = any(item in self._of for item in items)
            problem = "no item of the samples has categories" if known else "holds no item of the samples"
            raise InputError(f"{problem}; --engine keywords works from titles alone", file=path, field="categories")

    def answer(self, request: Request) -> Answer:
        history = [entry.item for entry in request.sample.history]
        places: dict[str, list[int]] = {}
        for number, item in enumerate(history, start=1):
            for name in self._of.get(item, ()):
                places.setdefault(name, []).append(number)
        if not places:
            return Answer(request.number, error="no item of the history has categories", final=True)
        interests = []
        for name in self._choose(places, history):
            shared = [self._of[history[number - 1]] for number in places[name]]
            path = [other for other in shared[0] if all(other in names for names in shared)]
            description = f"Items in {', '.join(path)}."
            interests.append(
                {
                    "name": cut_at_word(name, LONGEST_NAME),
                    "description": cut_at_word(description, LONGEST_DESCRIPTION),
                    "items": places[name][-MAX_ITEMS:],
                }
            )
        return self.answered(request, interests, items_by="model")

    def _choose(self, places: dict[str, list[int]], history: Sequence[str]) -> list[str]:
        """Categories, the most distinctive first, each counted by the items that no earlier one holds.

        n log(N / f): n distinct items of the history that are left, f the items of the catalogue in the
        category, of N. Of equals the one with the latest item comes first. A category whose name, once cut to
        its length, is there already is passed over.
        """

        def weight(name: str) -> tuple[float, int]:
            left = len({history[number - 1] for number in places[name]} - covered)
            return left * math.log(len(self._of) / self._holding[name]), places[name][-1]

        covered: set[str] = set()
        found: list[str] = []
        open_names = {cut_at_word(name, LONGEST_NAME): name for name in reversed(places)}
        while open_names and len(found) < self._max_interests:
            short = max(open_names, key=lambda cut_name: weight(open_names[cut_name]))
            best = open_names.pop(short)
            fresh = {history[number - 1] for number in places[best]} - covered
            if len(fresh) < MIN_ITEMS:
                # others may weigh less and hold more
                continue
            found.append(best)
            covered |= fresh
        return found or [max(places, key=lambda name: (places[name][-1], weight(name)))]


def nameable(categories: Sequence[str]) -> list[str]:
    """Categories that can name an interest: with a letter, two characters at least."""
    return [
        name
        for name in categories
        if len(name) > 1 and any(map(str.isalpha, name)) and not answer_parser.is_placeholder(name)
    ]


ENGINE = Categories
