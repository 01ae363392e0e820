"""`keywords`: interests without a language model, as groups of similar titles named by their distinctive words.

The titles of a history are grouped by text similarity; each group is an interest, its name the terms
(words and pairs of neighbouring words) that tell it from all titles of the run. It understands
nothing: a baseline for language models, and what works where none is at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from eimf_core.labeling import prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import LONGEST_NAME, MAX_ITEMS, Answer, Request, SynchronousEngine
from eimf_core.labeling.history_text import displayed_terms
from eimf_core.naming.distinctive_terms import TfIdf
from eimf_core.numeric.vectors import unit_rows
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

FORM = 4  # of naming and grouping: any change of what comes out is a new one
MIN_COSINE = 0.15  # of two groups, on average, to become one
FEW_TITLES = 100
MAX_GROUPED = 2000  # distinct titles of a history, the latest: time and memory go by their square
NAME_TERMS, DESCRIPTION_TERMS = 2, 6


class Keywords(SynchronousEngine):
    """Class-based TF-IDF over groups of similar titles; the samples of the run are the corpus."""

    name: ClassVar[str] = "keywords"
    uses: ClassVar[frozenset[str] | None] = frozenset({"items", "encoder"})

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__()
        self.prompt = prompts.load(prompts.DESCRIBED)
        self._vectors = vectors()
        self._max_interests = config.max_interests
        self._tf_idf: TfIdf | None = None
        self._mean: npt.NDArray[np.float32] | None = None
        beside = any(entry.categories for sample in samples for entry in sample.history)
        of = " of titles with categories" if beside else ""
        self.model = f"class-based TF-IDF{of}, {self._vectors.encoder.name}"
        corpus = "".join(f"{title}\n" for title in self._vectors.titles).encode("utf-8", "replace")
        self.settings = {
            "corpus": hashlib.sha256(corpus).hexdigest(),
            "encoder": self._vectors.encoder.identity,
            "form": FORM,
            "max_interests": config.max_interests,
        }

    def answer(self, request: Request) -> Answer:
        titles = [entry.title for entry in request.sample.history]
        places: dict[str, list[int]] = {}
        for number, title in enumerate(titles, start=1):
            if title:
                places.setdefault(title, []).append(number)
        if not places:
            return Answer(request.number, error="the history has no titles", final=True)
        distinct = sorted(places, key=lambda title: places[title][-1])[-MAX_GROUPED:]
        distinct.sort(key=lambda title: places[title][0])
        groups = self._choose_groups(group(self._centred(distinct)), [places[title] for title in distinct])
        interests = []
        taken: set[str] = set()
        for members in groups:
            name, description = self._name_group([distinct[at] for at in members], taken)
            taken.add(name.casefold())
            numbers = sorted(number for at in members for number in places[distinct[at]])[-MAX_ITEMS:]
            interests.append({"name": name, "description": description, "items": numbers})
        return self.answered(request, interests)

    def _centred(self, titles: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors of titles less what all titles have in common, which tells no groups apart."""
        if self._mean is None:
            everything = self._vectors.of(self._vectors.titles)
            # few titles may all be about one thing: their mean counts little
            self._mean = everything.sum(axis=0) / (len(everything) + FEW_TITLES)
        return unit_rows(self._vectors.of(titles) - self._mean)

    def _choose_groups(self, groups: list[list[int]], places: list[list[int]]) -> list[list[int]]:
        """The largest groups, the later one of two as large; of single titles only the latest, where all are."""

        def weight(members: list[int]) -> tuple[bool, int, int]:
            numbers = [number for at in members for number in places[at]]
            return len(members) > 1, len(numbers), max(numbers)

        ranked = sorted(groups, key=weight, reverse=True)
        several = [members for members in ranked if len(members) > 1]
        return (several or ranked[:1])[: self._max_interests]

    def _name_group(self, titles: list[str], taken: set[str]) -> tuple[str, str]:
        """Name and description of a group; a name that is taken gives way to the next terms."""
        if self._tf_idf is None:
            self._tf_idf = TfIdf(self._vectors.titles, displayed_terms)
        best = self._tf_idf.distinctive(titles)
        names = [_join_terms(best[start : start + NAME_TERMS]) for start in range(len(best))]
        names += [f"such as {titles[-1]}"[:LONGEST_NAME].rstrip(), f"such as these {len(taken) + 1}"]
        name = next(name for name in names if name.casefold() not in taken)
        return name, f"Titles about {', '.join(best[:DESCRIPTION_TERMS])}." if best else f"Titles such as {titles[-1]}."


def group(vectors: npt.NDArray[np.float32]) -> list[list[int]]:
    """Group vectors by average linkage, down to a cosine of MIN_COSINE.

    Args:
        vectors: float32 (n, D), unit vectors.

    Returns:
        The positions of the vectors of each group.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(vectors) == 1:
        return [[0]]
    cosines = vectors.astype(np.float64) @ vectors.T
    above = np.triu_indices(len(vectors), k=1)
    tree = linkage(np.clip(1 - cosines[above], 0, 2), method="average")
    labels = fcluster(tree, t=1 - MIN_COSINE, criterion="distance")
    found: dict[int, list[int]] = {}
    for at, label in enumerate(labels.tolist()):
        found.setdefault(label, []).append(at)
    return list(found.values())


def _join_terms(chosen: Sequence[str]) -> str:
    """Terms as a name, as many as fit."""
    name = chosen[0]
    for term in chosen[1:]:
        longer = f"{name}, {term}"
        name = longer if len(longer) <= LONGEST_NAME else name
    return name


ENGINE = Keywords
