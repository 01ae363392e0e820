"""`torchrun -m eimf_cli train`: two processes that end with one model, and how they end when one fails.

torchrun itself starts them where one test of a kind shows it; elsewhere `TwoProcesses` does, at a tenth of the cost.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from eimf_core.model_directory import artifact
from tests.conftest import ROOT, Eimf
from tests.small_data import write_small_data
from tests.two_processes import TwoProcesses

Running = subprocess.Popen[bytes] | TwoProcesses
Start = Callable[..., Running]
FAST = (
    "--backbone", "comirec-sa", "--item-vectors", "random", "-d", "8", "--negatives", "8", "--loss", "sampled",
    "--batch-size", "64", "--max-length", "6", "--lr", "0.01", "--patience", "0",
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data", users=200, events=True)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start `eimf train` as two processes; `patch` is run by both first, and `torchrun` says who starts them."""
    started: list[Running] = []

    def start(*arguments: object, patch: str = "", torchrun: bool = False) -> Running:
        script = Path(str(arguments[0])).with_name("start.py")
        if not torchrun:
            stderr = script.with_name(f"stderr-{len(started)}")
            started.append(TwoProcesses(["train", *map(str, arguments)], patch, environment, stderr))
            return started[-1]
        script.write_text(f"{patch}\nfrom eimf_cli.main import run; run()")
        running = subprocess.Popen(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                str(script), "train", *map(str, arguments),
            ],
            cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        started.append(running)
        return running

    yield start
    for running in started:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(60)


# each process writes a checksum of its weights at the end of every epoch
WATCH = """
import os
from eimf_core.training.loop import Loop
measure = Loop._measure
def watched(self):
    with open(os.environ["DIGESTS"] + os.environ["RANK"], "a") as stream:
        print(self.learner.digest(), file=stream)
    return measure(self)
Loop._measure = watched
"""


def said(stderr: bytes) -> list[str]:
    """Our own error lines, among what torchrun says."""
    return [line for line in stderr.decode().splitlines() if line.startswith("eimf: ")]


