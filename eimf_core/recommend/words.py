"""Plain words as a place in the item space: text encoder, then the adapter that training learned."""

from __future__ import annotations

from eimf_core.artifact import Model
from eimf_core.errors import ConfigError
from eimf_core.recommend.asking import Floats


class Words:
    """Encodes texts for a model; the encoder is opened with the first text.

    It is the packaged one or `name`, from the command line; what the model names is compared only.
    """

    def __init__(self, model: Model, name: str | None) -> None:
        self._model = model
        self._name = name

    def place(self, text: str) -> Floats:
        """The place (d,) of a text; ConfigError when the model knows no words or those of another encoder."""
        if self._model.adapter is None:
            raise ConfigError(f"{self._model.name}: knows no words, it was trained without labels")
        weight, bias = self._model.adapter
        place: Floats = weight @ self._encoded(text) + bias
        return place

    def _encoded(self, text: str) -> Floats:
        from eimf_core.semantics.text import open_encoder

        encoder = open_encoder(self._name)
        wanted = self._model.config.text_encoder
        if encoder.identity != wanted:
            raise ConfigError(
                f"{self._model.name}: was trained with the text encoder {wanted}, not {encoder.identity}; "
                "name that one with --encoder"
            )
        encoded: Floats = encoder.encode([text])[0]
        return encoded
