"""Vectors of texts that the files of earlier catalogues hold already, so that a grown one encodes what is new.

Behind the vectors of such a file (see `text.encode_cached`) stands a digest of each row's text and encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIZE = 16  # bytes of a digest
Stored = npt.NDArray[np.float16]


def digests(texts: Iterable[str], identity: str) -> Iterator[bytes]:
    """A digest for each text as the encoder with this identity sees it."""
    key = hashlib.sha256(identity.encode()).digest()
    for text in texts:
        yield hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE, key=key).digest()


def found(folder: str | Path, texts: Iterable[str], identity: str) -> dict[str, Stored]:
    """Vectors, float16 (D,) and mapped, of those of the texts that a file in the folder holds."""
    kept: dict[str, Stored] = {}
    ordered = list(texts)
    wanted = dict(zip(digests(ordered, identity), ordered, strict=True))
    for path in sorted(Path(folder).glob("text-*.npy")):
        if not wanted:
            break
        vectors, raw = _read(path)
        for row in range(len(vectors)):
            text = wanted.pop(raw[SIZE * row : SIZE * (row + 1)], None)
            if text is not None:
                kept[text] = vectors[row]
    return kept


def _read(path: Path) -> tuple[Stored, bytes]:
    """Vectors (n, D) of a file and n digests; none of either where it is damaged or has no digests."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as stream:
            stream.seek(vectors.offset + vectors.nbytes)
            raw = stream.read()
    except (OSError, ValueError, EOFError, AttributeError):
        return np.zeros((0, 0), np.float16), b""
    if vectors.ndim != 2 or vectors.dtype != np.float16 or len(raw) != SIZE * len(vectors):
        return np.zeros((0, 0), np.float16), b""
    return vectors, raw
