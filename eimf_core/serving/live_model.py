"""The model that serves: opened from copies of its files, and replaced when its directory is.

A model is taken once its directory has looked the same twice, so that one that is being copied is left alone. One that
cannot be opened is told once, and the one before keeps serving; it is tried again after a while, since the reason may
pass.
"""

from __future__ import annotations

import gc
import hashlib
import math
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from eimf_core.errors import EimfError
from eimf_core.progress import Reporter
from eimf_core.recommend.config import QueryConfig, RecommendConfig
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.recommend.session import Session
from eimf_core.records import Query
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.metrics import Metrics

VERSION = 12
"""Hexadecimal digits of the hash of manifest.json that are the version of a model."""
MAX_WARMED, WARMED_AT_ONCE = 100_000, 64
"""Items and histories that a network reads before it serves: less than a second's work."""
INTERVAL = 1.0
"""Seconds between two looks whether the model was replaced."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds until a model that cannot be opened is tried again, doubled each time."""
Look = tuple[object, ...]


@dataclass(frozen=True)
class ModelVersion:
    """A version of the model that was opened: its session, the version, and when it was opened (unix seconds)."""

    session: Session
    version: str
    loaded: float


class LiveModel:
    """The model of a directory, or of what a link leads to."""

    def __init__(
        self, path: str | Path, settings: ServeConfig, request: QueryRequest, reporter: Reporter, metrics: Metrics
    ) -> None:
        """Open the model.

        Raises:
            ConfigError: the path is no directory, or a setting does not go with the model.
            ModelError: the model is broken.
            InputError: a file of `request` is.
        """
        self.path = Path(path)
        self._request, self.reporter, self.metrics = request, reporter, metrics
        names = [field.name for field in fields(QueryConfig)]
        self._settings = RecommendConfig(**{name: getattr(settings, name) for name in names})
        self._over = threading.Event()
        self._next_look = 0.0
        self._taken = self._seen = self._look()
        self.problem: str | None = None
        self._failures, self._again = 0, math.inf
        self.now = self._opened()

    def settle(self) -> None:
        """Take what lies in the directory now, if it is another model than the opened one."""
        for _ in range(2):
            self.look_again()

    def watch(self, *, frozen: bool = False) -> threading.Thread:
        """Look at the directory from now on, in a thread of its own; `close` ends it. `frozen`: the collector already
        leaves alone what there is."""
        if not frozen:
            _keep_what_there_is()
        thread = threading.Thread(target=self._watch, name="eimf model", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            self._follow()

    def follow_now_and_then(self) -> None:
        """Look at the directory if the last such look is a while ago, for a process that has no thread to `watch`."""
        if time.monotonic() >= self._next_look:
            self._follow()
            self._next_look = time.monotonic() + INTERVAL

    def _follow(self) -> None:
        if self.look_again():
            _keep_what_there_is()

    def look_again(self) -> bool:
        """Take the model of the directory if it is another one, and the same as at the last look; whether it was."""
        look = self._look()
        settled, self._seen = look == self._seen, look
        if not settled or (look == self._taken and time.monotonic() < self._again):
            return False
        if look != self._taken:
            self._failures, self._taken = 0, look
        try:
            made = self._opened()
        except Exception as error:
            # whatever is wrong with a new model, the one before keeps serving
            self._failed(error)
            return False
        before, self.now, self.problem, self._again = self.now.version, made, None, math.inf
        self.metrics.reloads += 1
        self.reporter.note(f"{self.path}: version {made.version} serves in the place of {before}")
        return True

    def _failed(self, error: Exception) -> None:
        known = isinstance(error, EimfError | OSError)
        problem = str(error) if known else f"unexpected {type(error).__name__}"
        if problem != self.problem:
            self.reporter.warn(f"{problem}; the previous model keeps serving (version {self.now.version})")
        self.problem = problem
        self.metrics.failed_reloads += 1
        self._again = time.monotonic() + min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures += 1

    def _opened(self) -> ModelVersion:
        manifest = self.path / "manifest.json"
        try:
            before = manifest.read_bytes()
        except OSError:
            before = b""  # what is wrong is said when it is opened
        session = Session(self.path, self._settings, self._request, reporter=self.reporter, private=True)
        if manifest.read_bytes() != before:
            # replaced in between: the next look finds a directory that is yet another one
            before = manifest.read_bytes()
            session = Session(self.path, self._settings, self._request, reporter=self.reporter, private=True)
        # what is unknown in a query is told in its answer alone
        session.resolver = session.resolver.without_remarks()
        if self._settings.encoder is not None:
            session.text_vectors.load()
        _warm(session)
        return ModelVersion(session, hashlib.sha256(before).hexdigest()[:VERSION], time.time())

    def _look(self) -> Look:
        """What tells one state of the directory, and of further files, from another."""
        request = self._request
        others = [request.only_items, request.exclude_items, request.new_items, request.boost]
        try:
            with os.scandir(self.path) as entries:
                held = sorted(_state(entry.name, entry.stat()) for entry in entries)
        except OSError as error:
            held = [(str(error.errno), 0, 0, 0)]
        return (*held, *_states(path for path in others if path is not None))


def _warm(session: Session) -> None:
    """Make what is made with the first queries, which would wait for it."""
    session.recommender.load()
    session.items.load()
    session.lines([session.resolver.resolve(Query(id="1", history=[session.items.item(1).item]))])
    # as many items as there are: from then on a network uses its tables, see `item_precompute`
    length = session.model.config.max_length
    items = np.arange(min(session.model.config.items, MAX_WARMED) + length, dtype=np.int64) % session.model.config.items
    histories = [items[start : start + length] + 1 for start in range(0, len(items), length)]
    for start in range(0, len(histories), WARMED_AT_ONCE):
        session.model.interests(histories[start : start + WARMED_AT_ONCE])


def _keep_what_there_is() -> None:
    """Keep the collector from looking through a model again and again for what may go, which takes milliseconds."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _states(paths: Iterable[Path]) -> list[tuple[str, int, int, int]]:
    made = []
    for path in paths:
        try:
            made.append(_state(str(path), path.stat()))
        except OSError:
            made.append((str(path), 0, 0, 0))
    return made


def _state(name: str, status: os.stat_result) -> tuple[str, int, int, int]:
    return (name, status.st_ino, status.st_size, status.st_mtime_ns)
