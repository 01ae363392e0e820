"""The process that runs llama.cpp: requests come in as JSON lines, answers go out as JSON lines.

A process of its own, because llama.cpp ends the process it runs in when something goes badly wrong.
The first line on stdin is the Setup; each further line {"number", "titles", "hint", "seed", "temperature"}.
Lines on stdout: {"ready", "offloads"} once, then an Answer each, with the bytes and tokens of the words in its titles
as "title_bytes" and "title_tokens", or {"failed": "why"} before the process ends.
It ends when stdin does.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson

from eimf_core.errors import EimfError
from eimf_core.labeling import grammar, prompts

_CHUNK = 1 << 16


class WorkerSetup(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker is to answer. `context` counts tokens per answer, prompt included.

    A `dry` worker answers with the text of the prompt and its length, and loads no weights.
    """

    path: str
    prompt: prompts.Prompt
    max_interests: int
    language: str
    chat_template: str | None
    context: int
    max_tokens: int
    parallel: int
    threads: int
    gpu_layers: int
    dry: bool


class DescriptorLines:
    """Lines of a file descriptor, with a look whether there is one yet."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self.ended = False

    def now(self, *, wait: bool) -> Iterator[bytes]:
        """The lines that have come; with `wait`, blocks until there is one or the end."""
        while not self.ended and (not self._lines if wait else select.select([self._descriptor], [], [], 0)[0]):
            got = os.read(self._descriptor, _CHUNK)
            self.ended = not got
            *lines, self._rest = (self._rest + got).split(b"\n")
            self._lines.extend(lines)
        while self._lines:
            yield self._lines.popleft()


class LlamaWorker:
    """Holds the model and answers until stdin ends."""

    def __init__(self, setup: WorkerSetup, send: Any) -> None:
        from eimf_core.labeling.engines import llama_batch, llama_model, llama_prompt, llama_sampling

        self._setup = setup
        self._send = send
        self._generation = llama_batch.Generation
        model = llama_model.LlamaModel(Path(setup.path), setup.gpu_layers, vocabulary_only=setup.dry)
        self._writer = llama_prompt.PromptWriter(
            model,
            setup.prompt,
            max_interests=setup.max_interests,
            language=setup.language,
            chat_template=setup.chat_template,
        )
        self.offloads = llama_model.offloads()
        self._context = setup.context
        self._batch = None
        if not setup.dry:
            self._batch = llama_batch.LlamaBatch(
                model,
                parallel=setup.parallel,
                context=self._context,
                threads=setup.threads,
                gpu_layers=setup.gpu_layers,
            )
        self._model, self._sampler = model, llama_sampling.Sampler
        schema = grammar.bounded(setup.prompt.schema, 1, setup.max_interests)
        self._opening = model.exact_tokens(grammar.opening(schema))
        self._fitted: dict[int, Any] = {}
        self._ready = False
        self._waiting: deque[dict[str, Any]] = deque()

    def run(self, lines: DescriptorLines) -> None:
        batch = self._batch
        if batch is None:
            return self._preview(lines)
        while not lines.ended:
            self._waiting.extend(orjson.loads(line) for line in lines.now(wait=not batch.busy and not self._waiting))
            while self._waiting and batch.free:
                self._start(batch, self._waiting.popleft())
            if batch.busy:
                for generation in batch.step():
                    self._finish(generation)

    def _preview(self, lines: DescriptorLines) -> None:
        while not lines.ended:
            for line in lines.now(wait=True):
                request = orjson.loads(line)
                fitted = self._fit(request)
                if fitted is not None:
                    parts = self._writer.segments(request["titles"][fitted.trimmed :])
                    text = "".join(part.text for part in parts)
                    answer: dict[str, Any] = {"text": text, "tokens": {"prompt": len(fitted.tokens)}}
                    answer |= {"trimmed": fitted.trimmed, **self._words(fitted)}
                    self._send({"number": request["number"], **answer})

    def _fit(self, request: dict[str, Any]) -> Any:
        """The prompt as tokens; None when it does not fit, which is then the answer."""
        try:
            room = self._context - self._setup.max_tokens
            return self._writer.fit(request["titles"], room, request.get("hint", ""))
        except EimfError as error:
            self._send({"number": request["number"], "error": str(error), "final": True})
            return None

    @staticmethod
    def _words(fitted: Any) -> dict[str, int]:
        return {"title_bytes": fitted.word_bytes, "title_tokens": fitted.word_tokens}

    def _start(self, batch: Any, request: dict[str, Any]) -> None:
        if not self._ready:
            batch.share(self._writer.shared())
            self._ready = True
        fitted = self._fit(request)
        if fitted is None:
            return
        titles = len(request["titles"]) - fitted.trimmed
        rules = grammar.of_schema(self._setup.prompt.schema, titles, self._setup.max_interests)
        sampler = self._sampler(self._model, rules, seed=request["seed"], temperature=request["temperature"])
        self._fitted[request["number"]] = fitted
        # what the grammar leaves no choice about is read with the prompt, which is faster than writing it
        known = self._opening[: self._setup.max_tokens - 1]
        sampler.accept(known)
        generation = self._generation(request["number"], [*fitted.tokens, *known], sampler, self._setup.max_tokens)
        generation.written, generation.count = b"".join(map(self._model.piece, known)), len(known)
        batch.add(generation)

    def _finish(self, generation: Any) -> None:
        fitted = self._fitted.pop(generation.number)
        answer: dict[str, Any] = {
            "number": generation.number,
            "trimmed": fitted.trimmed,
            **self._words(fitted),
            "tokens": {"prompt": len(fitted.tokens), "answer": generation.count},
            "seconds": time.perf_counter() - generation.began,
        }
        if not generation.whole:
            answer["error"] = f"cut at {generation.count} tokens"
        else:
            try:
                answer["text"] = generation.written.decode()
            except UnicodeDecodeError:
                answer["error"] = "not UTF-8"
        self._send(answer)


def main() -> None:
    """Answer requests from stdin on stdout until stdin ends."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the library may print: whatever goes to stdout from now on lands on stderr
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        raw = orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)
        while raw:
            raw = raw[os.write(sink, raw) :]

    lines = DescriptorLines(source)
    try:
        setup = msgspec.json.decode(next(lines.now(wait=True)), type=WorkerSetup)
        worker = LlamaWorker(setup, send)
        send({"ready": True, "offloads": worker.offloads})
        worker.run(lines)
    except EimfError as error:
        send({"failed": str(error)})
    except (BrokenPipeError, StopIteration):
        pass  # whoever asked has gone


def _die_with_parent() -> None:
    """Where the system can: a killed parent leaves no worker behind, not even in a long computation."""
    set_death_signal = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    main()
