"""A run on disk, so that a killed one can be resumed: `.MODEL.checkpoint/` beside MODEL, no pickle.

    state.json               names and hashes of the files below and what else resuming needs
    state-RUN-N.safetensors  weights and optimiser
    best-RUN-N.safetensors   the weights of the best epoch so far

`state.json` is replaced in one step after the files it names are on disk; files that it does not
name are left over from a kill and removed at the next save. RUN keeps a run from writing over the
files of another that was interrupted before. Tensors go to the disk as they lie in memory and come back mapped from
the file, so that a checkpoint of a large table takes no memory beside it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eimf_core.errors import ConfigError, EimfError
from eimf_core.io import files, raw_files, weights_file

Tensors = Mapping[str, Tensor]


class Checkpoint:
    """The checkpoint of the model at `output`; `fingerprint` tells one run from another."""

    def __init__(self, output: str | Path, fingerprint: str) -> None:
        target = files.resolved(output)
        self.folder = target.with_name(f".{target.name}.checkpoint")
        self._fingerprint = fingerprint
        self._run = fingerprint[:12]
        self._number = 0
        self._best: str | None = None
        self._hashes: dict[str, str] = {}

    def load(self) -> tuple[Tensors, dict[str, Any]] | None:
        """The state of an interrupted run with the same fingerprint.

        Returns:
            Tensors by name, and facts; None where there is no such run, or it is damaged.
        """
        try:
            with raw_files.regular(self.folder / "state.json") as stream:
                kept = orjson.loads(stream.read())
            described = kept["run"]
            if described["fingerprint"] != self._fingerprint or kept["sha256"] != _sha256(described):
                return None
            for name, sha256 in described["files"].items():
                if not (self.folder / name).is_file() or files.sha256(self.folder / name) != sha256:
                    return None
            tensors = load_file(self.folder / described["state"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EimfError, SafetensorError):
            return None
        self._number, self._best, self._hashes = described["number"], described["best"], described["files"]
        return tensors, described["facts"]

    def save(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Keep a state in the place of the last one.

        Args:
            tensors: by name.
            facts: what can be written as JSON.
        """
        self._number += 1
        name = f"state-{self._run}-{self._number}.safetensors"
        self._write(name, tensors)
        self._hashes = {each: self._hashes[each] for each in (name, self._best) if each is not None}
        described = {
            "fingerprint": self._fingerprint,
            "number": self._number,
            "state": name,
            "best": self._best,
            "files": self._hashes,
            "facts": facts,
        }
        with files.atomic(self.folder / "state.json") as stream:
            stream.write(orjson.dumps({"run": described, "sha256": _sha256(described)}))
        for path in self.folder.iterdir():
            if path.name not in ("state.json", name, self._best):
                path.unlink()

    def save_best(self, tensors: Tensors, epoch: int) -> None:
        """Keep weights as the best; they count from the next `save` on.

        Args:
            tensors: by name.
            epoch: that they are of.
        """
        self._best = f"best-{self._run}-{epoch}.safetensors"
        self._write(self._best, tensors)

    def load_best(self) -> Tensors | None:
        """The best weights.

        Returns:
            Tensors by name; None when no epoch was measured.
        """
        return None if self._best is None else load_file(self.folder / self._best)

    def remove(self) -> None:
        """The run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, tensors: Tensors) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: is a file, expected the checkpoint's directory; remove it")
        weights_file.write(self.folder / name, {key: tensor.detach().cpu().numpy() for key, tensor in tensors.items()})
        self._hashes[name] = files.sha256(self.folder / name)


def _sha256(described: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(described)).hexdigest()
