"""Engine `llama-cpp` with `--ray`: requests answered by the same model in many processes.

Requests and answers pass one by one, so that what was answered is never asked again when a worker dies. Answers are
checked, asked for again and written here, as those of one machine are.
"""

from __future__ import annotations

import dataclasses
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from eimf_core.errors import ModelError
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Request
from eimf_core.labeling.engines.llama_cpp import LlamaCpp
from eimf_core.progress import SILENT, Reporter
from eimf_core.ray_cluster.ray_map import RayWorkers
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors
from eimf_core.threads import cores

GATHERED = 0.1
"""Seconds that the first request of a worker waits for others, to be answered beside it."""


class LlamaRay(LlamaCpp):
    """The engine as the caller sees it; no model is loaded here."""

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__(config, samples, vectors, reporter)
        self._workers: RayWorkers | None = None

    def submit(self, request: Request) -> None:
        if self._workers is None:
            self._workers = self._opened()
            self._workers.start()
            self.parallel = self._workers.slots
        self._workers.submit(request.number, request)

    def take(self) -> Answer:
        assert self._workers is not None
        _, answer = self._workers.take()
        return answer  # type: ignore[no-any-return]

    def close(self) -> None:
        super().close()
        if self._workers is not None:
            self._workers.close()

    def _opened(self) -> RayWorkers:
        config = self._config
        assert config.ray is not None
        threads = config.threads or (1 if config.gpu_layers else cores())
        return RayWorkers(
            config.ray,
            open_worker,
            dataclasses.replace(_with_absolute_paths(config), threads=threads),
            self.model_sha256,
            cpus=threads,
            gpus=1 if config.gpu_layers else 0,
            # one in hand beside those that are answered, so that none waits for the way here and back
            slots=config.parallel + 1,
            reporter=self._reporter,
        )


def _with_absolute_paths(config: LabelConfig) -> LabelConfig:
    """Settings for a worker, whose current folder is another one and which asks by itself."""
    given: dict[str, Any] = {"ray": None}
    for name in ("model", "prompt", "chat_template"):
        value = getattr(config, name)
        if value is not None and Path(value).is_file():
            given[name] = str(Path(value).absolute())
    return dataclasses.replace(config, **given)


def open_worker(config: LabelConfig, sha256: str) -> Callable[[Request], Answer]:
    """In a worker: what answers one request, called by several threads; raises ModelError for another model."""
    engine = LlamaCpp(config, [], _no_vectors, SILENT)
    if engine.model_sha256 != sha256:
        raise ModelError(f"{config.model}: on {socket.gethostname()} another file lies there; share or copy one")
    return _Answerer(engine).answer


def _no_vectors() -> TitleVectors:
    raise AssertionError("an engine that asks a model needs none")


class _Answerer:
    """Puts the requests of several threads to an engine, which one thread alone may use."""

    def __init__(self, engine: LlamaCpp) -> None:
        self._engine = engine
        self._new: queue.Queue[tuple[Request, Future[Answer]]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, request: Request) -> Answer:
        future: Future[Answer] = Future()
        self._new.put((request, future))
        return future.result()

    def _work(self) -> None:
        waiting: dict[int, Future[Answer]] = {}
        while True:
            if not waiting:
                self._submit(self._new.get(), waiting)
                threading.Event().wait(GATHERED)
            while not self._new.empty():
                self._submit(self._new.get(), waiting)
            try:
                answer = self._engine.take()
            except BaseException as error:
                for future in waiting.values():
                    future.set_exception(error)
                waiting.clear()
                continue
            waiting.pop(answer.number).set_result(answer)

    def _submit(self, asked: tuple[Request, Future[Answer]], waiting: dict[int, Future[Answer]]) -> None:
        request, future = asked
        waiting[request.number] = future
        self._engine.submit(request)


ENGINE = LlamaRay
