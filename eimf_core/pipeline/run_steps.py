"""The steps of `eimf run`: what each reads and writes, and whether what is there was made from what is there now.

A step is up to date where OUT/.steps/STEP.json tells that it was made from the same files, by content, with the same
options and version, and where what it wrote has not changed since. Times of files count for nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from eimf_core import renamed_settings
from eimf_core.errors import ConfigError
from eimf_core.io import files, outputs, provenance
from eimf_core.labeling.engines.engine_registry import engine_class
from eimf_core.model_directory import model_files
from eimf_core.prepare import log_files, remote

RECORDS = ".steps"
"""The folder of the records, in the directory that a run writes."""


@dataclass(frozen=True)
class RunStep:
    """A step of a run.

    Attributes:
        name: the command.
        arguments: what stands behind it on the command line, without options of the configuration.
        inputs: files, folders and patterns that it reads.
        outputs: files that it writes.
        discard: whether labels that an earlier run made may be given up.
    """

    name: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    discard: bool = False


class _Made(msgspec.Struct, frozen=True):
    """The record of a step that was made: the hash of what it was made from, and those of its outputs by path."""

    origin: str
    outputs: dict[str, str]


def plan(logs: Sequence[Path], items: Sequence[Path], out: Path, *, engine: str | None, test: bool) -> list[RunStep]:
    """The steps from a log to a measured model.

    Args:
        logs, items: what prepare gets.
        out: the directory that everything is written to.
        engine: what labels users; None where they are not labelled.
        test: whether the split holds anything to measure with.

    Returns:
        The steps in their order.

    Raises:
        ConfigError: the directory is one of other files, such as the current one; or there is no such engine.
    """
    outputs.refuse_common_folder(out)
    data, samples, labels, model, metrics = (
        out / name for name in ("data", "samples.jsonl", "labels.jsonl", "model", "metrics.jsonl")
    )
    prepared = (data / "sequences.jsonl", data / "items.jsonl")
    described = [part for path in items for part in ("--items", str(path))]
    steps = [RunStep("prepare", (*map(str, logs), *described, "-o", str(data)), (*logs, *items), prepared)]
    label = engine is not None
    if engine is not None:
        known = Records(out).knows("label")
        asked: tuple[str, ...] = (str(samples), "-o", str(labels))
        if engine_class(engine).needs_catalogue:
            asked += ("--items", str(data / "items.jsonl"))
        steps += [
            RunStep("cluster", (str(data), "-o", str(samples)), prepared, (samples,)),
            # what an earlier run answered may be given up: it is made again from the same samples
            RunStep("label", asked, (samples, data / "items.jsonl"), (labels,), discard=not labels.exists() or known),
        ]
    learned = ("--labels", str(labels)) if label else ()
    trained = (*prepared, labels) if label else prepared
    manifest = model / "manifest.json"
    parts = (manifest, *(model / name for name in model_files.PARTS))
    steps.append(RunStep("train", (str(data), *learned, "-o", str(model)), trained, parts))
    if test:
        steps.append(RunStep("eval", (str(model), str(data), "-o", str(metrics)), (*prepared, manifest), (metrics,)))
    return steps


class Records:
    """What is known of the steps of a directory."""

    def __init__(self, out: Path) -> None:
        self._folder = out / RECORDS

    def is_fresh(self, step: RunStep, origin: str) -> bool:
        """Whether the outputs of a step are there, unchanged, and were made from `origin`.

        Raises:
            ConfigError: an output was changed by another program than this step.
        """
        made = self._read(step)
        if made is None or not all(path.exists() for path in step.outputs):
            return False
        for path in step.outputs:
            if made.outputs.get(str(path.name)) != files.sha256(path):
                raise ConfigError(
                    f"{path}: was changed since eimf run made it; remove it to have it made again, or run the steps "
                    "yourself from here on"
                )
        return made.origin == origin

    def knows(self, name: str) -> bool:
        """Whether a step was made by an earlier run."""
        return self._path(name).exists()

    def add(self, step: RunStep, origin: str) -> None:
        """A step was made."""
        made = _Made(origin, {path.name: files.sha256(path) for path in step.outputs})
        with files.atomic(self._path(step.name)) as stream:
            stream.write(
                orjson.dumps(msgspec.to_builtins(made), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, step: RunStep) -> _Made | None:
        try:
            return msgspec.json.decode(self._path(step.name).read_bytes(), type=_Made)
        except (OSError, msgspec.DecodeError):
            return None


def origin_of(step: RunStep, options: dict[str, Any]) -> str:
    """The hash of what a step is made from: version, options, and the content of all that it reads.

    Args:
        step: the step.
        options: all its options with their values; those that name a file or a model count with its
            content.

    Raises:
        ConfigError: an input is missing, or is a stream.
    """
    values = [Path(value) for value in _texts(options) if value]
    # of a model directory the manifest, which holds the hashes of all else
    named = [path for value in values for path in (value, value / "manifest.json") if path.is_file()]
    written = {os.path.realpath(path) for path in step.outputs}
    read = [path for given in step.inputs for path in _files(given)]
    described = {
        "version": provenance.versions().get("eimf"),
        "options": renamed_settings.with_original_names(options),
        "files": {str(path): files.sha256(path) for path in (*read, *named) if os.path.realpath(path) not in written},
    }
    return hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()


def _texts(values: Any) -> Iterable[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _texts(value)


def _files(given: Path) -> list[Path]:
    """The files that an argument leads to: itself, those of a folder, or those that a pattern fits."""
    if remote.address(given):
        raise ConfigError(
            f"{remote.redacted(given)}: is an address, which a run cannot check for changes; copy the file first"
        )
    if str(given) == "-" or files.is_device(given):
        raise ConfigError(f"{given}: is a stream, of which a run cannot tell whether it has changed; give files")
    if given.is_dir():
        return sorted(path for path in given.rglob("*") if path.is_file())
    return log_files.matching(given)
