"""The header of a GGUF file, read without llama.cpp: is it whole, and what does its metadata say.

llama.cpp hides why a file cannot be loaded; here each reason gets its own line. The reader of the package `gguf`
hides it as well, and takes 14 s of CPU time for a vocabulary of 152k tokens, this one 0.4 s. Source of the format:
the GGUF specification in ggml's docs/gguf.md (version 2 and 3, little endian).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any

from eimf_core.errors import ModelError
from eimf_core.io import files, raw_files

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
TRAINED_PROMPT = ("eimf.prompt_template", "eimf.prompt_schema")  # of a model that was trained for eimf
TEXTS = ("general.architecture", "tokenizer.chat_template", *TRAINED_PROMPT)
LONGEST_KEPT = 64  # arrays longer than this (vocabularies) are passed over
MAX_ENTRIES, LONGEST_STRING = 1 << 20, 1 << 28


class _BrokenError(Exception):
    pass


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a GGUF file, without its long arrays.

    Raises ConfigError when the file cannot be opened and ModelError when it is no GGUF, cut short,
    or holds no weights.
    """
    try:
        stream = raw_files.regular(path)
    except OSError as error:
        raise files.unreadable(path, error) from None
    with stream:
        try:
            metadata, end = _head(stream)
            size = stream.seek(0, 2)
        except _BrokenError as problem:
            raise ModelError(f"{path}: {problem}; download it again") from None
        except (struct.error, ValueError, OverflowError, RecursionError, OSError):
            raise ModelError(f"{path}: is a GGUF file cut short or damaged in its header; download it again") from None
    if size < end:
        raise ModelError(f"{path}: is cut short ({size:,} of at least {end:,} bytes); download it again")
    return metadata


def _head(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    """Metadata, and a lower bound of the file's size: where the last tensor starts."""
    start = stream.read(4)
    if not start:
        raise _BrokenError("is empty, expected a GGUF file")
    if start != MAGIC:
        raise _BrokenError("is not a GGUF file (it does not begin with 'GGUF')")
    version = _scalar(stream, 4)
    if version not in (2, 3):
        raise _BrokenError(f"is GGUF version {version}, expected 2 or 3")
    tensors, entries = _scalar(stream, 10), _scalar(stream, 10)
    if not 0 < entries < MAX_ENTRIES or tensors >= MAX_ENTRIES:
        raise _BrokenError("is damaged (impossible counts in its header)")
    metadata = {}
    for _ in range(entries):
        key = _string(stream)
        value = _value(stream, _scalar(stream, 4))
        if value is not None:
            metadata[key] = value
    if not tensors:
        raise _BrokenError("holds a vocabulary without weights")
    last = max(_tensor_offset(stream) for _ in range(tensors))
    _check_types(metadata)
    alignment = metadata.get("general.alignment", 32)
    data = -(-stream.tell() // alignment) * alignment
    return metadata, data + last + 1


def _check_types(metadata: dict[str, Any]) -> None:
    """What is read of the metadata is of the type that it should be."""
    for key in TEXTS:
        if not isinstance(metadata.get(key, ""), str):
            raise _BrokenError(f"is damaged (its '{key}' is no text)")
    for key in ("general.alignment", f"{metadata.get('general.architecture')}.context_length"):
        value = metadata.get(key, 1)
        if not isinstance(value, int) or value < 1:
            raise _BrokenError(f"is damaged (its '{key}' is {value}, which is no size)")


def _tensor_offset(stream: IO[bytes]) -> int:
    _string(stream)
    for _ in range(_scalar(stream, 4)):
        _scalar(stream, 10)
    _scalar(stream, 4)
    return int(_scalar(stream, 10))


def _scalar(stream: IO[bytes], kind: int) -> Any:
    code = _SCALARS.get(kind)
    if code is None:
        raise _BrokenError("is damaged (a metadata entry of unknown type)")
    size = struct.calcsize(code)
    return struct.unpack(f"<{code}", stream.read(size))[0]


def _string(stream: IO[bytes]) -> str:
    length = _scalar(stream, 10)
    if length > LONGEST_STRING:
        raise _BrokenError("is damaged (a string of impossible length)")
    raw = stream.read(length)
    if len(raw) < length:
        raise struct.error
    return raw.decode("utf-8")


def _value(stream: IO[bytes], kind: int) -> Any:
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _scalar(stream, kind)
    inner, length = _scalar(stream, 4), _scalar(stream, 10)
    if inner in _SCALARS and length > LONGEST_KEPT:
        stream.seek(struct.calcsize(_SCALARS[inner]) * length, 1)
        return None
    values = [_value(stream, inner) for _ in range(length)]
    return values if length <= LONGEST_KEPT else None
