"""Long streams are answered by copies of the process: the same answers in order, whatever happens to a copy."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eimf_core.errors import InputError, ModelError
from eimf_core.recommend import process_pipeline, thread_pipeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
PARTS = [list(range(start, start + 4)) for start in range(0, 120, 4)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pipeline, "ALONE", 0.0)


def by_whom(part: list[int]) -> tuple[int, list[int]]:
    time.sleep(0.002)
    return os.getpid(), [number**2 for number in part]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_long_stream_is_answered_by_processes_that_end_with_it() -> None:
    made = list(process_pipeline.ordered(iter(PARTS), by_whom, 3))
    assert [numbers for _, numbers in made] == [[number**2 for number in part] for part in PARTS]
    here = [process for process, _ in made].count(os.getpid())
    others = {process for process, _ in made} - {os.getpid()}
    assert here == 1 and len(others) == 3 and not any(map(alive, others))


@pytest.mark.parametrize(("alone", "number"), [(60.0, 3), (0.0, 1)])
def test_none_are_started_for_little_work_or_for_one(
    alone: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pipeline, "ALONE", alone)
    made = list(process_pipeline.ordered(iter(PARTS), by_whom, number))
    assert {process for process, _ in made} == {os.getpid()} and len(made) == len(PARTS)


def test_elsewhere_threads_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert {process for process, _ in process_pipeline.ordered(iter(PARTS), by_whom, 3)} == {os.getpid()}


def test_what_a_process_that_dies_was_sent_is_answered_here() -> None:
    def dies(part: list[int]) -> tuple[int, list[int]]:
        if part[0] >= 60 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return by_whom(part)

    here = os.getpid()
    made = list(process_pipeline.ordered(iter(PARTS), dies, 2))
    assert [numbers for _, numbers in made] == [[number**2 for number in part] for part in PARTS]
    assert made[10][0] != here and {process for process, _ in made[20:]} == {here}


def test_without_room_for_processes_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise BlockingIOError("no room")

    monkeypatch.setattr(os, "fork", no_room)
    made = list(process_pipeline.ordered(iter(PARTS), by_whom, 2))
    assert {process for process, _ in made} == {os.getpid()} and len(made) == len(PARTS)


def test_an_error_of_the_work_comes_in_its_place() -> None:
    def fails(part: list[int]) -> int:
        if 60 in part:
            raise ModelError("a score is no number")
        return part[0]

    made = []
    with pytest.raises(ModelError, match="a score is no number"):
        for first in process_pipeline.ordered(iter(PARTS), fails, 2):
            made.append(first)
    assert made == [part[0] for part in PARTS[:15]]


def test_an_error_of_the_parts_comes_after_what_stands_before_it() -> None:
    def parts() -> Iterator[list[int]]:
        yield from PARTS[:20]
        raise InputError("is broken", file="queries.jsonl", line=81)

    made: list[Any] = []
    with pytest.raises(InputError, match=r"^queries\.jsonl:81: is broken$"):
        for answer in process_pipeline.ordered(parts(), by_whom, 2):
            made.append(answer)
    assert len(made) == 20


def test_who_stops_early_leaves_no_process() -> None:
    stream = process_pipeline.ordered(iter(PARTS), by_whom, 2)
    seen = {next(stream)[0] for _ in range(8)}
    stream.close()  # type: ignore[attr-defined]
    others = seen - {os.getpid()}
    assert others and not any(map(alive, others))


def test_who_stops_early_waits_for_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the processes work on something long."""

    def slow(part: list[int]) -> int:
        if os.getpid() != here:
            time.sleep(30)
        return part[0]

    here, began = os.getpid(), time.monotonic()
    monkeypatch.setattr(thread_pipeline, "ordered", lambda parts, work, number: _asked(parts, work))
    with pytest.raises(KeyboardInterrupt):
        list(process_pipeline.ordered(iter(PARTS), slow, 2))
    assert time.monotonic() - began < 20


def _asked(parts: Iterator[list[int]], work: Callable[[list[int]], int]) -> Iterator[int]:
    threading.Thread(target=work, args=(next(parts),), daemon=True).start()
    time.sleep(0.2)
    raise KeyboardInterrupt
    yield


def test_an_answer_is_not_held_back_while_input_is_waited_for() -> None:
    """Each part is there only after the answer to the one before was seen."""
    seen: list[int] = []

    def parts() -> Iterator[list[int]]:
        for number, part in enumerate(PARTS[:12]):
            began = time.monotonic()
            while len(seen) < number and time.monotonic() - began < 20:
                time.sleep(0.001)
            assert len(seen) == number
            yield part

    for _, numbers in process_pipeline.ordered(parts(), by_whom, 2):
        seen.append(numbers[0])
    assert len(seen) == 12


def test_the_threads_do_what_the_processes_do() -> None:
    in_processes = [numbers for _, numbers in process_pipeline.ordered(iter(PARTS), by_whom, 3)]
    assert in_processes == [numbers for _, numbers in thread_pipeline.ordered(iter(PARTS), by_whom, 3)]
