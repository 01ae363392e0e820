"""`eimf train` as a command: what it prints and writes, bad input, and a run that is killed again and again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
import safetensors.numpy

from eimf_core.errors import ConfigError
from eimf_core.io import files, jsonl
from eimf_core.model_directory import artifact
from eimf_core.records import Label
from eimf_core.training import train as training
from eimf_core.training.config import FAST as ONE_MEMBER
from eimf_core.training.config import FAST_EPOCHS
from tests.conftest import ROOT, Eimf, one_error_line
from tests.small_data import write_small_data

FAST = ("--backbone", "comirec-sa", "--item-vectors", "random", "-d", "8", "--epochs", "2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


def test_a_model_with_named_interests(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    from eimf_core import dataset

    loaded = dataset.load(data, ("train",))
    train = loaded.splits["train"]
    lines = [
        {
            "key": dataset.sample_key(user, [loaded.vocab.ids[index - 1] for index in train.history(number)]),
            "request": "r", "user": user, "cluster": 0, "items_by": "model", "engine": "server", "model": "m",
            "seed": 0, "attempts": 1, "seconds": 0.1,
            "interests": [{"name": f"interest {number % 3}"}, {"name": "tea", "description": "Drinks tea."}],
        }
        for number, user in enumerate(train.users[:6])
    ]  # fmt: skip
    lines.append({**lines[0], "key": "0" * 16, "user": "stranger"})
    labels = tmp_path / "labels.jsonl"
    labels.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    assert len(list(jsonl.read(labels, Label))) == 7
    done = eimf("train", data, "--labels", labels, *FAST, "-o", tmp_path / "model")
    stderr = done.stderr.decode()
    assert done.returncode == 0 and done.stdout == b"", stderr
    assert "6 of 60 users labelled, seen in 50% of the steps" in stderr
    assert "stranger" in stderr and "validation NDCG@10" in stderr and " pairs/s, " in stderr
    model = artifact.open_model(tmp_path / "model")
    assert [interest.name for interest in model.named] == ["interest 0", "tea", "interest 1", "interest 2"]
    assert model.adapter is not None and model.named_vectors.shape == (4, 8)
    artifact.verify(tmp_path / "model")
    epochs = [orjson.loads(line) for line in (tmp_path / "model" / "train.jsonl").read_bytes().splitlines()]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert {"loss", "valid", "pairs_per_second", "padding", "seconds", "gradient_norm"} <= set(epochs[0])
    manifest = orjson.loads((tmp_path / "model" / "manifest.json").read_bytes())
    assert manifest["facts"]["summary"]["left_out"] == {"no match": 1}
    assert manifest["facts"]["split"] == "leave-one-out"
    assert {Path(name).name for name in manifest["inputs"]} == {"items.jsonl", "sequences.jsonl", "labels.jsonl"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".model")], "the checkpoint is left"


def test_quiet_and_replacing_a_model(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        done = eimf("train", data, *FAST, "-q", "--seed", seed, "-o", tmp_path / "model")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert artifact.open_model(tmp_path / "model").config.seed == int(seed)


def test_flags_beat_environment_beats_file_beats_default(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[train]\nepochs = 7\ninterests = 6\nseed = 3\n[eval]\nk = [5]\n")
    done = eimf(
        "train", data, "--config", tmp_path / "config.toml", "--seed", "1", "--show-config", "-o", tmp_path / "model",
        env={"EIMF_TRAIN_EPOCHS": "9", "EIMF_TRAIN_SEED": "2"},
    )  # fmt: skip
    shown = orjson.loads(done.stdout)
    assert (shown["seed"], shown["epochs"], shown["interests"], shown["patience"]) == (1, 9, 6, 4)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backbone", "magic"), "comirec-sa"),
        (("--epochs", "0"), "--epochs"),
        (("--lr", "0"), "--learning-rate"),
        (("--lr", "nan"), "--learning-rate"),
        (("--dropout", "1"), "--dropout"),
        (("--max-minutes", "-1"), "--max-minutes"),
        (("--loss", "hinge"), "sampled or full"),
        (("--seed", "-1"), "--seed"),
        (("--backbone", "sasrec", "-d", "9"), "heads (in --config) is 2"),
        (("--encoder", "no/such/folder", "--item-vectors", "text"), "no/such/folder"),
        (("--labels", "no-such-labels.jsonl"), "no-such-labels.jsonl"),
        (("--config", "no-such.toml"), "no-such.toml"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_written(
    eimf: Eimf, data: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = eimf("train", data, *FAST, *arguments, "-o", tmp_path / "model")
    assert words in one_error_line(done, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_output_that_is_something_else_is_left_alone(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    assert "is a file" in one_error_line(eimf("train", data, *FAST, "-o", tmp_path / "file"), 2)
    assert "not a model directory" in one_error_line(eimf("train", data, *FAST, "-o", tmp_path / "folder"), 2)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "mine.txt").read_text() == "mine"


def start(data: Path, model: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """`eimf train` with a checkpoint every few steps instead of every half minute."""
    program = (
        "import eimf_core.training.run_state as progress; progress.CHECKPOINT_SECONDS = 0.05\n"
        "from eimf_cli.main import run; run()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, "train", str(data), *FAST, *arguments, "-o", str(model)],
        env=environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def state_of(model: Path) -> tuple[int, int]:
    path = model.with_name(f".{model.name}.checkpoint") / "state.json"
    facts = orjson.loads(path.read_bytes())["run"]["facts"] if path.exists() else {"epoch": 0, "step": 0}
    return facts["epoch"], facts["step"]


def kill_once_it_got_on(running: subprocess.Popen[bytes], model: Path, how: signal.Signals, wait: float) -> bool:
    """Kill a run a moment after it got further than it was; False when it ended before."""
    before = state_of(model)
    while running.poll() is None:
        if state_of(model) > before:
            time.sleep(wait)
            if running.poll() is not None:
                return False
            os.killpg(running.pid, how)
            running.wait()
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_weights(
    eimf: Eimf, data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    arguments = ("--threads", "2", "--epochs", "12", "--patience", "0", "--batch-size", "16", "--backbone", "sasrec")
    assert eimf("train", data, *FAST, *arguments, "-o", tmp_path / "whole").returncode == 0
    for wait in (0.0, 0.1):
        running = start(data, tmp_path / "model", environment, *arguments)
        assert kill_once_it_got_on(running, tmp_path / "model", signal.SIGKILL, wait), "it was over too soon"
        assert not (tmp_path / "model").exists()
    last = eimf("train", data, *FAST, *arguments, "-o", tmp_path / "model")
    assert last.returncode == 0 and b"resuming after epoch" in last.stderr, last.stderr
    for part in ("weights.safetensors", "interests.onnx"):
        assert (tmp_path / "model" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes(), part
    # nothing of the killed runs is left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model", "whole"]


@pytest.mark.slow
def test_a_killed_run_from_an_earlier_model_goes_on_as_well(
    eimf: Eimf, data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert eimf("train", data, *FAST, "-q", "-o", tmp_path / "earlier").returncode == 0
    long = ("--epochs", "12", "--patience", "0", "--batch-size", "16")
    arguments = (*long, "--init", str(tmp_path / "earlier"))
    assert eimf("train", data, *FAST, *arguments, "-o", tmp_path / "whole").returncode == 0
    running = start(data, tmp_path / "model", environment, *arguments)
    killed = kill_once_it_got_on(running, tmp_path / "model", signal.SIGKILL, 0.05)
    assert running.stderr is not None and killed, running.stderr.read().decode()
    last = eimf("train", data, *FAST, *arguments, "-o", tmp_path / "model")
    assert last.returncode == 0 and b"resuming after epoch" in last.stderr, last.stderr
    part = "weights.safetensors"
    assert (tmp_path / "model" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()
    # and it is the earlier model that it began with
    assert eimf("train", data, *FAST, *long, "-o", tmp_path / "afresh").returncode == 0
    assert (tmp_path / "afresh" / part).read_bytes() != (tmp_path / "whole" / part).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_keeps_its_checkpoint(
    data: Path, tmp_path: Path, environment: dict[str, str], how: signal.Signals, code: int
) -> None:
    running = start(data, tmp_path / "model", environment, "--epochs", "500", "--patience", "0")
    assert kill_once_it_got_on(running, tmp_path / "model", how, 0.05)
    assert running.returncode == code and running.stderr is not None
    stderr = running.stderr.read().decode()
    assert "same command again" in stderr and "Traceback" not in stderr
    assert state_of(tmp_path / "model") > (0, 0) and not (tmp_path / "model").exists()


def test_a_full_disk_stops_with_one_line_and_the_same_command_goes_on(
    eimf: Eimf, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("train", str(data), *FAST, "--epochs", "4", "--patience", "0")
    save, calls = safetensors.numpy.save_file, []

    def filling(tensors: Any, path: Path) -> None:
        calls.append(path)
        if len(calls) == 4:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(tensors, path)

    with monkeypatch.context() as patched:
        patched.setattr(safetensors.numpy, "save_file", filling)
        done = eimf(*arguments, "-o", tmp_path / "model")
    assert "disk is full" in one_error_line(done, 1)
    assert state_of(tmp_path / "model") > (0, 0) and not (tmp_path / "model").exists()
    assert not list((tmp_path / ".model.checkpoint").glob(".*")), "a half-written file is left"
    again = eimf(*arguments, "-o", tmp_path / "model")
    assert again.returncode == 0 and b"resuming after epoch" in again.stderr, again.stderr
    assert eimf(*arguments, "-o", tmp_path / "whole").returncode == 0
    part = "weights.safetensors"
    assert (tmp_path / "model" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()


def test_a_second_writer_is_told_to_wait(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    with files.locked(tmp_path / "model"):
        assert "another process" in one_error_line(eimf("train", data, *FAST, "-o", tmp_path / "model"), 2)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_the_configurations_beside_the_examples_are_accepted(
    eimf: Eimf, data: Path, tmp_path: Path, path: Path
) -> None:
    done = eimf("train", data, "--config", path, "--show-config", "-o", tmp_path / "model")
    shown, given = orjson.loads(done.stdout), tomllib.loads(path.read_text()).get("train", {})
    assert given.items() <= shown.items()


def test_epochs_from_on_the_command_line(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    assert eimf("train", data, *FAST, "-o", tmp_path / "earlier").returncode == 0
    done = eimf("train", data, "--epochs-from", tmp_path / "earlier", "-q", "-o", tmp_path / "final")
    assert done.returncode == 0 and len(artifact.open_model(tmp_path / "final").epochs) in (1, 2)
    done = eimf("train", data, *FAST, "--epochs-from", tmp_path / "nowhere", "-o", tmp_path / "last")
    assert "nowhere" in one_error_line(done, 2)


@pytest.mark.slow
def test_an_ensemble_from_the_command_line_and_models_joined_afterwards(eimf: Eimf, data: Path, tmp_path: Path) -> None:
    small = ("--item-vectors", "random", "-d", "8", "--epochs", "1")
    done = eimf("train", data, *small, "--backbone", "comirec-sa+gru4rec", "-o", tmp_path / "model")
    stderr = done.stderr.decode()
    assert done.returncode == 0 and "member 2 of 2, gru4rec, epoch 1:" in stderr and "2 epochs in" in stderr, stderr
    assert "ensemble: " in stderr and "(best member 0." in stderr
    for name in ("comirec-sa", "gru4rec"):
        assert eimf("train", data, *small, "--backbone", name, "-q", "-o", tmp_path / name).returncode == 0
    done = eimf("join", tmp_path / "comirec-sa", tmp_path / "gru4rec", data, "-o", tmp_path / "joined")
    assert done.returncode == 0, done.stderr.decode()
    for part in ("weights.safetensors", "interests.onnx"):
        assert (tmp_path / "joined" / part).read_bytes() == (tmp_path / "model" / part).read_bytes(), part
    done = eimf("eval", tmp_path / "joined", data, "--report", tmp_path / "report.html", "--baselines", "none")
    assert done.returncode == 0, done.stderr.decode()
    # --init has the backbones of the model
    done = eimf("train", data, *small, "--init", tmp_path / "model", "-o", tmp_path / "next")
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(("more", "epochs"), [((), FAST_EPOCHS), (("--epochs", "3"), 3)])
def test_fast_is_one_member_and_few_epochs(
    eimf: Eimf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: tuple[str, ...], epochs: int
) -> None:
    write_small_data(tmp_path)
    asked = mock.Mock(side_effect=ConfigError("as far as here"))
    monkeypatch.setattr(training, "train", asked)
    assert eimf("train", tmp_path, "--fast", *more, "-o", "m").returncode == 2
    settings = asked.call_args.args[2]
    assert (settings.backbone, settings.epochs) == (ONE_MEMBER, epochs)
    assert {"backbone", "epochs"} & asked.call_args.kwargs["given"] == {"backbone", *(["epochs"] if more else [])}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "data", "--fast", "--backbone", "sasrec", "-o", "m"), "--fast and --backbone both say"),
        (("train", "data", "--fast", "--epochs-from", "a", "-o", "m"), "--fast and --epochs-from both say"),
        (("train", "data", "--backbone", "sasrec+gru", "-o", "m"), "--backbone is 'gru', expected comirec-sa"),
        (("join", "a", "data", "-o", "m"), "give at least two model directories and, last, the directory"),
        (("join", "a", "b", "nowhere", "-o", "m"), "nowhere: no such directory"),
    ],
)
def test_members_that_cannot_be(eimf: Eimf, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in one_error_line(eimf(*arguments, cwd=tmp_path), 2)
    assert list(tmp_path.iterdir()) == []
