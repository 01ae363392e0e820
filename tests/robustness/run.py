"""Runs trials in forked processes with bounds of time and memory, which nothing outlives."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import random
import resource
import select
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.robustness.trial import Fault, Kind, Trial

MEMORY = 2 << 30
"""Bytes of address space that a process of trials may have beside what it starts with."""
WALL_SECONDS = 90
"""Until a trial that uses no processor counts as hanging; long, for a busy machine."""
BATCH = 25
"""Trials in one process; forking costs more than most of them."""
HEADER = "| kind | inputs | exit 0 | 2 | 3 | 4 | faults | CPU s an input, at most |\n|---|---|---|---|---|---|---|---|"


@dataclass
class Tally:
    """What became of the inputs of a kind; faults are the number of the input and what did not hold."""

    kind: str
    inputs: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    most_seconds: float = 0.0
    seconds: float = 0.0

    def row(self) -> str:
        """A row of the table whose head is `HEADER`."""
        cells: list[Any] = [self.kind, f"{self.inputs:,}", *(f"{self.codes[code]:,}" for code in (0, 2, 3, 4))]
        return "| " + " | ".join(map(str, [*cells, len(self.faults), f"{self.most_seconds:.1f}"])) + " |"


def total(tallies: Sequence[Tally]) -> Tally:
    """The sum of tallies."""
    found = Tally("all")
    for tally in tallies:
        found.inputs += tally.inputs
        found.codes.update(tally.codes)
        found.faults += tally.faults
        found.most_seconds = max(found.most_seconds, tally.most_seconds)
        found.seconds += tally.seconds
    return found


def prepared(kinds: Sequence[Kind], folder: Path) -> None:
    """Make the good inputs of all kinds, `folder`/NAME each; processes that nobody waits for become children here."""
    adopt_orphans()
    made: dict[Callable[[Path], None], Path] = {}
    for kind in kinds:
        if kind.make in made:
            (folder / kind.name).symlink_to(made[kind.make])
            continue
        made[kind.make] = folder / kind.name
        made[kind.make].mkdir()
        made_in(kind.make, made[kind.make], kind.name)


def adopt_orphans() -> None:
    """Let processes that nobody waits for become children of this one."""
    become_reaper = 36
    ctypes.CDLL(None).prctl(become_reaper, 1)


def made_in(make: Callable[[Path], None], folder: Path, name: str) -> None:
    """Make good inputs in a forked process."""
    _forked([functools.partial(make, folder)], seconds=120, memory=None, name=name)


def run(kind: Kind, folder: Path, *, seed: int, numbers: Sequence[int]) -> Tally:
    """Try inputs of a kind.

    Args:
        folder: where `prepared` put the good inputs.
        seed, numbers: of the inputs; the same ones are the same anywhere.
    """
    for module in kind.modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    tally = Tally(kind.name)
    left = list(numbers)
    while left:
        works = [functools.partial(_try, kind, folder, seed, number) for number in left[:BATCH]]
        answers = _forked(works, seconds=kind.seconds, memory=MEMORY)
        for number, answer in zip(left, answers, strict=False):
            tally.inputs += 1
            tally.seconds += answer["seconds"]
            tally.most_seconds = max(tally.most_seconds, answer["seconds"])
            tally.codes.update(answer["codes"])
            if answer["fault"]:
                tally.faults.append((number, answer["fault"]))
        left = left[len(answers) :]
        shutil.rmtree(folder / "scratch", ignore_errors=True)
    return tally


def _try(kind: Kind, folder: Path, seed: int, number: int) -> dict[str, Any]:
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(folder / kind.name, scratch / "input", symlinks=True)
    (scratch / "tmp").mkdir()
    trial = Trial(scratch / "input", random.Random(f"{seed}/{kind.name}/{number}"))
    fault = None
    try:
        kind.trial(trial)
    except Fault as problem:
        fault = f"{problem} [{' ; '.join(trial.commands)[:600]}]"
    except Exception:
        fault = "the trial itself failed: " + " / ".join(traceback.format_exc().splitlines()[-6:])
    return {"codes": trial.codes, "fault": fault}


def _forked(
    works: Sequence[Callable[[], dict[str, Any] | None]], *, seconds: int, memory: int | None, name: str | None = None
) -> list[dict[str, Any]]:
    """Do works one after the other in a forked process.

    Args:
        works: what to do; one that has a fault is the last.
        seconds, memory: what each may use of the processor, and all of the memory.
        name: of what is prepared, where a fault is an error.

    Returns:
        What they return, with the processor time that each took; as many as were done, the last with the fault that
        ended the process.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        _child(works, writing, seconds, memory)
    os.close(writing)
    answers: list[dict[str, Any]] = []
    hung = False
    rest = b""
    while True:
        hung = not select.select([reading], [], [], WALL_SECONDS if name is None else 10 * WALL_SECONDS)[0]
        part = b"" if hung else os.read(reading, 1 << 16)
        if not part:
            break
        *lines, rest = (rest + part).split(b"\n")
        answers += map(json.loads, lines)
    os.close(reading)
    if hung:
        os.kill(process, signal.SIGKILL)
    _, status, _ = os.wait4(process, 0)
    left_over = orphans()
    if hung or status:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        fault = f"more than {seconds} s of processor time" if number == signal.SIGXCPU else f"ended by signal {number}"
        fault = f"no end after {WALL_SECONDS} s" if hung else fault if number else f"ended with status {status}"
        answers.append({"codes": [], "fault": fault, "seconds": float(seconds)})
    elif left_over and answers and not answers[-1]["fault"]:
        answers[-1]["fault"] = f"it or one before it left {left_over} processes running"
    if name is not None and answers and answers[-1]["fault"]:
        raise RuntimeError(f"{name}: the good inputs cannot be made: {answers[-1]['fault']}")
    return answers


def _child(works: Sequence[Callable[[], Any]], writing: int, seconds: int, memory: int | None) -> None:
    """Do works in this process, which ends after them."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory is not None:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + memory
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        for work in works:
            began = time.process_time()
            resource.setrlimit(resource.RLIMIT_CPU, (int(began) + seconds, resource.RLIM_INFINITY))
            try:
                answer = work() or {"codes": [], "fault": None}
            except BaseException:
                answer = {"codes": [], "fault": traceback.format_exc()[-2000:]}
            answer["seconds"] = time.process_time() - began
            os.write(writing, json.dumps(answer).encode() + b"\n")
            if answer["fault"]:
                break
        code = 0
    finally:
        os._exit(code)


def orphans(patience: float = 2) -> int:
    """How many processes the trials left running; they are ended."""
    found = 0
    deadline = time.monotonic() + patience
    while True:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if process == 0:
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            for child in _children():
                found += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            deadline = time.monotonic() + 2


def _children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # behind the name, which may hold anything: state, parent
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(path.parent.name))
    return found
