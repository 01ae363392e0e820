"""Where an export may write; told before anything is written, so that its outputs appear together or not at all."""

from __future__ import annotations

from pathlib import Path

from eimf_core.errors import ConfigError
from eimf_core.io import files

NETWORK_FILES = ("interests.onnx", "network.json", "README.md")
ENDINGS = (".parquet", ".parq", ".pq")


def check(model: str | Path, vectors: Path | None, onnx: Path | None) -> None:
    """Refuse places where an output would not be found again or would be lost.

    Args:
        model: the model directory.
        vectors: the Parquet file, if it is wanted.
        onnx: the folder of the network, if it is wanted.

    Raises:
        ConfigError: names the option, and what is wrong with its value.
    """
    if vectors is None and onnx is None:
        raise ConfigError("nothing to write: give --vectors FILE.parquet, --onnx DIR or both")
    if vectors is not None and vectors.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--vectors {vectors}: expected a file name that ends in .parquet, the form that is written")
    for option, path in (("--vectors", vectors), ("--onnx", onnx)):
        if path is not None and files.resolved(model) in files.resolved(path).parents:
            raise ConfigError(
                f"{option} {path}: lies in the model directory, which is replaced as a whole; choose another place"
            )
    if onnx is not None:
        check_folder(onnx)
    if (
        vectors is not None
        and onnx is not None
        and files.resolved(onnx) in (files.resolved(vectors), *files.resolved(vectors).parents)
    ):
        raise ConfigError(
            f"--vectors {vectors}: lies in --onnx {onnx}, which is replaced as a whole; put the file beside the folder"
        )


def check_folder(output: Path) -> None:
    """ConfigError for a place of the network that is a file, or a folder that holds other files."""
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--onnx {output}: is a file, expected a folder to write")
    held = {entry.name for entry in output.iterdir()} if output.is_dir() else set()
    others = sorted(held - set(NETWORK_FILES)) or ([] if not held or "network.json" in held else sorted(held))
    if others:
        raise ConfigError(f"--onnx {output}: holds {others[0]}, which would be lost; give a folder of its own")
