"""Plain words and new items as vectors in the item space.

Words go through the text encoder, then the adapter that training learned from labels and the map that
was fitted from the catalogue's text vectors to its item vectors, whichever the model has; with both, halfway
between. Items that came after training go through the second alone, and are ranked like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.vectors import unit_rows
from eimf_core.progress import Reporter
from eimf_core.records import Item

if TYPE_CHECKING:
    from eimf_core.text.encoder import TextEncoder


class TextVectors:
    """Encodes texts for a model; the encoder is opened with the first text.

    It is the packaged one or `encoder`, from the command line; what the model names is compared only.
    """

    def __init__(self, model: OpenedModel, encoder: str | None) -> None:
        self._model = model
        self._name = encoder
        self._encoder: TextEncoder | None = None

    def load(self) -> None:
        """Open the encoder now, if the model knows words.

        Raises:
            ConfigError: it is none, or another one than the model was trained with.
            ModelError: it cannot be used.
        """
        if self._encoder is None and self._maps():
            self._encoder = self._opened()

    def _maps(self) -> list[tuple[Floats, Floats]]:
        """The maps from text vectors to items, weight and bias each."""
        return [learned for learned in (self._model.adapter, self._model.text_map) if learned is not None]

    def of_text(self, text: str) -> Floats:
        """Where a text lies among the items.

        Args:
            text: in plain words.

        Returns:
            (d,).

        Raises:
            ConfigError: the model knows no words, or those of another encoder.
        """
        maps = self._maps()
        if not maps:
            raise ConfigError(
                f"{self._model.name}: cannot rank by words, since training gave it no map from text to items; "
                "train it with --labels, or with --item-vectors text"
            )
        encoded = self._encode([text])[0]
        # few labels make a weak adapter: the items' own text steadies it (directions count, not lengths)
        vectors: list[Floats] = [
            self._model.to_item_vectors((weight @ encoded + bias)[None])[0] for weight, bias in maps
        ]
        if len(vectors) == 1:
            return vectors[0]
        between: Floats = unit_rows(unit_rows(np.stack(vectors)).sum(axis=0, keepdims=True))[0]
        return between

    def of_items(self, items: Sequence[Item]) -> Floats:
        """What the map from text gives for items that training did not see.

        Args:
            items: n of them.

        Returns:
            (n, d).

        Raises:
            ConfigError: the model knows no item text.
        """
        if self._model.text_map is None:
            raise ConfigError(
                f"{self._model.name}: has no map from item text to vectors, which new items need; "
                "train it with --item-vectors text"
            )
        weight, bias = self._model.text_map
        from eimf_core.text.encoder_input import item_text

        vectors: Floats = self._encode([item_text(item) for item in items]) @ weight.T + bias
        return vectors

    def _encode(self, texts: list[str]) -> Floats:
        if self._encoder is None:
            self._encoder = self._opened()
        vectors: Floats = np.asarray(self._encoder.encode(texts), np.float32)
        return vectors

    def _opened(self) -> TextEncoder:
        from eimf_core.text.loading import PACKAGED, open_encoder

        encoder: TextEncoder
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


def read_new_items(path: str | Path, model: OpenedModel, reporter: Reporter) -> list[Item]:
    """The items of a file that the model does not know; those without any text are left out.

    Args:
        path: JSON lines of items.
        model: the opened model.
        reporter: gets remarks on those that are known or left out.

    Returns:
        The new items.

    Raises:
        InputError: no item is known or has a text, or a line is broken.
    """
    from eimf_core import dataset
    from eimf_core.text.encoder_input import item_text

    listed = dataset.load_items(path)
    known = [item for item in listed if model.catalogue.index(item.item)]
    if known:
        reporter.note(f"{files.name_of(path)}: {len(known):,} items are known already and keep their place")
    blank = [item for item in listed if not item_text(item)]
    if blank:
        reporter.warn(f"{files.name_of(path)}: {len(blank):,} items without any text are left out")
    out = {item.item for item in (*known, *blank)}
    new = [item for item in listed if item.item not in out]
    if not new and not known:
        raise InputError("holds no item with a text", file=path)
    return new


def add_new_items(model: OpenedModel, items: Sequence[Item], text_vectors: TextVectors) -> None:
    """Put items behind the last index of an opened model: its tables grow in memory, the directory stays.

    Args:
        model: the opened model.
        items: with a text each.
        text_vectors: of that model.
    """
    if not items:
        return
    model.append_items(text_vectors.of_items(items))
