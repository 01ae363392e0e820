"""The header of a GGUF file: whatever stands in it, it is read or refused in one line."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from eimf_core.errors import ModelError
from eimf_core.labeling.engines import gguf_file

UINT32, STRING, ARRAY, FLOAT = 4, 8, 9, 6


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def header(*entries: tuple[str, int, bytes]) -> bytes:
    """A whole file with these entries and one tensor."""
    described = b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in entries)
    tensor = text("weight") + struct.pack("<IQIQ", 1, 4, 0, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 1, len(entries)) + described + tensor + bytes(256)


GOOD = (
    ("general.architecture", STRING, text("llama")),
    ("llama.context_length", UINT32, struct.pack("<I", 512)),
    ("general.alignment", UINT32, struct.pack("<I", 32)),
    ("tokenizer.chat_template", STRING, text("{{ messages }}")),
)


def test_a_whole_header(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(header(*GOOD))
    assert gguf_file.read_metadata(tmp_path / "model.gguf")["llama.context_length"] == 512


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("general.architecture", UINT32, bytes(4)),
        ("general.architecture", ARRAY, struct.pack("<IQ", STRING, 1) + text("llama")),
        ("llama.context_length", STRING, text("many")),
        ("llama.context_length", FLOAT, struct.pack("<f", float("inf"))),
        ("llama.context_length", UINT32, bytes(4)),
        ("general.alignment", UINT32, bytes(4)),
        ("general.alignment", STRING, text("x")),
        ("tokenizer.chat_template", FLOAT, bytes(4)),
        ("eimf.prompt_template", UINT32, b"abcd"),
        ("deep", ARRAY, struct.pack("<IQ", ARRAY, 1) * 5000),
        ("long", ARRAY, struct.pack("<IQ", UINT32, 1 << 63)),
    ],
)
def test_metadata_of_another_type(tmp_path: Path, key: str, kind: int, value: bytes) -> None:
    entries = [entry for entry in GOOD if entry[0] != key]
    path = tmp_path / "model.gguf"
    path.write_bytes(header(*entries, (key, kind, value)))
    with pytest.raises(ModelError, match=r"model\.gguf: is .*damaged.*download it again"):
        gguf_file.read_metadata(path)


def test_flipped_bits_and_cut_ends(tmp_path: Path) -> None:
    whole, rng, path, refused = header(*GOOD), random.Random(0), tmp_path / "model.gguf", 0
    for _ in range(1000):
        broken = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.2 else whole)
        for at in rng.sample(range(len(broken)), min(len(broken), rng.randrange(1, 4))):
            broken[at] = rng.randrange(256)
        path.write_bytes(broken)
        try:
            gguf_file.read_metadata(path)
        except ModelError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert refused > 330
