"""Configuration files: damaged TOML, and whole files with odd values."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.robustness import mutations
from tests.robustness.kinds import lines
from tests.robustness.trial import Kind, Trial

KEYS = {
    "prepare": ("min_user", "split", "valid_share", "event", "threads", "memory_limit", "since", "title_column"),
    "cluster": ("budget", "clusters", "encoder", "min_items", "seed"),
    "label": ("engine", "max_interests", "language", "parallel", "server", "temperature", "max_error_share"),
    "train": ("epochs", "backbone", "hyper", "learning_rate", "fast", "labels", "interests", "loss"),
    "eval": ("k", "metrics", "baselines", "slice", "resamples", "seen"),
    "recommend": ("k", "diversity", "only", "min_score", "items", "seen", "anchors"),
}
EXAMPLE = """# settings of all steps
seed = 3
[prepare]
min_user = 2
split = "temporal"
[cluster]
budget = "10%"
[label]
engine = "keywords"
max_interests = 3
[train]
epochs = 2
backbone = "comirec-sa"
[eval]
k = [5, 10]
[recommend]
k = 5
"""


def make(folder: Path) -> None:
    """What the steps read, and a file of settings."""
    lines.make(folder)
    (folder / "eimf.toml").write_text(EXAMPLE)
    (folder / "log.csv").write_text(
        "user,item,time\n" + "".join(f"u{at % 7},i{at % 5},{1.6e9 + at}\n" for at in range(60))
    )


def _value(value: Any) -> str:
    """Nearly TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}.get(json.dumps(value), json.dumps(value))
    return json.dumps(value)


def _odd_settings(rng: random.Random) -> bytes:
    written = []
    for step in rng.sample(sorted(KEYS), 3):
        written.append(rng.choice((f"[{step}]", f"[{step}]", f"[[{step}]]", f"[{step}.more]")))
        written += [f"{key} = {_value(mutations.odd(rng))}" for key in rng.sample(KEYS[step], rng.randrange(1, 4))]
    return "\n".join(written).encode("utf-8", "replace")


def trial(trial: Trial) -> None:
    rng = trial.rng
    odd = rng.random() < 0.6
    mutations.change(
        trial.folder / "eimf.toml", rng, (lambda raw, drawn: _odd_settings(drawn)) if odd else mutations.of_text
    )
    commands: dict[str, tuple[str, ...]] = {
        "prepare": ("log.csv", "-o", "out"), "cluster": ("data", "-o", "out"), "eval": ("model", "data", "-o", "out"),
        "label": ("samples.jsonl", "-o", "out"), "train": ("data", "-o", "out", "--show-config"),
        "recommend": ("model", "--items", "tea-1"),
    }  # fmt: skip
    for step in rng.sample(sorted(commands), 2):
        trial.eimf(step, *commands[step], "--config", "eimf.toml", outputs=["out", "out.partial"])
        if (trial.folder / "out").exists():
            break


KIND = Kind(
    "toml",
    40,
    make,
    trial,
    modules=(*lines.MODULES, "eimf_cli.prepare", "eimf_core.prepare.prepare", "duckdb", "eimf_cli.train"),
    seconds=20,
)
