"""Choosing the next token of one answer under a grammar, without testing the whole vocabulary each time.

The best token is tested alone first, then the best few, and only then all: testing 49,000 tokens takes
as long as decoding with a model of 135M parameters, testing one takes microseconds. What is chosen is
the same as when the grammar is applied to the whole vocabulary first.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import llama_cpp as c
import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.labeling.engines.llama_model import LlamaModel, last_problem
from eimf_core.numeric.arrays import Floats, Ints

FEW = 64
MIN_P = 0.05  # tokens with less than this share of the best one's probability are not drawn
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@functools.cache
def parsed(model: LlamaModel, grammar: str) -> Any:
    """A grammar as llama.cpp holds it; ModelError when it cannot read it."""
    found = c.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
    if not found:
        raise ModelError(f"llama.cpp refuses the grammar of the answer ({last_problem()})")
    return found


class Sampler:
    """The state of one answer: how far its copy of the grammar has come, and a random generator of its own."""

    def __init__(self, model: LlamaModel, grammar: str, *, seed: int, temperature: float) -> None:
        self._model = model
        self._grammar = c.llama_sampler_clone(parsed(model, grammar))
        self._temperature = temperature
        self._random = np.random.default_rng(seed)
        self._end = np.flatnonzero(model.ends)[:1]

    def close(self) -> None:
        c.llama_sampler_free(self._grammar)

    def next(self, logits: Floats) -> int:
        """Choose the next token.

        Args:
            logits: float32 (vocabulary,); changed in place.

        Returns:
            A token that the grammar allows.

        Raises:
            ModelError: the logits are not finite.
        """
        logits[self._model.unwritable] = -np.inf
        best = int(logits.argmax())
        if not np.isfinite(logits[best]):
            raise ModelError("the model computes no finite numbers: its weights are damaged; download it again")
        token = self._sampled(logits) if self._temperature > 0 else best
        if not self._allowed(np.array([token]), logits)[0]:
            token = self._sampled_allowed(logits)
        c.llama_sampler_accept(self._grammar, token)
        return token

    def accept(self, tokens: Sequence[int]) -> None:
        """Go on behind tokens that nobody had to choose, and that the grammar allows."""
        for token in tokens:
            c.llama_sampler_accept(self._grammar, token)

    def complete(self) -> bool:
        """Whether the grammar allows the answer to end here."""
        return bool(len(self._end)) and bool(self._allowed(self._end, np.zeros(self._model.size, np.float32))[0])

    def _sampled(self, logits: Floats) -> int:
        likely = np.flatnonzero(logits >= logits.max() + self._temperature * np.log(MIN_P))
        return self._draw(likely, logits)

    def _draw(self, tokens: Ints, logits: Floats) -> int:
        scaled = (logits[tokens] - logits[tokens].max()).astype(np.float64) / self._temperature
        weights = np.exp(scaled)
        return int(self._random.choice(tokens, p=weights / weights.sum()))

    def _sampled_allowed(self, logits: Floats) -> int:
        """The best token that the grammar allows, or one drawn among the likely ones it allows."""
        few = np.argpartition(-logits, FEW)[:FEW] if len(logits) > FEW else np.arange(len(logits))
        tokens = few[self._allowed(few, logits)]
        # with a temperature, a token beyond the few may be likely enough too
        edge = logits[tokens].max(initial=-np.inf) + self._temperature * np.log(MIN_P)
        if not len(tokens) or logits[few].min() > edge:
            everything = np.flatnonzero(np.isfinite(logits))
            tokens = everything[self._allowed(everything, logits)]
        if not len(tokens):
            raise ModelError("no token of the model's vocabulary fits the schema here; use another model")
        if self._temperature <= 0:
            return int(tokens[logits[tokens].argmax()])
        return self._draw(tokens[logits[tokens] >= logits[tokens].max() + self._temperature * np.log(MIN_P)], logits)

    def _allowed(self, tokens: Ints, logits: Floats) -> npt.NDArray[np.bool_]:
        """Which tokens the grammar allows next."""
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        candidates["logit"] = logits[tokens]
        array = c.llama_token_data_array(
            data=candidates.ctypes.data_as(c.llama_token_data_p), size=len(tokens), selected=-1, sorted=False
        )
        c.llama_sampler_apply(self._grammar, ctypes.byref(array))
        allowed: npt.NDArray[np.bool_] = np.isfinite(candidates["logit"])
        return allowed
