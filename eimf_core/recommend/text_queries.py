"""Plain words and new items as places in the item space.

Words go through the text encoder, then the adapter that training learned from labels and the map that
was fitted from the catalogue's text vectors to its item vectors, whichever the model has; with both, halfway
between. Items that came after training go through the second alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eimf_core.artifact import Model
from eimf_core.errors import ConfigError
from eimf_core.recommend.query_resolution import Floats
from eimf_core.records import Item
from eimf_core.vectors import unit_rows

if TYPE_CHECKING:
    from eimf_core.text.encoder import Encoder


class Words:
    """Encodes texts for a model; the encoder is opened with the first text.

    It is the packaged one or `name`, from the command line; what the model names is compared only.
    """

    def __init__(self, model: Model, name: str | None) -> None:
        self._model = model
        self._name = name
        self._encoder: Encoder | None = None

    def place(self, text: str) -> Floats:
        """The place (d,) of a text; ConfigError when the model knows no words or those of another encoder."""
        maps = [learned for learned in (self._model.adapter, self._model.text_map) if learned is not None]
        if not maps:
            raise ConfigError(
                f"{self._model.name}: knows no words; train it with labels, or with item vectors that start from text"
            )
        encoded = self._encode([text])[0]
        # few labels make a weak adapter: the items' own text steadies it (directions count, not lengths)
        places: list[Floats] = [weight @ encoded + bias for weight, bias in maps]
        if len(places) == 1:
            return places[0]
        between: Floats = unit_rows(unit_rows(np.stack(places)).sum(axis=0, keepdims=True))[0]
        return between

    def places_of(self, items: Sequence[Item]) -> Floats:
        """The places (n, d) of items that training did not see; ConfigError when the model knows no item text."""
        if self._model.text_map is None:
            raise ConfigError(
                f"{self._model.name}: knows no item text, so that new items have no place; "
                "train it with item vectors that start from text"
            )
        weight, bias = self._model.text_map
        from eimf_core.text.encoder_input import item_text

        places: Floats = self._encode([item_text(item) for item in items]) @ weight.T + bias
        return places

    def _encode(self, texts: list[str]) -> Floats:
        if self._encoder is None:
            self._encoder = self._opened()
        vectors: Floats = np.asarray(self._encoder.encode(texts), np.float32)
        return vectors

    def _opened(self) -> Encoder:
        from eimf_core.text.loading import PACKAGED, open_encoder

        encoder: Encoder
        if self._name is None or self._name == PACKAGED:
            from eimf_core.text import numpy_encoder

            encoder = numpy_encoder.packaged()
        else:
            encoder = open_encoder(self._name)
        wanted = self._model.config.text_encoder
        if encoder.identity != wanted:
            raise ConfigError(
                f"{self._model.name}: was trained with the text encoder {wanted}, not {encoder.identity}; "
                "name the right one with --encoder"
            )
        return encoder
