"""Steps killed at random moments: the same command run again gives what an undisturbed run gives, and nothing else.

Each command runs in a forked process of its own, which SIGKILL ends; processes that it started end with it or are
waited for. What is compared are all files of the folder, but for what tells times and provenance.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests import in_process
from tests.robustness import run
from tests.robustness.kinds import gguf, lines, logs, training
from tests.robustness.trial import ENVIRONMENT
from tests.small_data import write_small_data

HEADER = "| step | kills | before the end | faults |\n|---|---|---|---|"
TIMES = ("manifest.json", "train.jsonl")
"""Files that say how long something took, or hold the hash of one that does."""


@dataclass(frozen=True)
class Step:
    """A command that is killed."""

    name: str
    command: tuple[str, ...]
    make: Callable[[Path], None]
    modules: tuple[str, ...] = ()
    package: str | None = None


def _data(folder: Path) -> None:
    (folder / "data").mkdir()
    write_small_data(folder / "data", users=400)


def _samples(folder: Path) -> None:
    gguf.make(folder)
    (line,) = (folder / "samples.jsonl").read_bytes().splitlines()
    samples = (json.dumps({**json.loads(line), "key": f"{at:016x}", "user": f"u{at}"}) + "\n" for at in range(12))
    (folder / "samples.jsonl").write_text("".join(samples))


CLUSTER = ("cluster", "data", "--budget", "20", "-o", "out.jsonl", "--summary", "sum.jsonl")
# the tiny model says nothing of sense, and some of its answers are refused
LABEL = ("label", "samples.jsonl", "--model", "model.gguf", "--max-error-share", "100%", "-o", "out.jsonl")
EVAL = ("eval", "model", "data", "--resamples", "200", "-o", "out.jsonl", "--per-user", "users.jsonl")
STEPS = (
    Step("prepare", ("prepare", "log.csv", "--items", "items.csv", "--split", "leave-one-out", "-o", "out"), logs.make,
         ("eimf_cli.prepare", "eimf_core.prepare.prepare", "duckdb")),
    Step("cluster", CLUSTER, _data, lines.MODULES),
    Step("label", LABEL, _samples, gguf.MODULES),
    Step("eval", EVAL, lines.make, lines.MODULES),
    Step("recommend", ("recommend", "model", "--all-users", "data", "-o", "out.jsonl"), lines.make,
         (*lines.MODULES, "eimf_core.recommend.all_users")),
    Step("index", ("index", "model"), lines.make, (*lines.MODULES, "eimf_cli.index"), package="faiss"),
    Step("train", (*training.TRAIN, "-o", "out"), _data, training.MODULES),
)  # fmt: skip


@dataclass
class Killed:
    """What became of the kills of a step; `working` counts those that came before its end."""

    step: str
    kills: int
    working: int
    faults: list[str]

    def row(self) -> str:
        """A row of the table whose head is `HEADER`."""
        return f"| {self.step} | {self.kills} | {self.working} | {len(self.faults)} |"


def steps() -> list[Step]:
    """The steps that can run here."""
    return [step for step in STEPS if step.package is None or find_spec(step.package)]


def kill(step: Step, folder: Path, *, times: int, seed: int) -> Killed:
    """Kill a step at random moments and run it again, each time on a fresh copy of its inputs."""
    for module in step.modules:
        importlib.import_module(module)
    scratch, inputs = folder / "killed", folder / f"kill-{step.name}"
    inputs.mkdir()
    run.made_in(step.make, inputs, step.name)
    began = time.monotonic()
    wanted, problem = _whole(step, inputs, scratch)
    took = time.monotonic() - began
    found = Killed(step.name, times, 0, [problem] if problem else [])
    rng = random.Random(f"{seed}/{step.name}")
    for number in range(times if not problem else 0):
        place = _fresh(inputs, scratch)
        process = _start(step, place)
        time.sleep(rng.random() * took)
        if os.waitpid(process, os.WNOHANG)[0] == 0:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            found.working += 1
        run.orphans(patience=20)
        problem = _end(_start(step, place))
        different = problem or _difference(wanted, dict(_content(place)))
        if different:
            found.faults.append(f"kill {number} of {step.name}, seed {seed}: {different}")
    shutil.rmtree(scratch, ignore_errors=True)
    return found


def _whole(step: Step, inputs: Path, scratch: Path) -> tuple[dict[str, bytes], str]:
    """What an undisturbed run leaves in the folder, and what went wrong."""
    place = _fresh(inputs, scratch)
    problem = _end(_start(step, place))
    return dict(_content(place)), problem


def _fresh(inputs: Path, scratch: Path) -> Path:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(inputs, scratch / "input", symlinks=True)
    (scratch / "tmp").mkdir()
    return scratch / "input"


def _start(step: Step, place: Path) -> int:
    """Run the command in a forked process; its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        if step.name == "train":
            from eimf_core.training import run_state

            run_state.CHECKPOINT_SECONDS = 0.0
        environment = {**os.environ, **ENVIRONMENT, "TMPDIR": str(place.with_name("tmp"))}
        done = in_process.eimf(step.command, stdin=b"", cwd=place, environment=environment)
        place.with_name("told").write_bytes(done.stderr)
        code = done.returncode
    finally:
        os._exit(code)
    raise AssertionError("not reached")


def _end(process: int) -> str:
    """Wait for a run that should go well; what is wrong with its end."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return "" if code == 0 else f"run to its end it gives {code}"


def _content(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files by name, without what tells times; folders have no content."""
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".meta.json") or path.name in TIMES or not path.is_file():
            yield str(path.relative_to(folder)), b""
        elif path.name == "out.jsonl":
            told = (json.loads(line) for line in path.read_bytes().splitlines())
            plain = [{key: value for key, value in line.items() if key != "seconds"} for line in told]
            yield str(path.relative_to(folder)), json.dumps(plain).encode()
        else:
            yield str(path.relative_to(folder)), path.read_bytes()


def _difference(wanted: dict[str, bytes], found: dict[str, bytes]) -> str:
    # of a kill after the end: the second run of train keeps the model of the first
    kept = {name for name in found if name.split("/")[0] == "out.previous"}
    if more := sorted(found.keys() - wanted.keys() - kept):
        return f"left behind: {more}"
    if less := sorted(wanted.keys() - found.keys()):
        return f"lacking: {less}"
    other = [name for name, content in wanted.items() if found[name] != content]
    return f"not as without the kill: {other}" if other else ""
