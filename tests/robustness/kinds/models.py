"""Model directories: damaged files, and files that fit the manifest and lie otherwise."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests import in_process
from tests.recommend_models import write_named_model
from tests.robustness import mutations
from tests.robustness.kinds import lines
from tests.robustness.trial import Kind, Trial

ASK = ("recommend", "model", "--items", "tea-1,yarn-2", "--jsonl")


def make(folder: Path) -> None:
    """A model, and its answer."""
    graph = None
    write_named_model(folder / "model", words=True, graph=graph)
    done = in_process.eimf(ASK, stdin=b"", cwd=folder, environment={})
    assert done.returncode == 0, done.stderr
    (folder / "wanted.jsonl").write_bytes(done.stdout)


def _damaged(trial: Trial) -> None:
    """Any byte changed: another answer is never given."""
    name = trial.rng.choice(sorted(path.name for path in (trial.folder / "model").iterdir()))
    of_content = mutations.of_lines if name == "manifest.json" else mutations.of_bytes
    mutations.change(trial.folder / "model" / name, trial.rng, of_content)
    if trial.rng.random() < 0.2:
        trial.eimf("verify", "model", codes=(0, 2, 4))
        return
    done = trial.eimf(*ASK, codes=(0, 2, 4))
    same = done.stdout == (trial.folder / "wanted.jsonl").read_bytes()
    trial.expect(done.returncode != 0 or same, "another answer of a damaged model")


def _forged(trial: Trial) -> None:
    """A changed file with the size and hash that the manifest wants."""
    rng, folder = trial.rng, trial.folder / "model"
    name = rng.choice(
        (
            "config.json",
            "config.json",
            "items.jsonl",
            "named.jsonl",
            "train.jsonl",
            "weights.safetensors",
            "items.index.safetensors",
        )
    )
    raw = (folder / name).read_bytes()
    if name == "config.json":
        changed = mutations.of_line(raw, rng)
    elif name.endswith(".jsonl"):
        changed = mutations.of_lines(raw, rng)
    elif rng.random() < 0.6:
        changed = _other_header(raw, trial)
    else:
        changed = mutations.of_bytes(raw, rng)
    forge(trial.folder, name, changed)
    command = rng.choice(
        (
            ASK,
            ASK,
            ("similar", "model", "tea-1"),
            ("recommend", "model", "--text", "tea"),
            ("recommend", "model", "--like", "green tea"),
        )
    )
    trial.eimf(*command)


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of the model in a folder and describe it in the manifest."""
    (folder / "model" / name).write_bytes(content)
    manifest = json.loads((folder / "model" / "manifest.json").read_bytes())
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "model" / "manifest.json").write_bytes(json.dumps(manifest).encode())


def _other_header(raw: bytes, trial: Trial) -> bytes:
    """A safetensors file with a changed header."""
    length = int.from_bytes(raw[:8], "little")
    header = json.dumps(mutations.of_value(json.loads(raw[8 : 8 + length]), trial.rng)).encode()
    return len(header).to_bytes(8, "little") + header + raw[8 + length :]


KINDS = [
    Kind("models", 130, make, _damaged, modules=(*lines.MODULES, "eimf_cli.verify")),
    Kind("forged-models", 130, make, _forged, modules=lines.MODULES),
]
