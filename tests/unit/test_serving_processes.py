"""Several processes of a service: what they tell each other, and how one that ends or hangs is replaced."""

from __future__ import annotations

import errno
import gc
import time
from pathlib import Path

import pytest

from eimf_core.errors import EimfError
from eimf_core.serving import shared_figures, workers
from eimf_core.serving.metrics import Metrics, together
from eimf_core.serving.shared_figures import SharedFigures
from tests.listening import Listening


def test_figures_of_all_processes_are_told_together() -> None:
    own, other = Metrics(), Metrics()
    for metrics, path in ((own, "/recommend"), (other, "/recommend"), (other, "/health")):
        metrics.request(path, 200, 0.02)
        metrics.batch(3)
    other.refused["too slow"] += 2
    moment = {"queries_waiting": 1.0, "connections": 2.0, "old_model": 0.0}
    total, gauges = together(own, moment, [other.encoded({**moment, "old_model": 1.0})])
    assert gauges == {"queries_waiting": 2.0, "connections": 4.0, "old_model": 1.0}
    lines = total.text(gauges, {}, 0.0).decode().splitlines()
    assert 'eimf_requests_total{path="/recommend",status="200"} 2' in lines
    assert 'eimf_request_duration_seconds_bucket{path="/recommend",le="0.025"} 2' in lines
    assert 'eimf_request_duration_seconds_sum{path="/health"} 0.020000' in lines
    assert 'eimf_refused_total{reason="too slow"} 2' in lines and "eimf_queries_total 9" in lines
    # what was told stays as it was
    assert own.requests["/recommend", 200] == 1 and own.queries == 3


def test_figures_that_were_left_half_written_are_not_read() -> None:
    shared = SharedFigures(2)
    assert shared.others(0) == [] and shared.told(1) == 0
    shared.write(1, b"seven")
    assert shared.others(0) == [b"seven"] and shared.others(1) == [] and shared.told(1) > 0
    shared.write(1, b"x" * shared_figures.HALF)
    assert shared.read(1) == b"seven", "what does not fit leaves what was there"
    shared.write(1, b"eight")
    assert shared.read(1) == b"eight"
    # the half that is written next is that of "seven"; its process is killed while it writes
    at = 3 * shared_figures.HALF + shared_figures.HEAD.size
    assert shared._memory[at : at + 5] == b"seven"
    shared._memory[at : at + 2] = b"ni"
    assert shared.read(1) == b"eight"
    shared.write(1, b"nine!")
    assert shared.read(1) == b"nine!"


def test_connections_of_all_processes_are_counted() -> None:
    shared = SharedFigures(3)
    for place, number in enumerate((5, 0, 2)):
        shared.set_connections(place, number)
    assert shared.all_connections == 7
    shared.write(2, b"told")
    assert shared.all_connections == 7, "telling figures changes no number"
    shared.begin(0)
    assert shared.all_connections == 2 and shared.told(0) > 0


def test_processes_that_end_as_they_start_end_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, started = Listening(), []
    released: list[bool] = []
    made = workers.WorkerProcesses(
        2, lambda place: None, SharedFigures(2), heard, Path("model"), patience=1.0,
        release=lambda: released.append(True), follow=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(workers, "POLL", 0.001)
    monkeypatch.setattr(workers.os, "fork", lambda: started.append(len(started) + 100) or started[-1])
    monkeypatch.setattr(workers.os, "waitpid", lambda process, how: (process, 256))
    monkeypatch.setattr(workers.os, "kill", lambda process, number: None)
    try:
        with pytest.raises(EimfError, match="model: 5 processes of the service ended as soon as they started"):
            made.run(lambda: None)
    finally:
        gc.unfreeze()
    assert len(heard.warnings) == 4 and "(exit code 1)" in heard.warnings[0] and released == [True]


def test_a_process_that_hangs_is_ended_and_one_that_cannot_start_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard, shared, killed = Listening(), SharedFigures(2), []
    made = workers.WorkerProcesses(
        2, lambda place: None, shared, heard, Path("model"), patience=0.0, release=lambda: None, follow=lambda: None
    )
    room = iter([100, 101, OSError(errno.EAGAIN, "Resource temporarily unavailable"), OSError(errno.EAGAIN, "no"), 102])

    def fork() -> int:
        found = next(room)
        if isinstance(found, OSError):
            raise found
        return found

    monkeypatch.setattr(workers.os, "fork", fork)
    monkeypatch.setattr(workers.os, "kill", lambda process, number: killed.append((process, number)))
    monkeypatch.setattr(workers.os, "waitpid", lambda process, how: (process if (process, 9) in killed else 0, 9))
    for place in (0, 1):
        made._start(place)
    monkeypatch.setattr(shared_figures.time, "monotonic", lambda now=time.monotonic(): now + workers.HANGS + 1)
    shared.write(1, b"told")
    made._end_hanging()
    assert killed == [(100, 9)]
    for _ in range(3):
        made._restart_ended()
    assert made._processes == [102, 101]
    assert len(heard.warnings) == 2 and "(SIGKILL)" in heard.warnings[0]
    assert (
        heard.warnings[1]
        == "the system starts no further process (Resource temporarily unavailable); it is asked again"
    )
