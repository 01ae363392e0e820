"""Command lines: every option of every command with an odd value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from tests.robustness import mutations
from tests.robustness.kinds import lines, toml
from tests.robustness.trial import CODES, Kind, Trial

COMMANDS: dict[str, tuple[str, ...]] = {
    "prepare": ("log.csv", "-o", "out"), "cluster": ("data", "-o", "out", "--budget", "5", "--clusters", "3"),
    "label": ("samples.jsonl", "-o", "out"), "eval": ("model", "data", "-o", "out", "--resamples", "100"),
    "recommend": ("model", "--items", "tea-1"), "score": ("labels.jsonl", "--samples", "samples.jsonl", "--truth", "data/items.jsonl"),
    "similar": ("model", "tea-1"), "verify": ("model",), "join": ("model", "model", "data", "-o", "out"), "index": ("model",),
    "export": ("model", "--vectors", "out"),
}  # fmt: skip
ENGINES: tuple[tuple[str, ...], ...] = (
    ("--engine", "keywords"), ("--engine", "categories", "--items", "data/items.jsonl"),
    ("--engine", "batch", "--model", "any"), ("--model", "bundled", "--dry-run"),
    ("--engine", "server", "--server", "http://127.0.0.1:9/v1", "--model", "any", "--dry-run"),
)  # fmt: skip
"""What `label` is told beside that; each engine has options of its own."""
TRAINING: dict[str, tuple[str, ...]] = {
    "train": ("data", "--fast", "--epochs", "1", "--item-vectors", "random", "-o", "out"),
    "run": ("log.csv", "--config", "small.toml", "-o", "out"),
    "compare": ("data", "--backbones", "narm", "--seeds", "1", "--ranges", "ranges.toml", "-o", "out"),
}
"""Commands that train, which takes seconds."""
SMALL = 'epochs = 1\ndimension = 8\nitem_vectors = "random"\n'
PATHS = ("", ".", "/", "/dev/null", "/dev/full", "/dev/zero", "nowhere", "data", "log.csv", "model", "data/items.jsonl", "..", "odd\udcff", "a\0b",
         "x" * 300, "x/" * 3000, "samples.jsonl", "-", "/proc/self/mem", "loop", "~", "$HOME", "*", "data/../data", "//", "out/in/side")  # fmt: skip
NUMBERS = ("0", "-1", "1", "2", "1e9", "nan", "inf", "-inf", "1.5", "1e400", "9" * 30, "9" * 5000, "0x10", "1_000", "²", "٣", " 5 ", "5%", "0%", "101%", "-5%", "nan%",
           "1e-320", "2147483648", "9223372036854775808", "-0", "auto", "True", "10" * 10)  # fmt: skip
SLOW = {
    "--resamples",
    "--epochs",
    "--dimension",
    "--interests",
    "--negatives",
    "--batch-size",
    "--max-length",
    "--clusters",
    "-d",
    "--context",
    "--hf-repo",
    "--seeds",
    "--trials",
    "--encoder",
}
"""Options whose huge values are work that was asked for."""


def make(folder: Path) -> None:
    """What the commands read."""
    toml.make(folder)
    (folder / "loop").symlink_to("loop")
    (folder / "ranges.toml").write_text(SMALL)
    (folder / "small.toml").write_text(f'[prepare]\nsplit = "leave-one-out"\n[train]\nfast = true\n{SMALL}')


def _parameters(command: str) -> list[Any]:
    from eimf_cli import main

    group: Any = typer.main.get_command(main.app)
    return [each for each in group.get_command(None, command).params if each.name != "help"]


def _value(trial: Trial) -> str:
    rng = trial.rng
    what = rng.randrange(4)
    if what == 0:
        return rng.choice(PATHS)
    if what == 1:
        return rng.choice(NUMBERS)
    if what == 2:
        return rng.choice([text for text in mutations.TEXTS if "\ud800" not in text and "\udfff" not in text])
    return rng.choice(
        (
            "fast",
            "none",
            "all",
            "auto",
            "train",
            "a,b",
            "a=b",
            "category=tea",
            "=",
            ",",
            ",,",
            "tea-1",
            "2020-01-01",
            "10GB",
            "-5GB",
            "http://[",
            "http://a@b:c/",
            "ftp://x",
            "history=x",
            "labels",
        )
    )


def trial(trial: Trial) -> None:
    rng = trial.rng
    commands = COMMANDS | TRAINING
    command = rng.choice([*COMMANDS] * 3 + [*TRAINING])
    options = [each for each in _parameters(command) if each.param_type_name == "option"]
    typed: list[str] = [*commands[command], *(rng.choice(ENGINES) if command == "label" else ())]
    for option in rng.sample(options, rng.choice((1, 1, 1, 2))):
        flag = max(option.opts, key=len)
        if flag in ("--config", "--verbose") and rng.random() < 0.5:
            continue
        if getattr(option, "is_flag", False):
            typed.append(rng.choice((*option.opts, *option.secondary_opts)))
            continue
        value = _value(trial)
        if flag in SLOW and value in NUMBERS and len(value) > 2:
            value = rng.choice(("0", "-1", "nan", "1.5", "x", ""))
        typed += [f"{flag}={value}"] if rng.random() < 0.5 else [flag, value]
    if rng.random() < 0.15:
        at = rng.randrange(len(typed))
        typed[at] = _value(trial)
    if rng.random() < 0.1:
        del typed[rng.randrange(len(typed))]
    known = {path.name for path in trial.folder.iterdir()}
    before = set(known)
    # what an option names as an output is written, whatever its name
    names = [part for each in typed for part in (each, each.partition("=")[2]) if part and "\0" not in part]
    allowed = [name.removeprefix("./").rstrip("/") for name in names if name not in before]
    if command == "index":
        allowed.append("model")
    if command == "label":
        allowed += [f"{name.removesuffix('.jsonl')}.requests.jsonl" for name in ("out", *allowed)]
    outputs = ["out", "out.partial", *allowed, *(name.split("/")[0] for name in allowed)]
    # a disk that is full is no fault of what was typed
    codes = (*CODES, 1) if any("/dev/full" in each for each in typed) else CODES
    kept = outputs if command in ("run", "compare") else ()
    trial.eimf(command, *typed, outputs=outputs, kept=kept, codes=codes)


KIND = Kind("options", 50, make, trial, modules=toml.KIND.modules + lines.MODULES, seconds=30)
