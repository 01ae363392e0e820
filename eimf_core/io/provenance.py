"""Provenance: `OUT.meta.json` beside each output says how it came about.

It holds versions, arguments, configuration, seed and the sha256 of every input and of the output, and whatever
a step wants later steps to know (`facts`, such as the protocol of a split).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from eimf_core import plugins
from eimf_core.errors import InputError
from eimf_core.io import files, raw_files

PACKAGES = ("eimf", "numpy", "torch", "scikit-learn", "sentence-transformers", "llama-cpp-python", "onnxruntime")
HASHES = "outputs"
"""The key of the hashes of what a sidecar describes."""


def versions() -> dict[str, str]:
    """Installed versions of this project, of Python and of the packages that shape results."""
    found = {name: version for name in PACKAGES if (version := _installed(name)) is not None}
    return {"python": platform.python_version(), **found}


@cache
def _installed(package: str) -> str | None:
    # imported late, since it brings what parses e-mails; a file of metadata takes milliseconds to parse
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe(
    *,
    command: str,
    arguments: dict[str, Any],
    inputs: list[str | Path],
    seed: int | None = None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of a sidecar as plain data.

    Args:
        command: the step, such as "prepare".
        arguments: its settings as they were given.
        inputs: what it read; each is hashed, but for stdin and pipes, which can be read only once.
        seed: of the run.
        facts: what later steps want to know.

    Returns:
        Names and values, to be written as JSON.
    """
    loaded = plugins.used()
    return {
        "command": command,
        "versions": versions(),
        **({"plugins": loaded} if loaded else {}),
        "arguments": arguments,
        "seed": seed,
        "inputs": {files.name_of(path): None if _is_stream(path) else files.sha256(path) for path in inputs},
        "facts": facts or {},
    }


def _is_stream(path: str | Path) -> bool:
    return str(path) == "-" or files.is_device(path)


def sidecar(output: str | Path) -> Path:
    """`OUT.meta.json` for an output file."""
    return Path(f"{output}.meta.json")


def write(output: str | Path, description: dict[str, Any], *, beside: Iterable[Path] = ()) -> None:
    """Write the sidecar of an output, which is there already; stdout ("-") and devices have none.

    Args:
        output: the file that it describes.
        description: from `describe`.
        beside: further files that this sidecar stands for; those that there are.
    """
    if _is_stream(output):
        return
    written = [path for path in (Path(output), *beside) if path.exists()]
    described = {**description, HASHES: {path.name: files.sha256(path) for path in written}}
    with files.atomic(sidecar(output)) as stream:
        stream.write(orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str))


def _content(path: Path) -> bytes:
    with raw_files.regular(path) as stream:
        return stream.read()


def hashes(path: Path) -> dict[str, str] | None:
    """The sha256 of what a sidecar describes, by file name; None where there is no sidecar of eimf."""
    try:
        described = orjson.loads(_content(path))
        return dict(described.get(HASHES, {})) if {"command", "versions"} <= described.keys() else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def inputs(output: str | Path) -> dict[str, str]:
    """The inputs in an output's sidecar with their sha256; empty where there is no sidecar that says so."""
    try:
        known = orjson.loads(_content(sidecar(output)))["inputs"]
        return {str(path): str(value) for path, value in known.items()}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def read_facts(output: str | Path) -> dict[str, Any]:
    """The facts in an output's sidecar; empty where there is no sidecar (a file made elsewhere)."""
    path = sidecar(output)
    if not path.is_file():
        return {}
    try:
        facts = orjson.loads(_content(path))["facts"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError("is not a sidecar of eimf; delete it or make the data again", file=path) from None
    if not isinstance(facts, dict):
        raise InputError("is not an object", file=path, field="facts")
    return facts
