"""In the place of `ray_map.RayWorkers`: one worker, in this process, given all as one elsewhere is."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from eimf_core.ray_cluster import ray_option


class WorkersHere:
    """What `RayWorkers` does, without Ray; parts and answers are pickled all the same."""

    started: list[str]
    """The address of each that was made."""

    def __init__(self, address: str, make: Callable[..., Any], *arguments: Any, slots: int = 1, **_: Any) -> None:
        self.started.append(address)
        opened, given = pickle.loads(pickle.dumps((make, arguments)))
        self._work, self.slots = opened(*given), slots
        self._answers: deque[tuple[int, Any]] = deque()

    def __enter__(self) -> WorkersHere:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        pass

    def submit(self, number: int, part: Any) -> None:
        self._answers.append((number, pickle.loads(pickle.dumps(self._work(pickle.loads(pickle.dumps(part)))))))

    def take(self) -> tuple[int, Any]:
        return self._answers.popleft()

    def ordered(self, parts: Iterable[Any]) -> Iterator[Any]:
        for number, part in enumerate(parts):
            self.submit(number, part)
            yield self.take()[1]

    def close(self) -> None:
        self._answers.clear()


def use(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let all that asks for workers have this one; the addresses that were asked for."""
    monkeypatch.setattr(WorkersHere, "started", [], raising=False)
    monkeypatch.setattr(ray_option, "find_spec", lambda _: True)
    for user in ("text.ray_encoding", "recommend.user_blocks", "labeling.engines.llama_ray"):
        monkeypatch.setattr(f"eimf_core.{user}.RayWorkers", WorkersHere)
    return WorkersHere.started
