"""The files of a model directory: opened once, relative to the directory, and held against the manifest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files, system_files

FORMAT = 1
PARTS = (
    "config.json",
    "items.jsonl",
    "items.index.safetensors",
    "weights.safetensors",
    "interests.onnx",
    "named.jsonl",
    "train.jsonl",
)
OPTIONAL = ("index.safetensors", "item_groups.safetensors", "next_items.safetensors", "words.safetensors")
"""Files that need not be there; they count when the manifest names them. Nothing reads or writes the last any more."""
LARGEST_HASHED = 1 << 25
"""Bytes of a file up to which its hash is compared whenever a model is opened: about 20 ms of work."""
BLOCK = 1 << 20


def _open_one(path: str | Path, name: str, opener: Callable[[str], int]) -> int:
    """A handle of a file of the directory itself: no link out of it, no pipe to wait for."""
    try:
        handle = opener(name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: {name} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ModelError(f"{path}: {name} is not a regular file")
    return handle


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[dict[str, int]]:
    """Open the manifest and all files it names; they are closed at the end of the block.

    Yields:
        File descriptors by name.

    Raises:
        ConfigError: the path is no directory.
        ModelError: the directory is no model.
        FileNotFoundError: a file is missing, perhaps since a writer replaced the directory just now.
    """
    with contextlib.ExitStack() as stack:
        try:
            opener = stack.enter_context(system_files.directory(path))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such model directory") from None
        except OSError as error:
            if not isinstance(error, NotADirectoryError):
                raise files.unreadable(path, error) from None
            raise ConfigError(f"{path}: is a file, expected the directory that train wrote") from None
        handles: dict[str, int] = {}

        def open_part(part: str) -> None:
            handles[part] = _open_one(path, part, opener)
            stack.callback(os.close, handles[part])

        for part in ("manifest.json", *PARTS):
            open_part(part)
        for part in set(read_manifest(str(path), handles)["files"]) & set(OPTIONAL):
            open_part(part)
        yield handles


@contextlib.contextmanager
def copied(handles: dict[str, int]) -> Iterator[dict[str, int]]:
    """Copies of opened files that nobody else can change, without a name; closed at the end of the block.

    A file that is written over while it is mapped ends the process that reads it.

    Args:
        handles: as `opened` gives them.

    Raises:
        OSError: there is no room for temporary files.
    """
    with contextlib.ExitStack() as stack:
        made = {}
        for name, handle in handles.items():
            target = stack.enter_context(tempfile.TemporaryFile())
            start = 0
            while block := system_files.read_at(handle, BLOCK, start):
                target.write(block)
                start += len(block)
            target.flush()
            made[name] = target.fileno()
        yield made


def check(name: str, handles: dict[str, int], *, whole: bool = False) -> None:
    """Compare sizes and hashes with the manifest.

    Args:
        name: the model's name, for errors.
        handles: as `opened` gives them.
        whole: hash files over LARGEST_HASHED bytes too (tables of very many items, whose shapes are checked in
            any case), which takes longer than an answer.

    Raises:
        ModelError: names the first file that differs.
    """
    for part, described in read_manifest(name, handles)["files"].items():
        size = os.fstat(handles[part]).st_size
        if size != described["size"]:
            raise ModelError(
                f"{name}: {part} has {size} bytes, not the {described['size']} of the manifest; train or copy it again"
            )
        if (whole or size <= LARGEST_HASHED) and _sha256(handles[part]) != described["sha256"]:
            raise ModelError(
                f"{name}: {part} is not the file that training wrote (its sha256 differs); train or copy it again"
            )


def _sha256(handle: int) -> str:
    digest, start = hashlib.sha256(), 0
    while block := system_files.read_at(handle, BLOCK, start):
        digest.update(block)
        start += len(block)
    return digest.hexdigest()


def read_manifest(name: str, handles: dict[str, int]) -> dict[str, Any]:
    """The manifest as plain data; ModelError when it does not name all files, or is of another format."""
    try:
        manifest: dict[str, Any] = orjson.loads(read(handles["manifest.json"]))
        described = manifest["files"]
        complete = set(described) - set(OPTIONAL) == set(PARTS) and all(
            isinstance(entry["size"], int) and isinstance(entry["sha256"], str) for entry in described.values()
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise ModelError(f"{name}: manifest.json is damaged; train the model again")
    if manifest.get("format") != FORMAT:
        raise ModelError(f"{name}: has format {manifest.get('format')}, this version of eimf reads {FORMAT}")
    return manifest


def read(handle: int) -> bytes:
    """A file as a whole."""
    return system_files.read_at(handle, os.fstat(handle).st_size, 0)
