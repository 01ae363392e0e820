"""Names for behavioural interests: the nearest semantic interest, or the words of the nearest direction.

A model that was trained with labels has named vectors in the item space (the adapter's work); an
interest takes the name of the nearest, by cosine. Without labels it takes the words of the nearest of the
directions that `word_names` named when the model was written, the cosine to the items with these words counted in;
the similarity is the cosine to the mean of these items. What is named is the interest, or what it attends to (see
`recommend.recommender`). A name below the threshold is withheld.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eimf_core.artifact import Model
from eimf_core.errors import ModelError
from eimf_core.naming.word_names import WordNames, word_names
from eimf_core.vectors import unit_rows

Floats = npt.NDArray[np.float32]
ScoredName = tuple[str | None, float | None]

MEAN_WEIGHT = 0.5
"""How much the mean of the items with a direction's words counts beside the direction itself: words that many other
items have, far from here, lose. On Amazon Beauty the mean cosine to the items of the words rises from .47 to .51."""


class Namer:
    """Names by the largest product with some directions (P, d), of which each has a name `of` (P,) the `names` (n).

    `means` (n, d) are what the similarity is the cosine to. Of an interest its first d columns count.
    """

    def __init__(
        self, names: list[str], directions: Floats, of: npt.NDArray[np.int32], means: Floats, threshold: float
    ) -> None:
        self._names, self._directions, self._of, self._means = names, directions, of, means
        self._threshold = threshold

    def names(self, interests: Floats) -> list[ScoredName]:
        """Name and cosine of each interest, both None where there is no name at all; interests (n, d or more)."""
        if not len(self._directions):
            return [(None, None)] * len(interests)
        own = unit_rows(interests[:, : self._directions.shape[1]])
        chosen = self._of[(own @ self._directions.T).argmax(axis=1)]
        cosines = np.einsum("nd,nd->n", own, self._means[chosen], dtype=np.float64)
        rounded = np.round(cosines, 4).tolist()
        return [
            (self._names[at] if value >= self._threshold else None, value)
            for at, value in zip(chosen.tolist(), rounded, strict=True)
        ]


def open_namer(model: Model, threshold: float) -> Namer:
    """What names the interests of a model."""
    return namer_by_labels(model, threshold) if model.named else namer_by_words(model, threshold)


def namer_by_labels(model: Model, threshold: float) -> Namer:
    """Names by the semantic interests that a model was trained with."""
    vectors = unit_rows(model.named_vectors[:, : model.factors.naming_width])
    names = [interest.name for interest in model.named]
    return Namer(names, vectors, np.arange(len(names), dtype=np.int32), vectors, threshold)


def namer_by_words(model: Model, threshold: float) -> Namer:
    """Names by words: those that the model brings, else worked out now, which takes a moment."""
    # items that came after training stand behind the catalogue and give no words
    if model.words is None:
        vectors = model.vectors[:, : model.factors.naming_width]
        known = word_names(len(model.catalogue), model.catalogue.item, vectors, model.scale)
    else:
        try:
            known = WordNames.from_arrays(model.words, model.factors.naming_width)
        except ValueError:
            raise ModelError(f"{model.name}: words.safetensors holds no names for this model; train it again") from None
    directions = known.directions + MEAN_WEIGHT * known.means[known.of] if known.names else known.directions
    return Namer(known.names, directions, known.of, known.means, threshold)
