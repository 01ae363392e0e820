"""Several answers decoded in one llama.cpp batch.

Each answer has a slot: a sequence of the context's memory and a grammar of its own. The beginning that
all prompts share is evaluated once and stays in every slot; a slot whose answer is done is filled
again at once. Every step adds to the batch the next token of each answer that is being written, and
as much of the waiting prompts as fits.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import llama_cpp as c
import numpy as np

from eimf_core.errors import ModelError
from eimf_core.labeling.engines.llama_model import LlamaModel, last_problem
from eimf_core.labeling.engines.llama_sampling import Sampler

BATCH = 512  # tokens in one step: bounds how long a step takes
PADDING = 256  # contexts are counted in multiples of this
LONG = 4096  # tokens of a context beyond which attention has to save memory


@dataclass
class Generation:
    """An answer that is being generated.

    `tokens` is the whole prompt with what is known of the answer before, `waiting` what of it (or of the answer) is not
    evaluated yet, `written` the answer so far, of `count` tokens. One that is `done` without being `whole` was cut at
    `most` tokens.
    """

    number: int
    tokens: list[int]
    sampler: Sampler
    most: int
    waiting: list[int] = field(default_factory=list)
    position: int = 0
    written: bytes = b""
    count: int = 0
    done: bool = False
    whole: bool = False
    began: float = field(default_factory=time.perf_counter)


class LlamaBatch:
    """`parallel` slots of `context` tokens each."""

    def __init__(self, model: LlamaModel, *, parallel: int, context: int, threads: int, gpu_layers: int = 0) -> None:
        self._model = model
        self._context_size = -(-context // PADDING) * PADDING
        parameters = c.llama_context_default_params()
        parameters.n_seq_max = parallel
        parameters.n_ctx = parallel * self._context_size
        parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = False
        if not gpu_layers and self._context_size <= LONG:
            # on a processor the plain form writes 5 to 10 % faster, for memory that grows with the context
            parameters.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        self._context = c.llama_init_from_model(model.pointer, parameters)
        if not self._context:
            raise ModelError(
                f"llama.cpp cannot make a context of {parallel} x {context} tokens ({last_problem()}); "
                "try a smaller --context or --parallel"
            )
        self._memory = c.llama_get_memory(self._context)
        self._batch = c.llama_batch_init(BATCH, 0, 1)
        self._slots: list[Generation | None] = [None] * parallel
        self._held: list[list[int]] = [[] for _ in range(parallel)]  # tokens that the memory of each slot has evaluated

    @property
    def free(self) -> int:
        """How many more answers it can take now."""
        return self._slots.count(None)

    @property
    def busy(self) -> bool:
        return self.free < len(self._slots)

    def share(self, tokens: Sequence[int]) -> None:
        """Evaluate the beginning that all prompts have in common, in every slot. Only when not busy."""
        c.llama_memory_clear(self._memory, True)
        for start in range(0, len(tokens), BATCH):
            self._batch.n_tokens = 0
            for at, token in enumerate(tokens[start : start + BATCH], start=start):
                self._put(token, at, 0)
            self._decode()
        for slot in range(1, len(self._slots)):
            c.llama_memory_seq_cp(self._memory, 0, slot, -1, -1)
        self._held = [list(tokens) for _ in self._slots]

    def add(self, generation: Generation) -> None:
        """Start an answer in the free slot that has most of its prompt evaluated: an earlier try of it, maybe."""
        common = {
            slot: _common(self._held[slot], generation.tokens) for slot, used in enumerate(self._slots) if used is None
        }
        slot = max(common, key=lambda free: common[free])
        kept = common[slot]
        if not c.llama_memory_seq_rm(self._memory, slot, kept, -1):
            # models with a running state cannot go back to the middle
            c.llama_memory_seq_rm(self._memory, slot, -1, -1)
            kept = 0
        self._held[slot] = generation.tokens
        generation.position = kept
        generation.waiting = generation.tokens[kept:]
        self._slots[slot] = generation

    def step(self) -> list[Generation]:
        """Evaluate one batch; returns the answers that are done with it."""
        self._batch.n_tokens = 0
        writing = [(slot, generation) for slot, generation in enumerate(self._slots) if generation is not None]
        # tokens of answers first: one each, so that no answer waits for a prompt
        sampled: list[tuple[Generation, int]] = []
        for slot, generation in sorted(writing, key=lambda pair: len(pair[1].waiting)):
            room = BATCH - self._batch.n_tokens
            taken, generation.waiting = generation.waiting[:room], generation.waiting[room:]
            for token in taken:
                self._put(token, generation.position, slot)
                generation.position += 1
            if taken and not generation.waiting:
                self._batch.logits[self._batch.n_tokens - 1] = 1
                sampled.append((generation, self._batch.n_tokens - 1))
        self._decode()
        for generation, at in sampled:
            self._write(generation, at)
        done = [generation for _, generation in writing if generation.done]
        for generation in done:
            self._slots[self._slots.index(generation)] = None
            generation.sampler.close()
        return done

    def _write(self, generation: Generation, at: int) -> None:
        pointer = c.llama_get_logits_ith(self._context, at)
        token = generation.sampler.next(np.ctypeslib.as_array(pointer, shape=(self._model.size,)))
        generation.count += 1
        if self._model.ends[token]:
            generation.done = generation.whole = True
            return
        piece = self._model.piece(token)
        generation.written += piece
        generation.waiting = [token]
        # the end token costs a step of its own: an answer that may end after a bracket ends there
        generation.whole = b"}" in piece and generation.sampler.complete()
        generation.done = generation.whole or generation.count >= generation.most

    def _put(self, token: int, position: int, slot: int) -> None:
        at = self._batch.n_tokens
        self._batch.token[at] = token
        self._batch.pos[at] = position
        self._batch.n_seq_id[at] = 1
        self._batch.seq_id[at][0] = slot
        self._batch.logits[at] = 0
        self._batch.n_tokens = at + 1

    def _decode(self) -> None:
        code = c.llama_decode(self._context, self._batch)
        if code:
            raise ModelError(f"llama.cpp cannot go on (code {ctypes.c_int32(code).value}: {last_problem()})")


def _common(held: list[int], wanted: list[int]) -> int:
    """How many first tokens two prompts have in common; the last one wanted is always left to evaluate."""
    most = min(len(held), len(wanted) - 1)
    return next((at for at in range(most) if held[at] != wanted[at]), most)