@pytest.mark.slow
@pytest.mark.parametrize("options", [("mind",), ("comirec-sa", "--item-events")], ids="-".join)
def test_two_processes_end_with_one_model_that_is_as_good_as_that_of_one(
    eimf: Eimf, start: Start, data: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:  # fmt: skip
    arguments = (data, *FAST, "--epochs", "4", "--dropout", "0", "--backbone", *options)
    watch = WATCH.replace('os.environ["DIGESTS"]', repr(str(tmp_path / "digest-")))
    running = start(*arguments, "-o", tmp_path / "two", patch=watch, torchrun="mind" in options)
    stderr = running.communicate(timeout=120)[1].decode()
    assert running.returncode == 0, stderr
    digests = [(tmp_path / f"digest-{rank}").read_text().split() for rank in (0, 1)]
    assert len(digests[0]) == 4 and len(set(digests[0])) == 4
    assert digests[0] == digests[1], "the processes have come apart"
    assert stderr.count("epoch 4:") == 1, "one process speaks"
    done = eimf("train", *arguments, "-o", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    one, two = (artifact.open_model(tmp_path / name) for name in ("one", "two"))
    # the same plan, and sums that differ in their rounding alone
    losses = [[line["loss"]["prediction"] for line in model.epochs] for model in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert two.config.events == (["buy", "view"] if "--item-events" in options else [])
    assert [line["pairs"] for line in one.epochs] == [line["pairs"] for line in two.epochs]
    assert two.epochs[-1]["valid"]["ndcg@10"] == pytest.approx(one.epochs[-1]["valid"]["ndcg@10"], abs=0.02)
    manifest = orjson.loads((tmp_path / "two" / "manifest.json").read_bytes())
    assert manifest["facts"]["processes"] == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "a lock or checkpoint is left"


@pytest.mark.slow
def test_two_processes_train_the_members_of_an_ensemble(start: Start, data: Path, tmp_path: Path) -> None:
    arguments = (data, *FAST, "--epochs", "2", "--backbone", "comirec-sa+gru4rec", "-o", tmp_path / "model")
    running = start(*arguments)
    stderr = running.communicate(timeout=120)[1].decode()
    assert running.returncode == 0, stderr
    assert stderr.count("member 2 of 2, gru4rec, epoch 2:") == 1 and stderr.count("ensemble: comirec-sa") == 1, stderr
    artifact.verify(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir() if "model" in path.name) == ["model"]


@pytest.mark.slow
def test_the_clock_of_one_process_counts_for_both(start: Start, data: Path, tmp_path: Path) -> None:
    """The end of the time and the pace of learning, which follows it, are the same for both."""
    arguments = (data, *FAST, "--epochs", "5000", "--max-minutes", "0.02", "--schedule", "linear")
    watch = WATCH.replace('os.environ["DIGESTS"]', repr(str(tmp_path / "digest-")))
    running = start(*arguments, "-o", tmp_path / "model", patch=watch)
    stderr = running.communicate(timeout=120)[1].decode()
    assert running.returncode == 0, stderr
    digests = [(tmp_path / f"digest-{rank}").read_text().split() for rank in (0, 1)]
    assert digests[0] == digests[1] and digests[0]
    epochs = artifact.open_model(tmp_path / "model").epochs
    assert len(epochs) < 5000 and 1.2 <= epochs[-1]["seconds"] < 20.0


@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_same_command_goes_on(
    eimf: Eimf, start: Start, data: Path, tmp_path: Path
) -> None:  # fmt: skip
    often = "import eimf_core.training.run_state as progress; progress.CHECKPOINT_SECONDS = 0.05"
    pids = (
        f"{often}\nimport os\nif 'RANK' in os.environ:\n"
        f"    open({str(tmp_path / 'pid-')!r} + os.environ['RANK'], 'w').write(str(os.getpid()))"
    )
    arguments = (data, *FAST, "--epochs", "15", "-o", tmp_path / "model")
    running = start(*arguments, patch=pids, torchrun=True)
    state = tmp_path / ".model.checkpoint" / "state.json"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)
    assert state.exists() and running.poll() is None
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGKILL)
    stderr = running.communicate(timeout=60)[1]
    assert running.returncode != 0
    assert len(said(stderr)) == 1 and "same command again" in said(stderr)[0], stderr.decode()
    assert not (tmp_path / "model").exists() and state.exists()
    # one process alone is not the run that was interrupted
    done = eimf("train", *arguments)
    assert done.returncode == 2 and b"processes 2" in done.stderr, done.stderr
    again = start(*arguments, patch=often)
    stderr = again.communicate(timeout=120)[1]
    assert again.returncode == 0 and b"resuming after epoch" in stderr, stderr.decode()
    whole = start(*arguments[:-1], tmp_path / "whole")
    assert whole.wait(120) == 0
    for part in ("weights.safetensors", "interests.onnx"):
        assert (tmp_path / "model" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes(), part


FAILS = """
import os
from eimf_core.errors import ConfigError
from eimf_core.training.step import Step
take = Step.take
def failing(self, *arguments, **named):
    if self.group.rank == RANK:
        raise ERROR
    return take(self, *arguments, **named)
Step.take = failing
"""

# the second process is at its error long before the first one has been imported
SLOW_FIRST = """
import os, time
if os.environ["RANK"] == "0":
    time.sleep(1)
"""
CHOOSES = """
import os
from eimf_core.errors import ConfigError
from eimf_core.training import train as training
choose = training.choose
def chosen(*arguments, local_rank):
    if local_rank == 1:
        raise ConfigError('too few devices for a process each')
    return choose(*arguments, local_rank=local_rank)
training.choose = chosen
"""
# an error that the first process neither has nor is told of
LONE = """
import os
from eimf_cli import exit_codes
exit_codes.MAIN_PROCESS_SECONDS = 1.0
from eimf_core.model_directory import artifact
if os.environ["RANK"] == "1":
    def check(output):
        raise MemoryError
    artifact.check_output = check
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patch", "arguments", "words", "torchrun"),
    [
        (
            FAILS.replace("RANK", "1").replace("ERROR", "ConfigError('the second has had enough')"),
            (),
            "had enough",
            True,
        ),
        (FAILS.replace("RANK", "0").replace("ERROR", "OSError(28, 'No space left', 'x')"), (), "disk is full", False),
        (SLOW_FIRST, ("--lr", "0"), "--learning-rate", False),
        (SLOW_FIRST, ("--no-such-option",), "--no-such-option", False),
        (CHOOSES, (), "too few devices", False),
    ],
    ids=["second", "first", "option-slow", "usage-slow", "device"],
)
def test_an_error_of_one_ends_all_with_one_line(
    start: Start, data: Path, tmp_path: Path, patch: str, arguments: tuple[str, ...], words: str, torchrun: bool
) -> None:  # fmt: skip
    running = start(data, *FAST, *arguments, "-o", tmp_path / "model", patch=patch, torchrun=torchrun)
    stderr = running.communicate(timeout=60)[1]
    assert running.returncode != 0
    assert len(said(stderr)) == 1 and words in said(stderr)[0], stderr.decode()
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_an_error_that_only_another_process_has_is_told_by_it(start: Start, data: Path, tmp_path: Path) -> None:
    running = start(data, *FAST, "-o", tmp_path / "model", patch=LONE)
    stderr = running.communicate(timeout=60)[1]
    assert running.returncode != 0
    assert "out of memory" in said(stderr)[0], stderr.decode()
    assert not (tmp_path / "model").exists()
