"""A thousand damaged inputs, in a process of its own; and that the harness sees what it is for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.robustness import run
from tests.robustness.trial import Kind, Trial


@pytest.mark.slow
def test_a_thousand_inputs(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.robustness", "--inputs", "1000", "--kills", "1"],
        cwd=ROOT, env={**environment, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # a cache that torch keeps
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("torchinductor_")] == []


def _spin(trial: Trial) -> None:
    while True:
        pass


def _eat(trial: Trial) -> None:
    bytes(8 << 30)


def _leave_process(trial: Trial) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def _leave_file(trial: Trial) -> None:
    trial.eimf("--version", codes=(0,))
    (trial.folder / "tmp.txt").symlink_to("log.csv")
    trial.eimf("prepare", "log.csv", "--split", "none", "-o", "other", outputs=["out"])


def _wrong_code(trial: Trial) -> None:
    trial.eimf("prepare", "nowhere.csv", "-o", "out", codes=(0,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "problem"),
    [
        (_spin, "more than 1 s of processor time"),
        (_eat, "MemoryError"),
        (_leave_process, "left 1 processes running"),
        (_leave_file, "was left behind"),
        (_wrong_code, "exit 2"),
    ],
)
def test_what_a_trial_sees(work: Callable[[Trial], None], problem: str, tmp_path: Path) -> None:
    # in a process of its own, which adopts those that nobody waits for
    script = (
        "from pathlib import Path; from tests.robustness import test_robustness as here;"
        f"here.tell({work.__name__!r}, Path({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert problem in done.stdout, done.stderr


def tell(name: str, folder: Path) -> None:
    """Print the fault of one trial."""

    def make(place: Path) -> None:
        (place / "log.csv").write_text("user,item,time\na,b,1\na,c,2\nb,c,3\n")

    kind = Kind("here", 1, make, globals()[name], seconds=1)
    run.prepared([kind], folder)
    print(run.run(kind, folder, seed=0, numbers=[0]).faults)
